//! The SSZ containers that requests are made of, as JSON gives them and as they are hashed.
//!
//! Invariant: fields stand in the order of the specification, because that order is what a root
//! depends on; their JSON may come in any order. Unknown JSON fields are ignored, as Web3Signer
//! does; a known field that is given twice is an error.

pub(crate) mod altair;
pub(crate) mod attestation;
pub(crate) mod block;
pub(crate) mod execution;
pub(crate) mod gloas;
pub(crate) mod operations;

use crate::hex::HexBytes;

/// A hash tree root, or any other 32 bytes.
pub(crate) type Root = HexBytes<32>;
/// A compressed BLS signature.
pub(crate) type Signature = HexBytes<96>;
/// An address of the execution layer.
pub(crate) type ExecutionAddress = HexBytes<20>;
