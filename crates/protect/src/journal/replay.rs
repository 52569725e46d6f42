//! A journal read again from its first entry, through the same rules.
//!
//! Invariants: an entry is judged only after its head was checked; a record appears once, by
//! admission, and only grows stricter; the first thing that does not hold ends the replay.

use alloc::collections::BTreeMap;
use core::fmt;

use super::entry::{Entry, EntryError, Event, GENESIS, chain};
use crate::{Digest, KeyId, Record, Refusal, StopLine, SubstrateRecord, decide};

/// Walks a journal from its first entry and computes every record again.
#[derive(Clone, Debug)]
pub struct Replay {
    head: Digest,
    entries: u64,
    first_time_unix_ms: Option<u64>,
    last_time_unix_ms: Option<u64>,
    records: BTreeMap<KeyId, Record>,
}

impl Default for Replay {
    fn default() -> Self {
        Self::new()
    }
}

impl Replay {
    /// Before the first entry.
    #[must_use]
    pub fn new() -> Self {
        Self {
            head: GENESIS,
            entries: 0,
            first_time_unix_ms: None,
            last_time_unix_ms: None,
            records: BTreeMap::new(),
        }
    }

    /// The head after the entries so far.
    #[must_use]
    pub fn head(&self) -> Digest {
        self.head
    }

    /// How many entries held so far.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// When the first entry was written, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn first_time_unix_ms(&self) -> Option<u64> {
        self.first_time_unix_ms
    }

    /// When the last entry was written, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn last_time_unix_ms(&self) -> Option<u64> {
        self.last_time_unix_ms
    }

    /// The records as they must be after the entries so far.
    #[must_use]
    pub fn records(&self) -> &BTreeMap<KeyId, Record> {
        &self.records
    }

    /// Takes the next entry as it was stored, with the head stored beside it.
    ///
    /// # Errors
    /// [`ReplayError`] names the first thing that does not hold; the replay is of no use after it.
    pub fn apply(&mut self, encoded_entry: &[u8], stored_head: &Digest) -> Result<(), ReplayError> {
        let entry = Entry::decode(encoded_entry).map_err(ReplayError::Entry)?;
        let head = chain(&self.head, encoded_entry);
        if head != *stored_head {
            return Err(ReplayError::BrokenChain);
        }
        entry.events.iter().try_for_each(|event| self.apply_event(event))?;
        self.head = head;
        self.entries = self.entries.saturating_add(1);
        self.first_time_unix_ms.get_or_insert(entry.time_unix_ms);
        self.last_time_unix_ms = Some(entry.time_unix_ms);
        Ok(())
    }

    fn apply_event(&mut self, event: &Event) -> Result<(), ReplayError> {
        match *event {
            Event::Permitted { key, intent } => {
                let record = self.record(&key)?;
                let next = decide(&record, &intent)
                    .map_err(|refusal| ReplayError::AgainstTheRules(key, refusal))?;
                self.records.insert(key, next);
            }
            Event::Refused { key, .. } | Event::Retired { key } => {
                self.record(&key)?;
            }
            Event::Admitted { key, record } => {
                if self.records.insert(key, record).is_some() {
                    return Err(ReplayError::AdmittedTwice(key));
                }
            }
            Event::Raised { key, record } => self.raise(key, record)?,
            Event::RefusalsOmitted { .. } => {}
        }
        Ok(())
    }

    /// A raise may only make a record stricter; only the operator's limits may move freely.
    fn raise(&mut self, key: KeyId, record: Record) -> Result<(), ReplayError> {
        let before = without_limits(self.record(&key)?);
        let after = without_limits(record);
        if before.merge_stricter(after) != Ok(after) {
            return Err(ReplayError::Lowered(key));
        }
        self.records.insert(key, record);
        Ok(())
    }

    fn record(&self, key: &KeyId) -> Result<Record, ReplayError> {
        self.records.get(key).copied().ok_or(ReplayError::UnknownKey(*key))
    }
}

/// Without the limits that the operator may move freely.
fn without_limits(record: Record) -> Record {
    match record {
        Record::Ethereum(mut ethereum) => {
            ethereum.stop_line = StopLine::default();
            Record::Ethereum(ethereum)
        }
        Record::Substrate(session) => {
            Record::Substrate(SubstrateRecord { awaits_floor: false, ..session })
        }
    }
}

/// The first thing in a journal that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplayError {
    /// The entry cannot be read.
    Entry(EntryError),
    /// The entry, or one before it, is not the one that was written.
    BrokenChain,
    /// A duty stands as permitted that the rules forbid.
    AgainstTheRules(KeyId, Refusal),
    /// A record was made less strict.
    Lowered(KeyId),
    /// The key was never admitted.
    UnknownKey(KeyId),
    /// The key was admitted a second time, which would forget its record.
    AdmittedTwice(KeyId),
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entry(error) => error.fmt(f),
            Self::BrokenChain => f.write_str("the hash chain is broken: an entry was altered"),
            Self::AgainstTheRules(key, refusal) => {
                write!(f, "key {key}: a permitted duty breaks a rule: {refusal}")
            }
            Self::Lowered(key) => write!(f, "key {key}: its record was made less strict"),
            Self::UnknownKey(key) => write!(f, "key {key} was never admitted"),
            Self::AdmittedTwice(key) => write!(f, "key {key} was admitted twice"),
        }
    }
}

impl core::error::Error for ReplayError {}
