//! From the paths that were named to the keystore files behind them.
//!
//! Invariants: a file is visited once, whatever links lead to it; a directory too, so loops end;
//! depth and number are bounded. A file that was named is always taken; in a directory `*.json` is,
//! but for `deposit_data-*.json`, which deposit tools put beside their keystores and which is
//! listed as left out.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::PlanError;

/// The most files of one import, and the most directory entries that are looked at.
pub const MAX_FILES: usize = 100_000;
const MAX_DEPTH: usize = 16;

/// What a walk found, in the order of the paths, sorted inside directories.
#[derive(Default)]
pub(super) struct Walk {
    pub(super) files: Vec<PathBuf>,
    pub(super) left_out: Vec<PathBuf>,
    seen: HashSet<PathBuf>,
    entries: usize,
}

impl Walk {
    pub(super) fn through(paths: &[PathBuf]) -> Result<Self, PlanError> {
        let mut walk = Self::default();
        for path in paths {
            walk.visit(path, 0)?;
        }
        Ok(walk)
    }

    fn visit(&mut self, path: &Path, depth: usize) -> Result<(), PlanError> {
        self.entries = self.entries.saturating_add(1);
        if depth > MAX_DEPTH || self.entries > MAX_FILES {
            return Err(PlanError::TooMany { path: path.to_owned() });
        }
        let unreadable = |source| PlanError::Unreadable { path: path.to_owned(), source };
        let real = fs::canonicalize(path).map_err(unreadable)?;
        if real.is_dir() {
            return if self.seen.insert(real) { self.visit_directory(path, depth) } else { Ok(()) };
        }
        if depth > 0 && !has_json_extension(path) {
            return Ok(());
        }
        if depth > 0 && is_deposit_data(path) {
            self.left_out.push(path.to_owned());
        } else if self.seen.insert(real) {
            self.files.push(path.to_owned());
        }
        Ok(())
    }

    fn visit_directory(&mut self, path: &Path, depth: usize) -> Result<(), PlanError> {
        let unreadable = |source| PlanError::Unreadable { path: path.to_owned(), source };
        let mut inside = Vec::new();
        for entry in fs::read_dir(path).map_err(unreadable)? {
            inside.push(entry.map_err(unreadable)?.path());
            if inside.len() > MAX_FILES {
                return Err(PlanError::TooMany { path: path.to_owned() });
            }
        }
        inside.sort();
        // A dangling link that is no keystore by its name does not matter.
        inside.retain(|path| has_json_extension(path) || path.is_dir());
        inside.iter().try_for_each(|path| self.visit(path, depth.saturating_add(1)))
    }
}

fn has_json_extension(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json")
}

fn is_deposit_data(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with("deposit_data-"))
}
