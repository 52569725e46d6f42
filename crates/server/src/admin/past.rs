//! What is known of the past of keys that arrive, as the records that they start with.
//!
//! Invariants: a record in the store is only ever merged with, never replaced; what the operator
//! says is checked against what this home knows: a key that has a past here and left is not fresh,
//! and a clock that is behind the journal does not tell the present.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use palisade_ethereum::{Network, PublicKey};
use palisade_protect::{Digest, Epoch, EthereumRecord, Record};
use palisade_store::Store;

use super::execute::{Parts, id_of};
use super::history::{self, History};
use super::{AdminError, Past};

/// A [`Past`] whose text is parsed.
pub(super) enum PreparedPast {
    Fresh,
    FromNow,
    History(History),
    HistoryOrFromNow(Option<History>),
}

/// What keys start with.
#[derive(Default)]
pub(super) struct Judged {
    /// A key that is absent stays as it is.
    pub(super) records: BTreeMap<PublicKey, Record>,
    /// The keys that start from the present epoch.
    pub(super) from_now: Vec<PublicKey>,
    /// That epoch.
    pub(super) from_epoch: Option<Epoch>,
    /// The network that the history is for, when the home is to learn it.
    pub(super) root_to_pin: Option<Digest>,
}

pub(super) fn prepare(past: Past, pinned: Option<Digest>) -> Result<PreparedPast, AdminError> {
    Ok(match past {
        Past::Fresh => PreparedPast::Fresh,
        Past::FromNow => PreparedPast::FromNow,
        Past::History(text) => PreparedPast::History(history::read(text.as_bytes(), pinned)?),
        Past::HistoryOrFromNow(text) => {
            let read = |text: String| history::read(text.as_bytes(), pinned);
            PreparedPast::HistoryOrFromNow(text.map(read).transpose()?)
        }
    })
}

pub(super) fn judge<'a>(
    parts: &Parts<'_>,
    keys: impl Iterator<Item = &'a PublicKey>,
    past: PreparedPast,
) -> Result<Judged, AdminError> {
    let mut judged = Judged::default();
    match past {
        PreparedPast::Fresh => {
            for key in keys {
                if has_a_past(parts, key) && !is_in_service(parts, key)? {
                    judged.start_from_now(parts, key)?;
                } else {
                    judged.records.insert(*key, Record::fresh_ethereum());
                }
            }
        }
        PreparedPast::FromNow => {
            for key in keys {
                judged.start_from_now(parts, key)?;
            }
        }
        PreparedPast::History(history) => {
            for key in keys {
                let record = history.records.get(key).ok_or_else(|| incomplete(key))?;
                judged.records.insert(*key, Record::Ethereum(*record));
            }
            judged.root_to_pin = history.root_to_pin;
        }
        PreparedPast::HistoryOrFromNow(history) => {
            for key in keys {
                match history.as_ref().and_then(|history| history.records.get(key)) {
                    Some(record) => {
                        judged.records.insert(*key, Record::Ethereum(*record));
                    }
                    // A program that posts its key stores at each start must not silence them.
                    None if is_in_service(parts, key)? => {}
                    None => judged.start_from_now(parts, key)?,
                }
            }
            // Only a history that brought something teaches the network.
            judged.root_to_pin = history
                .filter(|history| {
                    judged.records.keys().any(|key| history.records.contains_key(key))
                })
                .and_then(|history| history.root_to_pin);
        }
    }
    Ok(judged)
}

impl Judged {
    fn start_from_now(&mut self, parts: &Parts<'_>, key: &PublicKey) -> Result<(), AdminError> {
        let epoch = match self.from_epoch {
            Some(epoch) => epoch,
            None => present_epoch(parts.network, parts.store)?,
        };
        self.from_epoch = Some(epoch);
        let last_slot = parts.network.last_slot_of(epoch);
        self.records.insert(*key, Record::Ethereum(EthereumRecord::from_now(last_slot, epoch)));
        self.from_now.push(*key);
        Ok(())
    }
}

fn is_in_service(parts: &Parts<'_>, key: &PublicKey) -> Result<bool, AdminError> {
    let id = id_of(key);
    let missing = parts.store.missing_records(&[id]).map_err(|error| AdminError::store(&error))?;
    Ok(missing == 0 && parts.vault.contains(&id))
}

/// Whether this home knows of messages of the key: signed here, or brought as history.
fn has_a_past(parts: &Parts<'_>, key: &PublicKey) -> bool {
    match parts.store.record(&id_of(key)) {
        Some(Record::Ethereum(record)) => record.proposal.is_some() || record.attestation.is_some(),
        Some(_) => true,
        None => false,
    }
}

/// The time since 1970 of the wall clock, if the clock can be believed.
pub(super) fn since_1970(store: &Store) -> Result<Duration, AdminError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let newest = store.recent_events(1).map_err(|error| AdminError::store(&error))?;
    let newest_unix_ms = newest.first().map_or(0, |(time, _)| *time);
    if now.as_millis() < u128::from(newest_unix_ms) {
        return Err(AdminError::could_not(
            "clock-behind",
            "this machine's clock is behind the newest entry of the home's journal, so the present \
             cannot be told; nothing was changed. Set the clock, then try again",
        ));
    }
    Ok(now)
}

fn present_epoch(network: &Network, store: &Store) -> Result<Epoch, AdminError> {
    let now = since_1970(store)?;
    let slot = network.slot_at(now.as_secs()).ok_or_else(|| {
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
    Ok(network.epoch_of(slot))
}

fn incomplete(key: &PublicKey) -> AdminError {
    AdminError::usage(
        "history-incomplete",
        format!(
            "the history holds nothing about key {key}; nothing was imported. Bring a complete \
             history, or import this key by itself with --fresh or --from-now"
        ),
    )
}
