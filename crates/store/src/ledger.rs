//! The store, and the two ways in which anything is written to it.
//!
//! What a signature waits for goes to the [`Log`]; everything else, and whatever the log holds, to
//! the database ([`Store::write`]).
//!
//! Invariants:
//! - A write is whole, journal entry and rows together, durable when its call returns `Ok`, or not
//!   there at all: one frame of the log, or one transaction of the database.
//! - The records in memory are those on disk: they change only after the write.
//! - After one failed write or read of the file every call answers [`StoreError::Dead`].
//! - A record never gets laxer by a permit, whatever the caller computed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use palisade_protect::journal::{Entry, Event};
use palisade_protect::{Changes, Digest, KeyId, Ledger, Record, Stance, Subject};
use redb::{Database, Durability, WriteTransaction};

use crate::error::{Damage, StoreError, guarded};
use crate::log::{Frame, Log};
use crate::logged::{Logged, NextEntry};
use crate::refusals::Refusals;
use crate::stances;
use crate::tables::{self, JOURNAL, KEYS, META, RECORDS, RowsDigest, Standing, State};

/// The durable ledger of one guard: one file, one writer.
///
/// It must be closed (dropped) before the file can be opened again. Opening: see [`Store::open`].
#[derive(Debug)]
pub struct Store {
    pub(crate) database: Database,
    pub(crate) log: Log,
    pub(crate) logged: Logged,
    pub(crate) clock: fn() -> u64,
    pub(crate) network: String,
    pub(crate) genesis_validators_root: Option<Digest>,
    pub(crate) keys: HashMap<KeyId, Known>,
    /// The journal's end with the log's entries; the rows' digest without them.
    pub(crate) state: State,
    pub(crate) refusals: Refusals,
    death: Option<Arc<StoreError>>,
}

/// What is kept in memory of each key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) standing: Standing,
    pub(crate) record: Record,
}

/// The rows that one write changes, beside the journal.
#[derive(Default)]
pub(crate) struct Change {
    pub(crate) records: BTreeMap<KeyId, Record>,
    pub(crate) stances: BTreeMap<(KeyId, Subject), Stance>,
    pub(crate) keys: BTreeMap<KeyId, (Standing, Vec<u8>)>,
    pub(crate) genesis_validators_root: Option<Digest>,
    pub(crate) events: Vec<Event>,
}

/// What a store is made of when it is opened.
pub(crate) struct Parts {
    pub(crate) database: Database,
    pub(crate) log: Log,
    pub(crate) network: String,
    pub(crate) genesis_validators_root: Option<Digest>,
    pub(crate) keys: HashMap<KeyId, Known>,
    pub(crate) state: State,
}

impl Store {
    /// A store over rows that were read and checked by `open`.
    pub(crate) fn assemble(parts: Parts) -> Self {
        Self {
            database: parts.database,
            log: parts.log,
            logged: Logged::default(),
            clock: system_clock,
            network: parts.network,
            genesis_validators_root: parts.genesis_validators_root,
            keys: parts.keys,
            state: parts.state,
            refusals: Refusals::new(system_clock()),
            death: None,
        }
    }

    /// Replaces the system's clock by another source of milliseconds since the Unix epoch. Times
    /// are only written down and bound the journaling of refusals; no decision depends on them.
    #[must_use]
    pub fn with_clock(mut self, unix_ms: fn() -> u64) -> Self {
        self.clock = unix_ms;
        self.refusals = Refusals::new(unix_ms());
        self
    }

    /// Whether the store still takes writes, as far as it knows.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.death.is_none()
    }

    /// Whether refusals wait for the next write to the journal.
    #[must_use]
    pub fn has_waiting_refusals(&self) -> bool {
        !self.refusals.is_empty()
    }

    /// Whether [`Store::checkpoint`] has anything to do.
    #[must_use]
    pub fn is_checkpoint_due(&self) -> bool {
        !self.logged.is_empty() || self.has_waiting_refusals()
    }

    /// Journals the waiting refusals and takes what the log holds over into the database. Costs a
    /// write; meant for quiet moments.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be written; the store is then dead.
    pub fn checkpoint(&mut self) -> Result<(), StoreError> {
        self.check_alive()?;
        if self.is_checkpoint_due() { self.write(Change::default()) } else { Ok(()) }
    }

    /// Answers [`StoreError::Dead`] once a write failed.
    pub(crate) fn check_alive(&self) -> Result<(), StoreError> {
        match &self.death {
            None => Ok(()),
            Some(cause) => Err(StoreError::Dead { cause: Arc::clone(cause) }),
        }
    }

    /// Makes `change`, the refusals that waited and all that the log holds durable in the database.
    pub(crate) fn write(&mut self, change: Change) -> Result<(), StoreError> {
        self.check_alive()?;
        let mut events = self.refusals.take();
        events.extend_from_slice(&change.events);
        let next = self.next_entry(events)?;
        self.write_database(change, next)
    }

    /// Makes what permits stand on durable in the log; in the database when the log is full.
    fn write_quickly(&mut self, change: Change, events: Vec<Event>) -> Result<(), StoreError> {
        self.check_alive()?;
        let Some(next) = self.next_entry(events)? else { return self.write_database(change, None) };
        let frame = Frame {
            number: next.number,
            head_before: self.state.head,
            entry: next.encoded.clone(),
            records: change.records.clone(),
            stances: change.stances.clone(),
        };
        let encoded = self.log.encode(&frame);
        if !self.log.has_room_for(&encoded) {
            return self.write_database(change, Some(next));
        }
        let written = guarded(|| self.log.append(encoded));
        written.map_err(|error| self.die(error))?;
        self.take_in(frame, next);
        Ok(())
    }

    /// Takes a frame that is durable over into memory.
    pub(crate) fn take_in(&mut self, frame: Frame, next: NextEntry) {
        self.state.entries = next.number;
        self.state.head = next.head;
        let change = Change { records: frame.records, stances: frame.stances, ..Change::default() };
        self.logged.keep(&change, next, |key| self.keys.get(key).map(|known| known.record));
        self.adopt(change);
    }

    /// The journal entry that a write brings; `None` when nothing happened.
    fn next_entry(&mut self, events: Vec<Event>) -> Result<Option<NextEntry>, StoreError> {
        if events.is_empty() {
            return Ok(None);
        }
        let entry = Entry { time_unix_ms: (self.clock)(), events };
        NextEntry::after(&self.state, entry.encode()).map(Some)
    }

    /// Ends the store: from here on it is not known what is on disk, or what the disk says.
    pub(crate) fn die(&mut self, cause: StoreError) -> StoreError {
        self.death.get_or_insert_with(|| Arc::new(cause.clone()));
        cause
    }

    fn write_database(
        &mut self,
        change: Change,
        next: Option<NextEntry>,
    ) -> Result<(), StoreError> {
        let written = guarded(|| self.write_once(&change, next));
        self.state = written.map_err(|error| self.die(error))?;
        self.logged.clear();
        self.log.restart();
        self.adopt(change);
        Ok(())
    }

    fn write_once(&self, change: &Change, next: Option<NextEntry>) -> Result<State, StoreError> {
        let transaction = begin_durable(&self.database)?;
        let mut state = self.state;
        self.put_rows(&transaction, change, &mut state.rows)
            .map_err(StoreError::while_doing("writing the store"))?;
        let entries = self.logged.entries().iter().chain(&next);
        put_entries(&transaction, entries)?;
        if let Some(next) = &next {
            state.entries = next.number;
            state.head = next.head;
        }
        put_state(&transaction, &state)?;
        transaction.commit().map_err(StoreError::while_doing("writing the store"))?;
        Ok(state)
    }

    /// Writes the rows, of the log and of `change`; refuses when the database does not hold what
    /// was read when it was opened.
    fn put_rows(
        &self,
        transaction: &WriteTransaction,
        change: &Change,
        rows: &mut RowsDigest,
    ) -> Result<(), redb::Error> {
        if let Some(root) = &change.genesis_validators_root {
            let mut meta = transaction.open_table(META)?;
            tables::put_meta(&mut meta, tables::META_GENESIS, &root.0, rows)?;
        }
        if !change.keys.is_empty() {
            let mut keys = transaction.open_table(KEYS)?;
            for (key, (standing, public_key)) in &change.keys {
                let row = tables::encode_key_row(*standing, public_key);
                tables::put_by_key(&mut keys, "keys", key, &row, rows)?;
            }
        }
        let in_memory = |key: &KeyId| self.keys.get(key).map(|known| known.record);
        let written = self.logged.records_with(&change.records);
        let mut records = transaction.open_table(RECORDS)?;
        for (key, record) in &written {
            let old = tables::put_by_key(&mut records, "records", key, &record.encode(), rows)?;
            // Compared as they are read: a row may have an older version of the encoding.
            let old = old.map(|row| Record::decode(&row)).transpose().ok();
            if old != Some(self.logged.in_database(key).or_else(|| in_memory(key))) {
                return Err(redb::Error::Corrupted(format!("the record of key {key} changed")));
            }
        }
        let floor =
            |key: &KeyId| written.get(key).copied().or_else(|| in_memory(key))?.session_floor();
        stances::put(transaction, &self.logged.stances_with(&change.stances), floor, rows)
    }

    /// Takes over into memory what is durable now.
    fn adopt(&mut self, change: Change) {
        if change.genesis_validators_root.is_some() {
            self.genesis_validators_root = change.genesis_validators_root;
        }
        for (key, record) in change.records {
            let standing = self.keys.get(&key).map_or(Standing::Retired, |known| known.standing);
            self.keys.insert(key, Known { standing, record });
        }
        for (key, (standing, _)) in change.keys {
            if let Some(known) = self.keys.get_mut(&key) {
                known.standing = standing;
            }
        }
    }
}

impl Ledger for Store {
    type Error = StoreError;

    fn load(&mut self, key: &KeyId) -> Result<Option<Record>, StoreError> {
        self.check_alive()?;
        let known = self.keys.get(key).filter(|known| known.standing == Standing::Active);
        Ok(known.map(|known| known.record))
    }

    fn stance(&mut self, key: &KeyId, subject: &Subject) -> Result<Stance, StoreError> {
        self.check_alive()?;
        if let Some(stance) = self.logged.stance(key, subject) {
            return Ok(stance);
        }
        let read = guarded(|| stances::read(&self.database, key, subject));
        read.map_err(|error| self.die(error))
    }

    fn persist(&mut self, changes: &Changes, events: Vec<Event>) -> Result<(), StoreError> {
        let Changes { records, stances } = changes.clone();
        for (key, next) in &records {
            let known = self.keys.get(key).ok_or(StoreError::UnknownKey(*key))?;
            if known.record.merge_stricter(*next) != Ok(*next) {
                return Err(StoreError::Bug("a permit would make a record less strict"));
            }
        }
        // After the permits that explain them: what was refused before is refused after, too.
        let events = events.into_iter().chain(self.refusals.take()).collect();
        self.write_quickly(Change { records, stances, ..Change::default() }, events)
    }

    fn defer(&mut self, event: Event) {
        self.refusals.keep(event, (self.clock)());
    }
}

/// A transaction that is on disk when its commit returns, and leaves a file that need not be walked
/// through when it is opened after a crash.
pub(crate) fn begin_durable(database: &Database) -> Result<WriteTransaction, StoreError> {
    let doing = "starting to write the store";
    let mut transaction = database.begin_write().map_err(StoreError::while_doing(doing))?;
    transaction
        .set_durability(Durability::Immediate)
        .map_err(StoreError::while_doing("starting to write the store"))?;
    // With one phase redb trusts a checksum that is not cryptographic, over rows that whoever
    // sends requests has a say in.
    transaction.set_two_phase_commit(true);
    transaction.set_quick_repair(true);
    Ok(transaction)
}

fn put_entries<'a>(
    transaction: &WriteTransaction,
    entries: impl Iterator<Item = &'a NextEntry>,
) -> Result<(), StoreError> {
    let put = || -> Result<bool, redb::Error> {
        let mut table = transaction.open_table(JOURNAL)?;
        for entry in entries {
            let row = [&entry.head.0, entry.encoded.as_slice()].concat();
            if table.insert(entry.number, row.as_slice())?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    };
    match put().map_err(StoreError::while_doing("writing the journal"))? {
        true => Ok(()),
        false => Err(StoreError::Damaged(Damage::JournalHead)),
    }
}

/// Writes the one row that says what all others are.
pub(crate) fn put_state(transaction: &WriteTransaction, state: &State) -> Result<(), StoreError> {
    let put = || -> Result<(), redb::Error> {
        let mut meta = transaction.open_table(META)?;
        meta.insert(tables::META_STATE, state.encode().as_slice())?;
        Ok(())
    };
    put().map_err(StoreError::while_doing("writing the store"))
}

pub(crate) fn system_clock() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
