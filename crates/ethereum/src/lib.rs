//! Ethereum at the guard's edge: what a request asks for, and what would be signed for it.
//!
//! - [`parse_request`] and [`parse_batch`] reduce the bytes of a Web3Signer request to a
//!   [`SigningRequest`]: its duty and its signing root, both read from one decoded value.
//! - [`Network`] and [`Preset`] are the chains' constants as data, built in or from a file in the
//!   form of `config.yaml`.
//! - [`interchange`] reads and writes slashing protection histories (EIP-3076, version 5).
//!
//! # Invariants
//! - A signing root that a client sends along is compared, never used.
//! - A value has one spelling: integers are canonical decimal strings, byte strings are `0x` and
//!   hex of the exact length. Every list is bounded by the limit of its SSZ type, or by the
//!   protocol's limit where the type has none.
//! - Foreign bytes never cause a panic, and an error never repeats more of them than a short
//!   excerpt.
//! - No I/O but the reader and writer that a caller passes in; no clock, no randomness.
//!
//! What this crate does not decide: whether the genesis validators root of a request is the
//! pinned one, whether a client may ask, and whether the duty is slashable.
#![forbid(unsafe_code)]

mod containers;
mod domain;
mod error;
mod hex;
mod integer;
pub mod interchange;
mod network;
mod preset;
mod progressive;
mod public_key;
mod request;

pub use error::RequestError;
pub use network::{Network, NetworkError};
pub use preset::Preset;
pub use public_key::{PublicKey, PublicKeyError};
pub use request::{
    BatchRequest, MAX_IDENTIFIERS, SigningRequest, SigningType, parse_batch, parse_request,
};
