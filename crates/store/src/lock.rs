//! One process for each home.
//!
//! Invariants: the lock is the kernel's and goes with the process, however it ends; the file's
//! content (the holder's process id) is only for people; what is locked and written to is a file of
//! the home itself, and it is written to only by who holds the lock.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::{fmt, process};

const FILE_NAME: &str = "lock";

/// Proof that this process has the home for itself, for as long as it lives.
#[derive(Debug)]
#[must_use = "the home is unlocked when this is dropped"]
pub struct HomeLock {
    _file: File,
}

/// Why the home could not be locked.
#[derive(Debug)]
#[non_exhaustive]
pub enum LockError {
    /// Another process has it.
    Held {
        /// The home.
        home: PathBuf,
        /// The other process, if it left its id.
        process_id: Option<u32>,
    },
    /// The system did not allow it.
    Io {
        /// The home.
        home: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl HomeLock {
    /// Locks `home` (an existing directory) by its file `lock`.
    ///
    /// # Errors
    /// [`LockError::Held`] at once when another process has it; never waits.
    pub fn acquire(home: &Path) -> Result<Self, LockError> {
        let failed = |source| LockError::Io { home: home.to_owned(), source };
        let mut file = open(&home.join(FILE_NAME)).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held { home: home.to_owned(), process_id: holder(&file) });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        // Nobody depends on the id: a full disk must not keep the guard from starting.
        drop(sign(&mut file));
        Ok(Self { _file: file })
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    // Whoever may put a link here must not choose a file that is cut short.
    options.mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let no_file = || io::Error::other(format!("{} is not a plain file: remove it", path.display()));
    let file = options.open(path).map_err(|error| match error.raw_os_error() {
        Some(libc::ELOOP) => no_file(),
        _ => error,
    })?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(no_file()) }
}

fn sign(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", process::id())
}

fn holder(file: &File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held { home, process_id: Some(id) } => write!(
                f,
                "the home {} is in use by process {id}; stop it, or choose another home",
                home.display()
            ),
            Self::Held { home, process_id: None } => write!(
                f,
                "the home {} is in use by another process; stop it, or choose another home",
                home.display()
            ),
            Self::Io { home, source } => write!(
                f,
                "the home {} cannot be locked ({source}); it must be a directory that this user \
                 may write to",
                home.display()
            ),
        }
    }
}

impl std::error::Error for LockError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Held { .. } => None,
            Self::Io { source, .. } => Some(source),
        }
    }
}
