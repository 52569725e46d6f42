//! Files of secrets: bounded reads, private modes, owners, durable replacement.
//!
//! Invariants: no read goes beyond its limit, and what was read is wiped when dropped; a file of
//! the vault's own is never one that a link names; what is created is readable by its owner alone;
//! after [`replace`] returns `Ok` the new content survives a power cut, and when it fails before
//! its rename the old content is untouched.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use palisade_sandbox::effective_user;
use zeroize::Zeroizing;

/// Reads a regular file of at most `limit` bytes. The path is followed through symbolic links;
/// anything but a regular file (a pipe could block for ever) is refused.
pub(crate) fn read_bounded(path: &Path, limit: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    open_regular(path).and_then(|file| read_all(file, limit))
}

/// Opens a regular file for reading.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    File::open(path)
}

/// Opens a file of the vault's own: a plain one, under its own name.
pub(crate) fn open_own(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let other = || io::Error::other("it is a link, or no plain file: put the file itself there");
    // A pipe in its place must not keep the guard waiting.
    let opened = options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path);
    let file = opened.map_err(|error| match error.raw_os_error() {
        Some(libc::ELOOP | libc::ENXIO) => other(),
        _ => error,
    })?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(other()) }
}

/// Whose a file is, if it is somebody's who may not know what stands in it: neither this user's nor
/// root's; for root, nor of whoever owns the directory.
pub(crate) fn stranger(file: &File, path: &Path) -> io::Result<Option<u32>> {
    let owner = file.metadata()?.uid();
    let user = effective_user();
    if owner == user || owner == 0 {
        return Ok(None);
    }
    let directory = path.parent().filter(|_| user == 0);
    let is_its_directorys = directory
        .and_then(|directory| directory.metadata().ok())
        .is_some_and(|directory| directory.uid() == owner);
    Ok((!is_its_directorys).then_some(owner))
}

/// Reads an open file to its end, at most `limit` bytes.
pub(crate) fn read_all(file: File, limit: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let too_large = || {
        let message = format!("larger than {limit} bytes");
        io::Error::new(io::ErrorKind::FileTooLarge, message)
    };
    let length = file.metadata()?.len();
    if length > limit {
        return Err(too_large());
    }
    // Room for all of it at once, so that no unwiped copy stays behind when a buffer grows.
    let room = usize::try_from(length).map_err(|_| too_large())?.saturating_add(64);
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(too_large()) } else { Ok(bytes) }
}

/// Creates a directory with mode 0700, and its parents.
pub(crate) fn create_private_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    path.parent().map_or(Ok(()), sync_directory)
}

/// Creates a file with mode 0600 that must not exist yet, and makes it durable.
pub(crate) fn create_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    path.parent().map_or(Ok(()), sync_directory)
}

/// Puts `bytes` in the place of `path` by way of `temporary`, in the same directory. A temporary
/// file that a crash left behind is removed first.
pub(crate) fn replace(path: &Path, temporary: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::remove_file(temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    create_private(temporary, bytes)?;
    fs::rename(temporary, path)?;
    path.parent().map_or(Ok(()), sync_directory)
}

/// Makes names in a directory durable. An empty path is the working directory.
fn sync_directory(path: &Path) -> io::Result<()> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    File::open(path)?.sync_all()
}
