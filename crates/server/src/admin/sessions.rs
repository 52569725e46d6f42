//! Session keys of Substrate chains into a home.
//!
//! Invariants: as for every key: its record is durable before its secret is in the vault, a past
//! that this home knows is never forgotten; and a key that belongs to one chain and one key type is
//! refused for another, since a vote does not say which chain it is for.

use std::time::Duration;

use palisade_keys::{NewKey, PublicKey, Scheme, SessionPublicKey, SessionSecretKey, Vault};
use palisade_protect::{Digest, KeyType, Record, Slot, SubstrateHistory, SubstrateRecord};
use palisade_store::Admission;
use palisade_substrate::Window;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::execute::Parts;
use super::session_history::{self, Records};
use super::{AdminError, Answer, SessionKeyName, floor, past};
use crate::chains::genesis_of;

/// What [`Request::SessionKeysImport`](super::Request::SessionKeysImport) asks for.
#[derive(Serialize, Deserialize)]
pub struct SessionImport {
    /// The chain's genesis hash, `0x` hex.
    pub genesis: String,
    /// The chain's slot duration, in milliseconds.
    pub slot_ms: u64,
    /// What comes in.
    pub secrets: Vec<SessionSecret>,
    /// What is known of their past.
    pub past: SessionPast,
    /// A history may say that they signed where no chain is yet.
    #[serde(default)]
    pub accept_far_ahead: bool,
}

/// What the operator says about the past of session keys that arrive.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionPast {
    /// They never signed anything, anywhere.
    Fresh,
    /// Nothing is known: they start from now.
    FromNow,
    /// Their history, as a home wrote it when they left; it must name every key.
    History(String),
}

/// What a session key is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionKeyKind {
    /// The four letters of the key type.
    pub key_type: String,
    /// `ed25519` for Aura keys of that kind; otherwise the crypto follows the type.
    pub crypto: Option<String>,
}

/// A secret that comes in.
#[derive(Serialize, Deserialize)]
pub struct SessionSecret {
    /// What it is for.
    pub kind: SessionKeyKind,
    /// Its secret URI.
    pub uri: Zeroizing<String>,
}

/// A session key's chain and its last places.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SessionRow {
    /// The genesis hash of its chain.
    pub genesis: String,
    /// The four letters of its type.
    pub key_type: String,
    /// Signs nothing until a floor is given.
    pub awaits_floor: bool,
    /// The last sealed slot.
    pub last_slot: Option<u64>,
    /// The highest set, and the round or block in it.
    pub last_place: Option<(u64, u64)>,
    /// The first session that a key of type `para` may still speak about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_session: Option<u32>,
}

/// An import whose slow part is done.
pub(super) struct Prepared {
    chain: Digest,
    slot_ms: u64,
    past: PreparedPast,
    accept_far_ahead: bool,
    secrets: Vec<(KeyType, SessionSecretKey)>,
}

/// A [`SessionPast`] whose text is read.
enum PreparedPast {
    Fresh,
    FromNow,
    History(Records),
}

pub(super) fn row(record: &SubstrateRecord) -> SessionRow {
    let (last_slot, last_place) = match record.history {
        SubstrateHistory::Seals(seal) => (seal.map(|seal| seal.slot.0), None),
        SubstrateHistory::Grandpa(votes) => {
            (None, votes.iter().flatten().map(|vote| (vote.set_id, vote.round)).max())
        }
        SubstrateHistory::Beefy(vote) => (None, vote.map(|vote| (vote.set_id, vote.block))),
        _ => (None, None),
    };
    SessionRow {
        genesis: record.chain.to_string(),
        key_type: record.key_type.to_string(),
        awaits_floor: record.awaits_floor,
        last_slot,
        last_place,
        first_session: Record::Substrate(*record).session_floor(),
    }
}

pub(super) fn prepare(import: &SessionImport) -> Result<Prepared, AdminError> {
    let mut secrets: Vec<(KeyType, SessionSecretKey)> = Vec::with_capacity(import.secrets.len());
    for (index, SessionSecret { kind, uri }) in import.secrets.iter().enumerate() {
        let refuse = |why: &dyn std::fmt::Display| {
            let message = format!("nothing was imported; secret number {}: {why}", index + 1);
            AdminError::usage("bad-secret-key", message)
        };
        let (key_type, scheme) = kind.read()?;
        let secret =
            SessionSecretKey::from_uri(scheme, uri.trim()).map_err(|error| refuse(&error))?;
        let same = |(earlier_type, earlier): &(KeyType, SessionSecretKey)| {
            *earlier_type == key_type && earlier.public_key() == secret.public_key()
        };
        if secrets.iter().any(same) {
            return Err(refuse(&"the same key stands there before"));
        }
        secrets.push((key_type, secret));
    }
    if secrets.is_empty() {
        return Err(AdminError::usage("no-secret-key", "there is no secret to import"));
    }
    let chain = genesis(&import.genesis)?;
    let slot_ms = import.slot_ms.max(1);
    let past = match &import.past {
        SessionPast::Fresh => PreparedPast::Fresh,
        SessionPast::FromNow => PreparedPast::FromNow,
        SessionPast::History(text) => PreparedPast::History(session_history::read(text)?),
    };
    let accept_far_ahead = import.accept_far_ahead;
    Ok(Prepared { chain, slot_ms, past, accept_far_ahead, secrets })
}

impl SessionKeyKind {
    /// The type and the scheme that its letters mean.
    pub(super) fn read(&self) -> Result<(KeyType, Scheme), AdminError> {
        let key_type = key_type(&self.key_type)?;
        Ok((key_type, scheme(key_type, self.crypto.as_deref())?))
    }
}

pub(super) fn genesis(text: &str) -> Result<Digest, AdminError> {
    genesis_of(text)
        .ok_or_else(|| AdminError::usage("bad-genesis", "a genesis hash has 64 hex digits"))
}

pub(super) fn key_type(text: &str) -> Result<KeyType, AdminError> {
    KeyType::ALL.into_iter().find(|known| known.to_string() == text).ok_or_else(|| {
        let known = KeyType::ALL.map(|known| known.to_string()).join(", ");
        AdminError::usage(
            "unsupported-key-type",
            format!(
                "this version takes keys of the types {known}, not of type {text:?}; keep such \
                 keys in the node"
            ),
        )
    })
}

fn scheme(key_type: KeyType, crypto: Option<&str>) -> Result<Scheme, AdminError> {
    let known = Scheme::for_key_type(key_type);
    let found = match crypto {
        None => known.first(),
        Some(named) => known.iter().find(|scheme| scheme.name() == named),
    };
    found.copied().ok_or_else(|| {
        let names: Vec<_> = known.iter().map(|scheme| scheme.name()).collect();
        AdminError::usage(
            "unsupported-crypto",
            format!(
                "keys of type {key_type} are {}, not {:?}",
                names.join(" or "),
                crypto.unwrap_or_default()
            ),
        )
    })
}

pub(super) fn import(parts: &mut Parts<'_>, prepared: Prepared) -> Result<Answer, AdminError> {
    let Prepared { chain, slot_ms, past, accept_far_ahead, secrets } = prepared;
    let since_1970 = past::since_1970(parts.store)?;
    // Another guard may have sealed as far ahead as this one does.
    let present = Slot(slot_at(since_1970, slot_ms).saturating_add(Window::SEAL.future));
    let mut newcomers = Vec::with_capacity(secrets.len());
    let mut from_now = Vec::new();
    for (key_type, secret) in secrets {
        let key = secret.public_key();
        let record = match &past {
            PreparedPast::History(records) => {
                let past = session_history::record_of(records, chain, key_type, key.as_bytes())?;
                if !accept_far_ahead {
                    floor::check(&past.history, slot_ms, since_1970)?;
                }
                Some(not_before(past, present)?)
            }
            PreparedPast::Fresh if is_fresh(parts, &key, key_type)? => {
                SubstrateRecord::fresh(chain, key_type)
            }
            PreparedPast::Fresh | PreparedPast::FromNow => {
                from_now.push(name(key_type, &key));
                SubstrateRecord::from_now(chain, key_type, present)
            }
        };
        newcomers.push(Newcomer { record: record.ok_or_else(no_rules)?, secret });
    }
    let keys: Vec<_> = newcomers
        .iter()
        .map(|new| {
            let (key_type, key) = (new.record.key_type, new.secret.public_key());
            (key.ledger_id(key_type), name(key_type, &key))
        })
        .collect();
    let were_here = take_in(parts, newcomers)?;
    let those = |here: bool| {
        let keys = keys.iter().zip(&were_here).filter(move |(_, was)| **was == here);
        keys.map(|((_, key), _)| key.clone()).collect()
    };
    let (imported, duplicates) = (those(false), those(true));
    // What came may have been merged with a record that waits already.
    let awaits = |id| {
        let record = parts.store.record(id);
        matches!(record, Some(Record::Substrate(record)) if record.awaits_floor)
    };
    let awaiting = keys.iter().filter(|(id, _)| awaits(id));
    let await_floor = awaiting.map(|(_, key)| key.clone()).collect();
    Ok(Answer::SessionsImported { imported, duplicates, from_now, await_floor })
}

/// A file can be older than the key's last use, and a seal's place is the present: a few slots are
/// the price of not having to believe the file. For votes no clock tells the place.
fn not_before(past: SubstrateRecord, present: Slot) -> Result<SubstrateRecord, AdminError> {
    let SubstrateHistory::Seals(_) = past.history else { return Ok(past) };
    let now = SubstrateRecord::from_now(past.chain, past.key_type, present).ok_or_else(no_rules)?;
    match Record::Substrate(past).merge_stricter(Record::Substrate(now)) {
        Ok(Record::Substrate(merged)) => Ok(merged),
        _ => Err(no_rules()),
    }
}

fn name(key_type: KeyType, public_key: &SessionPublicKey) -> SessionKeyName {
    SessionKeyName { key_type: key_type.to_string(), public_key: public_key.to_string() }
}

/// A secret with the record that it starts with.
pub(super) struct Newcomer {
    pub(super) record: SubstrateRecord,
    pub(super) secret: SessionSecretKey,
}

impl Newcomer {
    /// What the ledger is told of it.
    pub(super) fn admission(&self) -> Admission {
        let key = self.secret.public_key();
        Admission {
            key: key.ledger_id(self.record.key_type),
            public_key: key.as_bytes().to_vec(),
            record: Record::Substrate(self.record),
        }
    }
}

/// Records first, then the secrets. Tells of each whether it was here before, for its type.
fn take_in(parts: &mut Parts<'_>, newcomers: Vec<Newcomer>) -> Result<Vec<bool>, AdminError> {
    let mut admissions = Vec::with_capacity(newcomers.len());
    let mut were_here = Vec::with_capacity(newcomers.len());
    let mut new_ids = Vec::new();
    for newcomer in &newcomers {
        let (key, admission) = (newcomer.secret.public_key(), newcomer.admission());
        must_be_of(parts, &key, newcomer.record.chain)?;
        let is_known = parts.store.record(&admission.key).is_some();
        let was_here = is_known && parts.vault.contains(&key.id());
        were_here.push(was_here);
        if !was_here {
            new_ids.push(admission.key);
        }
        admissions.push(admission);
    }
    parts.store.admit(&admissions).map_err(|error| AdminError::store(&error))?;
    // The vault leaves out what it holds already, for another key type.
    let secrets = newcomers.into_iter().map(|newcomer| NewKey::session(newcomer.secret)).collect();
    if let Err(error) = parts.vault.add(secrets) {
        // As for every key: what may be in the vault all the same must not sign.
        drop(parts.store.retire(&new_ids));
        return Err(AdminError::vault(error));
    }
    Ok(were_here)
}

pub(super) fn no_rules() -> AdminError {
    AdminError::could_not("internal-error", "a key type without rules was accepted")
}

/// Whether nothing here contradicts that the key never signed.
fn is_fresh(
    parts: &Parts<'_>,
    key: &SessionPublicKey,
    key_type: KeyType,
) -> Result<bool, AdminError> {
    let id = key.ledger_id(key_type);
    let Some(Record::Substrate(known)) = parts.store.record(&id) else { return Ok(true) };
    let missing = parts.store.missing_records(&[id]).map_err(|e| AdminError::store(&e))?;
    let in_service = missing == 0 && parts.vault.contains(&key.id());
    Ok(in_service || !known.has_a_past())
}

/// A key of any type that this home knows for another chain is not taken.
fn must_be_of(parts: &Parts<'_>, key: &SessionPublicKey, chain: Digest) -> Result<(), AdminError> {
    let records = KeyType::ALL.map(|key_type| parts.store.record(&key.ledger_id(key_type)));
    let elsewhere =
        |record: Record| !matches!(record, Record::Substrate(known) if known.chain == chain);
    if !records.into_iter().flatten().any(elsewhere) {
        return Ok(());
    }
    Err(AdminError::usage(
        "key-of-another-chain",
        format!(
            "nothing was imported; key {key} belongs to another chain in this home. A vote does \
             not say which chain it is for, so one key must not serve two: make a new key"
        ),
    ))
}

fn slot_at(since_1970: Duration, slot_ms: u64) -> u64 {
    u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX) / slot_ms
}

/// The session keys in the vault with this public key as typed, of whatever scheme.
pub(super) fn held(vault: &Vault, typed: &str) -> impl Iterator<Item = SessionPublicKey> {
    let wanted = hex::decode(typed.strip_prefix("0x").unwrap_or(typed)).unwrap_or_default();
    vault.public_keys().filter_map(move |key| match key {
        PublicKey::Session(key) if key.as_bytes() == wanted => Some(key),
        _ => None,
    })
}
