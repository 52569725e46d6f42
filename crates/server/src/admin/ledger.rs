//! The store, from wherever work is done: in hand on a stopped home, behind the ledger's thread of
//! a guard that serves.
//!
//! Invariant: what is slow and needs no store stays with the caller, so that signatures of other
//! keys do not wait for it.

use palisade_store::{LedgerHandle, Store};

use super::AdminError;

/// Where the store is.
pub(super) enum Ledger<'a> {
    /// Here.
    InHand(&'a mut Store),
    /// On a thread that others ask as well.
    Shared(&'a LedgerHandle),
}

impl Ledger<'_> {
    /// Does one thing between two commits.
    pub(super) fn call<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Store) -> T + Send + 'static,
    ) -> Result<T, AdminError> {
        match self {
            Self::InHand(store) => Ok(work(store)),
            Self::Shared(ledger) => ledger.call(work).map_err(|error| AdminError::store(&error)),
        }
    }
}
