//! Why something was not done, as the command line and the key manager API tell it.
//!
//! Invariant: an error never holds a secret; its code is stable, its fault decides the exit status.

use palisade_store::StoreError;
use serde::{Deserialize, Serialize};

/// Why it was not done. Nothing is half-done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminError {
    /// By whose fault; decides the exit status.
    pub fault: Fault,
    /// A stable kebab-case name.
    pub code: String,
    /// What happened, and what to do next.
    pub message: String,
}

/// By whose fault something was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// What was asked cannot be right.
    Usage,
    /// A rule says no.
    Refused,
    /// The disk, the store or the guard could not do it.
    CouldNot,
}

impl AdminError {
    /// What was asked cannot be right.
    #[must_use]
    pub fn usage(code: &str, message: impl Into<String>) -> Self {
        Self { fault: Fault::Usage, code: code.to_owned(), message: message.into() }
    }

    /// A rule says no.
    #[must_use]
    pub fn refused(code: &str, message: impl Into<String>) -> Self {
        Self { fault: Fault::Refused, code: code.to_owned(), message: message.into() }
    }

    /// It could not be done.
    #[must_use]
    pub fn could_not(code: &str, message: impl Into<String>) -> Self {
        Self { fault: Fault::CouldNot, code: code.to_owned(), message: message.into() }
    }

    /// The store's failure.
    #[must_use]
    pub fn store(error: &StoreError) -> Self {
        Self::could_not(error.code(), error.to_string())
    }

    /// The vault's failure.
    #[must_use]
    pub fn vault(error: palisade_keys::VaultError) -> Self {
        Self::could_not("vault-unavailable", error.to_string())
    }
}

impl std::fmt::Display for AdminError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for AdminError {}
