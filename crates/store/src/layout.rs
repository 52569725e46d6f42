//! Where things lie in the store's file: a header, the log twice, then the database.
//!
//! | bytes | what |
//! |---|---|
//! | 0 to 4,096 | magic (16) ‖ layout (4) ‖ bytes of a log (4) ‖ salt (32) ‖ digest (32) |
//! | then | the log, and its second copy; see [`Log`](crate::log::Log) |
//! | the rest | the database |
//!
//! Integers are little-endian. The salt is random and leaves the file never: see
//! [`Frame`](crate::log::Frame). Invariants: the header and the length of the log are written once,
//! when the file is made; the log's bytes are written from the start, so that a write to it changes
//! no metadata of the file system; the database cannot reach what lies before it.

use std::fmt;
use std::io;
use std::ops::Bound;
use std::sync::Arc;

use redb::{BackendError, StorageBackend};
use sha2::{Digest as _, Sha256};

use crate::error::StoreError;

/// What the store lies on. Shared by the database and the log.
pub(crate) type Disk = Arc<dyn StorageBackend>;

/// Bytes of one copy of the log in a new file: a thousand writes.
pub(crate) const LOG_BYTES: u32 = 4 << 20;

/// What makes the frames of a file its own.
pub(crate) type Salt = [u8; 32];

/// No file has a larger one; opening reads all of it into memory.
const MOST_LOG_BYTES: u32 = 64 << 20;
const MAGIC: &[u8; 16] = b"palisade store\r\n";
/// The format version that brought this layout.
const LAYOUT: u32 = 3;
const DOMAIN: &[u8] = b"palisade/store/header/v1";
const HEADER_BYTES: u64 = 4_096;
const SALT_BYTES: usize = 32;
const FIELDS_BYTES: usize = 16 + 4 + 4 + SALT_BYTES;
const DIGEST_BYTES: usize = 32;
/// How a file begins that is nothing but a database: so were those of format versions 1 and 2.
const DATABASE_MAGIC: &[u8; 9] = b"redb\x1A\x0A\xA9\x0D\x0A";
/// Zeros are written in pieces of this size.
const PIECE_BYTES: usize = 1 << 16;

/// The places of the parts, in bytes from the start of the file.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    /// Bytes of one copy of the log.
    pub(crate) log_bytes: u32,
    /// What the frames of this file are digested with.
    pub(crate) salt: Salt,
}

impl Layout {
    /// Lays out an empty file.
    pub(crate) fn create(disk: &Disk, log_bytes: u32) -> Result<Self, StoreError> {
        let mut salt = Salt::default();
        getrandom::fill(&mut salt)
            .map_err(|error| redb::Error::Io(io::Error::other(error.to_string())))
            .map_err(StoreError::while_doing("drawing random bytes for the store"))?;
        let layout = Self { log_bytes, salt };
        let write = || -> io::Result<()> {
            disk.set_len(layout.database())?;
            let zeros = vec![0; PIECE_BYTES];
            let mut place = HEADER_BYTES;
            while place < layout.database() {
                let left = usize::try_from(layout.database() - place).unwrap_or(PIECE_BYTES);
                let piece = zeros.get(..left.min(PIECE_BYTES)).unwrap_or(&zeros);
                disk.write(place, piece)?;
                place += piece.len() as u64;
            }
            disk.write(0, &layout.header())?;
            disk.sync_data()
        };
        write()
            .map_err(redb::Error::Io)
            .map_err(StoreError::while_doing("laying out the store"))?;
        Ok(layout)
    }

    /// Reads the header of a file.
    pub(crate) fn read(disk: &Disk) -> Result<Self, StoreError> {
        let malformed = || StoreError::damaged("the header");
        let mut header = [0; FIELDS_BYTES + DIGEST_BYTES];
        let reading = StoreError::while_doing("reading the store's header");
        let length = disk.len().map_err(redb::Error::Io).map_err(reading)?;
        if length < HEADER_BYTES {
            return Err(malformed());
        }
        let reading = StoreError::while_doing("reading the store's header");
        disk.read(0, &mut header).map_err(redb::Error::Io).map_err(reading)?;
        let rest = header.strip_prefix(MAGIC).ok_or_else(malformed)?;
        let (found, rest) = rest.split_first_chunk::<4>().ok_or_else(malformed)?;
        let (log_bytes, rest) = rest.split_first_chunk::<4>().ok_or_else(malformed)?;
        let (salt, _) = rest.split_first_chunk::<SALT_BYTES>().ok_or_else(malformed)?;
        let layout = Self { log_bytes: u32::from_le_bytes(*log_bytes), salt: *salt };
        let found = u32::from_le_bytes(*found);
        if layout.header_of(found) != header {
            return Err(malformed());
        }
        if found != LAYOUT {
            return Err(StoreError::Version { found, supported: LAYOUT });
        }
        if MOST_LOG_BYTES < layout.log_bytes {
            return Err(malformed());
        }
        if length < layout.database() {
            return Err(StoreError::damaged("the end of the file"));
        }
        Ok(layout)
    }

    /// Where each copy of the log begins.
    pub(crate) fn log_copies(&self) -> [u64; 2] {
        [HEADER_BYTES, HEADER_BYTES + u64::from(self.log_bytes)]
    }

    /// Where the database begins.
    pub(crate) fn database(&self) -> u64 {
        HEADER_BYTES + 2 * u64::from(self.log_bytes)
    }

    fn header(&self) -> [u8; FIELDS_BYTES + DIGEST_BYTES] {
        self.header_of(LAYOUT)
    }

    pub(crate) fn header_of(&self, layout: u32) -> [u8; FIELDS_BYTES + DIGEST_BYTES] {
        let fields = MAGIC.iter().copied().chain(layout.to_le_bytes());
        let fields: Vec<u8> = fields.chain(self.log_bytes.to_le_bytes()).chain(self.salt).collect();
        let digest = Sha256::new().chain_update(DOMAIN).chain_update(&fields).finalize();
        let mut header = [0; FIELDS_BYTES + DIGEST_BYTES];
        header.iter_mut().zip(fields.into_iter().chain(digest)).for_each(|(to, from)| *to = from);
        header
    }
}

/// Whether the file is nothing but a database.
pub(crate) fn is_bare_database(disk: &dyn StorageBackend) -> Result<bool, StoreError> {
    let read = || -> io::Result<bool> {
        let mut start = [0; DATABASE_MAGIC.len()];
        if disk.len()? < start.len() as u64 {
            return Ok(false);
        }
        disk.read(0, &mut start)?;
        Ok(start == *DATABASE_MAGIC)
    };
    read().map_err(redb::Error::Io).map_err(StoreError::while_doing("reading the store's header"))
}

/// The part of the file that is the database's own.
pub(crate) struct DatabasePart {
    disk: Disk,
    start: u64,
}

impl DatabasePart {
    pub(crate) fn new(disk: Disk, layout: &Layout) -> Self {
        Self { disk, start: layout.database() }
    }

    fn place(&self, offset: u64) -> io::Result<u64> {
        self.start.checked_add(offset).ok_or_else(|| io::ErrorKind::FileTooLarge.into())
    }
}

/// Locks are on byte numbers that the database library reserves, far behind any file, or on all of
/// the file: both mean the same here.
impl StorageBackend for DatabasePart {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.len()?.saturating_sub(self.start))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.disk.read(self.place(offset)?, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.disk.set_len(self.place(length)?)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.disk.write(self.place(offset)?, data)
    }

    fn close(&self) -> io::Result<()> {
        self.disk.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.disk.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.disk.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.disk.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.disk.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.disk.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.disk.query_lock_range(start, end)
    }
}

impl fmt::Debug for DatabasePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabasePart from {}", self.start)
    }
}
