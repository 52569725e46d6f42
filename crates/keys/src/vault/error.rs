//! Why the vault did not open or change.

use std::fmt;
use std::io;
use std::path::PathBuf;

use palisade_sandbox::SecretError;

/// Which kind of unlock secret a vault was sealed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnlockKind {
    /// A generated unlock file.
    GeneratedFile,
    /// A passphrase.
    Passphrase,
}

/// Why the vault did not open or change.
#[derive(Debug)]
#[non_exhaustive]
pub enum VaultError {
    /// There is no vault.
    NotFound {
        /// Where its file would be.
        path: PathBuf,
    },
    /// There is a vault already.
    AlreadyExists {
        /// Its file.
        path: PathBuf,
    },
    /// Reading or writing failed.
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is not as it was written.
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not hold.
        problem: &'static str,
    },
    /// The file has a format that this release does not know.
    UnknownVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u8,
    },
    /// The unlock secret is of the right kind, but it is another one.
    WrongUnlockSecret {
        /// The file.
        path: PathBuf,
        /// What it was sealed for.
        kind: UnlockKind,
    },
    /// The unlock secret is of another kind.
    OtherUnlockKind {
        /// The file.
        path: PathBuf,
        /// What it was sealed for.
        kind: UnlockKind,
    },
    /// Another process is changing the vault now.
    Busy {
        /// The lock file.
        path: PathBuf,
    },
    /// Another process has changed the vault since it was opened here.
    ChangedMeanwhile {
        /// The file.
        path: PathBuf,
    },
    /// More keys than a vault holds.
    TooManyKeys,
    /// The operating system gave no randomness.
    Randomness(getrandom::Error),
    /// The operating system gave no pages for the opened keys.
    NoSecretMemory(SecretError),
    /// A primitive refused its input: a fault of this program.
    Internal(&'static str),
}

impl From<SecretError> for VaultError {
    fn from(error: SecretError) -> Self {
        Self::NoSecretMemory(error)
    }
}

impl fmt::Display for UnlockKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GeneratedFile => "a generated unlock file",
            Self::Passphrase => "a passphrase",
        })
    }
}

impl fmt::Display for VaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound { path } => {
                write!(f, "no sealed keys at {}; is this the right home?", path.display())
            }
            Self::AlreadyExists { path } => {
                write!(f, "{} exists; it was left as it is", path.display())
            }
            Self::Io { path, source } => write!(f, "{}: {source}", path.display()),
            Self::Damaged { path, problem } => write!(
                f,
                "{} is damaged ({problem}); nothing was loaded. Restore the file from a backup, or \
                 import the keys again from their keystores",
                path.display()
            ),
            Self::UnknownVersion { path, version } => write!(
                f,
                "{} has format version {version}, which this release does not know; use the \
                 release that wrote it, or a newer one",
                path.display()
            ),
            Self::WrongUnlockSecret { path, kind } => write!(
                f,
                "the unlock secret does not open {}: it was sealed for {kind}, but for another one",
                path.display()
            ),
            Self::OtherUnlockKind { path, kind } => write!(
                f,
                "the unlock secret does not open {}: it was sealed for {kind}; give that",
                path.display()
            ),
            Self::Busy { path } => write!(
                f,
                "another process is changing the keys (lock {}); try again",
                path.display()
            ),
            Self::ChangedMeanwhile { path } => write!(
                f,
                "{} was changed since it was opened; nothing was written. Reload, then try again",
                path.display()
            ),
            Self::TooManyKeys => write!(f, "a home holds at most {} keys", super::MAX_KEYS),
            Self::Randomness(error) => {
                write!(f, "the operating system gave no randomness ({error}); nothing was written")
            }
            Self::NoSecretMemory(error) => error.fmt(f),
            Self::Internal(what) => write!(f, "internal error: {what}; nothing was changed"),
        }
    }
}

impl std::error::Error for VaultError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
