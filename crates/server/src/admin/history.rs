//! EIP-3076 in and out of the ledger.
//!
//! Invariants: an import is refused whole for another network or format version, and merges each
//! record to the stricter of both in one write; history of keys that are not here is kept as well,
//! so that a key that arrives later finds it.

use std::collections::{BTreeMap, BTreeSet};

use palisade_ethereum::PublicKey;
use palisade_ethereum::interchange::{self, InterchangeError};
use palisade_protect::{Digest, EthereumRecord, Record};
use palisade_store::Admission;

use super::execute::{Parts, id_of};
use super::{AdminError, Answer, PublicKeyText};

/// Stands where the network's genesis validators root is not known yet.
const UNKNOWN_ROOT: Digest = Digest([0; 32]);

pub(super) fn export(
    parts: &Parts<'_>,
    public_keys: &[PublicKeyText],
) -> Result<Answer, AdminError> {
    let (interchange, keys) = text_of(parts, public_keys)?;
    Ok(Answer::History { interchange, keys })
}

/// The text, and how many keys it holds. No key named means all.
pub(super) fn text_of(
    parts: &Parts<'_>,
    public_keys: &[PublicKeyText],
) -> Result<(String, usize), AdminError> {
    let wanted: BTreeSet<PublicKey> = public_keys.iter().map(|key| key.0).collect();
    let infos = parts.store.key_infos().map_err(|error| AdminError::store(&error))?;
    let rows: Vec<(PublicKey, EthereumRecord)> = infos
        .iter()
        .filter_map(|info| {
            let public_key = PublicKey(info.public_key.as_slice().try_into().ok()?);
            let Record::Ethereum(record) = info.record else { return None };
            (wanted.is_empty() || wanted.contains(&public_key)).then_some((public_key, record))
        })
        .collect();
    let mut out = Vec::new();
    let root = root_for_export(parts);
    let count = rows.len();
    interchange::write(&mut out, &root, rows)
        .map_err(|error| AdminError::could_not("history-export-failed", error.to_string()))?;
    let text = String::from_utf8(out)
        .map_err(|_| AdminError::could_not("history-export-failed", "the text is not UTF-8"))?;
    Ok((text, count))
}

pub(super) fn import(parts: &mut Parts<'_>, text: &str) -> Result<Answer, AdminError> {
    let history = read(parts, text.as_bytes())?;
    let admissions: Vec<_> = history
        .iter()
        .map(|(public_key, record)| Admission {
            key: id_of(public_key),
            public_key: public_key.0.to_vec(),
            record: Record::Ethereum(*record),
        })
        .collect();
    parts.store.raise(&admissions).map_err(|error| AdminError::store(&error))?;
    Ok(Answer::HistoryImported { keys: admissions.len() })
}

/// Parses and checks a history for this home's network; pins a network that is still to be learned.
pub(super) fn read(
    parts: &mut Parts<'_>,
    text: &[u8],
) -> Result<BTreeMap<PublicKey, EthereumRecord>, AdminError> {
    let pinned = parts.store.genesis_validators_root();
    let root = match pinned {
        Some(root) => root,
        None => named_root(text)?,
    };
    let history = interchange::read(text, &root).map_err(|error| refused(&error))?;
    // Only a file that is good as a whole says which network this is.
    if pinned.is_none() && root != UNKNOWN_ROOT {
        parts.store.pin_genesis_validators_root(root).map_err(|error| AdminError::store(&error))?;
    }
    Ok(history)
}

/// An operator's history file says which network it is for: that is as good as a first request.
/// Zeros say nothing: they stand in files of homes that had not learned their network either.
fn named_root(text: &[u8]) -> Result<Digest, AdminError> {
    match interchange::read(text, &UNKNOWN_ROOT) {
        Ok(_) => Ok(UNKNOWN_ROOT),
        Err(InterchangeError::WrongGenesisValidatorsRoot { found, .. }) => Ok(found),
        Err(error) => Err(refused(&error)),
    }
}

fn refused(error: &InterchangeError) -> AdminError {
    AdminError::refused(error.code(), format!("{error}; nothing was imported"))
}

/// All zeros while the root is still to be learned: no other signer takes such a file for its own
/// network, and there is nothing of this network in it yet.
fn root_for_export(parts: &Parts<'_>) -> Digest {
    parts.store.genesis_validators_root().unwrap_or(UNKNOWN_ROOT)
}
