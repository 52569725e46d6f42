//! The durable ledger: what every key signed, on one file, before the signature exists.
//!
//! [`Store`] implements [`Ledger`](palisade_protect::Ledger) on redb. [`LedgerThread`] owns it
//! and groups whatever has queued into one commit. [`HomeLock`] keeps a home to one process.
//!
//! # Invariants
//! - Journal entry and records are written together, in one frame of the log or one transaction of
//!   the database, and are on disk (`fdatasync`) before anything that depends on them leaves.
//! - After one failed write the store is dead until it is opened anew.
//! - A store opens only when every row is the one that the last write left, and the newest
//!   journal entry matches the records.
//! - A record is never deleted and never made less strict; only the stop-line moves freely. A
//!   stance goes only when its session lies below what its key's record lets anybody speak about.
//!
//! What it does not stop: an older copy of the file put in its place, and a disk that says that
//! it has written what it has not.
#![forbid(unsafe_code)]

mod admin;
mod error;
mod journal;
mod layout;
mod ledger;
mod lock;
mod log;
mod logged;
mod newest_entry;
mod open;
mod refusals;
mod relocate;
mod stances;
mod statistics;
mod tables;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod thread;
mod upgrade;

pub use admin::{Admission, Admitted};
pub use error::{Damage, StoreError};
pub use journal::{FaultReason, JournalFault, JournalSummary, KeyInfo, Snapshot};
pub use ledger::Store;
pub use lock::{HomeLock, LockError};
pub use open::Creation;
pub use statistics::{BATCH_BOUNDS_INTENTS, CommitStatistics, LATENCY_BOUNDS_US};
pub use tables::Standing;
pub use thread::{Answers, LedgerHandle, LedgerThread, Limits, Overloaded};
