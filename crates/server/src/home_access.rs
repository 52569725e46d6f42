//! Who may write in a home: whoever can may put another ledger in the place of the guard's.
//!
//! Invariant: a home is not used, neither by a guard nor by a command, unless it is this user's and
//! others may not write in it, and what the guard opens there by name is a plain file of somebody
//! who is trusted, not a link to one. Root may use everybody's home: secure mode says what it
//! thinks of that.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::process::geteuid;

use crate::home::{HomeError, could_not};

/// What is opened by name. What the configuration names may be elsewhere, and of anybody.
const FILES: [&str; 8] = [
    "lock",
    "palisade.toml",
    "network.yaml",
    "store.redb",
    "unlock.secret",
    "api-token.txt",
    "keys/keys.lock",
    "keys/keys.sealed",
];
const DIRECTORIES: [&str; 1] = ["keys"];

/// Permission to write, for group and others.
const OTHERS_WRITE: u32 = 0o022;
/// Permission to reach what is in a directory, for group and others.
const OTHERS_ENTER: u32 = 0o011;

/// Who is trusted with a home.
struct Trusted<'a> {
    home: &'a Path,
    user: u32,
    home_owner: u32,
    /// Others may reach what is in the home.
    is_open: bool,
}

/// Looks at the home, if there is one, and at what is in it.
///
/// # Errors
/// [`HomeError::CouldNot`] names what others could change, and says what to do.
pub(crate) fn must_be_closed_to_others(home: &Path) -> Result<(), HomeError> {
    let Some(found) = look(home, fs::metadata(home))? else { return Ok(()) };
    let user = geteuid().as_raw();
    let home_owner = found.uid();
    if home_owner != user && user != 0 {
        return Err(HomeError::CouldNot(format!(
            "the home {home} belongs to user {home_owner}, and this is user {user}: run this as \
             that user (`sudo -u '#{home_owner}' palisade …`), or, if the home shall be this \
             user's, run `chown -R {user} {home}` as root",
            home = home.display()
        )));
    }
    must_not_be_written(home, &found, "there, and put another ledger in the place of this one")?;
    let is_open = found.mode() & OTHERS_ENTER != 0;
    let trusted = Trusted { home, user, home_owner, is_open };
    for name in DIRECTORIES {
        trusted.look_at(name, Metadata::is_dir)?;
    }
    for name in FILES {
        trusted.look_at(name, Metadata::is_file)?;
    }
    Ok(())
}

impl Trusted<'_> {
    fn look_at(&self, name: &str, is_plain: fn(&Metadata) -> bool) -> Result<(), HomeError> {
        let path = self.home.join(name);
        let Some(found) = look(&path, fs::symlink_metadata(&path))? else { return Ok(()) };
        let shown = path.display();
        if !is_plain(&found) {
            let what = if found.is_symlink() { "a link" } else { "of another kind" };
            return Err(HomeError::CouldNot(format!(
                "{shown} is {what}: what a home consists of must be in it. Put the thing itself \
                 there; unlock_file and token_file in palisade.toml name files elsewhere"
            )));
        }
        let owner = found.uid();
        if ![self.user, self.home_owner, 0].contains(&owner) {
            return Err(HomeError::CouldNot(format!(
                "{shown} belongs to user {owner}, who may change it under the guard: look who put \
                 it there, and if it is right, run `chown {} {shown}` as root",
                self.home_owner
            )));
        }
        if owner == 0 && self.user != 0 && found.mode() & 0o077 == 0 {
            return Err(HomeError::CouldNot(format!(
                "{shown} is root's alone: a command was run as root on this home. Run \
                 `chown -R {} {}` as root, and commands as that user from now on",
                self.home_owner,
                self.home.display()
            )));
        }
        if self.is_open { must_not_be_written(&path, &found, "it") } else { Ok(()) }
    }
}

fn must_not_be_written(path: &Path, found: &Metadata, what: &str) -> Result<(), HomeError> {
    let mode = found.mode() & 0o7777;
    if mode & OTHERS_WRITE == 0 {
        return Ok(());
    }
    let (kind, closed) = if found.is_dir() { ("directory", 700) } else { ("file", 600) };
    Err(HomeError::CouldNot(format!(
        "the {kind} {path} has mode {mode:04o}: others than its owner may write {what}. Run \
         `chmod {closed} {path}`, and look whether somebody did",
        path = path.display()
    )))
}

/// `None` where nothing is: that is for others to say.
fn look(path: &Path, found: std::io::Result<Metadata>) -> Result<Option<Metadata>, HomeError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(could_not("look at", path, &error)),
    }
}
