//! What a home pins of a chain, and what "near the present" means on it.
//!
//! Invariant: a chain's genesis hash names it; two chains with one hash are one chain.

use palisade_protect::{Digest, Slot};

use crate::{DiscoveryPolicy, PayloadError};

/// The width of a chain's block numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockNumberBits {
    /// 32 bits: Polkadot, Kusama and most others.
    U32,
    /// 64 bits.
    U64,
}

/// One chain that a home signs for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The operator's name for it.
    pub name: String,
    /// The hash of its first block.
    pub genesis: Digest,
    /// The slot duration, in milliseconds; at least 1.
    pub slot_ms: u64,
    /// The width of its block numbers.
    pub block_number: BlockNumberBits,
    /// What its validators may say of where they are; without it they say nothing.
    pub discovery: Option<DiscoveryPolicy>,
}

/// How far from the present slot a message may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Slots before the present one.
    pub past: u64,
    /// Slots after the present one.
    pub future: u64,
}

impl Chain {
    /// The slot of a time, in milliseconds since the Unix epoch (`sp_consensus_slots::Slot`,
    /// `from_timestamp`).
    #[must_use]
    pub fn slot_at(&self, unix_ms: u64) -> Slot {
        Slot(unix_ms / self.slot_ms.max(1))
    }
}

impl Window {
    /// A seal: a block that took long to build is sealed some slots late, and a node's clock may
    /// run ahead a little.
    pub const SEAL: Self = Self { past: 16, future: 2 };
    /// BABE's verifiable random function: whoever has its outputs for later slots knows who leads.
    pub const VRF: Self = Self { past: 2, future: 2 };

    /// Is `asked` near `present`?
    ///
    /// # Errors
    /// [`PayloadError::SlotNotNear`].
    pub fn check(self, asked: Slot, present: Slot) -> Result<(), PayloadError> {
        let earliest = present.0.saturating_sub(self.past);
        let latest = present.0.saturating_add(self.future);
        if earliest <= asked.0 && asked.0 <= latest {
            return Ok(());
        }
        Err(PayloadError::SlotNotNear { asked, present })
    }
}
