//! The files of a vault: `keys.sealed`, its successor while it is written, and the lock.
//!
//! Invariants: `keys.sealed` is only ever replaced by a rename while the lock is held; no link is
//! followed to either of them.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::VaultError;
use crate::files;

/// Room for [`MAX_KEYS`](super::MAX_KEYS) keys of 121 bytes.
const MAX_BYTES: u64 = 128 * 1024 * 1024;

pub(super) fn file(directory: &Path) -> PathBuf {
    directory.join("keys.sealed")
}

fn temporary(directory: &Path) -> PathBuf {
    directory.join("keys.sealed.new")
}

pub(super) fn create_directory(directory: &Path) -> Result<(), VaultError> {
    files::create_private_directory(directory).map_err(|source| at(directory, source))
}

pub(super) fn must_be_absent(directory: &Path) -> Result<(), VaultError> {
    let path = file(directory);
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(at(&path, source)),
        Ok(_) => Err(VaultError::AlreadyExists { path }),
    }
}

/// Keeps other processes from writing until it is dropped.
pub(super) fn lock(directory: &Path) -> Result<File, VaultError> {
    let path = directory.join("keys.lock");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let lock = files::open_own(&path, &mut options).map_err(|source| at(&path, source))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(VaultError::Busy { path }),
        Err(TryLockError::Error(source)) => Err(at(&path, source)),
    }
}

pub(super) fn read(directory: &Path) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let path = file(directory);
    let opened = files::open_own(&path, OpenOptions::new().read(true));
    let bytes = opened.and_then(|file| files::read_all(file, MAX_BYTES));
    bytes.map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => VaultError::NotFound { path: path.clone() },
        _ => at(&path, source),
    })
}

pub(super) fn replace(directory: &Path, bytes: &[u8]) -> Result<(), VaultError> {
    let path = file(directory);
    files::replace(&path, &temporary(directory), bytes).map_err(|source| at(&path, source))
}

fn at(path: &Path, source: io::Error) -> VaultError {
    VaultError::Io { path: path.to_owned(), source }
}
