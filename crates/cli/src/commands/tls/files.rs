//! Where `palisade tls` keeps its files, and how they get there.
//!
//! Invariants: a directory appears whole or not at all, by one rename, and never in the place of
//! one that holds something; private keys have mode 0600 from their first byte on.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use palisade_server::home::Home;
use zeroize::Zeroizing;

use crate::failure::Failure;

/// One file of a new directory.
pub(super) struct NewFile<'a> {
    pub(super) name: String,
    pub(super) mode: u32,
    pub(super) text: &'a str,
}

impl<'a> NewFile<'a> {
    /// Anyone who may enter the directory may read it.
    pub(super) fn public(name: impl Into<String>, text: &'a str) -> Self {
        Self { name: name.into(), mode: 0o644, text }
    }

    /// For its owner alone.
    pub(super) fn private(name: impl Into<String>, text: &'a str) -> Self {
        Self { name: name.into(), mode: 0o600, text }
    }
}

/// Everything of `palisade tls`.
pub(super) fn directory(home: &Home) -> PathBuf {
    home.path().join("tls")
}

pub(super) fn authority_certificate(home: &Home) -> PathBuf {
    directory(home).join("ca.pem")
}

pub(super) fn authority_key(home: &Home) -> PathBuf {
    directory(home).join("ca.key")
}

pub(super) fn guard_certificate(home: &Home) -> PathBuf {
    directory(home).join("guard.pem")
}

pub(super) fn guard_key(home: &Home) -> PathBuf {
    directory(home).join("guard.key")
}

/// What was issued to clients, one directory for each.
pub(super) fn clients(home: &Home) -> PathBuf {
    directory(home).join("clients")
}

/// What was issued to nodes, one directory for each.
pub(super) fn nodes(home: &Home) -> PathBuf {
    directory(home).join("nodes")
}

/// Reads a file; wiped when dropped, because some of them are private keys.
pub(super) fn read(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let text = fs::read_to_string(path).map_err(|error| {
        if error.kind() == ErrorKind::NotFound {
            return Failure::Usage(format!(
                "there is no {}; make an authority with `palisade tls init`, or bring its key back \
                 from where you keep it",
                path.display()
            ));
        }
        Failure::io(format!("cannot read {}", path.display()), &error)
    })?;
    Ok(Zeroizing::new(text))
}

/// Refuses a place that holds something.
pub(super) fn must_be_free(place: &Path) -> Result<(), Failure> {
    let is_free = match fs::read_dir(place) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == ErrorKind::NotFound,
    };
    if is_free {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "{} is there already; certificates and keys are never written over",
        place.display()
    )))
}

/// Makes a directory with these files.
pub(super) fn create_directory(place: &Path, files: &[NewFile<'_>]) -> Result<(), Failure> {
    must_be_free(place)?;
    let mut name = place.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".new-{}", std::process::id()));
    let staging = place.with_file_name(name);
    let made = fill(&staging, place, files);
    if made.is_err() {
        // The error that brought us here is the one to report.
        drop(fs::remove_dir_all(&staging));
    }
    made.map_err(|error| Failure::io(format!("cannot make {}", place.display()), &error))
}

/// Writes one file in the place of another of that name, whole or not at all.
pub(super) fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    let staging = path.with_extension(format!("new-{}", std::process::id()));
    let file = NewFile { name: String::new(), mode: 0o644, text };
    let replaced = write(&staging, &file)
        .and_then(|()| fs::rename(&staging, path))
        .and_then(|()| sync_parent(path));
    if replaced.is_err() {
        drop(fs::remove_file(&staging));
    }
    replaced.map_err(|error| Failure::io(format!("cannot write {}", path.display()), &error))
}

fn fill(staging: &Path, place: &Path, files: &[NewFile<'_>]) -> io::Result<()> {
    let mut private = DirBuilder::new();
    private.mode(0o700);
    if let Some(parent) = parent(place) {
        private.recursive(true).create(parent)?;
    }
    private.recursive(false).create(staging)?;
    for file in files {
        write(&staging.join(&file.name), file)?;
    }
    File::open(staging)?.sync_all()?;
    fs::rename(staging, place)?;
    sync_parent(place)
}

fn write(path: &Path, new: &NewFile<'_>) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(new.mode).open(path)?;
    file.write_all(new.text.as_bytes())?;
    file.sync_all()
}

fn sync_parent(path: &Path) -> io::Result<()> {
    File::open(parent(path).unwrap_or_else(|| Path::new(".")))?.sync_all()
}

fn parent(path: &Path) -> Option<&Path> {
    path.parent().filter(|parent| !parent.as_os_str().is_empty())
}
