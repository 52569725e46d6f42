//! Why a keystore does not open, without a word of what is in it.

use std::fmt;

use crate::{BlsPublicKey, SecretKeyError};

/// Why a keystore was not opened or not written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeystoreError {
    /// Larger than [`MAX_BYTES`](super::MAX_BYTES).
    TooLarge,
    /// Not JSON, or not of the shape of a keystore.
    Malformed {
        /// What is wrong, in words of ours.
        problem: String,
        /// Line, from 1; 0 when not known.
        line: usize,
        /// Column, from 1; 0 when not known.
        column: usize,
    },
    /// Not version 4.
    UnsupportedVersion(u64),
    /// A function that EIP-2335 does not name.
    UnsupportedFunction {
        /// Which module: `kdf`, `checksum` or `cipher`.
        module: &'static str,
        /// What it may be.
        supported: &'static str,
    },
    /// A value that has the wrong form.
    BadField {
        /// Its name.
        field: &'static str,
        /// What it must be.
        must_be: &'static str,
    },
    /// A cost or length outside what is accepted.
    OutOfBounds {
        /// Its name.
        field: &'static str,
        /// What is accepted.
        accepted: &'static str,
    },
    /// The checksum says that the password is not the one that it was written with.
    WrongPassword,
    /// It opened, but holds no BLS12-381 secret key.
    NotASecretKey(SecretKeyError),
    /// It opened, but holds the secret of another public key than it says.
    OtherPublicKey {
        /// `pubkey` in the file.
        stated: BlsPublicKey,
        /// The public key of the secret in the file.
        derived: BlsPublicKey,
    },
    /// The operating system gave no randomness.
    Randomness(getrandom::Error),
}

impl KeystoreError {
    /// Keeps of a parser's message only what cannot be a value of the file.
    pub(super) fn malformed(error: &serde_json::Error) -> Self {
        let message = error.to_string();
        let names_only_our_fields =
            ["missing field `", "duplicate field `"].iter().any(|start| message.starts_with(start));
        let problem = match error.classify() {
            _ if names_only_our_fields => {
                message.split(" at line").next().unwrap_or_default().to_owned()
            }
            serde_json::error::Category::Eof => "it ends too early".to_owned(),
            serde_json::error::Category::Syntax => "it is not JSON".to_owned(),
            _ => "a field has the wrong type, or is not one of EIP-2335".to_owned(),
        };
        Self::Malformed { problem, line: error.line(), column: error.column() }
    }
}

impl fmt::Display for KeystoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => {
                write!(f, "larger than {} bytes: this is not a keystore", super::MAX_BYTES)
            }
            Self::Malformed { problem, line, column } => {
                write!(f, "not an EIP-2335 keystore: {problem} (line {line}, column {column})")
            }
            Self::UnsupportedVersion(version) => {
                write!(f, "keystore version {version}; only EIP-2335 version 4 is read")
            }
            Self::UnsupportedFunction { module, supported } => {
                write!(f, "crypto.{module}.function is not one of EIP-2335: {supported}")
            }
            Self::BadField { field, must_be } => write!(f, "{field} must be {must_be}"),
            Self::OutOfBounds { field, accepted } => {
                write!(f, "{field} is outside what is accepted: {accepted}")
            }
            Self::WrongPassword => f.write_str(
                "the password is not the one this keystore was written with (or its checksum is \
                 damaged)",
            ),
            Self::NotASecretKey(error) => {
                write!(f, "it opened, but holds no BLS12-381 secret key: {error}")
            }
            Self::OtherPublicKey { stated, derived } => write!(
                f,
                "it says that it holds {stated}, but holds the secret of {derived}: do not use it \
                 before you know why"
            ),
            Self::Randomness(error) => {
                write!(f, "the operating system gave no randomness ({error}); nothing was written")
            }
        }
    }
}

impl std::error::Error for KeystoreError {}
