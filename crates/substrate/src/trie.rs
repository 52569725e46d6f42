//! The root of a list of items, as `sp_trie::LayoutV0` and `LayoutV1` compute it for the extrinsics
//! of a block: a Patricia trie whose keys are the compact SCALE of the items' places.
//!
//! Invariants: no key here begins with another, because the first byte of a compact integer tells
//! its length; so no branch has a value, and a key of at most eight nibbles fits into a node's
//! first byte. The recursion is no deeper than a key is long.
//!
//! Source: Polkadot protocol specification, section "Merkle proof" (node headers, partial keys).

use blake2::digest::Digest as _;
use blake2::digest::consts::U32;
use parity_scale_codec::{Compact, Encode as _};

/// The nibbles of the longest key: a compact integer of four bytes.
const MAX_NIBBLES: usize = 8;
/// The shortest value that the second layout keeps out of its node.
const SEPARATE_BYTES: usize = 33;

const LEAF: u8 = 0b0100_0000;
const BRANCH: u8 = 0b1000_0000;
const LEAF_WITH_HASH: u8 = 0b0010_0000;

/// Whether long values stand in their nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// They do (state version 0).
    Inline,
    /// Their hash does (state version 1).
    Hashed,
}

/// BLAKE2b-256, the hash of headers and of nodes.
pub(crate) fn blake2_256(bytes: &[u8]) -> [u8; 32] {
    blake2::Blake2b::<U32>::digest(bytes).into()
}

/// An item under the nibbles of its key.
struct Entry<'a> {
    nibbles: [u8; MAX_NIBBLES],
    length: usize,
    value: &'a [u8],
}

/// The root over `items`, fewer than 2^30.
pub(crate) fn ordered_root(items: &[&[u8]], layout: Layout) -> [u8; 32] {
    let mut entries: Vec<_> =
        (0..).zip(items).map(|(place, value)| Entry::new(place, value)).collect();
    entries.sort_unstable_by_key(|entry| entry.nibbles);
    if entries.is_empty() {
        return blake2_256(&[0]);
    }
    blake2_256(&node(&entries, 0, layout))
}

impl<'a> Entry<'a> {
    fn new(place: u32, value: &'a [u8]) -> Self {
        let key = Compact(place).encode();
        let mut nibbles = [0; MAX_NIBBLES];
        let of_key = key.iter().flat_map(|byte| [byte >> 4, byte & 0x0f]);
        nibbles.iter_mut().zip(of_key).for_each(|(nibble, of_key)| *nibble = of_key);
        Self { nibbles, length: (2 * key.len()).min(MAX_NIBBLES), value }
    }

    fn from(&self, depth: usize) -> &[u8] {
        self.nibbles.get(depth..self.length).unwrap_or_default()
    }
}

/// The node over sorted entries that have the same first `depth` nibbles.
fn node(entries: &[Entry<'_>], depth: usize, layout: Layout) -> Vec<u8> {
    let [first, .., last] = entries else {
        return entries.first().map_or_else(Vec::new, |only| leaf(only, depth, layout));
    };
    let pairs = first.from(depth).iter().zip(last.from(depth));
    let shared = pairs.take_while(|(one, other)| one == other).count();
    let partial = first.from(depth).get(..shared).unwrap_or_default();
    let mut out = head(BRANCH, partial);
    let at = depth + shared;
    let nibble = |entry: &Entry<'_>| entry.from(at).first().copied().unwrap_or_default();
    let children = || entries.chunk_by(move |one, other| nibble(one) == nibble(other));
    let taken = children().flatten().fold(0_u16, |taken, entry| taken | 1 << nibble(entry));
    out.extend_from_slice(&taken.to_le_bytes());
    for child in children() {
        let child = node(child, at + 1, layout);
        if child.len() < 32 {
            child.encode_to(&mut out);
        } else {
            blake2_256(&child).as_slice().encode_to(&mut out);
        }
    }
    out
}

fn leaf(entry: &Entry<'_>, depth: usize, layout: Layout) -> Vec<u8> {
    let partial = entry.from(depth);
    if layout == Layout::Hashed && SEPARATE_BYTES <= entry.value.len() {
        let mut out = head(LEAF_WITH_HASH, partial);
        out.extend(blake2_256(entry.value));
        return out;
    }
    let mut out = head(LEAF, partial);
    entry.value.encode_to(&mut out);
    out
}

/// A node's kind with the number of its nibbles, then the nibbles; an odd one stands alone.
fn head(kind: u8, partial: &[u8]) -> Vec<u8> {
    let number = u8::try_from(partial.len()).unwrap_or_default();
    let (odd, pairs) = partial.split_at(partial.len() % 2);
    let mut out = vec![kind | number];
    out.extend_from_slice(odd);
    let (pairs, _) = pairs.as_chunks::<2>();
    out.extend(pairs.iter().map(|[high, low]| high << 4 | low));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root_of(items: &[Vec<u8>], layout: Layout) -> String {
        let items: Vec<&[u8]> = items.iter().map(Vec::as_slice).collect();
        hex::encode(ordered_root(&items, layout))
    }

    #[test]
    fn the_root_of_nothing_is_the_hash_of_the_empty_node() {
        for layout in [Layout::Inline, Layout::Hashed] {
            let root = "03170a2e7597b7b7e3d84c05391d139a62b157e78786d8c082f29dcf4c111314";
            assert_eq!(root_of(&[], layout), root);
        }
    }

    #[test]
    fn the_layouts_differ_for_long_values_alone() {
        let of =
            |length| [Layout::Inline, Layout::Hashed].map(|it| root_of(&[vec![7; length]], it));
        let [inline, hashed] = of(32);
        assert_eq!(inline, hashed);
        let [inline, hashed] = of(33);
        assert_ne!(inline, hashed);
    }

    #[test]
    fn place_and_content_of_each_item_count() {
        let items: Vec<Vec<u8>> = (0..300_u32).map(|n| n.to_le_bytes().repeat(12)).collect();
        for layout in [Layout::Inline, Layout::Hashed] {
            let root = root_of(&items, layout);
            for place in [0, 1, 15, 16, 63, 64, 255, 299] {
                let mut other = items.clone();
                other[place][47] ^= 1;
                assert_ne!(root_of(&other, layout), root, "{place}");
                let mut swapped = items.clone();
                swapped.swap(place, 100);
                assert_ne!(root_of(&swapped, layout), root, "{place}");
            }
            assert_ne!(root_of(&items[..299], layout), root);
        }
    }
}
