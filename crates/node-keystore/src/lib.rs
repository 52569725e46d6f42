//! What a Substrate node adds to its `service.rs` so that its session keys stay in a Palisade
//! guard.
//!
//! - [`RemoteKeystore`] implements `sp_keystore::Keystore`. Keys are listed from a cache; each
//!   signature is asked for by what it means (a vote, a seal, a commitment), never as raw bytes.
//! - [`AnnouncingEnvironment`] wraps the proposer: each block is announced, with its storage proof,
//!   before it can be sealed.
//! - [`shield_voter`] wraps the GRANDPA voter: the node lives on when a vote is not signed. Read
//!   [`grandpa`] for what happens then, and why.
//!
//! The connection is one WebSocket, which either side may open. Calls block the calling thread
//! within the bounds of [`GuardConfig`]; they are made from the threads that upstream gives to
//! block authoring and to the voter. Authority discovery calls from a shared worker thread, at most
//! a few times in ten minutes.
//!
//! Invariants: no secret is ever here; nothing is signed that this crate has no name for; only a
//! guard's answer changes the list of keys.

pub mod announce;
pub mod beefy;
mod cache;
#[cfg(feature = "client")]
pub mod client;
pub mod config;
mod dial;
mod duty;
pub mod grandpa;
mod hub;
mod implementation;
mod keystore;
mod link;
mod metrics;
mod session;
mod tls;
mod vrf;
mod wire;

pub use announce::{AnnouncingEnvironment, Author, AuthorLookup};
pub use beefy::CommitmentSource;
#[cfg(feature = "aura")]
pub use client::AuraAuthors;
#[cfg(feature = "beefy")]
pub use client::HeaderCommitments;
#[cfg(feature = "client")]
pub use client::{BabeAuthors, ClientEpochs};
pub use config::{ClientTls, ConfigError, Guard, GuardConfig, Listen, ServerTls, Token};
pub use grandpa::{LostVote, shield_voter};
pub use keystore::{RemoteKeystore, SessionKeys};
pub use metrics::{LATENCY_BOUNDS_MS, Metrics};
pub use vrf::EpochSource;
pub use wire::GuardError;

/// The target of all log lines.
const LOG: &str = "palisade";
