//! Votes of GRANDPA and BEEFY, and the proof that a session key is its owner's.
//!
//! Invariants: a vote's place and its digest come from the same bytes; each layout has one length
//! for each width of block numbers, so that no vote of one chain reads as one of another.

use palisade_protect::{Duty, GrandpaStage, Intent, Message};
use parity_scale_codec::{Decode, Encode};

use crate::{BlockNumberBits, Chain, PayloadError};

const VOTE: &str = "GRANDPA vote";
const COMMITMENT: &str = "BEEFY commitment";
/// A commitment has 48 bytes with its one usual payload.
const MAX_COMMITMENT_BYTES: usize = 4 << 10;
const MAX_OWNER_BYTES: usize = 64;
/// The length of what a seal signs.
const PRE_HASH_BYTES: usize = 32;
const OWNERSHIP_PREFIX: &[u8] = b"POP_";

/// A duty with the message that its signature covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged<'a> {
    /// What the rules need.
    pub intent: Intent,
    /// What is signed.
    pub message: Message<'a>,
}

impl<'a> Judged<'a> {
    pub(crate) fn new(duty: Duty, message: Message<'a>) -> Self {
        Self { intent: Intent { duty, digest: message.digest() }, message }
    }
}

/// Reads the payload of a GRANDPA vote (`sp_consensus_grandpa::localized_payload`): stage 1, target
/// hash 32, target number 4 or 8, round 8, set id 8; little-endian, 53 or 57 bytes.
///
/// # Errors
/// [`PayloadError`] when it is anything else.
pub fn grandpa_vote<'a>(payload: &'a [u8], chain: &Chain) -> Result<Judged<'a>, PayloadError> {
    let malformed = |problem| PayloadError::malformed(VOTE, problem);
    let number_bytes = match chain.block_number {
        BlockNumberBits::U32 => 4,
        BlockNumberBits::U64 => 8,
    };
    if payload.len() != 1 + 32 + number_bytes + 16 {
        return Err(malformed("it has 53 bytes on a chain with 32-bit block numbers, 57 with 64"));
    }
    let cut = || malformed("it is cut short");
    let stage = payload.first().copied().ok_or_else(cut)?;
    let stage = GrandpaStage::from_byte(stage).ok_or_else(|| malformed("its stage is unknown"))?;
    let (rest, set_id) = payload.split_last_chunk::<8>().ok_or_else(cut)?;
    let (_, round) = rest.split_last_chunk::<8>().ok_or_else(cut)?;
    let (round, set_id) = (u64::from_le_bytes(*round), u64::from_le_bytes(*set_id));
    Ok(Judged::new(Duty::GrandpaVote { stage, set_id, round }, Message::Payload(payload)))
}

/// Reads a BEEFY commitment (`sp_consensus_beefy::Commitment`): payload entries, block number,
/// validator set id.
///
/// # Errors
/// [`PayloadError`] when it is not exactly one, with its entries sorted and each once.
pub fn beefy_commitment<'a>(
    commitment: &'a [u8],
    chain: &Chain,
) -> Result<Judged<'a>, PayloadError> {
    let malformed = |problem| PayloadError::malformed(COMMITMENT, problem);
    if MAX_COMMITMENT_BYTES < commitment.len() {
        return Err(PayloadError::TooLong { what: COMMITMENT, most: MAX_COMMITMENT_BYTES });
    }
    let cut = |_| malformed("it does not decode as SCALE");
    let mut rest = commitment;
    let entries = Vec::<([u8; 2], Vec<u8>)>::decode(&mut rest).map_err(cut)?;
    let block = match chain.block_number {
        BlockNumberBits::U32 => u32::decode(&mut rest).map_err(cut)?.into(),
        BlockNumberBits::U64 => u64::decode(&mut rest).map_err(cut)?,
    };
    let set_id = u64::decode(&mut rest).map_err(cut)?;
    if !rest.is_empty() {
        return Err(malformed("bytes are left over behind it"));
    }
    if entries.is_empty() {
        return Err(malformed("it commits to nothing"));
    }
    if !entries.is_sorted_by(|(one, _), (next, _)| one < next) {
        return Err(malformed("its entries are not sorted, or one stands twice"));
    }
    Ok(Judged::new(Duty::BeefyVote { set_id, block }, Message::Keccak(commitment)))
}

/// The proof that a session key belongs to an account (`sp_core::proof_of_possession`): `"POP_"`
/// and the owner's account, as it is encoded on the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ownership(Vec<u8>);

/// The statement that a session key signs for `owner`.
///
/// # Errors
/// [`PayloadError`] for an owner that is empty or longer than an account, or of 28 bytes: the
/// statement would have a pre-hash's length, and its signature would be a seal.
pub fn ownership(owner: &[u8]) -> Result<Ownership, PayloadError> {
    if owner.is_empty() || MAX_OWNER_BYTES < owner.len() {
        let problem = "an account has 1 to 64 bytes; most have 32";
        return Err(PayloadError::malformed("proof of possession", problem));
    }
    if OWNERSHIP_PREFIX.len() + owner.len() == PRE_HASH_BYTES {
        let problem = "for an account of 28 bytes it would be a seal of a block as well";
        return Err(PayloadError::malformed("proof of possession", problem));
    }
    Ok(Ownership([OWNERSHIP_PREFIX, owner].concat()))
}

impl Ownership {
    /// The bytes that are signed.
    #[must_use]
    pub fn statement(&self) -> &[u8] {
        &self.0
    }

    /// The duty: an owner cannot be taken back once the chain has it.
    #[must_use]
    pub fn judged(&self) -> Judged<'_> {
        Judged::new(Duty::Irrevocable, Message::Payload(&self.0))
    }
}

/// The bytes of a commitment with the one usual entry, the root of the Merkle mountain range.
#[must_use]
pub fn mmr_commitment(root: [u8; 32], block: u32, set_id: u64) -> Vec<u8> {
    (vec![(*b"mh", root.to_vec())], block, set_id).encode()
}
