//! Why a command did not do its work, and the exit code that says so.

use std::fmt;
use std::process::ExitCode;

use palisade_server::admin::{AdminError, Fault};
use palisade_server::home::HomeError;

/// A command that did nothing.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A rule or a check said no: exit code 1.
    Refused(String),
    /// What was asked, or the configuration, cannot be right: exit code 2.
    Usage(String),
    /// The disk, the network or the permissions were in the way: exit code 3.
    CouldNot(String),
    /// A guard must not be started again unseen: exit code 4.
    Unsafe(String),
    /// The reader of standard output went away (`| head`): exit code 3, and nothing to say.
    NobodyReads,
}

impl Failure {
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Refused(_) => 1,
            Self::Usage(_) => 2,
            Self::CouldNot(_) | Self::NobodyReads => 3,
            Self::Unsafe(_) => 4,
        })
    }

    /// What to tell the person, if anything.
    pub(crate) fn message(&self) -> Option<&str> {
        match self {
            Self::Refused(message)
            | Self::Usage(message)
            | Self::CouldNot(message)
            | Self::Unsafe(message) => Some(message),
            Self::NobodyReads => None,
        }
    }

    /// The system said no to `what`.
    pub(crate) fn io(what: impl fmt::Display, error: &std::io::Error) -> Self {
        let message = format!("{what}: {error}");
        match error.kind() {
            // Bytes that are not text are the wrong file, not a broken disk.
            std::io::ErrorKind::InvalidData => Self::Usage(message),
            _ => Self::CouldNot(message),
        }
    }
}

impl From<AdminError> for Failure {
    fn from(error: AdminError) -> Self {
        // A file that is no history, and a key that is not here, are no faults of this machine.
        match (error.fault, error.code.as_str()) {
            (_, "malformed" | "beyond-limits" | "too-many-keys") => Self::Usage(error.message),
            (_, "unknown-key") | (Fault::Refused, _) => Self::Refused(error.message),
            (Fault::Usage, _) => Self::Usage(error.message),
            (Fault::CouldNot, _) => Self::CouldNot(error.message),
        }
    }
}

impl From<HomeError> for Failure {
    fn from(error: HomeError) -> Self {
        match error {
            HomeError::Configuration(message) => Self::Usage(message),
            HomeError::Unsafe(message) => Self::Unsafe(message),
            other => Self::CouldNot(other.to_string()),
        }
    }
}
