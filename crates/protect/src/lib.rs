//! The rules that keep a validator from being slashed, and the only way to a signature.
//!
//! A chain adapter reduces a request to an [`Intent`]. A [`Ledger`] holds one [`Record`] for each
//! key, and a [`Stance`] for each candidate that a key spoke about. [`decide_with_stance`] says, by
//! value, whether they allow the intent. [`authorise`] decides a
//! batch, makes the result durable, and only then hands out [`Permit`]s; whoever signs asks for a
//! permit and consumes it.
//!
//! # Invariants
//! - No I/O, clock, randomness or async: everything arrives as an argument.
//! - Only [`authorise`] makes a [`Permit`]: after [`Ledger::persist`] returned `Ok`, or at once for
//!   what the durable record allows without a change (the last message again, harmless duties).
//! - A record only ever grows stricter ([`Record::merge_stricter`], [`decide`]).
//! - A refusal ([`Refusal`]) and a failure ([`Denied::Failed`]) are different types, and neither
//!   leads to a signature.
//! - The journal is enough to compute every record again ([`journal::Replay`]).
//!
//! What this crate does not stop: a [`Ledger`] that lies. Only `store` may implement one outside
//! tests; a test of the workspace checks that.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(all(feature = "danger-no-protection", not(debug_assertions)))]
compile_error!("danger-no-protection removes every rule: it exists in debug builds only");

extern crate alloc;

mod codec;
mod intent;
pub mod journal;
mod key_type;
mod message;
mod permit;
mod record;
mod refusal;
mod rules;
mod statement;
mod substrate;

pub use intent::{Digest, Duty, Epoch, Intent, KeyId, Slot};
pub use key_type::KeyType;
pub use message::{BabeVrf, Message};
pub use permit::{Changes, Denied, Ledger, Permit, authorise};
pub use record::{Attestation, Bound, EthereumRecord, Proposal, Record, RecordError, StopLine};
pub use refusal::{Evidence, Refusal, RefusalKind};
pub use rules::{PROTECTION_IS_ON, decide, decide_with_stance};
pub use statement::{
    MAX_CANDIDATES_A_SESSION, OpenSessions, REMEMBERED_SESSIONS, Stance, Statement, Subject,
};
pub use substrate::{
    BeefyVote, GrandpaStage, GrandpaVote, Seal, SubstrateHistory, SubstrateRecord,
};
