//! Who may write in a home: whoever can may put another ledger in the place of the guard's.
//!
//! Invariant: a home that others than its owner may write in is never locked, and so never opened.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::home::{HomeError, could_not};

/// # Errors
/// [`HomeError::CouldNot`] when others may write in the directory, or it cannot be looked at.
pub(crate) fn must_be_closed_to_others(home: &Path) -> Result<(), HomeError> {
    let metadata = fs::metadata(home).map_err(|error| could_not("look at", home, &error))?;
    let mode = metadata.mode() & 0o7777;
    if mode & 0o022 == 0 {
        return Ok(());
    }
    Err(HomeError::CouldNot(format!(
        "the home {} has mode {mode:04o}: others than its owner may write there, and put another \
         ledger in the place of this one. Run `chmod 700 {}`, and look whether somebody did",
        home.display(),
        home.display()
    )))
}
