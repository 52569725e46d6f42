//! What a signature covers on chains whose messages are not all 32 bytes long.
//!
//! Invariants: an [`Intent`](crate::Intent) for such a message carries [`Message::digest`], so its
//! permit names the very bytes; the digest is separated by kind, so that a permit for one kind of
//! message buys no signature of another; `keys` signs no payload of a pre-hash's length, which the
//! bytes alone could not tell from a seal. Only a pre-hash stands for itself, and whoever signs one
//! signs it as it is.
//!
//! A message that takes several decisions (an approval of several candidates) has one intent for
//! each, with [`Message::part_digest`]: whoever signs it needs the permits of all parts, and the
//! permit of a part alone is for no message.

use sha2::{Digest as _, Sha256};

use crate::Digest;

const PAYLOAD_DOMAIN: &[u8] = b"palisade/payload/v1";
const KECCAK_DOMAIN: &[u8] = b"palisade/keccak/v1";
const BABE_VRF_DOMAIN: &[u8] = b"palisade/babe-vrf/v1";
const PART_DOMAIN: &[u8] = b"palisade/part/v1";

/// A message, as far as whoever signs has to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message<'a> {
    /// The BLAKE2b-256 hash of an unsealed header: what a BABE or Aura seal signs.
    PreHash([u8; 32]),
    /// Bytes that are signed as they are: GRANDPA votes, authority records, ownership proofs.
    Payload(&'a [u8]),
    /// Bytes whose Keccak-256 hash is signed: BEEFY commitments.
    Keccak(&'a [u8]),
    /// The input of BABE's verifiable random function.
    BabeVrf(BabeVrf),
}

/// The input of BABE's verifiable random function
/// (`sp-consensus-babe`, `make_vrf_transcript`; Polkadot specification, section "Block production
/// lottery").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BabeVrf {
    /// The slot, counted from the Unix epoch in units of the chain's slot duration.
    pub slot: u64,
    /// The index of the epoch.
    pub epoch: u64,
    /// The epoch's randomness.
    pub randomness: [u8; 32],
}

impl Message<'_> {
    /// The digest that an intent and its permit carry for this message.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let hasher = match self {
            Self::PreHash(hash) => return Digest(*hash),
            Self::Payload(bytes) => Sha256::new().chain_update(PAYLOAD_DOMAIN).chain_update(bytes),
            Self::Keccak(bytes) => Sha256::new().chain_update(KECCAK_DOMAIN).chain_update(bytes),
            Self::BabeVrf(input) => Sha256::new()
                .chain_update(BABE_VRF_DOMAIN)
                .chain_update(input.slot.to_le_bytes())
                .chain_update(input.epoch.to_le_bytes())
                .chain_update(input.randomness),
        };
        Digest(hasher.finalize().into())
    }

    /// The digest that the intent number `part`, from 0, of `parts` carries for this message.
    #[must_use]
    pub fn part_digest(&self, part: u8, parts: u8) -> Digest {
        let hasher = Sha256::new().chain_update(PART_DOMAIN).chain_update(self.digest().0);
        Digest(hasher.chain_update([part, parts]).finalize().into())
    }
}
