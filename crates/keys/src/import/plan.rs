//! What an import will open, decided before any slow work.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::walk::Walk;
use super::{BadFile, FileProblem, PlanError};
use crate::keystore::{self, Keystore};
use crate::{BlsPublicKey, Password, files};

const MAX_PASSWORD_BYTES: u64 = 4096;

/// Where the passwords of keystores come from.
pub enum Passwords {
    /// One file holds the password of all.
    OneFile(PathBuf),
    /// `<stem>.txt` in this directory holds the password of `<stem>.json`.
    Directory(PathBuf),
    /// One password for all, as typed.
    Given(Password),
}

/// The keystores of an import, parsed but not opened.
pub struct Plan {
    pub(super) keystores: Vec<Planned>,
    pub(super) bad: Vec<BadFile>,
    pub(super) passwords: PasswordSource,
    left_out: Vec<PathBuf>,
}

/// One keystore that can be tried.
pub(super) struct Planned {
    pub(super) path: PathBuf,
    pub(super) keystore: Keystore,
}

pub(super) enum PasswordSource {
    One(Password),
    Directory(PathBuf),
}

/// Finds and parses the keystores in `paths`, files or directories with their subdirectories.
/// Files at fault do not stop the plan: [`decrypt_all`](super::decrypt_all) lists them with those
/// that do not open.
///
/// # Errors
/// [`PlanError`] when a path or the one password file cannot be read, when there is nothing to
/// import, or when there is too much.
pub fn plan(paths: &[PathBuf], passwords: Passwords) -> Result<Plan, PlanError> {
    let passwords = match passwords {
        Passwords::Given(password) => PasswordSource::One(password),
        Passwords::Directory(directory) => PasswordSource::Directory(directory),
        Passwords::OneFile(path) => match read_password(&path) {
            Ok(password) => PasswordSource::One(password),
            Err(problem) => return Err(PlanError::Password { path, problem }),
        },
    };
    let walk = Walk::through(paths)?;
    if walk.files.is_empty() {
        return Err(PlanError::Nothing);
    }
    let mut plan =
        Plan { keystores: Vec::new(), bad: Vec::new(), passwords, left_out: walk.left_out };
    for path in walk.files {
        match read_keystore(&path) {
            Ok(keystore) => plan.keystores.push(Planned { path, keystore }),
            Err(problem) => plan.bad.push(BadFile { path, problem }),
        }
    }
    Ok(plan)
}

impl Plan {
    /// How many files the import has, the ones at fault included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keystores.len().saturating_add(self.bad.len())
    }

    /// Whether there is none. [`plan`] does not return such a plan.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Files with `.json` names in the directories that are not keystores by their name
    /// (`deposit_data-*.json`).
    #[must_use]
    pub fn left_out(&self) -> &[PathBuf] {
        &self.left_out
    }

    /// Public keys that more than one file says it holds, with those files.
    #[must_use]
    pub fn duplicates(&self) -> Vec<(BlsPublicKey, Vec<&Path>)> {
        let mut files: BTreeMap<BlsPublicKey, Vec<&Path>> = BTreeMap::new();
        for planned in &self.keystores {
            if let Some(public_key) = planned.keystore.public_key {
                files.entry(public_key).or_default().push(&planned.path);
            }
        }
        files.into_iter().filter(|(_, files)| files.len() > 1).collect()
    }
}

impl PasswordSource {
    /// Gives the password of the keystore at `path` to `use_password`.
    pub(super) fn with<T>(
        &self,
        path: &Path,
        use_password: impl FnOnce(&Password) -> Result<T, FileProblem>,
    ) -> Result<T, FileProblem> {
        match self {
            Self::One(password) => use_password(password),
            Self::Directory(directory) => {
                let stem = path.file_stem().unwrap_or_default();
                let mut name = stem.to_owned();
                name.push(".txt");
                use_password(&read_password(&directory.join(name))?)
            }
        }
    }
}

fn read_password(path: &Path) -> Result<Password, FileProblem> {
    let bytes = files::read_bounded(path, MAX_PASSWORD_BYTES)
        .map_err(|source| FileProblem::NoPassword { path: path.to_owned(), source })?;
    Password::from_bytes(&bytes).map_err(FileProblem::Password)
}

fn read_keystore(path: &Path) -> Result<Keystore, FileProblem> {
    let bytes =
        files::read_bounded(path, keystore::MAX_BYTES as u64).map_err(FileProblem::Unreadable)?;
    Keystore::parse(&bytes).map_err(FileProblem::Keystore)
}
