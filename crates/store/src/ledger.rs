//! The store, and the one way in which anything is written to it.
//!
//! Invariants:
//! - A write is one transaction: journal entry, rows and [`State`] together, durable when
//!   `Store::write` returns `Ok`, or not at all.
//! - The records in memory are those on disk: they change only after a successful commit.
//! - After one failed write or read of the file every call answers [`StoreError::Dead`].
//! - A record never gets laxer by a permit, whatever the caller computed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use palisade_protect::journal::{self, Entry, Event};
use palisade_protect::{Changes, Digest, KeyId, Ledger, Record, Stance, Subject};
use redb::{Database, Durability, WriteTransaction};

use crate::error::{Damage, StoreError, guarded};
use crate::refusals::Refusals;
use crate::stances;
use crate::tables::{self, JOURNAL, KEYS, META, RECORDS, RowsDigest, Standing, State};

/// The durable ledger of one guard: one file, one writer.
///
/// It must be closed (dropped) before the file can be opened again. Opening: see [`Store::open`].
#[derive(Debug)]
pub struct Store {
    pub(crate) database: Database,
    pub(crate) clock: fn() -> u64,
    pub(crate) network: String,
    pub(crate) genesis_validators_root: Option<Digest>,
    pub(crate) keys: HashMap<KeyId, Known>,
    pub(crate) state: State,
    pub(crate) refusals: Refusals,
    /// Whether a crash now would cost the next start a walk through the whole file.
    pub(crate) checkpoint_is_due: bool,
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

impl Store {
    /// A store over rows that were read and checked by `open`.
    pub(crate) fn assemble(
        database: Database,
        network: String,
        genesis_validators_root: Option<Digest>,
        keys: HashMap<KeyId, Known>,
        state: State,
    ) -> Self {
        Self {
            database,
            clock: system_clock,
            network,
            genesis_validators_root,
            keys,
            state,
            refusals: Refusals::new(system_clock()),
            checkpoint_is_due: false,
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
        self.checkpoint_is_due || self.has_waiting_refusals()
    }

    /// Journals the waiting refusals and leaves the file so that a start after a crash need not
    /// walk through all of it. Costs a write; meant for quiet moments.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be written; the store is then dead.
    pub fn checkpoint(&mut self) -> Result<(), StoreError> {
        self.check_alive()?;
        if !self.is_checkpoint_due() {
            return Ok(());
        }
        self.write_or_die(Change::default(), |transaction| {
            transaction.set_quick_repair(true);
        })?;
        self.checkpoint_is_due = false;
        Ok(())
    }

    /// Answers [`StoreError::Dead`] once a write failed.
    pub(crate) fn check_alive(&self) -> Result<(), StoreError> {
        match &self.death {
            None => Ok(()),
            Some(cause) => Err(StoreError::Dead { cause: Arc::clone(cause) }),
        }
    }

    /// Makes `change` and the refusals that waited durable.
    pub(crate) fn write(&mut self, change: Change) -> Result<(), StoreError> {
        self.write_or_die(change, |_| {})?;
        self.checkpoint_is_due = true;
        Ok(())
    }

    fn write_or_die(
        &mut self,
        change: Change,
        prepare: impl FnOnce(&mut WriteTransaction),
    ) -> Result<(), StoreError> {
        self.check_alive()?;
        let written = guarded(|| self.write_once(&change, prepare));
        let state = written.map_err(|error| self.die(error))?;
        self.adopt(change, state);
        Ok(())
    }

    /// Ends the store: from here on it is not known what is on disk, or what the disk says.
    pub(crate) fn die(&mut self, cause: StoreError) -> StoreError {
        self.death.get_or_insert_with(|| Arc::new(cause.clone()));
        cause
    }

    fn write_once(
        &mut self,
        change: &Change,
        prepare: impl FnOnce(&mut WriteTransaction),
    ) -> Result<State, StoreError> {
        let mut transaction = begin_durable(&self.database)?;
        prepare(&mut transaction);
        let mut state = self.state;
        self.put_rows(&transaction, change, &mut state.rows)
            .map_err(StoreError::while_doing("writing the store"))?;
        let mut events = self.refusals.take();
        events.extend_from_slice(&change.events);
        if !events.is_empty() {
            let entry = Entry { time_unix_ms: (self.clock)(), events };
            append_entry(&transaction, &entry, &mut state)?;
        }
        put_state(&transaction, &state)?;
        transaction.commit().map_err(StoreError::while_doing("writing the store"))?;
        Ok(state)
    }

    /// Writes the rows; refuses when the file does not hold what was read when it was opened.
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
        let mut records = transaction.open_table(RECORDS)?;
        for (key, record) in &change.records {
            let old = tables::put_by_key(&mut records, "records", key, &record.encode(), rows)?;
            // Compared as they are read: a row may have an older version of the encoding.
            let old = old.map(|row| Record::decode(&row)).transpose().ok();
            if old != Some(self.keys.get(key).map(|known| known.record)) {
                return Err(redb::Error::Corrupted(format!("the record of key {key} changed")));
            }
        }
        let floor = |key: &KeyId| {
            let known = || self.keys.get(key).map(|known| known.record);
            change.records.get(key).copied().or_else(known)?.session_floor()
        };
        stances::put(transaction, &change.stances, floor, rows)
    }

    /// Takes over into memory what is durable now.
    fn adopt(&mut self, change: Change, state: State) {
        self.state = state;
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
        self.write(Change { records, stances, events, ..Change::default() })
    }

    fn defer(&mut self, event: Event) {
        self.refusals.keep(event, (self.clock)());
    }
}

/// A transaction that is on disk when its commit returns.
pub(crate) fn begin_durable(database: &Database) -> Result<WriteTransaction, StoreError> {
    let doing = "starting to write the store";
    let mut transaction = database.begin_write().map_err(StoreError::while_doing(doing))?;
    transaction
        .set_durability(Durability::Immediate)
        .map_err(StoreError::while_doing("starting to write the store"))?;
    // With one phase redb trusts a checksum that is not cryptographic, over rows that whoever
    // sends requests has a say in.
    transaction.set_two_phase_commit(true);
    Ok(transaction)
}

fn append_entry(
    transaction: &WriteTransaction,
    entry: &Entry,
    state: &mut State,
) -> Result<(), StoreError> {
    let encoded = entry.encode();
    state.head = journal::chain(&state.head, &encoded);
    state.entries =
        state.entries.checked_add(1).ok_or(StoreError::Bug("the journal's numbers are used up"))?;
    let mut row = Vec::with_capacity(state.head.0.len() + encoded.len());
    row.extend_from_slice(&state.head.0);
    row.extend_from_slice(&encoded);
    let put = || -> Result<bool, redb::Error> {
        let mut table = transaction.open_table(JOURNAL)?;
        Ok(table.insert(state.entries, row.as_slice())?.is_none())
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
