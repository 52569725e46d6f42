//! Reading at leisure: the keys' rows and the journal as they were at one moment.
//!
//! Invariants: a [`Snapshot`] never sees half a write and holds up none; a journal holds only if
//! its replay through the rules gives exactly the stored records, no key more and none less.

use std::fmt;

use palisade_protect::journal::{Entry, Event, Replay, ReplayError};
use palisade_protect::{Digest, KeyId, Record};
use redb::{ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable};

use crate::error::StoreError;
use crate::ledger::Store;
use crate::stances;
use crate::tables::{self, JOURNAL, KEYS, META, RECORDS, Standing, State};

const READING: &str = "reading the store";

/// The store at one moment, for reading on any thread. Letting go of it soon saves disk space.
pub struct Snapshot(ReadTransaction);

/// One key's rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// The key's name in the ledger.
    pub key: KeyId,
    /// The public key in its chain's usual encoding.
    pub public_key: Vec<u8>,
    /// Everything that it ever signed, reduced to what the rules need.
    pub record: Record,
    /// Whether it may sign here.
    pub standing: Standing,
}

impl KeyInfo {
    /// Whether only the key's history is here.
    #[must_use]
    pub fn is_retired(&self) -> bool {
        self.standing == Standing::Retired
    }
}

/// A journal that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalSummary {
    /// How many entries it has.
    pub entries: u64,
    /// When its first entry was written, milliseconds since the Unix epoch.
    pub first_time_unix_ms: Option<u64>,
    /// When its last entry was written, milliseconds since the Unix epoch.
    pub last_time_unix_ms: Option<u64>,
    /// The head after its last entry. Kept elsewhere, it shows whether a history was rewritten.
    pub head: Digest,
}

/// Where a journal stops holding, and why.
#[derive(Clone, Debug)]
pub struct JournalFault {
    entries_that_hold: u64,
    reason: FaultReason,
}

/// Why a journal does not hold.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FaultReason {
    /// The entry is missing.
    Missing,
    /// The entry's row is too short to be one.
    Malformed,
    /// The entry contradicts those before it.
    Replay(ReplayError),
    /// The journal ends before or after the place at which the store says it does.
    End,
    /// The stored record of this key is not the one that follows from the journal.
    RecordMismatch(KeyId),
    /// What this key said of some candidate is not what follows from the journal.
    StanceMismatch(KeyId),
    /// It could not be read: whether it holds cannot be told.
    Unreadable(StoreError),
}

impl Store {
    /// The store as it is now. The database takes over what the log holds first.
    ///
    /// # Errors
    /// When that cannot be written, or the database not be read.
    pub fn snapshot(&mut self) -> Result<Snapshot, StoreError> {
        self.checkpoint()?;
        self.database_as_it_is()
    }

    /// The database without what only the log holds: the keys' rows are whole, records and journal
    /// may be behind.
    pub(crate) fn database_as_it_is(&self) -> Result<Snapshot, StoreError> {
        self.check_alive()?;
        self.database.begin_read().map(Snapshot).map_err(StoreError::while_doing(READING))
    }

    /// All keys in the order of their ids.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn key_infos(&self) -> Result<Vec<KeyInfo>, StoreError> {
        let mut infos = self.database_as_it_is()?.key_infos()?;
        for info in &mut infos {
            info.record = self.record(&info.key).ok_or(StoreError::UnknownKey(info.key))?;
        }
        Ok(infos)
    }

    /// How many entries the journal has, and the head after the newest.
    ///
    /// # Errors
    /// [`StoreError::Dead`]: then it is not known what is on disk.
    pub fn journal_head(&self) -> Result<(u64, Digest), StoreError> {
        self.check_alive()?;
        Ok((self.state.entries, self.state.head))
    }

    /// The newest events, newest first: time in milliseconds since the Unix epoch, and event.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn recent_events(&self, count: usize) -> Result<Vec<(u64, Event)>, StoreError> {
        let mut found = Vec::new();
        for entry in self.logged.entries().iter().rev() {
            if count <= found.len() {
                return Ok(found);
            }
            newest_of(&entry.encoded, count, &mut found)?;
        }
        let left = count.saturating_sub(found.len());
        found.extend(self.database_as_it_is()?.recent_events(left)?);
        Ok(found)
    }

    /// Replays the whole journal; see [`Snapshot::verify_journal`], which does not hold up others.
    ///
    /// # Errors
    /// [`JournalFault`] when it does not hold, or cannot be read.
    pub fn verify_journal(&mut self) -> Result<JournalSummary, JournalFault> {
        let unreadable = |error| JournalFault::after(0, FaultReason::Unreadable(error));
        self.snapshot().map_err(unreadable)?.verify_journal()
    }
}

impl JournalFault {
    fn after(entries_that_hold: u64, reason: FaultReason) -> Self {
        Self { entries_that_hold, reason }
    }

    /// How many entries, from the first on, hold.
    #[must_use]
    pub fn entries_that_hold(&self) -> u64 {
        self.entries_that_hold
    }

    /// What does not hold after them.
    #[must_use]
    pub fn reason(&self) -> &FaultReason {
        &self.reason
    }
}

impl Snapshot {
    /// All keys in the order of their ids.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn key_infos(&self) -> Result<Vec<KeyInfo>, StoreError> {
        let keys = self.table(KEYS)?;
        let records = self.table(RECORDS)?;
        let mut found = Vec::new();
        for row in keys.iter().map_err(StoreError::while_doing(READING))? {
            let (key, value) = row.map_err(StoreError::while_doing(READING))?;
            let key = KeyId(*key.value());
            let record = records.get(&key.0).map_err(StoreError::while_doing(READING))?;
            let record = record.ok_or_else(|| StoreError::damaged("the record of a key"))?;
            let (standing, public_key) = tables::decode_key_row(value.value())?;
            found.push(KeyInfo {
                key,
                public_key: public_key.to_vec(),
                record: tables::decode_record(&key, record.value())?,
                standing,
            });
        }
        Ok(found)
    }

    /// The newest events, newest first: time in milliseconds since the Unix epoch, and event.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn recent_events(&self, count: usize) -> Result<Vec<(u64, Event)>, StoreError> {
        let mut found = Vec::new();
        let journal = self.table(JOURNAL)?;
        for row in journal.iter().map_err(StoreError::while_doing(READING))?.rev() {
            if count <= found.len() {
                break;
            }
            let (_, row) = row.map_err(StoreError::while_doing(READING))?;
            let (_, encoded) = tables::decode_journal_row(row.value())
                .ok_or_else(|| StoreError::damaged("an entry of the journal"))?;
            newest_of(encoded, count, &mut found)?;
        }
        Ok(found)
    }

    /// Replays the journal from its first entry through the rules and compares the result with
    /// the stored records. Takes time in proportion to the journal's length.
    ///
    /// # Errors
    /// [`JournalFault`] when it does not hold, or cannot be read.
    pub fn verify_journal(&self) -> Result<JournalSummary, JournalFault> {
        let mut replay = Replay::new();
        let held = self.replay_all(&mut replay).and_then(|()| self.compare_end(&replay));
        held.map_err(|reason| JournalFault::after(replay.entries(), reason))?;
        Ok(JournalSummary {
            entries: replay.entries(),
            first_time_unix_ms: replay.first_time_unix_ms(),
            last_time_unix_ms: replay.last_time_unix_ms(),
            head: replay.head(),
        })
    }

    /// The public key of a known key.
    pub(crate) fn public_key(&self, key: &KeyId) -> Result<Vec<u8>, StoreError> {
        let row = self.table(KEYS)?.get(&key.0).map_err(StoreError::while_doing(READING))?;
        let row = row.ok_or(StoreError::UnknownKey(*key))?;
        tables::decode_key_row(row.value()).map(|(_, public_key)| public_key.to_vec())
    }

    fn replay_all(&self, replay: &mut Replay) -> Result<(), FaultReason> {
        let unreadable = || StoreError::while_doing(READING);
        let journal = self.table(JOURNAL)?;
        for row in journal.iter().map_err(unreadable())? {
            let (number, row) = row.map_err(unreadable())?;
            if number.value() != replay.entries().saturating_add(1) {
                return Err(FaultReason::Missing);
            }
            let (head, encoded) =
                tables::decode_journal_row(row.value()).ok_or(FaultReason::Malformed)?;
            replay.apply(encoded, &head).map_err(FaultReason::Replay)?;
        }
        Ok(())
    }

    fn compare_end(&self, replay: &Replay) -> Result<(), FaultReason> {
        let state = State::decode(&tables::meta_row(&self.table(META)?, tables::META_STATE)?)?;
        if (state.entries, state.head) != (replay.entries(), replay.head()) {
            return Err(FaultReason::End);
        }
        let mut expected = replay.records().clone();
        for row in self.table(RECORDS)?.iter().map_err(StoreError::while_doing(READING))? {
            let (key, row) = row.map_err(StoreError::while_doing(READING))?;
            let key = KeyId(*key.value());
            let stored = tables::decode_record(&key, row.value())?;
            if !expected.remove(&key).is_some_and(|replayed| stored.follows_from(&replayed)) {
                return Err(FaultReason::RecordMismatch(key));
            }
        }
        if let Some((key, _)) = expected.first_key_value() {
            return Err(FaultReason::RecordMismatch(*key));
        }
        let floor = |key: &KeyId| replay.records().get(key)?.session_floor();
        match stances::first_difference(&self.0, replay.stances(), floor)? {
            None => Ok(()),
            Some(key) => Err(FaultReason::StanceMismatch(key)),
        }
    }

    fn table<K: redb::Key + 'static, V: redb::Value + 'static>(
        &self,
        definition: redb::TableDefinition<'_, K, V>,
    ) -> Result<ReadOnlyTable<K, V>, StoreError> {
        self.0.open_table(definition).map_err(StoreError::while_doing(READING))
    }
}

/// Adds the events of an entry, newest first, until there are `count`.
fn newest_of(
    encoded: &[u8],
    count: usize,
    found: &mut Vec<(u64, Event)>,
) -> Result<(), StoreError> {
    let entry = Entry::decode(encoded);
    let entry = entry.map_err(|_| StoreError::damaged("an entry of the journal"))?;
    let wanted = count.saturating_sub(found.len());
    let time = entry.time_unix_ms;
    found.extend(entry.events.into_iter().rev().take(wanted).map(|event| (time, event)));
    Ok(())
}

impl From<StoreError> for FaultReason {
    fn from(error: StoreError) -> Self {
        Self::Unreadable(error)
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Snapshot")
    }
}

impl fmt::Display for JournalFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let next = self.entries_that_hold.saturating_add(1);
        match &self.reason {
            FaultReason::Missing => write!(f, "journal entry {next} is missing"),
            FaultReason::Malformed => write!(f, "journal entry {next} is too short"),
            FaultReason::Replay(error) => write!(f, "journal entry {next}: {error}"),
            FaultReason::End => f.write_str("the journal does not end where the store says"),
            FaultReason::RecordMismatch(key) => {
                write!(f, "the record of key {key} does not follow from the journal")
            }
            FaultReason::StanceMismatch(key) => {
                write!(f, "what key {key} said of a candidate does not follow from the journal")
            }
            FaultReason::Unreadable(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for JournalFault {}
