//! Progressive Merkle trees (EIP-7916) and containers (EIP-7495), as Gloas hashes its new types.
//!
//! Source: consensus-specs `ssz/simple-serialize.md`, `merkleize_progressive`. The tree is a spine
//! of ordinary binary trees with 1, 4, 16, … leaves; each binary tree and each hash is computed by
//! `tree_hash`.

use tree_hash::{BYTES_PER_CHUNK, Hash256, merkle_root, mix_in_length};

/// How much larger each binary tree is than the one before.
const GROWTH: usize = 4;

/// The root of a progressive tree over `bytes`, padded to whole chunks.
pub(crate) fn progressive_root(bytes: &[u8]) -> Hash256 {
    let mut binary_roots = Vec::new();
    let (mut rest, mut leaves) = (bytes, 1_usize);
    while !rest.is_empty() {
        let taken = rest.len().min(leaves.saturating_mul(BYTES_PER_CHUNK));
        let (head, tail) = rest.split_at(taken);
        binary_roots.push(merkle_root(head, leaves));
        rest = tail;
        leaves = leaves.saturating_mul(GROWTH);
    }
    binary_roots.iter().rfold(Hash256::ZERO, |deeper, root| pair(root, &deeper))
}

/// The root of a `ProgressiveByteList`.
pub(crate) fn byte_list_root(bytes: &[u8]) -> Hash256 {
    mix_in_length(&progressive_root(bytes), bytes.len())
}

/// The root of a `ProgressiveBitList` of `length` bits in `bytes`, without the delimiting bit.
pub(crate) fn bit_list_root(bytes: &[u8], length: usize) -> Hash256 {
    let used = bytes.get(..length.div_ceil(8)).unwrap_or(bytes);
    mix_in_length(&progressive_root(used), length)
}

/// The root of a `ProgressiveList` of composite values.
pub(crate) fn list_root(element_roots: impl Iterator<Item = Hash256>) -> Hash256 {
    let chunks: Vec<u8> = element_roots.flat_map(|root| root.0).collect();
    mix_in_length(&progressive_root(&chunks), chunks.len() / BYTES_PER_CHUNK)
}

/// The root of a `ProgressiveContainer` whose fields are all active.
pub(crate) fn container_root<const N: usize>(field_roots: [Hash256; N]) -> Hash256 {
    let chunks: Vec<u8> = field_roots.iter().flat_map(|root| root.0).collect();
    let mut active_fields = [0_u8; BYTES_PER_CHUNK];
    for (index, byte) in active_fields.iter_mut().enumerate() {
        let here = N.saturating_sub(8 * index).min(8);
        *byte = (0..here).fold(0, |bits, bit| bits | (1 << bit));
    }
    pair(&progressive_root(&chunks), &Hash256::from(active_fields))
}

fn pair(left: &Hash256, right: &Hash256) -> Hash256 {
    let mut both = [0; 2 * BYTES_PER_CHUNK];
    let (first, second) = both.split_at_mut(BYTES_PER_CHUNK);
    first.copy_from_slice(&left.0);
    second.copy_from_slice(&right.0);
    merkle_root(&both, 2)
}
