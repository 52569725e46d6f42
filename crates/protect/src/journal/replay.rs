//! A journal read again from its first entry, through the same rules.
//!
//! Invariants: an entry is judged only after its head was checked; a record appears once, by
//! admission, and only grows stricter; the first thing that does not hold ends the replay.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use super::entry::{Entry, EntryError, Event, GENESIS, chain};
use crate::{
    Digest, Intent, KeyId, Record, Refusal, Stance, StopLine, Subject, SubstrateRecord,
    decide_with_stance,
};

/// Walks a journal from its first entry and computes every record again.
#[derive(Clone, Debug)]
pub struct Replay {
    head: Digest,
    entries: u64,
    first_time_unix_ms: Option<u64>,
    last_time_unix_ms: Option<u64>,
    records: BTreeMap<KeyId, Record>,
    stances: BTreeMap<(KeyId, Subject), Stance>,
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
            stances: BTreeMap::new(),
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

    /// What each key said of each candidate, as it must be after the entries so far, for the
    /// sessions that it may still speak about.
    #[must_use]
    pub fn stances(&self) -> &BTreeMap<(KeyId, Subject), Stance> {
        &self.stances
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
            Event::Permitted { key, intent } => self.permit(key, &intent)?,
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
        match before.merge_stricter(after) {
            Ok(merged) if merged == after => self.keep(key, record),
            // Written by a program that did not count candidates yet: what was counted stays.
            Ok(merged) if after.follows_from(&merged) => self.keep(key, merged),
            _ => return Err(ReplayError::Lowered(key)),
        }
        Ok(())
    }

    fn permit(&mut self, key: KeyId, intent: &Intent) -> Result<(), ReplayError> {
        let record = self.record(&key)?;
        let subject = intent.duty.subject().map(|subject| (key, subject));
        let known = subject.and_then(|subject| self.stances.get(&subject).copied());
        let decided = decide_with_stance(&record, known.unwrap_or_default(), intent);
        let (next, stance) =
            decided.map_err(|refusal| ReplayError::AgainstTheRules(key, refusal))?;
        if let Some(subject) = subject {
            self.stances.insert(subject, stance);
        }
        self.keep(key, next);
        Ok(())
    }

    /// Takes the record over, and forgets what it lets nobody speak about any more.
    fn keep(&mut self, key: KeyId, record: Record) {
        let floor = record.session_floor();
        let risen = floor != self.records.insert(key, record).and_then(|old| old.session_floor());
        let Some(session) = floor.filter(|_| risen) else { return };
        let from = |session| (key, Subject { session, candidate: Digest([0; 32]) });
        let forgotten: Vec<_> =
            self.stances.range(from(0)..from(session)).map(|(subject, _)| *subject).collect();
        for subject in forgotten {
            self.stances.remove(&subject);
        }
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
