//! Why a payload was not read: the node's fault, or a message that is not for now.
//!
//! Invariant: codes never change meaning; no error repeats the payload.

use std::fmt;

use palisade_protect::{Digest, Slot};

/// A payload that is not what its method takes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PayloadError {
    /// Longer than any such payload.
    TooLong {
        /// What it should be.
        what: &'static str,
        /// The most bytes it may have.
        most: usize,
    },
    /// Not the layout of such a payload.
    Malformed {
        /// What it should be.
        what: &'static str,
        /// What does not hold.
        problem: &'static str,
    },
    /// The slot is not near the present one.
    SlotNotNear {
        /// The slot that was asked for.
        asked: Slot,
        /// The present slot by this guard's clock.
        present: Slot,
    },
    /// The extrinsics are not those of the header.
    OtherExtrinsics {
        /// The root in the header.
        in_header: Digest,
        /// The root of what was given.
        given: Digest,
    },
    /// The parent's header is not that of the block's parent.
    OtherParent {
        /// The hash that the header names.
        in_header: Digest,
        /// The block's number.
        block: u64,
        /// The hash of what was given.
        given: Digest,
        /// The number in it.
        given_block: u64,
    },
    /// The operator does not let a validator say that it is there.
    AddressNotAllowed {
        /// The address.
        address: String,
    },
    /// The peer id is not one of the operator's nodes.
    PeerNotAllowed {
        /// The peer id.
        peer: String,
    },
    /// A record was not made now.
    TimeNotNear {
        /// When it says that it was made, in milliseconds since the Unix epoch.
        asked_unix_ms: u64,
        /// The present by this guard's clock.
        present_unix_ms: u64,
    },
}

impl PayloadError {
    /// The stable kebab-case name.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "payload-too-long",
            Self::Malformed { .. } => "malformed-payload",
            Self::SlotNotNear { .. } => "slot-not-near-now",
            Self::OtherExtrinsics { .. } => "extrinsics-of-another-block",
            Self::OtherParent { .. } => "parent-of-another-block",
            Self::AddressNotAllowed { .. } => "address-not-allowed",
            Self::PeerNotAllowed { .. } => "peer-not-allowed",
            Self::TimeNotNear { .. } => "time-not-near-now",
        }
    }

    /// Whether the payload is what it should be, and is refused for what it says.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::TooLong { .. } | Self::Malformed { .. } => false,
            Self::SlotNotNear { .. }
            | Self::OtherExtrinsics { .. }
            | Self::OtherParent { .. }
            | Self::AddressNotAllowed { .. }
            | Self::PeerNotAllowed { .. }
            | Self::TimeNotNear { .. } => true,
        }
    }

    pub(crate) fn malformed(what: &'static str, problem: &'static str) -> Self {
        Self::Malformed { what, problem }
    }
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { what, most } => {
                write!(f, "the {what} is longer than {most} bytes; nothing was signed")
            }
            Self::Malformed { what, problem } => write!(
                f,
                "the payload is not a {what}: {problem}; check that the node and the guard agree \
                 on the chain (`palisade chain list`)"
            ),
            Self::SlotNotNear { asked, present } => write!(
                f,
                "slot {asked} is not near the present slot {present}; check the clocks of the \
                 node and of the guard, and the slot duration of the chain"
            ),
            Self::OtherExtrinsics { in_header, given } => write!(
                f,
                "refused: the extrinsics have the root {given}, and the header's is {in_header}; \
                 the node announced parts of two blocks, look at who asks"
            ),
            Self::OtherParent { in_header, block, given, given_block } => write!(
                f,
                "refused: the header of block {block} names the parent {in_header}, and the \
                 parent given is block {given_block} with hash {given}; the node announced parts \
                 of two blocks, look at who asks"
            ),
            Self::AddressNotAllowed { address } => write!(
                f,
                "refused: {address} is not an address that this chain's authority_discovery \
                 allows; if it is your node's, add it to `addresses` in palisade.toml and restart \
                 the guard, and if not, look at who asks"
            ),
            Self::PeerNotAllowed { peer } => write!(
                f,
                "refused: {peer} is not a node that this chain's authority_discovery allows; if \
                 it is yours, add it to `peer_ids` in palisade.toml and restart the guard, and if \
                 not, look at who asks"
            ),
            Self::TimeNotNear { asked_unix_ms, present_unix_ms } => write!(
                f,
                "refused: the record was made at {asked_unix_ms} ms, which is not near the \
                 present {present_unix_ms} ms; check the clocks of the node and of the guard"
            ),
        }
    }
}

impl std::error::Error for PayloadError {}
