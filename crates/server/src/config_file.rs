//! Changes that a command makes to `palisade.toml`: only ever at the file's end.
//!
//! Invariants: what the operator wrote stays as it is, comments too; a file that the guard could
//! not use is never written; the change is one durable rename under a lock, so that a crash leaves
//! the old file or the new one, and of two changes at once neither is lost.

use std::fs;
use std::path::Path;

use crate::config::Config;
use crate::home::{HomeError, could_not, sync_parent, write_new};

/// Adds tables to the end of the file at `path`, and gives the configuration as it is then.
///
/// # Errors
/// [`HomeError::Configuration`] when the file would not be a configuration, or the disk's
/// [`HomeError::CouldNot`]; the file is as before in both cases.
pub fn append(path: &Path, tables: &str) -> Result<Config, HomeError> {
    // The home's own lock is the running guard's; a directory's is nobody's, and ends with the
    // process.
    let directory = path.parent().unwrap_or(Path::new("."));
    let _turn = fs::File::open(directory)
        .and_then(|directory| directory.lock().map(|()| directory))
        .map_err(|error| could_not("lock", directory, &error))?;
    let before = fs::read_to_string(path).map_err(|error| could_not("read", path, &error))?;
    let after = format!("{}\n\n{}\n", before.trim_end(), tables.trim());
    let config = Config::parse(&after)?;
    let staging = path.with_extension("toml.new");
    // Of a change that was cut off.
    drop(fs::remove_file(&staging));
    write_new(&staging, 0o600, after.as_bytes())?;
    fs::rename(&staging, path).map_err(|error| could_not("rename", &staging, &error))?;
    sync_parent(path)?;
    Ok(config)
}
