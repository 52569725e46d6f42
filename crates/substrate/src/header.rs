//! An unsealed header: which block, in which slot, and the hash that its seal will sign.
//!
//! Layout (`sp_runtime::generic::Header`): parent hash 32, compact block number, state root 32,
//! extrinsics root 32, digest items. The pre-hash is BLAKE2b-256 of these very bytes.
//!
//! Invariants: exactly one pre-runtime digest, of BABE or of Aura, in the exact length of its kind;
//! no seal; the header ends where its bytes end.

use palisade_protect::{Digest, Duty, Intent, Message, Slot};
use parity_scale_codec::{Compact, Decode};

use crate::trie::blake2_256;
use crate::{BlockNumberBits, Chain, Judged, PayloadError};

const WHAT: &str = "block header";
/// Real headers have 200 to 400 bytes; one that schedules a set of 1,000 authorities has 50 KB.
const MAX_BYTES: usize = 128 << 10;
const BABE: [u8; 4] = *b"BABE";
const AURA: [u8; 4] = *b"aura";
/// Pre-output 32 and proof 64.
const VRF_BYTES: usize = 96;

/// Who makes the blocks of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Slots by lottery.
    Babe,
    /// Slots by turns.
    Aura,
}

/// A header that a node wants to seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// What the seal signs.
    pub pre_hash: Digest,
    /// The engine of its pre-runtime digest.
    pub engine: Engine,
    /// The slot that it claims.
    pub slot: Slot,
    /// BABE's authority index; Aura's author follows from the slot.
    pub authority_index: Option<u32>,
    /// The block's number.
    pub number: u64,
    /// The hash of its parent.
    pub parent_hash: Digest,
    /// The root of its extrinsics.
    pub extrinsics_root: Digest,
}

/// A header, sealed or not.
pub(crate) struct Header {
    pub(crate) parent_hash: Digest,
    pub(crate) number: u64,
    pub(crate) extrinsics_root: Digest,
    items: Vec<DigestItem>,
}

/// `sp_runtime::generic::DigestItem`.
#[derive(Decode)]
#[allow(dead_code, reason = "some fields are read only to find where they end")]
enum DigestItem {
    #[codec(index = 0)]
    Other(Vec<u8>),
    #[codec(index = 4)]
    Consensus([u8; 4], Vec<u8>),
    #[codec(index = 5)]
    Seal([u8; 4], Vec<u8>),
    #[codec(index = 6)]
    PreRuntime([u8; 4], Vec<u8>),
    #[codec(index = 8)]
    RuntimeEnvironmentUpdated,
}

/// Reads an unsealed header.
///
/// # Errors
/// [`PayloadError`] when it is not exactly one of this chain's form.
pub fn announcement(header: &[u8], chain: &Chain) -> Result<Announcement, PayloadError> {
    let Header { parent_hash, number, extrinsics_root, items } = read(WHAT, header, chain)?;
    let (engine, slot, authority_index) = claim(items)?;
    let pre_hash = Digest(blake2_256(header));
    Ok(Announcement {
        pre_hash,
        engine,
        slot,
        authority_index,
        number,
        parent_hash,
        extrinsics_root,
    })
}

/// Reads a header that is sealed or not.
pub(crate) fn read(
    what: &'static str,
    header: &[u8],
    chain: &Chain,
) -> Result<Header, PayloadError> {
    if MAX_BYTES < header.len() {
        return Err(PayloadError::TooLong { what, most: MAX_BYTES });
    }
    let cut = |_| PayloadError::malformed(what, "it does not decode as SCALE");
    let mut rest = header;
    let parent_hash = Digest(<[u8; 32]>::decode(&mut rest).map_err(cut)?);
    let number = match chain.block_number {
        BlockNumberBits::U32 => Compact::<u32>::decode(&mut rest).map_err(cut)?.0.into(),
        BlockNumberBits::U64 => Compact::<u64>::decode(&mut rest).map_err(cut)?.0,
    };
    let _state_root = <[u8; 32]>::decode(&mut rest).map_err(cut)?;
    let extrinsics_root = Digest(<[u8; 32]>::decode(&mut rest).map_err(cut)?);
    let items = Vec::<DigestItem>::decode(&mut rest).map_err(cut)?;
    if !rest.is_empty() {
        return Err(PayloadError::malformed(what, "bytes are left over behind it"));
    }
    Ok(Header { parent_hash, number, extrinsics_root, items })
}

fn claim(items: Vec<DigestItem>) -> Result<(Engine, Slot, Option<u32>), PayloadError> {
    let malformed = |problem| PayloadError::malformed(WHAT, problem);
    let mut claim = None;
    for item in items {
        let (engine, payload) = match item {
            DigestItem::PreRuntime(engine, payload) => (engine, payload),
            DigestItem::Seal(..) => return Err(malformed("it has a seal already")),
            DigestItem::Consensus(..)
            | DigestItem::Other(_)
            | DigestItem::RuntimeEnvironmentUpdated => continue,
        };
        let found = match engine {
            BABE => babe_claim(&payload)?,
            AURA => aura_claim(&payload)?,
            // Others (a relay chain's number, say) ride along and claim no slot.
            _ => continue,
        };
        if claim.replace(found).is_some() {
            return Err(malformed("it has two pre-runtime digests that claim a slot"));
        }
    }
    claim.ok_or_else(|| malformed("no pre-runtime digest of BABE or Aura claims a slot"))
}

/// `sp_consensus_babe::digests::PreDigest`: 1 primary, 2 secondary plain, 3 secondary with VRF.
fn babe_claim(payload: &[u8]) -> Result<(Engine, Slot, Option<u32>), PayloadError> {
    let malformed = || PayloadError::malformed(WHAT, "its BABE pre-runtime digest is malformed");
    let (kind, rest) = payload.split_first().ok_or_else(malformed)?;
    let (index, rest) = rest.split_first_chunk::<4>().ok_or_else(malformed)?;
    let (slot, rest) = rest.split_first_chunk::<8>().ok_or_else(malformed)?;
    let expected = match kind {
        1 | 3 => VRF_BYTES,
        2 => 0,
        _ => return Err(malformed()),
    };
    if rest.len() != expected {
        return Err(malformed());
    }
    let slot = Slot(u64::from_le_bytes(*slot));
    Ok((Engine::Babe, slot, Some(u32::from_le_bytes(*index))))
}

fn aura_claim(payload: &[u8]) -> Result<(Engine, Slot, Option<u32>), PayloadError> {
    let slot = <[u8; 8]>::try_from(payload)
        .map_err(|_| PayloadError::malformed(WHAT, "its Aura pre-runtime digest is malformed"))?;
    Ok((Engine::Aura, Slot(u64::from_le_bytes(slot)), None))
}

impl Announcement {
    /// The duty to seal this header.
    #[must_use]
    pub fn seal(&self) -> Judged<'static> {
        let message = Message::PreHash(self.pre_hash.0);
        let duty = Duty::Seal { slot: self.slot };
        Judged { intent: Intent { duty, digest: message.digest() }, message }
    }
}
