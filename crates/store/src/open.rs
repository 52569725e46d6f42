//! Creating and opening: a store is either whole and checked, or an error.
//!
//! Invariants: a new file appears under its name only when it is complete and durable; a file of
//! another format version is upgraded in one transaction or refused; every row is read and
//! compared with [`State`] before the first decision; the newest journal entry must match the
//! records that it touched, and so must each entry that only the log holds; what the log holds is
//! in the database before the store is given out.
//!
//! What it does not notice: the whole file replaced by an older copy of itself; both copies of the
//! log's newest frames damaged at rest; and, while the log holds nothing newer, a flip of the one
//! bit in redb's header that says which of the two last commits is the newer.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use palisade_protect::journal::Entry;
use palisade_protect::{Digest, KeyId, Record};
use redb::backends::FileBackend;
use redb::{Builder, Database, ReadTransaction, ReadableDatabase, ReadableTable, StorageBackend};

use crate::error::{Damage, StoreError, guarded};
use crate::layout::{self, DatabasePart, Disk, LOG_BYTES, Layout};
use crate::ledger::{Known, Parts, Store, begin_durable, put_state, system_clock};
use crate::log::{Frame, Log};
use crate::logged::NextEntry;
use crate::newest_entry;
use crate::relocate;
use crate::stances;
use crate::tables::{
    self, FORMAT_VERSION, JOURNAL, KEYS, META, META_CREATED, META_GENESIS, META_NETWORK,
    META_STATE, META_VERSION, RECORDS, RowsDigest, STANCES, State,
};
use crate::upgrade;

/// For redb's page cache: records are kept in memory anyway, and the journal is only appended to.
const CACHE_BYTES: usize = 4 * 1024 * 1024;

/// What a store is pinned to for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Creation {
    /// The name of the network whose duties are signed.
    pub network: String,
    /// Its genesis validators root; `None` to pin it later, once
    /// ([`Store::pin_genesis_validators_root`]).
    pub genesis_validators_root: Option<Digest>,
}

impl Store {
    /// Creates a store, readable and writable for this user only. The caller holds the
    /// [`HomeLock`](crate::HomeLock), so that no other process creates one at the same time.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when there is a file already, otherwise what the system said; a
    /// failed creation leaves nothing under `path`.
    pub fn create(path: &Path, settings: Creation) -> Result<Self, StoreError> {
        if path.try_exists().map_err(StoreError::io("looking for the store", path))? {
            return Err(StoreError::Exists(path.to_owned()));
        }
        let unfinished = path.with_extension("unfinished");
        let file = create_private(&unfinished)
            .map_err(StoreError::io("creating the store's file", &unfinished))?;
        let store = Self::create_with_backend(file_backend(file)?, settings, LOG_BYTES)?;
        // A link and not a rename: it does not replace a file that appeared meanwhile.
        fs::hard_link(&unfinished, path)
            .and_then(|()| fs::remove_file(&unfinished))
            .and_then(|()| sync_directory(path))
            .map_err(StoreError::io("naming the store's file", path))?;
        Ok(store)
    }

    /// Opens a store and checks it. A file of format version 1 or 2 is copied into one of the
    /// present layout first, which then takes its name.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Locked`] while another process has it open,
    /// [`StoreError::Version`], [`StoreError::Damaged`], or what the system said.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let backend = file_backend(open_file(path)?)?;
        if layout::is_bare_database(&backend)? {
            relocate::to_present_layout(path, backend)?;
            return Self::open_with_backend(file_backend(open_file(path)?)?);
        }
        Self::open_with_backend(backend)
    }

    /// Creates a store on something else than a file: the seam for tests of failing disks.
    /// `log_bytes`, a multiple of 512, is the size of one copy of the log.
    ///
    /// # Errors
    /// As [`Store::create`]; the backend must be empty.
    pub fn create_with_backend(
        backend: impl StorageBackend,
        settings: Creation,
        log_bytes: u32,
    ) -> Result<Self, StoreError> {
        if !is_empty(&backend)? {
            return Err(StoreError::damaged("the empty storage for a new store"));
        }
        let disk: Disk = Arc::new(backend);
        guarded(|| {
            let layout = Layout::create(&disk, log_bytes)?;
            let database = open_database(DatabasePart::new(Arc::clone(&disk), &layout))?;
            initialise(&database, &settings)?;
            load(database, Log::new(disk, layout))
        })
    }

    /// Opens a store on something else than a file: the seam for tests of failing disks.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_with_backend(backend: impl StorageBackend) -> Result<Self, StoreError> {
        if is_empty(&backend)? {
            return Err(StoreError::damaged("everything (the file is empty)"));
        }
        guarded(|| {
            let (database, log) = open_parts(Arc::new(backend))?;
            upgrade::to_current(&database)?;
            let mut store = load(database, log)?;
            store.recover()?;
            Ok(store)
        })
    }

    /// Takes what only the log holds over into the database.
    fn recover(&mut self) -> Result<(), StoreError> {
        for frame in self.log.read(self.state.entries, self.state.head)? {
            self.recover_frame(frame)?;
        }
        self.checkpoint()
    }

    fn recover_frame(&mut self, frame: Frame) -> Result<(), StoreError> {
        let damaged = || StoreError::Damaged(Damage::Log);
        let entry = Entry::decode(&frame.entry).map_err(|_| damaged())?;
        for (key, next) in &frame.records {
            let known = self.keys.get(key).ok_or_else(damaged)?;
            if known.record.merge_stricter(*next) != Ok(*next) {
                return Err(damaged());
            }
        }
        let next = NextEntry::after(&self.state, frame.entry.clone())?;
        self.take_in(frame, next);
        newest_entry::check_entry(&entry.events, &self.keys, |key, subject| {
            let logged = self.logged.stance(key, subject);
            logged.map_or_else(|| stances::read(&self.database, key, subject), Ok)
        })
    }
}

pub(crate) fn open_file(path: &Path) -> Result<File, StoreError> {
    let mut options = OpenOptions::new();
    // Whoever may put a link here must not choose the ledger.
    options.read(true).write(true).custom_flags(libc::O_NOFOLLOW);
    options.open(path).map_err(StoreError::io("opening the store's file", path))
}

pub(crate) fn file_backend(file: File) -> Result<FileBackend, StoreError> {
    FileBackend::new(file).map_err(StoreError::while_doing("locking the store"))
}

fn is_empty(backend: &impl StorageBackend) -> Result<bool, StoreError> {
    let length = backend.len().map_err(redb::Error::Io);
    Ok(length.map_err(StoreError::while_doing("reading the store's length"))? == 0)
}

/// The database of a file, and its log, neither read yet.
pub(crate) fn open_parts(disk: Disk) -> Result<(Database, Log), StoreError> {
    let layout = Layout::read(&disk)?;
    let database = open_database(DatabasePart::new(Arc::clone(&disk), &layout))?;
    Ok((database, Log::new(disk, layout)))
}

pub(crate) fn open_database(backend: impl StorageBackend) -> Result<Database, StoreError> {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder.create_with_backend(backend).map_err(StoreError::while_doing("opening the store"))
}

fn initialise(database: &Database, settings: &Creation) -> Result<(), StoreError> {
    let transaction = begin_durable(database)?;
    let mut state = State::empty();
    let put = |rows: &mut RowsDigest| -> Result<(), redb::Error> {
        let mut meta = transaction.open_table(META)?;
        tables::put_meta(&mut meta, META_VERSION, &FORMAT_VERSION.to_le_bytes(), rows)?;
        tables::put_meta(&mut meta, META_NETWORK, settings.network.as_bytes(), rows)?;
        tables::put_meta(&mut meta, META_CREATED, &system_clock().to_le_bytes(), rows)?;
        if let Some(root) = &settings.genesis_validators_root {
            tables::put_meta(&mut meta, META_GENESIS, &root.0, rows)?;
        }
        transaction.open_table(KEYS)?;
        transaction.open_table(RECORDS)?;
        transaction.open_table(STANCES)?;
        transaction.open_table(JOURNAL)?;
        Ok(())
    };
    put(&mut state.rows).map_err(StoreError::while_doing("creating the store"))?;
    put_state(&transaction, &state)?;
    transaction.commit().map_err(StoreError::while_doing("creating the store"))
}

pub(crate) fn begin_read(database: &Database) -> Result<ReadTransaction, StoreError> {
    database.begin_read().map_err(StoreError::while_doing("reading the store"))
}

/// Reads every row, compares all with the state row, and the newest journal entry with them.
pub(crate) fn load(database: Database, log: Log) -> Result<Store, StoreError> {
    let transaction = begin_read(&database)?;
    let mut rows = RowsDigest::default();
    let meta = load_meta(&transaction, &mut rows)?;
    let keys = load_keys(&transaction, &mut rows)?;
    stances::check(&transaction, &keys, &mut rows)?;
    if rows != meta.state.rows {
        return Err(StoreError::Damaged(Damage::Rows));
    }
    newest_entry::check(&transaction, &meta.state, &keys)?;
    drop(transaction);
    let Meta { network, genesis_validators_root, state } = meta;
    Ok(Store::assemble(Parts { database, log, network, genesis_validators_root, keys, state }))
}

struct Meta {
    network: String,
    genesis_validators_root: Option<Digest>,
    state: State,
}

fn load_meta(transaction: &ReadTransaction, rows: &mut RowsDigest) -> Result<Meta, StoreError> {
    let read = || -> Result<HashMap<String, Vec<u8>>, redb::Error> {
        let mut found = HashMap::new();
        for row in transaction.open_table(META)?.iter()? {
            let (name, value) = row?;
            found.insert(name.value().to_owned(), value.value().to_vec());
        }
        Ok(found)
    };
    let mut found = read().map_err(StoreError::while_doing("reading the store"))?;
    let state = found.remove(META_STATE).ok_or_else(|| StoreError::damaged("the state row"))?;
    found.iter().for_each(|(name, value)| rows.toggle("meta", name.as_bytes(), value));
    let network = found.remove(META_NETWORK).ok_or_else(|| StoreError::damaged(META_NETWORK))?;
    let genesis = found.remove(META_GENESIS).map(|root| tables::fixed(root, META_GENESIS));
    Ok(Meta {
        network: String::from_utf8(network).map_err(|_| StoreError::damaged(META_NETWORK))?,
        genesis_validators_root: genesis.transpose()?.map(Digest),
        state: State::decode(&state)?,
    })
}

fn load_keys(
    transaction: &ReadTransaction,
    rows: &mut RowsDigest,
) -> Result<HashMap<KeyId, Known>, StoreError> {
    let reading = || StoreError::while_doing("reading the store");
    let mut records: HashMap<KeyId, Record> = HashMap::new();
    let table = transaction.open_table(RECORDS).map_err(StoreError::while_doing("reading"))?;
    for row in table.iter().map_err(reading())? {
        let (key, value) = row.map_err(reading())?;
        let key = KeyId(*key.value());
        rows.toggle("records", &key.0, value.value());
        records.insert(key, tables::decode_record(&key, value.value())?);
    }
    let mut known = HashMap::with_capacity(records.len());
    let table = transaction.open_table(KEYS).map_err(StoreError::while_doing("reading"))?;
    for row in table.iter().map_err(reading())? {
        let (key, value) = row.map_err(reading())?;
        let key = KeyId(*key.value());
        rows.toggle("keys", &key.0, value.value());
        let (standing, _) = tables::decode_key_row(value.value())?;
        let record = records.remove(&key).ok_or(StoreError::Damaged(Damage::Rows))?;
        known.insert(key, Known { standing, record });
    }
    if records.is_empty() { Ok(known) } else { Err(StoreError::Damaged(Damage::Rows)) }
}

/// A new file for this user's eyes only; what an interrupted creation left is replaced.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o600);
    options.open(path)
}

/// Makes the name of a new file durable.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}
