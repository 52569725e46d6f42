//! Keys into a home and out of it.
//!
//! Invariants: a key's record is durable before its secret is in the vault; a key that is on its
//! way out signs nothing from the moment at which its history is exported; what is left half-way by
//! a crash is a key that does not sign, and the same command again finishes the work.

use std::collections::{BTreeMap, HashSet};

use palisade_ethereum::PublicKey;
use palisade_keys::{BlsSecretKey, NewKey};
use palisade_protect::KeyId;
use palisade_store::Admission;
use zeroize::Zeroizing;

use super::execute::{Parts, id_of};
use super::past::{self, PreparedPast};
use super::{AdminError, Answer, PublicKeyText, history};

/// Reads secrets and computes their public keys, which takes longest of all.
pub(super) fn open_all(
    secrets: &[Zeroizing<String>],
) -> Result<BTreeMap<PublicKey, BlsSecretKey>, AdminError> {
    let open = |(index, text): (usize, &Zeroizing<String>)| {
        let secret = BlsSecretKey::from_hex(text).map_err(|error| {
            AdminError::usage("bad-secret-key", format!("secret number {}: {error}", index + 1))
        })?;
        Ok((PublicKey(secret.public_key().0), secret))
    };
    secrets.iter().enumerate().map(open).collect()
}

pub(super) fn import(
    parts: &mut Parts<'_>,
    keys: BTreeMap<PublicKey, BlsSecretKey>,
    past: PreparedPast,
) -> Result<Answer, AdminError> {
    let judged = past::judge(parts, keys.keys(), past)?;
    history::can_pin(parts, judged.root_to_pin)?;
    let admissions: Vec<Admission> = judged
        .records
        .into_iter()
        .map(|(public_key, record)| Admission {
            key: id_of(&public_key),
            public_key: public_key.0.to_vec(),
            record,
        })
        .collect();
    let (duplicates, imported): (Vec<_>, Vec<_>) =
        keys.keys().copied().partition(|key| parts.vault.contains(&id_of(key)));
    parts.store.admit(&admissions).map_err(|error| AdminError::store(&error))?;
    history::pin(parts, judged.root_to_pin)?;
    let here: HashSet<PublicKey> = duplicates.iter().copied().collect();
    let new_keys: Vec<NewKey> = keys
        .into_iter()
        .filter(|(public_key, _)| !here.contains(public_key))
        .map(|(_, secret)| NewKey::bls(secret))
        .collect();
    if let Err(error) = parts.vault.add(new_keys) {
        // The vault may hold them after all (a rename that could not be flushed): they must not
        // sign before an import of theirs has succeeded. The vault's error is the one to report.
        let ids: Vec<KeyId> = imported.iter().map(id_of).collect();
        drop(parts.store.retire(&ids));
        return Err(AdminError::vault(error));
    }
    let texts = |keys: Vec<PublicKey>| keys.into_iter().map(PublicKeyText).collect();
    Ok(Answer::Imported {
        imported: texts(imported),
        duplicates: texts(duplicates),
        from_now: texts(judged.from_now),
        from_epoch: judged.from_epoch.map(|epoch| epoch.0),
    })
}

/// Takes keys out of service. From here on their exported history is final.
pub(super) fn retire(
    parts: &mut Parts<'_>,
    public_keys: &[PublicKeyText],
) -> Result<Answer, AdminError> {
    let ids: Vec<KeyId> = public_keys
        .iter()
        .map(|key| id_of(&key.0))
        .filter(|id| parts.store.record(id).is_some())
        .collect();
    parts.store.retire(&ids).map_err(|error| AdminError::store(&error))?;
    history::export(parts, public_keys)
}

/// Removes keys from the vault, after they were taken out of service.
pub(super) fn remove(
    parts: &mut Parts<'_>,
    public_keys: &[PublicKeyText],
) -> Result<Answer, AdminError> {
    let Answer::History { interchange, .. } = retire(parts, public_keys)? else {
        return Err(AdminError::could_not("internal-error", "an answer to another question"));
    };
    let (removed, not_found): (Vec<_>, Vec<_>) =
        public_keys.iter().copied().partition(|key| parts.vault.contains(&id_of(&key.0)));
    let ids: Vec<KeyId> = removed.iter().map(|key| id_of(&key.0)).collect();
    if !ids.is_empty() {
        parts.vault.remove(&ids).map_err(AdminError::vault)?;
    }
    Ok(Answer::Removed { removed, not_found, interchange })
}
