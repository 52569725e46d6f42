//! What the log holds and the database does not, in memory.
//!
//! Invariants: it is exactly the frames that are durable in the log since the database was last
//! written; for each record that they changed it remembers what the database holds, so that the
//! database is found out if it holds anything else.

use std::collections::{BTreeMap, HashMap};

use palisade_protect::{Digest, KeyId, Record, Stance, Subject, journal};

use crate::error::StoreError;
use crate::ledger::Change;
use crate::tables::State;

type Records = BTreeMap<KeyId, Record>;
type Stances = BTreeMap<(KeyId, Subject), Stance>;

/// The log's content, merged.
#[derive(Debug, Default)]
pub(crate) struct Logged {
    in_database: HashMap<KeyId, Record>,
    records: Records,
    stances: Stances,
    entries: Vec<NextEntry>,
}

/// A journal entry in its place.
#[derive(Debug)]
pub(crate) struct NextEntry {
    /// Counted from 1.
    pub(crate) number: u64,
    /// The journal's head after it.
    pub(crate) head: Digest,
    /// [`Entry::encode`](journal::Entry::encode).
    pub(crate) encoded: Vec<u8>,
}

impl NextEntry {
    /// The entry that continues the journal of `state`.
    pub(crate) fn after(state: &State, encoded: Vec<u8>) -> Result<Self, StoreError> {
        let number = state.entries.checked_add(1);
        let number = number.ok_or(StoreError::Bug("the journal's numbers are used up"))?;
        Ok(Self { number, head: journal::chain(&state.head, &encoded), encoded })
    }
}

impl Logged {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Keeps what a frame brought; `record` is the one that was in memory before it.
    pub(crate) fn keep(
        &mut self,
        change: &Change,
        entry: NextEntry,
        record: impl Fn(&KeyId) -> Option<Record>,
    ) {
        for (key, next) in &change.records {
            if self.records.insert(*key, *next).is_none() {
                self.in_database.extend(record(key).map(|record| (*key, record)));
            }
        }
        self.stances.extend(&change.stances);
        self.entries.push(entry);
    }

    /// Forgets all: it is in the database now.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The record that the database holds of a key, where the log has a newer one.
    pub(crate) fn in_database(&self, key: &KeyId) -> Option<Record> {
        self.in_database.get(key).copied()
    }

    /// The newest stance, if it is not the one in the database.
    pub(crate) fn stance(&self, key: &KeyId, subject: &Subject) -> Option<Stance> {
        self.stances.get(&(*key, *subject)).copied()
    }

    /// The records that the database lacks, and then `newer` ones.
    pub(crate) fn records_with(&self, newer: &Records) -> Records {
        let mut all = self.records.clone();
        all.extend(newer);
        all
    }

    /// The stances that the database lacks, and then `newer` ones.
    pub(crate) fn stances_with(&self, newer: &Stances) -> Stances {
        let mut all = self.stances.clone();
        all.extend(newer);
        all
    }

    /// The journal entries that the database lacks, oldest first.
    pub(crate) fn entries(&self) -> &[NextEntry] {
        &self.entries
    }
}
