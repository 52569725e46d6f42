//! New session keys, and the proofs that session keys belong to an account.
//!
//! Invariants: a new key's record and its sealed secret are durable before anything of it is
//! answered, so that a crash leaves keys that `palisade keys list` shows, and never loses one that
//! a chain was told of; a proof leaves after its decision is in the journal, like every signature;
//! of all this only the durable writes of the ledger are done where the ledger is.

use std::collections::BTreeSet;

use palisade_keys::{
    Added, KeyRing, NewKey, Scheme, SessionPublicKey, SessionSecretKey, Vault, VaultError,
};
use palisade_protect::{Denied, Digest, KeyType, Record, SubstrateRecord, authorise};
use palisade_substrate::{Ownership, ownership};
use serde::{Deserialize, Serialize};

use super::execute::Parts;
use super::ledger::Ledger;
use super::sessions::{self, Newcomer, SessionKeyKind};
use super::{AdminError, Answer};

/// The most keys of one request; a chain has about ten types.
const MAX_KEYS: usize = 64;

/// What [`Request::SessionKeysGenerate`](super::Request::SessionKeysGenerate) asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SessionGeneration {
    /// The chain's genesis hash, `0x` hex.
    pub genesis: String,
    /// One new key of each.
    pub kinds: Vec<SessionKeyKind>,
    /// The account that the keys are proven to belong to, hex; without one there are no proofs.
    pub owner: Option<String>,
}

/// What [`Request::SessionKeysProve`](super::Request::SessionKeysProve) asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SessionProofs {
    /// The chain's genesis hash, `0x` hex.
    pub genesis: String,
    /// Which keys.
    pub keys: Vec<SessionKeyName>,
    /// As for [`SessionGeneration`].
    pub owner: Option<String>,
}

/// A session key by its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionKeyName {
    /// The four letters of its type.
    pub key_type: String,
    /// The public key, hex.
    pub public_key: String,
}

/// A session key with the proof of its ownership.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvenKey {
    /// The four letters of its type.
    pub key_type: String,
    /// The public key, `0x` hex.
    pub public_key: String,
    /// Its signature of `"POP_"` and the account, `0x` hex; absent without an account.
    pub proof: Option<String>,
}

/// New keys in memory.
pub(super) struct Prepared {
    newcomers: Vec<Newcomer>,
    statement: Option<Ownership>,
}

pub(super) fn prepare(wanted: &SessionGeneration) -> Result<Prepared, AdminError> {
    let chain = sessions::genesis(&wanted.genesis)?;
    let statement = statement(wanted.owner.as_deref())?;
    check_number(wanted.kinds.len())?;
    let mut seen = BTreeSet::new();
    let mut newcomers = Vec::with_capacity(wanted.kinds.len());
    for kind in &wanted.kinds {
        let (key_type, scheme) = kind.read()?;
        if !seen.insert(key_type) {
            let message = format!("a chain takes one key of type {key_type}; it was named twice");
            return Err(AdminError::usage("invalid-request", message));
        }
        newcomers.push(new_key(chain, key_type, scheme)?);
    }
    Ok(Prepared { newcomers, statement })
}

fn check_number(keys: usize) -> Result<(), AdminError> {
    if (1..=MAX_KEYS).contains(&keys) {
        return Ok(());
    }
    Err(AdminError::usage("invalid-request", format!("name 1 to {MAX_KEYS} keys")))
}

fn statement(owner: Option<&str>) -> Result<Option<Ownership>, AdminError> {
    let Some(owner) = owner else { return Ok(None) };
    let refuse = |why: &dyn std::fmt::Display| {
        AdminError::usage("bad-owner", format!("the owner's account: {why}"))
    };
    let digits = owner.strip_prefix("0x").unwrap_or(owner);
    let account = hex::decode(digits).map_err(|_| refuse(&"it is not hexadecimal"))?;
    ownership(&account).map(Some).map_err(|error| refuse(&error))
}

fn new_key(chain: Digest, key_type: KeyType, scheme: Scheme) -> Result<Newcomer, AdminError> {
    let secret = SessionSecretKey::generate(scheme).map_err(|error| {
        let message = format!("no key was made: {error}");
        AdminError::could_not("no-randomness", message)
    })?;
    let record = SubstrateRecord::fresh(chain, key_type).ok_or_else(sessions::no_rules)?;
    Ok(Newcomer { record, secret })
}

/// New keys in the home, and what is to be said of them.
pub(super) struct Sealed {
    keys: Vec<(KeyType, SessionPublicKey)>,
    statement: Option<Ownership>,
}

impl Prepared {
    /// Records first, then the secrets, which `add` seals.
    pub(super) fn seal(
        self,
        ledger: &mut Ledger<'_>,
        add: impl FnOnce(Vec<NewKey>) -> Result<Added, VaultError>,
    ) -> Result<Sealed, AdminError> {
        let Self { newcomers, statement } = self;
        let keys = newcomers.iter().map(|new| (new.record.key_type, new.secret.public_key()));
        let keys: Vec<_> = keys.collect();
        let admissions: Vec<_> = newcomers.iter().map(Newcomer::admission).collect();
        let ids: Vec<_> = admissions.iter().map(|admission| admission.key).collect();
        let admitted = ledger.call(move |store| store.admit(&admissions))?;
        admitted.map_err(|error| AdminError::store(&error))?;
        let secrets = newcomers.into_iter().map(|new| NewKey::session(new.secret)).collect();
        if let Err(error) = add(secrets) {
            // As for every key: what may be in the vault all the same must not sign.
            drop(ledger.call(move |store| store.retire(&ids)));
            return Err(AdminError::vault(error));
        }
        Ok(Sealed { keys, statement })
    }
}

impl Sealed {
    /// The answer, with proofs that `ring` signs.
    pub(super) fn prove(
        self,
        ledger: &mut Ledger<'_>,
        ring: &KeyRing,
    ) -> Result<Answer, AdminError> {
        proven(ledger, ring, &self.keys, self.statement.as_ref()).map_err(|error| AdminError {
            message: format!(
                "the new keys are sealed in this home (`palisade keys list`), but their ownership \
                 was not proven: {error}. `palisade keys prove` proves it later"
            ),
            ..error
        })
    }
}

/// On a stopped home.
pub(super) fn generate(parts: &mut Parts<'_>, prepared: Prepared) -> Result<Answer, AdminError> {
    let mut ledger = Ledger::InHand(parts.store);
    let sealed = prepared.seal(&mut ledger, |keys| parts.vault.add(keys))?;
    let ring = parts.vault.load_ring().map_err(AdminError::vault)?;
    sealed.prove(&mut ledger, &ring)
}

/// The proofs of keys that are here, which `ring` signs.
pub(super) fn prove(
    ledger: &mut Ledger<'_>,
    vault: &Vault,
    ring: &KeyRing,
    wanted: &SessionProofs,
) -> Result<Answer, AdminError> {
    let chain = sessions::genesis(&wanted.genesis)?;
    let statement = statement(wanted.owner.as_deref())?;
    check_number(wanted.keys.len())?;
    let found = wanted.keys.iter().map(|name| find(ledger, vault, chain, name));
    let keys = found.collect::<Result<Vec<_>, _>>()?;
    proven(ledger, ring, &keys, statement.as_ref())
}

/// A key of this type that is in service for the chain.
fn find(
    ledger: &mut Ledger<'_>,
    vault: &Vault,
    chain: Digest,
    name: &SessionKeyName,
) -> Result<(KeyType, SessionPublicKey), AdminError> {
    let key_type = sessions::key_type(&name.key_type)?;
    let held: Vec<_> = sessions::held(vault, &name.public_key).collect();
    let found = ledger.call(move |store| {
        held.into_iter().find(|key| {
            let record = store.record(&key.ledger_id(key_type));
            matches!(record, Some(Record::Substrate(known)) if known.chain == chain)
        })
    })?;
    let key = found.ok_or_else(|| {
        let message = format!(
            "this home holds no key {} of type {key_type} for that chain; `palisade keys list` \
             shows what it holds",
            name.public_key
        );
        AdminError::usage("unknown-key", message)
    })?;
    Ok((key_type, key))
}

/// The keys with their proofs, in the same order: one decision and one durable write for all.
fn proven(
    ledger: &mut Ledger<'_>,
    ring: &KeyRing,
    keys: &[(KeyType, SessionPublicKey)],
    statement: Option<&Ownership>,
) -> Result<Answer, AdminError> {
    let proofs = match statement {
        Some(statement) => proofs(ledger, ring, keys, statement)?.into_iter().map(Some).collect(),
        None => vec![None; keys.len()],
    };
    let row = |((key_type, key), proof): (&(KeyType, SessionPublicKey), Option<String>)| {
        ProvenKey { key_type: key_type.to_string(), public_key: key.to_string(), proof }
    };
    Ok(Answer::SessionKeys { keys: keys.iter().zip(proofs).map(row).collect() })
}

fn proofs(
    ledger: &mut Ledger<'_>,
    ring: &KeyRing,
    keys: &[(KeyType, SessionPublicKey)],
    statement: &Ownership,
) -> Result<Vec<String>, AdminError> {
    let judged = statement.judged();
    let batch: Vec<_> =
        keys.iter().map(|(key_type, key)| (key.ledger_id(*key_type), judged.intent)).collect();
    let permits = ledger.call(move |store| authorise(store, &batch))?;
    let mut proofs = Vec::with_capacity(keys.len());
    for ((key_type, key), permit) in keys.iter().zip(permits) {
        let permit = permit.map_err(|denied| match denied {
            Denied::Failed(error) => AdminError::store(&error),
            Denied::UnknownKey(_) => AdminError::refused(
                "unknown-key",
                format!("{key_type} key {key} is out of service here, so it signs nothing"),
            ),
            Denied::Refused(refusal) => {
                AdminError::refused(refusal.kind.code(), refusal.to_string())
            }
        })?;
        let signed = ring.sign_message(permit, key, *key_type, &judged.message);
        let signed =
            signed.map_err(|error| AdminError::could_not("internal-error", error.to_string()))?;
        proofs.push(signed.to_string());
    }
    Ok(proofs)
}
