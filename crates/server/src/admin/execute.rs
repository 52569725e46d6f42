//! The work behind each request, on an opened store and vault.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use palisade_ethereum::{Network, PublicKey};
use palisade_keys::{BlsSecretKey, NewKey, Scheme, Vault, key_id};
use palisade_protect::{Bound, Epoch, EthereumRecord, KeyId, Record, StopLine};
use palisade_store::{Admission, Snapshot, Store, StoreError};

use super::history;
use super::{AdminError, Answer, JournalReport, KeyRow, Past, PublicKeyText, Request, Status};

/// What a request works on.
pub struct Parts<'a> {
    /// The ledger.
    pub store: &'a mut Store,
    /// The sealed keys.
    pub vault: &'a mut Vault,
    /// The home's network.
    pub network: &'a Network,
    /// Whether a guard serves on this home.
    pub running: bool,
}

/// A request whose slow part that needs no home is done: a running guard does that part away from
/// the ledger's thread, where signing would wait for it.
pub(super) enum Prepared {
    Import(BTreeMap<PublicKey, BlsSecretKey>, Past),
    Other(Request),
}

/// Does one thing.
///
/// # Errors
/// [`AdminError`]; nothing is half-done.
pub fn execute(request: Request, parts: Parts<'_>) -> Result<Answer, AdminError> {
    run(prepare(request)?, parts)
}

pub(super) fn prepare(request: Request) -> Result<Prepared, AdminError> {
    let Request::KeysImport { secrets, past } = request else {
        return Ok(Prepared::Other(request));
    };
    let mut keys = BTreeMap::new();
    for (index, text) in secrets.iter().enumerate() {
        // Computes the public key, which takes longest of all.
        let secret = BlsSecretKey::from_hex(text).map_err(|error| {
            AdminError::usage("bad-secret-key", format!("secret number {}: {error}", index + 1))
        })?;
        keys.insert(PublicKey(secret.public_key().0), secret);
    }
    Ok(Prepared::Import(keys, past))
}

pub(super) fn run(prepared: Prepared, mut parts: Parts<'_>) -> Result<Answer, AdminError> {
    let request = match prepared {
        Prepared::Import(keys, past) => return keys_import(&mut parts, keys, past),
        Prepared::Other(request) => request,
    };
    match request {
        Request::Status => status(&parts),
        Request::KeysList => keys_list(&parts),
        Request::KeysImport { .. } => {
            Err(AdminError::could_not("internal-error", "an import that was not prepared"))
        }
        Request::KeysRemove { public_keys } => keys_remove(&mut parts, public_keys),
        Request::HistoryExport { public_keys } => history::export(&parts, &public_keys),
        Request::HistoryImport { interchange } => history::import(&mut parts, &interchange),
        Request::JournalVerify => {
            journal_verify(&parts.store.snapshot().map_err(|error| AdminError::store(&error))?)
        }
        Request::StopLine { public_keys, at_or_above_epoch, below_epoch } => {
            stop_line(&mut parts, &public_keys, at_or_above_epoch, below_epoch)
        }
    }
}

/// The ledger's name for a validator's key.
pub(super) fn id_of(public_key: &PublicKey) -> KeyId {
    key_id(Scheme::Bls12381, &public_key.0)
}

fn status(parts: &Parts<'_>) -> Result<Answer, AdminError> {
    let store = &parts.store;
    let (journal_entries, head) = store.journal_head().map_err(|e| AdminError::store(&e))?;
    let infos = store.key_infos().map_err(|e| AdminError::store(&e))?;
    let ids: Vec<KeyId> =
        parts.vault.public_keys().map(|key| key_id(Scheme::Bls12381, &key.0)).collect();
    let without_record = store.missing_records(&ids).map_err(|e| AdminError::store(&e))?;
    let mut not_ready_because = Vec::new();
    if without_record > 0 {
        not_ready_because.push(format!("{without_record} keys have no record in the ledger"));
    }
    Ok(Answer::Status(Status {
        network: store.network().to_owned(),
        genesis_validators_root: store.genesis_validators_root().map(|root| root.to_string()),
        keys: parts.vault.len(),
        records: infos.len(),
        running: parts.running,
        ready: parts.running && not_ready_because.is_empty(),
        not_ready_because,
        journal_entries,
        journal_head: head.to_string(),
    }))
}

fn keys_list(parts: &Parts<'_>) -> Result<Answer, AdminError> {
    let infos = parts.store.key_infos().map_err(|e| AdminError::store(&e))?;
    let records: BTreeMap<KeyId, Record> =
        infos.iter().map(|info| (info.key, info.record)).collect();
    let mut keys: Vec<KeyRow> = parts
        .vault
        .public_keys()
        .map(|key| key_row(PublicKey(key.0), records.get(&key_id(Scheme::Bls12381, &key.0))))
        .collect();
    keys.sort_by_key(|row| row.public_key);
    Ok(Answer::Keys { keys })
}

fn key_row(public_key: PublicKey, record: Option<&Record>) -> KeyRow {
    let ethereum = match record {
        Some(Record::Ethereum(ethereum)) => *ethereum,
        _ => EthereumRecord::default(),
    };
    KeyRow {
        public_key: PublicKeyText(public_key),
        chain: "ethereum".to_owned(),
        r#type: "bls".to_owned(),
        usable: record.is_some(),
        last_slot: ethereum.proposal.map(|proposal| proposal.slot.0),
        last_source_epoch: ethereum.attestation.map(|attestation| attestation.source.0),
        last_target_epoch: ethereum.attestation.map(|attestation| attestation.target.0),
    }
}

fn keys_import(
    parts: &mut Parts<'_>,
    keys: BTreeMap<PublicKey, BlsSecretKey>,
    past: Past,
) -> Result<Answer, AdminError> {
    let records = records_for(parts, keys.keys(), past)?;
    let (duplicates, imported): (Vec<_>, Vec<_>) =
        keys.keys().copied().partition(|key| parts.vault.contains(&id_of(key)));
    // The record first: a key that is in the vault without one would be a key without a past.
    let admissions: Vec<_> = records
        .into_iter()
        .map(|(public_key, record)| Admission {
            key: id_of(&public_key),
            public_key: public_key.0.to_vec(),
            record,
        })
        .collect();
    parts.store.admit(&admissions).map_err(|e| AdminError::store(&e))?;
    let new_keys = keys
        .into_iter()
        .filter(|(public_key, _)| !duplicates.contains(public_key))
        .map(|(_, secret)| NewKey::bls(secret))
        .collect();
    parts.vault.add(new_keys).map_err(AdminError::vault)?;
    let texts = |keys: Vec<PublicKey>| keys.into_iter().map(PublicKeyText).collect();
    Ok(Answer::Imported { imported: texts(imported), duplicates: texts(duplicates) })
}

fn records_for<'a>(
    parts: &mut Parts<'_>,
    keys: impl Iterator<Item = &'a PublicKey>,
    past: Past,
) -> Result<BTreeMap<PublicKey, Record>, AdminError> {
    match past {
        Past::Fresh => Ok(keys.map(|key| (*key, Record::fresh_ethereum())).collect()),
        Past::FromNow => {
            let record = Record::Ethereum(from_now(parts.network)?);
            Ok(keys.map(|key| (*key, record)).collect())
        }
        Past::History(text) => {
            let history = history::read(parts, text.as_bytes())?;
            keys.map(|key| {
                let record = history.get(key).ok_or_else(|| {
                    AdminError::usage(
                        "history-incomplete",
                        format!(
                            "the history holds nothing about key {key}; nothing was imported. \
                             Bring a complete history, or import this key by itself with --fresh \
                             or --from-now"
                        ),
                    )
                })?;
                Ok((*key, Record::Ethereum(*record)))
            })
            .collect()
        }
        Past::HistoryOrFromNow(text) => {
            let history = history::read(parts, text.as_bytes())?;
            let record_of = |key: &PublicKey| match history.get(key) {
                Some(record) => Ok(Record::Ethereum(*record)),
                None => from_now(parts.network).map(Record::Ethereum),
            };
            keys.map(|key| Ok((*key, record_of(key)?))).collect()
        }
    }
}

/// A record that forbids everything up to the end of the present epoch.
pub(super) fn from_now(network: &Network) -> Result<EthereumRecord, AdminError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let slot = network.slot_at(now).ok_or_else(|| {
        AdminError::usage(
            "genesis-time-unknown",
            format!(
                "the present epoch of network {:?} cannot be told: its genesis time is not known, \
                 or lies in the future. Use --fresh or --history, or give GENESIS_TIME in the \
                 network's file",
                network.name
            ),
        )
    })?;
    let epoch = network.epoch_of(slot);
    Ok(EthereumRecord::from_now(network.last_slot_of(epoch), epoch))
}

fn keys_remove(
    parts: &mut Parts<'_>,
    public_keys: Vec<PublicKeyText>,
) -> Result<Answer, AdminError> {
    let (removed, not_found): (Vec<_>, Vec<_>) =
        public_keys.iter().copied().partition(|key| parts.vault.contains(&id_of(&key.0)));
    let interchange = history::text_of(parts, &public_keys)?.0;
    let ids: Vec<_> = removed.iter().map(|key| id_of(&key.0)).collect();
    if !ids.is_empty() {
        parts.vault.remove(&ids).map_err(AdminError::vault)?;
        parts.store.retire(&ids).map_err(|e| AdminError::store(&e))?;
    }
    Ok(Answer::Removed { removed, not_found, interchange })
}

/// Replays the journal of one moment; the guard goes on signing meanwhile.
pub(super) fn journal_verify(snapshot: &Snapshot) -> Result<Answer, AdminError> {
    let report = match snapshot.verify_journal() {
        Ok(summary) => JournalReport {
            holds: true,
            entries: summary.entries,
            first_time_unix_ms: summary.first_time_unix_ms,
            last_time_unix_ms: summary.last_time_unix_ms,
            head: summary.head.to_string(),
            fault: None,
        },
        Err(fault) => JournalReport {
            holds: false,
            entries: fault.entries_that_hold(),
            first_time_unix_ms: None,
            last_time_unix_ms: None,
            head: String::new(),
            fault: Some(fault.to_string()),
        },
    };
    Ok(Answer::Journal(report))
}

fn stop_line(
    parts: &mut Parts<'_>,
    public_keys: &[PublicKeyText],
    at_or_above: Option<u64>,
    below: Option<u64>,
) -> Result<Answer, AdminError> {
    let slots = parts.network.slots_per_epoch();
    let bound = |epoch: u64| Bound {
        epoch: Epoch(epoch),
        slot: palisade_protect::Slot(epoch.saturating_mul(slots)),
    };
    let line = StopLine { at_or_above: at_or_above.map(bound), below: below.map(bound) };
    let keys: Vec<KeyId> = if public_keys.is_empty() {
        let infos = parts.store.key_infos().map_err(|e| AdminError::store(&e))?;
        infos.iter().map(|info| info.key).collect()
    } else {
        public_keys.iter().map(|key| id_of(&key.0)).collect()
    };
    parts.store.set_stop_line(&keys, line).map_err(|e| AdminError::store(&e))?;
    Ok(Answer::StopLineSet { keys: keys.len() })
}

pub(super) fn lowest_stop_line(store: &Store) -> Result<Option<Bound>, StoreError> {
    let line = |record: &Record| match record {
        Record::Ethereum(ethereum) => ethereum.stop_line.at_or_above,
        _ => None,
    };
    let infos = store.key_infos()?;
    Ok(infos.iter().filter_map(|info| line(&info.record)).min_by_key(|bound| bound.epoch))
}
