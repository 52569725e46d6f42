//! The work behind each request, on an opened store and vault.

use std::collections::BTreeMap;

use palisade_ethereum::{Network, PublicKey};
use palisade_keys::{BlsSecretKey, Scheme, Vault, key_id};
use palisade_protect::{
    Bound, Digest, Epoch, EthereumRecord, KeyId, KeyType, Record, Slot, StopLine,
};
use palisade_store::{FaultReason, KeyInfo, Snapshot, Store};

use super::history::{self, History};
use super::ledger::Ledger;
use super::past::{self, PreparedPast};
use super::{
    AdminError, Answer, JournalReport, KeyRow, PublicKeyText, Request, Status, floor, generation,
    keys, session_history, sessions,
};

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
    Import(BTreeMap<PublicKey, BlsSecretKey>, PreparedPast),
    Sessions(sessions::Prepared),
    Generation(generation::Prepared),
    Proofs(generation::SessionProofs),
    History(History),
    Other(Request),
}

/// Does one thing.
///
/// # Errors
/// [`AdminError`]; nothing is half-done.
pub fn execute(request: Request, parts: Parts<'_>) -> Result<Answer, AdminError> {
    let prepared = prepare(request, parts.store.genesis_validators_root())?;
    run(prepared, parts)
}

/// `pinned` is the home's genesis validators root, if it is known.
pub(super) fn prepare(request: Request, pinned: Option<Digest>) -> Result<Prepared, AdminError> {
    Ok(match request {
        Request::KeysImport { secrets, past } => {
            Prepared::Import(keys::open_all(&secrets)?, past::prepare(past, pinned)?)
        }
        Request::SessionKeysImport(import) => Prepared::Sessions(sessions::prepare(&import)?),
        Request::SessionKeysGenerate(wanted) => Prepared::Generation(generation::prepare(&wanted)?),
        Request::SessionKeysProve(wanted) => Prepared::Proofs(wanted),
        Request::HistoryImport { interchange } => {
            Prepared::History(history::read(interchange.as_bytes(), pinned)?)
        }
        other => Prepared::Other(other),
    })
}

pub(super) fn run(prepared: Prepared, mut parts: Parts<'_>) -> Result<Answer, AdminError> {
    let request = match prepared {
        Prepared::Import(keys, past) => return keys::import(&mut parts, keys, past),
        Prepared::History(history) => return history::import(&mut parts, &history),
        Prepared::Sessions(prepared) => return sessions::import(&mut parts, prepared),
        Prepared::Generation(prepared) => return generation::generate(&mut parts, prepared),
        Prepared::Proofs(wanted) => {
            let ring = parts.vault.load_ring().map_err(AdminError::vault)?;
            let mut ledger = Ledger::InHand(parts.store);
            return generation::prove(&mut ledger, parts.vault, &ring, &wanted);
        }
        Prepared::Other(request) => request,
    };
    match request {
        Request::Status => status(&parts),
        Request::KeysList => keys_list(&parts),
        Request::SessionKeysFloor(floor) => floor::set_floor(&mut parts, &floor),
        Request::KeysImport { .. }
        | Request::HistoryImport { .. }
        | Request::SessionKeysImport(_)
        | Request::SessionKeysGenerate(_)
        | Request::SessionKeysProve(_) => {
            Err(AdminError::could_not("internal-error", "a request that was not prepared"))
        }
        Request::KeysRetire { public_keys } => keys::retire(&mut parts, &public_keys),
        Request::KeysRemove { public_keys } => keys::remove(&mut parts, &public_keys),
        Request::SessionKeysRetire { public_keys } => {
            session_history::retire(&mut parts, &public_keys)
        }
        Request::SessionKeysRemove { public_keys } => {
            session_history::remove(&mut parts, &public_keys)
        }
        Request::HistoryExport { public_keys } => history::export(&parts, &public_keys),
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
    let keys: Vec<_> = parts.vault.public_keys().collect();
    let ids: Vec<KeyId> = keys.iter().flat_map(|key| ledger_ids(store, key)).collect();
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
        measures: Vec::new(),
    }))
}

fn keys_list(parts: &Parts<'_>) -> Result<Answer, AdminError> {
    let infos = parts.store.key_infos().map_err(|e| AdminError::store(&e))?;
    let records: BTreeMap<KeyId, Record> =
        infos.iter().map(|info| (info.key, info.record)).collect();
    let mut keys: Vec<KeyRow> = parts
        .vault
        .public_keys()
        .flat_map(|key| ledger_ids(parts.store, &key).into_iter().map(move |id| (key, id)))
        .map(|(key, id)| key_row(&key, records.get(&id), parts.store.is_active(&id)))
        .collect();
    keys.sort_by(|one, other| one.public_key.cmp(&other.public_key));
    Ok(Answer::Keys { keys })
}

/// The ledger's names of a key: one for each type that a session key is in service for; of a key
/// that is in service for none, those that it has a record for; or one that has no record.
fn ledger_ids(store: &Store, public_key: &palisade_keys::PublicKey) -> Vec<KeyId> {
    let palisade_keys::PublicKey::Session(key) = public_key else { return vec![public_key.id()] };
    let known: Vec<KeyId> = KeyType::ALL
        .into_iter()
        .map(|key_type| key.ledger_id(key_type))
        .filter(|id| store.record(id).is_some())
        .collect();
    let active: Vec<KeyId> = known.iter().copied().filter(|id| store.is_active(id)).collect();
    match (active.is_empty(), known.is_empty()) {
        (false, _) => active,
        (true, false) => known,
        (true, true) => vec![public_key.id()],
    }
}

fn key_row(public_key: &palisade_keys::PublicKey, record: Option<&Record>, usable: bool) -> KeyRow {
    let ethereum = match record {
        Some(Record::Ethereum(ethereum)) => *ethereum,
        _ => EthereumRecord::default(),
    };
    let session = match record {
        Some(Record::Substrate(session)) => Some(sessions::row(session)),
        _ => None,
    };
    let is_session = matches!(public_key, palisade_keys::PublicKey::Session(_));
    KeyRow {
        public_key: format!("0x{}", hex::encode(public_key.as_bytes())),
        chain: if is_session { "substrate" } else { "ethereum" }.to_owned(),
        r#type: session.as_ref().map_or_else(|| "bls".to_owned(), |row| row.key_type.clone()),
        usable,
        last_slot: ethereum.proposal.map(|proposal| proposal.slot.0),
        last_source_epoch: ethereum.attestation.map(|attestation| attestation.source.0),
        last_target_epoch: ethereum.attestation.map(|attestation| attestation.target.0),
        stop_at_or_above_epoch: ethereum.stop_line.at_or_above.map(|bound| bound.epoch.0),
        stop_below_epoch: ethereum.stop_line.below.map(|bound| bound.epoch.0),
        session,
    }
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
        Err(fault) => {
            // Not the journal's fault: whether it holds cannot be told.
            if let FaultReason::Unreadable(error) = fault.reason() {
                return Err(AdminError::store(error));
            }
            JournalReport {
                holds: false,
                entries: fault.entries_that_hold(),
                first_time_unix_ms: None,
                last_time_unix_ms: None,
                head: String::new(),
                fault: Some(fault.to_string()),
            }
        }
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
    let bound = |epoch: u64| Bound { epoch: Epoch(epoch), slot: Slot(epoch.saturating_mul(slots)) };
    let line = StopLine { at_or_above: at_or_above.map(bound), below: below.map(bound) };
    let keys: Vec<KeyId> = if public_keys.is_empty() {
        let infos = parts.store.key_infos().map_err(|e| AdminError::store(&e))?;
        let has_line = |info: &&KeyInfo| matches!(info.record, Record::Ethereum(_));
        infos.iter().filter(has_line).map(|info| info.key).collect()
    } else {
        public_keys.iter().map(|key| id_of(&key.0)).collect()
    };
    parts.store.set_stop_line(&keys, line).map_err(|e| AdminError::store(&e))?;
    Ok(Answer::StopLineSet { keys: keys.len() })
}

/// From the records in memory: no reading of the file for a request that anybody may send.
pub(super) fn lowest_stop_line(store: &Store) -> Option<Bound> {
    let line = |record: Record| match record {
        Record::Ethereum(ethereum) => ethereum.stop_line.at_or_above,
        _ => None,
    };
    store.records().filter_map(|(_, record, _)| line(record)).min_by_key(|bound| bound.epoch)
}
