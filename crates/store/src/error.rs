//! What can be wrong with a store, sorted by whose fault it is, each with what to do next.
//!
//! Invariants: none of these is ever a rule's "no"; whatever the error, nothing was permitted on
//! the strength of it; codes are stable; the cause is kept as a source, shared by all clones.

use std::error::Error;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use palisade_protect::{Digest, KeyId, RecordError};

/// Why the store cannot tell, or could not write.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum StoreError {
    /// There is already a file where a store was to be created.
    Exists(PathBuf),
    /// There is no store where one was to be opened.
    Missing(PathBuf),
    /// The system did not do what was asked of it: permissions, a full or broken disk.
    Unavailable {
        /// What was being done.
        doing: &'static str,
        /// What the system or the database said.
        source: Arc<redb::Error>,
    },
    /// An earlier write failed, so it is not known what is on disk.
    Dead {
        /// The failure that ended the store.
        cause: Arc<StoreError>,
    },
    /// Another process has the file open.
    Locked,
    /// The file does not hold what was written to it.
    Damaged(Damage),
    /// The file was written by another version of this program.
    Version {
        /// The file's format version.
        found: u32,
        /// The newest format version that this program understands.
        supported: u32,
    },
    /// The home is pinned to another network than the one to be pinned.
    PinnedElsewhere {
        /// The genesis validators root of this home.
        pinned: Digest,
        /// The other one.
        given: Digest,
    },
    /// The store never heard of this key.
    UnknownKey(KeyId),
    /// The given record cannot be combined with the stored one.
    Record(KeyId, RecordError),
    /// The ledger thread has ended: the daemon is stopping.
    Stopped,
    /// A broken invariant of this program.
    Bug(&'static str),
}

/// What is wrong with a file that was not written like this.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Damage {
    /// The database library cannot read the file.
    Database(Arc<redb::Error>),
    /// The database library gave up in the middle of reading the file.
    Unreadable(String),
    /// A part that every store has is missing or malformed.
    Part(&'static str),
    /// The record of a key cannot be read.
    Record(KeyId, RecordError),
    /// The rows are not those that the last write left: one was lost, altered or is an old one.
    Rows,
    /// The newest journal entry is not the one that the last write left.
    JournalHead,
    /// The newest journal entry says otherwise than the record of this key.
    JournalAgainstRecord(KeyId),
    /// A write is missing from the log before one that is there.
    Log,
}

impl StoreError {
    /// The stable kebab-case name of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Exists(_) => "store-exists",
            Self::Missing(_) => "store-missing",
            Self::Unavailable { .. } => "store-unavailable",
            Self::Dead { .. } => "store-dead",
            Self::Locked => "store-locked",
            Self::Damaged(_) => "store-damaged",
            Self::Version { .. } => "store-version",
            Self::PinnedElsewhere { .. } => "wrong-genesis-validators-root",
            Self::UnknownKey(_) => "unknown-key",
            Self::Record(..) => "record-of-another-kind",
            Self::Stopped => "store-stopped",
            Self::Bug(_) => "internal-error",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Exists(_) => "choose another home, or use the one that is there",
            Self::Missing(_) => "check --home, or create a home with `palisade init`",
            Self::Unavailable { source, .. } => remedy_for(source),
            Self::Dead { .. } => {
                "mend the cause and restart the guard; what was signed before is safe on disk"
            }
            Self::Locked => "stop the other process that uses this home",
            Self::Damaged(Damage::Record(_, RecordError::UnknownVersion(_))) => {
                "run the newer version of palisade that wrote this home"
            }
            Self::Damaged(_) => {
                "do not sign with these keys elsewhere; restore nothing older than the last \
                 signature; move the file away, and import the keys with their EIP-3076 history, \
                 or with --from-now"
            }
            Self::Version { found, supported } if supported < found => {
                "run the newer version of palisade that wrote this home"
            }
            Self::Version { .. } => "open this home once with an older palisade that can read it",
            Self::PinnedElsewhere { .. } => "point the client at the guard of its own network",
            Self::UnknownKey(_) => "see `palisade keys list`; `palisade keys import` adds a key",
            Self::Record(..) => "give a history of the same kind of chain as the key's",
            Self::Stopped => "start the guard again",
            Self::Bug(_) => "nothing was signed; please report it",
        }
    }

    pub(crate) fn damaged(part: &'static str) -> Self {
        Self::Damaged(Damage::Part(part))
    }

    /// Sorts what the database said while `doing` something.
    pub(crate) fn while_doing<E: Into<redb::Error>>(doing: &'static str) -> impl FnOnce(E) -> Self {
        move |error| match error.into() {
            redb::Error::DatabaseAlreadyOpen => Self::Locked,
            redb::Error::Io(error) if is_damage(&error) => {
                Self::Damaged(Damage::Database(Arc::new(redb::Error::Io(error))))
            }
            error
            @ (redb::Error::Io(_) | redb::Error::PreviousIo | redb::Error::DatabaseClosed) => {
                Self::Unavailable { doing, source: Arc::new(error) }
            }
            error => Self::Damaged(Damage::Database(Arc::new(error))),
        }
    }

    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| match error.kind() {
            io::ErrorKind::NotFound => Self::Missing(path.to_owned()),
            io::ErrorKind::AlreadyExists => Self::Exists(path.to_owned()),
            _ => Self::Unavailable { doing, source: Arc::new(redb::Error::Io(error)) },
        }
    }
}

/// redb panics on some damaged files. In the calls that read or write the file, that is taken as a
/// statement on the file, not as a bug to carry on after: the store does not open, or dies.
pub(crate) fn guarded<T>(access: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(access)).unwrap_or_else(|panic| {
        let message = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no reason given");
        Err(StoreError::Damaged(Damage::Unreadable(message.to_owned())))
    })
}

/// So redb reports a file that is not a database, or is cut off.
fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

fn remedy_for(error: &redb::Error) -> &'static str {
    let redb::Error::Io(error) = error else {
        return "look for disk errors in the system log, then restart the guard";
    };
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            "make room on the disk of the home, then restart the guard"
        }
        io::ErrorKind::ReadOnlyFilesystem => "mount the home's file system for writing, restart",
        io::ErrorKind::PermissionDenied => {
            "make the home's directory and its files readable and writable for this user"
        }
        _ => "look for disk errors in the system log, then restart the guard",
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists(path) => write!(f, "{} exists already", path.display()),
            Self::Missing(path) => write!(f, "there is no store at {}", path.display()),
            Self::Unavailable { doing, source } => write!(f, "{doing} failed: {source}"),
            Self::Dead { cause } => write!(
                f,
                "the store takes no more requests since a write failed ({})",
                Bare(cause.as_ref())
            ),
            Self::Locked => f.write_str("another process has the store open"),
            Self::Damaged(damage @ Damage::Record(_, RecordError::UnknownVersion(_))) => {
                write!(f, "the store cannot be read: {damage}")
            }
            Self::Damaged(damage) => write!(f, "the store is damaged: {damage}"),
            Self::Version { found, supported } => {
                write!(f, "the store has format version {found}, this program reads {supported}")
            }
            Self::PinnedElsewhere { pinned, given } => write!(
                f,
                "this home is pinned to the network with genesis validators root {pinned}, not \
                 {given}"
            ),
            Self::UnknownKey(key) => write!(f, "the store has no record of key {key}"),
            Self::Record(key, error) => write!(f, "key {key}: {error}"),
            Self::Stopped => f.write_str("the ledger has stopped"),
            Self::Bug(what) => write!(f, "internal error: {what}"),
        }?;
        write!(f, "; {}", self.remedy())
    }
}

/// A cause without its remedy, to stand inside another sentence.
struct Bare<'a>(&'a StoreError);

impl fmt::Display for Bare<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            StoreError::Unavailable { doing, source } => write!(f, "{doing}: {source}"),
            StoreError::Damaged(damage) => damage.fmt(f),
            other => f.write_str(other.code()),
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database(error) => error.fmt(f),
            Self::Unreadable(what) => write!(f, "it cannot be read ({what})"),
            Self::Part(part) => write!(f, "{part} is missing or malformed"),
            Self::Record(key, error) => write!(f, "the record of key {key}: {error}"),
            Self::Rows => f.write_str("its rows are not those that the last write left"),
            Self::JournalHead => {
                f.write_str("its newest journal entry is not the one that the last write left")
            }
            Self::JournalAgainstRecord(key) => {
                write!(f, "its newest journal entry says otherwise than the record of key {key}")
            }
            Self::Log => f.write_str("its log is not the one that the last writes left"),
        }
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unavailable { source, .. } | Self::Damaged(Damage::Database(source)) => {
                Some(source.as_ref())
            }
            Self::Dead { cause } => Some(cause.as_ref()),
            Self::Record(_, error) | Self::Damaged(Damage::Record(_, error)) => Some(error),
            _ => None,
        }
    }
}
