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

/// A parsed history.
pub(super) struct History {
    pub(super) records: BTreeMap<PublicKey, EthereumRecord>,
    /// The network that the file says it is for, when the home is still to learn it.
    pub(super) root_to_pin: Option<Digest>,
}

pub(super) fn import(parts: &mut Parts<'_>, history: &History) -> Result<Answer, AdminError> {
    can_pin(parts, history.root_to_pin)?;
    let histories: Vec<_> = history
        .records
        .iter()
        .map(|(public_key, record)| Admission {
            key: id_of(public_key),
            public_key: public_key.0.to_vec(),
            record: Record::Ethereum(*record),
        })
        .collect();
    parts.store.raise(&histories).map_err(|error| AdminError::store(&error))?;
    pin(parts, history.root_to_pin)?;
    Ok(Answer::HistoryImported { keys: histories.len() })
}

/// A history that was read for a home without a network may find that the home has learned another
/// one meanwhile: it is refused before anything of it is in.
pub(super) fn can_pin(parts: &Parts<'_>, root: Option<Digest>) -> Result<(), AdminError> {
    match (parts.store.genesis_validators_root(), root) {
        (Some(pinned), Some(given)) if pinned != given => {
            Err(refused(&InterchangeError::WrongGenesisValidatorsRoot {
                found: given,
                expected: pinned,
            }))
        }
        _ => Ok(()),
    }
}

/// Pins what a history taught, after the history itself is in: only a whole import teaches.
pub(super) fn pin(parts: &mut Parts<'_>, root: Option<Digest>) -> Result<(), AdminError> {
    let Some(root) = root else { return Ok(()) };
    parts.store.pin_genesis_validators_root(root).map_err(|error| AdminError::store(&error))
}

/// Parses and checks a history; `pinned` is the home's genesis validators root, if it is known.
pub(super) fn read(text: &[u8], pinned: Option<Digest>) -> Result<History, AdminError> {
    let root = match pinned {
        Some(root) => root,
        None => named_root(text)?,
    };
    let records = interchange::read(text, &root).map_err(|error| refused(&error))?;
    // An empty file says nothing, not even which network it is for.
    let teaches = pinned.is_none() && root != UNKNOWN_ROOT && !records.is_empty();
    let root_to_pin = teaches.then_some(root);
    Ok(History { records, root_to_pin })
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
