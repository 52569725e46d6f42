//! Session keys of Substrate chains into a home.
//!
//! Invariants: as for every key: its record is durable before its secret is in the vault, a past
//! that this home knows is never forgotten; and a key that belongs to one chain and one key type is
//! refused for another, since a vote does not say which chain it is for.

use std::time::{SystemTime, UNIX_EPOCH};

use palisade_keys::{NewKey, PublicKey, Scheme, SessionPublicKey, SessionSecretKey};
use palisade_protect::{
    BeefyVote, Digest, GrandpaVote, KeyId, KeyType, Record, Slot, SubstrateHistory, SubstrateRecord,
};
use palisade_store::Admission;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::execute::Parts;
use super::{AdminError, Answer};

/// What [`Request::SessionKeysImport`](super::Request::SessionKeysImport) asks for.
#[derive(Serialize, Deserialize)]
pub struct SessionImport {
    /// The chain's genesis hash, `0x` hex.
    pub genesis: String,
    /// The chain's slot duration, in milliseconds.
    pub slot_ms: u64,
    /// The four letters of the key type.
    pub key_type: String,
    /// `ed25519` for Aura keys of that kind; otherwise the crypto follows the type.
    pub crypto: Option<String>,
    /// Secret URIs.
    pub uris: Vec<Zeroizing<String>>,
    /// Whether they never signed; otherwise they start from now.
    pub fresh: bool,
}

/// What [`Request::SessionKeysFloor`](super::Request::SessionKeysFloor) asks for.
#[derive(Serialize, Deserialize)]
pub struct SessionFloor {
    /// The public key, hex.
    pub public_key: String,
    /// Everything in sets before this one, and in it up to `number`, counts as signed.
    pub set_id: u64,
    /// The round (GRANDPA) or the block (BEEFY).
    pub number: u64,
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
    key_type: KeyType,
    fresh: bool,
    secrets: Vec<SessionSecretKey>,
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
    let key_type = key_type(&import.key_type)?;
    let scheme = scheme(key_type, import.crypto.as_deref())?;
    let mut secrets: Vec<SessionSecretKey> = Vec::with_capacity(import.uris.len());
    for (index, uri) in import.uris.iter().enumerate() {
        let refuse = |why: &dyn std::fmt::Display| {
            let message = format!("nothing was imported; secret number {}: {why}", index + 1);
            AdminError::usage("bad-secret-key", message)
        };
        let secret =
            SessionSecretKey::from_uri(scheme, uri.trim()).map_err(|error| refuse(&error))?;
        if secrets.iter().any(|earlier| earlier.public_key() == secret.public_key()) {
            return Err(refuse(&"the same key stands there before"));
        }
        secrets.push(secret);
    }
    if secrets.is_empty() {
        return Err(AdminError::usage("no-secret-key", "there is no secret to import"));
    }
    let chain = genesis(&import.genesis)?;
    let slot_ms = import.slot_ms.max(1);
    Ok(Prepared { chain, slot_ms, key_type, fresh: import.fresh, secrets })
}

fn genesis(text: &str) -> Result<Digest, AdminError> {
    let mut genesis = [0; 32];
    hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), &mut genesis)
        .map_err(|_| AdminError::usage("bad-genesis", "a genesis hash has 64 hex digits"))?;
    Ok(Digest(genesis))
}

fn key_type(text: &str) -> Result<KeyType, AdminError> {
    KeyType::ALL.into_iter().find(|known| known.to_string() == text).ok_or_else(|| {
        AdminError::usage(
            "unsupported-key-type",
            format!(
                "this version takes the key types babe, aura, gran, beef, audi, para and asgn, not \
                 {text:?}; keep keys of other types in the node"
            ),
        )
    })
}

fn scheme(key_type: KeyType, crypto: Option<&str>) -> Result<Scheme, AdminError> {
    let usual = match key_type {
        KeyType::GRANDPA => (Scheme::Ed25519, "ed25519"),
        KeyType::BEEFY => (Scheme::Ecdsa, "ecdsa"),
        _ => (Scheme::Sr25519, "sr25519"),
    };
    match crypto {
        None => Ok(usual.0),
        Some(named) if named == usual.1 => Ok(usual.0),
        Some("ed25519") if key_type == KeyType::AURA => Ok(Scheme::Ed25519),
        Some(named) => Err(AdminError::usage(
            "unsupported-crypto",
            format!("keys of type {key_type} are {}, not {named:?}", usual.1),
        )),
    }
}

pub(super) fn import(parts: &mut Parts<'_>, prepared: Prepared) -> Result<Answer, AdminError> {
    let Prepared { chain, slot_ms, key_type, fresh, secrets } = prepared;
    let present = present_slot(parts, slot_ms)?;
    let mut admissions = Vec::with_capacity(secrets.len());
    let (mut from_now, mut await_floor) = (Vec::new(), Vec::new());
    for secret in &secrets {
        let key = secret.public_key();
        must_be_of(parts, &key, chain)?;
        let starts_fresh = fresh && is_fresh(parts, &key, key_type)?;
        let record = if starts_fresh {
            SubstrateRecord::fresh(chain, key_type)
        } else {
            from_now.push(key.to_string());
            SubstrateRecord::from_now(chain, key_type, present)
        };
        let record = record.ok_or_else(|| {
            AdminError::could_not("internal-error", "a key type without rules was accepted")
        })?;
        if record.awaits_floor {
            await_floor.push(key.to_string());
        }
        let record = Record::Substrate(record);
        let public_key = key.as_bytes().to_vec();
        admissions.push(Admission { key: key.ledger_id(key_type), public_key, record });
    }
    let known_before: Vec<bool> =
        admissions.iter().map(|new| parts.store.record(&new.key).is_some()).collect();
    parts.store.admit(&admissions).map_err(|error| AdminError::store(&error))?;
    let keys: Vec<_> = secrets.iter().map(SessionSecretKey::public_key).collect();
    let (mut imported, mut duplicates) = (Vec::new(), Vec::new());
    for (key, known) in keys.iter().zip(known_before) {
        let here = known && parts.vault.contains(&key.id());
        if here { duplicates.push(*key) } else { imported.push(*key) }
    }
    // The vault leaves out what it holds already, for another key type.
    let new_keys = secrets.into_iter().map(NewKey::session).collect();
    if let Err(error) = parts.vault.add(new_keys) {
        // As for every key: what may be in the vault all the same must not sign.
        let ids: Vec<KeyId> = imported.iter().map(|key| key.ledger_id(key_type)).collect();
        drop(parts.store.retire(&ids));
        return Err(AdminError::vault(error));
    }
    let texts = |keys: Vec<SessionPublicKey>| keys.iter().map(ToString::to_string).collect();
    let (imported, duplicates) = (texts(imported), texts(duplicates));
    Ok(Answer::SessionsImported { imported, duplicates, from_now, await_floor })
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

fn present_slot(parts: &Parts<'_>, slot_ms: u64) -> Result<Slot, AdminError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let newest = parts.store.recent_events(1).map_err(|error| AdminError::store(&error))?;
    let newest_unix_ms = newest.first().map_or(0, |(time, _)| *time);
    if now < u128::from(newest_unix_ms) {
        return Err(AdminError::could_not(
            "clock-behind",
            "this machine's clock is behind the newest entry of the home's journal, so the present \
             slot cannot be told; nothing was imported. Set the clock, then try again",
        ));
    }
    Ok(Slot(u64::try_from(now).unwrap_or(u64::MAX) / slot_ms))
}

/// Seals start from the clock; a place of these is told by no clock.
const FLOOR_TYPES: [KeyType; 3] = [KeyType::GRANDPA, KeyType::BEEFY, KeyType::PARACHAIN];

/// Ends the waiting of a key of unknown past: what lies up to the floor counts as signed.
pub(super) fn set_floor(parts: &mut Parts<'_>, floor: &SessionFloor) -> Result<Answer, AdminError> {
    let wanted = floor.public_key.strip_prefix("0x").unwrap_or(&floor.public_key);
    let is_it = |key: &PublicKey| hex::encode(key.as_bytes()).eq_ignore_ascii_case(wanted);
    let ids = parts.vault.public_keys().filter(is_it).flat_map(|key| match key {
        PublicKey::Session(key) => FLOOR_TYPES.map(|key_type| Some(key.ledger_id(key_type))),
        PublicKey::Bls(_) => [None; 3],
    });
    let known = ids.flatten().find_map(|id| parts.store.record(&id).map(|record| (id, record)));
    let Some((id, Record::Substrate(record))) = known else {
        return Err(AdminError::usage(
            "unknown-key",
            "this home holds no key of type gran, beef or para with that public key; `palisade \
             keys list` shows those that it holds, and seals need no floor",
        ));
    };
    let (set_id, number) = (floor.set_id, floor.number);
    let history = match record.history {
        SubstrateHistory::Grandpa(_) => SubstrateHistory::Grandpa(
            [Some(GrandpaVote { set_id, round: number, digest: None }); 3],
        ),
        SubstrateHistory::Beefy(_) => {
            SubstrateHistory::Beefy(Some(BeefyVote { set_id, block: number, digest: None }))
        }
        SubstrateHistory::Statements(_) => SubstrateHistory::Statements(Some(session(floor)?)),
        _ => {
            let message = "a record of a key with places has none";
            return Err(AdminError::could_not("internal-error", message));
        }
    };
    parts.store.set_floor(&id, history).map_err(|error| AdminError::store(&error))?;
    Ok(Answer::FloorSet)
}

/// The first session that a key of type `para` may speak about: sessions have no rounds.
fn session(floor: &SessionFloor) -> Result<u32, AdminError> {
    let session = u32::try_from(floor.set_id).ok().filter(|_| floor.number == 0);
    session.ok_or_else(|| {
        let message = "for a key of type para, the set is the first session that it may speak \
                       about, below 2^32, and the number is 0";
        AdminError::usage("bad-floor", message)
    })
}
