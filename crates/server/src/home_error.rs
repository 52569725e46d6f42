//! Why a home cannot be made, opened or served, sorted by what is to be done next.
//!
//! Invariant: a guard that finds damage ends, for a service manager, as one that a person must look
//! at.

use std::fmt;

use palisade_keys::VaultError;
use palisade_store::{LockError, StoreError};

use crate::config;

/// A home cannot be made or opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum HomeError {
    /// What was asked, or what the operator wrote, cannot be right.
    Configuration(String),
    /// Another process uses the home.
    InUse(LockError),
    /// The disk, the store or the vault said no.
    CouldNot(String),
    /// The store or the vault does not hold what was written to it: trying again does not help.
    Damaged(String),
    /// The guard ended itself, or did not start, and must not start again before somebody has
    /// looked.
    Unsafe(String),
}

impl fmt::Display for HomeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration(message)
            | Self::CouldNot(message)
            | Self::Damaged(message)
            | Self::Unsafe(message) => f.write_str(message),
            Self::InUse(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for HomeError {}

impl HomeError {
    /// As a guard ends by it that a service manager would start again: what is damaged stays so,
    /// and a person must look first.
    #[must_use]
    pub(crate) fn for_a_service_manager(self) -> Self {
        match self {
            Self::Damaged(message) => Self::Unsafe(message),
            other => other,
        }
    }
}

impl From<StoreError> for HomeError {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        if matches!(error, StoreError::Damaged(_)) {
            Self::Damaged(message)
        } else {
            Self::CouldNot(message)
        }
    }
}

impl From<VaultError> for HomeError {
    fn from(error: VaultError) -> Self {
        let message = error.to_string();
        if matches!(error, VaultError::Damaged { .. }) {
            Self::Damaged(message)
        } else {
            Self::CouldNot(message)
        }
    }
}

impl From<config::ConfigError> for HomeError {
    fn from(error: config::ConfigError) -> Self {
        Self::Configuration(error.to_string())
    }
}
