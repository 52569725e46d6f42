//! The tamper-evident history of all decisions, and its replay through the same rules.
//!
//! An [`Entry`] holds what one durable write decided. Each entry's head digest covers the head
//! before it, so that changing, dropping or reordering an entry breaks every later head:
//! `head = SHA-256("palisade/journal/v1" ‖ previous head ‖ encoded entry)`; the first previous head
//! is [`GENESIS`].
//!
//! Invariants: an entry is written in one encoding (version 1), frozen by tests; replaying a whole
//! journal gives exactly the records that the ledger holds, and every permitted duty passes
//! [`decide`](crate::decide) again.
//!
//! What it does not stop: whoever can replace the whole file can write another consistent history.
//! Keep the head digest elsewhere (`journal verify` prints it).

mod entry;
mod replay;

pub use entry::{Entry, EntryError, Event, GENESIS, chain};
pub use replay::{Replay, ReplayError};
