//! What is wrong with files to import, each with its path.

use std::fmt;
use std::io;
use std::path::PathBuf;

use palisade_protect::KeyType;

use crate::keystore::KeystoreError;
use crate::{PasswordError, SecretUriError};

/// Why there is no plan.
#[derive(Debug)]
#[non_exhaustive]
pub enum PlanError {
    /// A path that was named, or something in a directory, could not be read.
    Unreadable {
        /// The path.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The one password file cannot be used.
    Password {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: FileProblem,
    },
    /// More files, or deeper directories, than an import takes.
    TooMany {
        /// Where the limit was reached.
        path: PathBuf,
    },
    /// No keystore in any of the paths.
    Nothing,
}

/// Every file that stands in the way; nothing was imported.
#[derive(Debug)]
pub struct BadFiles(pub Vec<BadFile>);

/// One file and its problem.
#[derive(Debug)]
pub struct BadFile {
    /// The keystore.
    pub path: PathBuf,
    /// What is wrong.
    pub problem: FileProblem,
}

/// What is wrong with one file.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileProblem {
    /// It could not be read.
    Unreadable(io::Error),
    /// It is not a keystore that opens with its password.
    Keystore(KeystoreError),
    /// Its password file could not be read.
    NoPassword {
        /// The password file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Its password is not text.
    Password(PasswordError),
    /// Another file holds the same key.
    SameKeyAs(PathBuf),
    /// Key derivation could not be started.
    Threads,
    /// Not named as a Substrate node names its keys.
    NotOfANode,
    /// A link, a directory or a device.
    NotAFile,
    /// A session key of a type that this version has no rules for.
    OtherKeyType(KeyType),
    /// Not a JSON string.
    NotAString,
    /// Not a secret URI.
    Uri(SecretUriError),
    /// The secret of another key than the one that the file's name says.
    OtherKey,
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, source } => write!(f, "{}: {source}", path.display()),
            Self::Password { path, problem } => {
                write!(f, "password file {}: {problem}", path.display())
            }
            Self::TooMany { path } => write!(
                f,
                "{}: more than {} files, or directories nested too deeply; import them in parts",
                path.display(),
                super::MAX_FILES
            ),
            Self::Nothing => f.write_str(
                "no keystore found: name keystore files, or directories with *.json files in them",
            ),
        }
    }
}

impl std::error::Error for PlanError {}

impl fmt::Display for BadFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nothing was imported; {} at fault:", count(self.0.len()))?;
        self.0.iter().try_for_each(|file| write!(f, "\n  {file}"))
    }
}

fn count(files: usize) -> String {
    if files == 1 { "1 file is".to_owned() } else { format!("{files} files are") }
}

impl std::error::Error for BadFiles {}

impl fmt::Display for BadFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.problem)
    }
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => error.fmt(f),
            Self::Keystore(error) => error.fmt(f),
            Self::NoPassword { path, source } => {
                write!(f, "no password: {}: {source}", path.display())
            }
            Self::Password(error) => error.fmt(f),
            Self::SameKeyAs(path) => {
                write!(f, "holds the same key as {}; leave one of them out", path.display())
            }
            Self::Threads => f.write_str("the system gave no thread to open it on; try again"),
            Self::NotOfANode => f.write_str(
                "not a file of a node's keystore, whose name is the key type and the public key in \
                 hex; move it elsewhere",
            ),
            Self::NotAFile => {
                f.write_str("not a plain file but a link, a directory or a device; look at it")
            }
            Self::OtherKeyType(key_type) => write!(
                f,
                "this version takes no keys of type {key_type}; name those that are to come in \
                 with --keys, and leave the others with the node"
            ),
            Self::NotAString => f.write_str("its content is not a secret as a JSON string"),
            Self::Uri(error) => write!(f, "its content is no secret: {error}"),
            Self::OtherKey => f.write_str(
                "its content is not the secret of the key that its name says; if the node has a \
                 password, give it with --password-file",
            ),
        }
    }
}
