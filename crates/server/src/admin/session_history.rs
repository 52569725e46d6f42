//! What session keys signed, as a file of ours, and session keys out of a home.
//!
//! EIP-3076 has no words for Substrate, so the file holds the records as the ledger keeps them,
//! with what a person wants to read beside them. What a key said of parachain candidates is not in
//! it; its record then starts behind every session that it spoke about.
//!
//! Invariants: as for validators' keys: a key signs nothing from the moment at which its history is
//! exported; its record stays in the ledger for ever, so that the same key is judged by its past
//! when it comes back; a file says of each record which key, type and chain it is for, and is
//! refused where the record says otherwise. A digest over key, type, chain, record and time binds
//! each row, so that no row is taken for another key's. It is no signature: whoever can compute it
//! can write any file, so a file is only ever believed in what it forbids.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use palisade_protect::{Digest, KeyId, KeyType, Record, SubstrateRecord};
use palisade_store::KeyInfo;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::execute::Parts;
use super::sessions::{self, SessionRow};
use super::{AdminError, Answer};

const FORMAT: &str = "palisade-session-history";
const VERSION: u32 = 2;
/// What a row's digest begins with.
const DOMAIN: &[u8] = b"palisade-session-history/2";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    version: u32,
    /// When it was written, in milliseconds since the Unix epoch.
    time_unix_ms: u64,
    keys: Vec<Row>,
}

/// What every version begins with.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// `0x` hex.
    public_key: String,
    /// The record as the ledger keeps it, `0x` hex.
    record: String,
    /// What binds the row to its key ([`digest`]), `0x` hex.
    digest: String,
    /// What the record says, for people; `genesis` and `key_type` are compared with it.
    summary: SessionRow,
}

/// Records by key type and public key.
pub(super) type Records = BTreeMap<(KeyType, Vec<u8>), SubstrateRecord>;

/// Reads a file that [`retire`] or [`remove`] wrote.
pub(super) fn read(text: &str) -> Result<Records, AdminError> {
    let unreadable = |error: serde_json::Error| {
        let (line, column) = (error.line(), error.column());
        malformed(format!("it does not read as one (line {line}, column {column})"))
    };
    let head: Head = serde_json::from_str(text).map_err(unreadable)?;
    match (head.format.as_str(), head.version) {
        (FORMAT, VERSION) => {}
        (FORMAT, 1) => return Err(unbound()),
        (format, version) => {
            return Err(malformed(format!("it is {format:?} version {version}")));
        }
    }
    let file: File = serde_json::from_str(text).map_err(unreadable)?;
    let mut records = Records::new();
    for (index, row) in file.keys.iter().enumerate() {
        let wrong = |what: &str| malformed(format!("key number {}: {what}", index + 1));
        let bytes = |text: &str| hex::decode(text.strip_prefix("0x").unwrap_or(text)).ok();
        let public_key = bytes(&row.public_key).ok_or_else(|| wrong("its name is not hex"))?;
        let record = bytes(&row.record).and_then(|bytes| Record::decode(&bytes).ok());
        let Some(Record::Substrate(record)) = record else {
            return Err(wrong("its record is not one of this version"));
        };
        let (chain, key_type) = (record.chain.to_string(), record.key_type.to_string());
        if chain != row.summary.genesis || key_type != row.summary.key_type {
            return Err(wrong("its record is for another chain or key type than its row says"));
        }
        if bytes(&row.digest)
            .is_none_or(|given| given != digest(&public_key, &record, file.time_unix_ms))
        {
            return Err(wrong(
                "its digest is not that of its key and record: the file was changed",
            ));
        }
        if records.insert((record.key_type, public_key), record).is_some() {
            return Err(wrong("the same key stands there before"));
        }
    }
    Ok(records)
}

/// SHA-256 over the domain, the time (8 bytes, little-endian), the genesis hash, the four letters
/// of the type, the public key behind its length (1 byte), and the record.
fn digest(public_key: &[u8], record: &SubstrateRecord, time_unix_ms: u64) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(DOMAIN);
    hash.update(time_unix_ms.to_le_bytes());
    hash.update(record.chain.0);
    hash.update(record.key_type.0);
    hash.update([u8::try_from(public_key.len()).unwrap_or(u8::MAX)]);
    hash.update(public_key);
    hash.update(Record::Substrate(*record).encode());
    hash.finalize().into()
}

fn unbound() -> AdminError {
    let message = format!(
        "nothing was imported; the file is {FORMAT} version 1, which does not bind what was signed \
         to the key that signed it. Import the keys with --from-now, then say with `palisade keys \
         floor` what stands in the file as last_place or first_session"
    );
    AdminError::usage("malformed", message)
}

fn malformed(why: String) -> AdminError {
    let message = format!("this is no history of session keys ({FORMAT} version {VERSION}): {why}");
    AdminError::usage("malformed", message)
}

/// What the file must hold of a key that arrives.
pub(super) fn record_of(
    records: &Records,
    chain: Digest,
    key_type: KeyType,
    public_key: &[u8],
) -> Result<SubstrateRecord, AdminError> {
    let found = records.get(&(key_type, public_key.to_vec()));
    found.filter(|record| record.chain == chain).copied().ok_or_else(|| {
        let message = format!(
            "nothing was imported; the history does not name the {key_type} key 0x{} for this \
             chain",
            hex::encode(public_key)
        );
        AdminError::usage("history-incomplete", message)
    })
}

/// Takes session keys out of service, of whatever type, and exports their history.
pub(super) fn retire(parts: &mut Parts<'_>, typed: &[String]) -> Result<Answer, AdminError> {
    let (infos, not_found) = known(parts, typed)?;
    let ids: Vec<KeyId> = infos.iter().map(|info| info.key).collect();
    parts.store.retire(&ids).map_err(|error| AdminError::store(&error))?;
    Ok(Answer::SessionHistory { history: text_of(&infos)?, not_found })
}

/// Removes session keys from the vault, after they were taken out of service.
pub(super) fn remove(parts: &mut Parts<'_>, typed: &[String]) -> Result<Answer, AdminError> {
    let Answer::SessionHistory { history, .. } = retire(parts, typed)? else {
        return Err(AdminError::could_not("internal-error", "an answer to another question"));
    };
    let (mut removed, mut not_found, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    for typed in typed {
        let held: Vec<_> = sessions::held(parts.vault, typed).collect();
        let list = if held.is_empty() { &mut not_found } else { &mut removed };
        list.push(typed.clone());
        ids.extend(held.iter().map(palisade_keys::SessionPublicKey::id));
    }
    if !ids.is_empty() {
        parts.vault.remove(&ids).map_err(AdminError::vault)?;
    }
    Ok(Answer::SessionsRemoved { removed, not_found, history })
}

/// The rows of the ledger for these public keys, and the keys that never were here.
fn known(parts: &Parts<'_>, typed: &[String]) -> Result<(Vec<KeyInfo>, Vec<String>), AdminError> {
    let infos = parts.store.key_infos().map_err(|error| AdminError::store(&error))?;
    let (mut found, mut not_found) = (Vec::new(), Vec::new());
    for text in typed {
        let wanted = hex::decode(text.strip_prefix("0x").unwrap_or(text)).unwrap_or_default();
        let is_it = |info: &&KeyInfo| {
            info.public_key == wanted && matches!(info.record, Record::Substrate(_))
        };
        let before = found.len();
        found.extend(infos.iter().filter(is_it).cloned());
        if found.len() == before {
            not_found.push(text.clone());
        }
    }
    Ok((found, not_found))
}

fn text_of(infos: &[KeyInfo]) -> Result<String, AdminError> {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let time_unix_ms = u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX);
    let row = |info: &KeyInfo| {
        let Record::Substrate(record) = info.record else { return None };
        let record = record.without_stances();
        Some(Row {
            public_key: format!("0x{}", hex::encode(&info.public_key)),
            record: format!("0x{}", hex::encode(Record::Substrate(record).encode())),
            digest: format!("0x{}", hex::encode(digest(&info.public_key, &record, time_unix_ms))),
            summary: sessions::row(&record),
        })
    };
    let keys = infos.iter().filter_map(row).collect();
    let file = File { format: FORMAT.to_owned(), version: VERSION, time_unix_ms, keys };
    serde_json::to_string_pretty(&file)
        .map(|text| text + "\n")
        .map_err(|error| AdminError::could_not("history-export-failed", error.to_string()))
}
