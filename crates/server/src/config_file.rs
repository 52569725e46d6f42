//! Changes that a command makes to `palisade.toml`: only ever at the file's end.
//!
//! Invariants: what the operator wrote stays as it is, comments too; a file that the guard could
//! not use is never written; the change is one durable rename, so that a crash leaves the old file
//! or the new one.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::config::{Config, ConfigError};

/// Adds tables to the end of the file at `path`, and gives the configuration as it is then.
///
/// # Errors
/// The inner error when the file would not be a configuration, the outer one when the disk says no;
/// the file is as before in both cases.
pub fn append(path: &Path, tables: &str) -> io::Result<Result<Config, ConfigError>> {
    let before = fs::read_to_string(path)?;
    let after = format!("{}\n\n{}\n", before.trim_end(), tables.trim_end());
    let config = match Config::parse(&after) {
        Ok(config) => config,
        Err(error) => return Ok(Err(error)),
    };
    let staging = path.with_extension("toml.new");
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&staging)?;
    file.write_all(after.as_bytes())?;
    file.sync_all()?;
    fs::rename(&staging, path)?;
    if let Some(parent) = path.parent() {
        fs::File::open(parent)?.sync_all()?;
    }
    Ok(Ok(config))
}
