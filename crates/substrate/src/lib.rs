//! What a Substrate node asks to have signed: bytes to an [`Intent`](palisade_protect::Intent) and
//! the [`Message`](palisade_protect::Message) that a signature covers.
//!
//! - [`announcement`] reads an unsealed header; [`Announcement::seal`] is the duty to seal it.
//! - [`BlockBody`] is what came with it: extrinsics, storage proof and parent, checked.
//! - [`grandpa_vote`], [`beefy_commitment`], [`babe_vrf`], [`ownership`] are the other duties.
//! - [`para_statement`] is what a validator says of parachains.
//! - [`authority_record`] is where a validator says that it can be reached.
//! - [`Chain`] is what the home pins of a chain, and tells the slot of a time.
//! - [`account`] reads the owner of session keys as people write it.
//! - [`metadata`] finds that call in a runtime, and the keys that it takes.
//! - [`session`] writes session keys and the call that announces them.
//!
//! # Invariants
//! - Intent and message come from the same bytes; nothing is signed that was not read here.
//! - A payload has exactly one reading: left-over bytes, unknown tags and integers that are not in
//!   their shortest form are refused.
//! - No I/O, no clock: the present slot is an argument ([`Window::check`]).
//! - No input makes a function here panic, or reserve more than a bounded multiple of its length.
//!
//! Sources: Polkadot protocol specification, sections "Block format", "Finality" and "Bridge
//! design (BEEFY)"; the layouts of `sp-runtime`, `sp-consensus-babe`, `sp-consensus-aura`,
//! `sp-consensus-grandpa` and `sp-consensus-beefy`.
#![forbid(unsafe_code)]

mod account;
mod body;
mod chain;
mod discovery;
mod error;
mod header;
pub mod metadata;
mod multiaddr;
mod para;
pub mod session;
mod trie;
mod vote;
mod vrf;

pub use account::{AccountError, account};
pub use body::{BlockBody, GivenBody, MAX_PART_BYTES};
pub use chain::{BlockNumberBits, Chain, Window};
pub use discovery::{DiscoveryPolicy, authority_record};
pub use error::PayloadError;
pub use header::{Announcement, Engine, announcement};
pub use multiaddr::{AddressRule, PeerId};
pub use para::{JudgedParts, para_statement};
pub use vote::{Judged, Ownership, beefy_commitment, grandpa_vote, mmr_commitment, ownership};
pub use vrf::babe_vrf;
