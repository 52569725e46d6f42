//! Slashing protection histories in the interchange format (EIP-3076, version 5).
//!
//! A history is reduced to the record that the rules need while it is read: the highest slot and
//! the highest source and target epoch of each key, each on its own, without their signing roots.
//! This is EIP-3076's minimal strategy. A file that holds slashable messages is read like any
//! other, because what comes out of it forbids all of them.
//!
//! # Invariants
//! - Reading is all or nothing: an error anywhere, in the last byte too, yields no record.
//! - A file of another version or another chain is refused whole.
//! - Unknown fields are errors, as in Lighthouse: a misspelled `signed_blocks` that is ignored
//!   would be a history that is lost.
//! - Memory is bounded by the number of keys ([`MAX_KEYS`]), not by the file's size.

mod bounded;
mod error;
mod export;
mod import;

pub use error::InterchangeError;
pub use export::write;
pub use import::{MAX_KEYS, read};

/// The only version that is read and written.
pub const FORMAT_VERSION: &str = "5";
