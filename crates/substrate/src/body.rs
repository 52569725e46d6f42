//! What stands behind an announced header: extrinsics, storage proof, parent. Each may be absent.
//!
//! Invariants: a [`BlockBody`] was checked against the header that it came with, once and for
//! all: the extrinsics have the header's root, the parent has the hash that the header names and
//! the number before it; what no hash in the header covers (the proof) has its form at least.
//! The bytes are kept as they came and walked in place, so that a million empty items take no more
//! memory than their bytes.
//!
//! Source: `frame_system`, `extrinsics_data_root`, in both state versions; `sp_trie::StorageProof`.

use palisade_protect::Digest;
use parity_scale_codec::{Compact, Decode as _};

use crate::header::{self, Header};
use crate::trie::{Layout, blake2_256, ordered_root};
use crate::{Announcement, Chain, PayloadError};

const EXTRINSICS: &str = "list of extrinsics";
const PROOF: &str = "storage proof";
const PARENT: &str = "parent header";

/// The longest extrinsics, and the longest proof: what a relay chain takes of a parachain's block.
pub const MAX_PART_BYTES: usize = 10 << 20;
/// A transfer has more than a hundred bytes, and the largest blocks have ten million.
const MAX_EXTRINSICS: usize = 1 << 17;

/// The parts as they came.
#[derive(Clone, Debug, Default)]
pub struct GivenBody {
    /// SCALE `Vec` of the extrinsics, each behind its length.
    pub extrinsics: Option<Vec<u8>>,
    /// SCALE `Vec<Vec<u8>>` of the trie nodes that the block read of its parent's state.
    pub storage_proof: Option<Vec<u8>>,
    /// The parent's header, sealed.
    pub parent_header: Option<Vec<u8>>,
}

/// The parts of a block, checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockBody {
    extrinsics: Option<Vec<u8>>,
    storage_proof: Option<Vec<u8>>,
    parent_header: Option<Vec<u8>>,
}

impl GivenBody {
    /// How many bytes there are to be read.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let parts = [&self.extrinsics, &self.storage_proof, &self.parent_header];
        parts.into_iter().flatten().map(Vec::len).sum()
    }
}

impl BlockBody {
    /// Checks the parts of a block against its header.
    ///
    /// # Errors
    /// [`PayloadError`] when a part has not its form or its bounds, or is another block's.
    pub fn check(
        header: &Announcement,
        given: GivenBody,
        chain: &Chain,
    ) -> Result<Self, PayloadError> {
        if let Some(extrinsics) = &given.extrinsics {
            check_extrinsics(header, extrinsics)?;
        }
        if let Some(proof) = &given.storage_proof {
            walk(PROOF, proof, usize::MAX, |_, _| {})?;
        }
        if let Some(parent) = &given.parent_header {
            check_parent(header, parent, chain)?;
        }
        let GivenBody { extrinsics, storage_proof, parent_header } = given;
        Ok(Self { extrinsics, storage_proof, parent_header })
    }

    /// How many bytes are kept.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let parts = [&self.extrinsics, &self.storage_proof, &self.parent_header];
        parts.into_iter().flatten().map(Vec::len).sum()
    }

    /// The extrinsics as the runtime's `Core_execute_block` takes them.
    #[must_use]
    pub fn extrinsics(&self) -> Option<&[u8]> {
        self.extrinsics.as_deref()
    }

    /// The nodes of the storage proof, in their order.
    pub fn proof_nodes(&self) -> Option<Vec<&[u8]>> {
        let mut nodes = Vec::new();
        let proof = self.storage_proof.as_deref()?;
        walk(PROOF, proof, usize::MAX, |_, node| nodes.push(node)).ok()?;
        Some(nodes)
    }

    /// The parent's header, sealed.
    #[must_use]
    pub fn parent_header(&self) -> Option<&[u8]> {
        self.parent_header.as_deref()
    }
}

fn check_extrinsics(header: &Announcement, bytes: &[u8]) -> Result<(), PayloadError> {
    let mut items = Vec::new();
    walk(EXTRINSICS, bytes, MAX_EXTRINSICS, |whole, _| items.push(whole))?;
    let roots = || {
        let layouts = [Layout::Inline, Layout::Hashed].into_iter();
        layouts.map(|layout| Digest(ordered_root(&items, layout)))
    };
    if roots().any(|root| root == header.extrinsics_root) {
        return Ok(());
    }
    let given = roots().next().unwrap_or(Digest([0; 32]));
    Err(PayloadError::OtherExtrinsics { in_header: header.extrinsics_root, given })
}

fn check_parent(header: &Announcement, bytes: &[u8], chain: &Chain) -> Result<(), PayloadError> {
    let Header { number, .. } = header::read(PARENT, bytes, chain)?;
    let given = Digest(blake2_256(bytes));
    if given == header.parent_hash && number.checked_add(1) == Some(header.number) {
        return Ok(());
    }
    Err(PayloadError::OtherParent {
        in_header: header.parent_hash,
        block: header.number,
        given,
        given_block: number,
    })
}

/// Shows each item of a SCALE `Vec<Vec<u8>>` with and without its length, in order.
fn walk<'a>(
    what: &'static str,
    bytes: &'a [u8],
    most: usize,
    mut see: impl FnMut(&'a [u8], &'a [u8]),
) -> Result<(), PayloadError> {
    if MAX_PART_BYTES < bytes.len() {
        return Err(PayloadError::TooLong { what, most: MAX_PART_BYTES });
    }
    let cut = || PayloadError::malformed(what, "it does not decode as SCALE");
    let mut rest = bytes;
    let length = |rest: &mut &[u8]| -> Result<usize, PayloadError> {
        let length = Compact::<u32>::decode(rest).map_err(|_| cut())?;
        usize::try_from(length.0).map_err(|_| cut())
    };
    let number = length(&mut rest)?;
    if most < number {
        return Err(PayloadError::malformed(what, "it has more items than any block"));
    }
    for _ in 0..number {
        let from = rest;
        let length = length(&mut rest)?;
        let (item, behind) = rest.split_at_checked(length).ok_or_else(cut)?;
        rest = behind;
        let whole = from.len() - behind.len();
        see(from.get(..whole).ok_or_else(cut)?, item);
    }
    if rest.is_empty() {
        return Ok(());
    }
    Err(PayloadError::malformed(what, "bytes are left over behind it"))
}
