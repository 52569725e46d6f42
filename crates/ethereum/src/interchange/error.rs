//! Why a history could not be read.

use std::fmt;
use std::io;

use palisade_protect::Digest;

use super::FORMAT_VERSION;
use super::bounded::LimitExceeded;
use super::import::MAX_KEYS;
use crate::error::excerpt;

/// A history that was not taken over. Nothing of it was.
#[derive(Debug)]
#[non_exhaustive]
pub enum InterchangeError {
    /// The source of the bytes failed.
    Io(io::Error),
    /// Not JSON, not of the format's shape, or cut off.
    Malformed {
        /// Line of the first byte that does not fit, from 1.
        line: usize,
        /// Column of that byte, from 1.
        column: usize,
        /// What is wrong there.
        why: String,
    },
    /// Written in another version of the format.
    WrongVersion {
        /// An excerpt of the version that the file names.
        found: String,
    },
    /// The history of another chain.
    WrongGenesisValidatorsRoot {
        /// The root that the file names.
        found: Digest,
        /// The root of this guard's chain.
        expected: Digest,
    },
    /// More keys than [`MAX_KEYS`].
    TooManyKeys,
    /// A string or number that is far too long, or nesting that is far too deep.
    BeyondLimits,
}

impl InterchangeError {
    /// The stable kebab-case name.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io(_) => "io",
            Self::Malformed { .. } => "malformed",
            Self::WrongVersion { .. } => "wrong-version",
            Self::WrongGenesisValidatorsRoot { .. } => "wrong-genesis-validators-root",
            Self::TooManyKeys => "too-many-keys",
            Self::BeyondLimits => "beyond-limits",
        }
    }
}

impl From<serde_json::Error> for InterchangeError {
    fn from(error: serde_json::Error) -> Self {
        if error.is_io() {
            let error = io::Error::from(error);
            let ours = error.get_ref().is_some_and(|inner| inner.is::<LimitExceeded>());
            return if ours { Self::BeyondLimits } else { Self::Io(error) };
        }
        let text = error.to_string();
        let why = text.rsplit_once(" at line ").map_or(text.as_str(), |(why, _)| why);
        Self::Malformed { line: error.line(), column: error.column(), why: excerpt(why) }
    }
}

impl fmt::Display for InterchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "the history could not be read: {error}"),
            Self::Malformed { line, column, why } => write!(
                f,
                "not a slashing protection history (EIP-3076): {why} (line {line}, column \
                 {column}); export it again"
            ),
            Self::WrongVersion { found } => write!(
                f,
                "the history is of format version \"{found}\"; only version \
                 \"{FORMAT_VERSION}\" is read: export it again with a newer client"
            ),
            Self::WrongGenesisValidatorsRoot { found, expected } => write!(
                f,
                "the history is of another chain: its genesis validators root is {found}, \
                 this guard's is {expected}"
            ),
            Self::TooManyKeys => {
                write!(f, "the history holds more than {MAX_KEYS} keys; split it by keys")
            }
            Self::BeyondLimits => f.write_str(
                "the history holds a value that is far too long or nested far too deeply; \
                 it is damaged or not a slashing protection history",
            ),
        }
    }
}

impl std::error::Error for InterchangeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}
