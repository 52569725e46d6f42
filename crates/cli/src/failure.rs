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
}

impl Failure {
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Refused(_) => 1,
            Self::Usage(_) => 2,
            Self::CouldNot(_) => 3,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(message) | Self::Usage(message) | Self::CouldNot(message) => {
                f.write_str(message)
            }
        }
    }
}

impl From<AdminError> for Failure {
    fn from(error: AdminError) -> Self {
        match error.fault {
            Fault::Usage => Self::Usage(error.message),
            Fault::Refused => Self::Refused(error.message),
            Fault::CouldNot => Self::CouldNot(error.message),
        }
    }
}

impl From<HomeError> for Failure {
    fn from(error: HomeError) -> Self {
        match error {
            HomeError::Configuration(message) => Self::Usage(message),
            other => Self::CouldNot(other.to_string()),
        }
    }
}
