//! Byte strings as requests spell them: `0x` and hex digits of either case, of exact length.
//!
//! Invariant: [`HexBytes`] is read only from `2 + 2 × N` characters, [`HexList`] from at most `N`
//! bytes; both hash as the SSZ `Vector[byte, N]` and `List[byte, N]`.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use tree_hash::{Hash256, PackedEncoding, TreeHash, TreeHashType, merkle_root, mix_in_length};

/// Exactly `N` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HexBytes<const N: usize>(pub(crate) [u8; N]);

/// At most `N` bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HexList<const N: usize>(pub(crate) Vec<u8>);

impl<const N: usize> HexBytes<N> {
    /// Reads `0x` and exactly `2 × N` hex digits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("0x")?;
        let mut bytes = [0; N];
        ::hex::decode_to_slice(digits, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

impl<const N: usize> HexList<N> {
    fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("0x")?;
        if digits.len() > 2 * N {
            return None;
        }
        ::hex::decode(digits).ok().map(Self)
    }
}

struct FixedVisitor<const N: usize>;

impl<const N: usize> Visitor<'_> for FixedVisitor<N> {
    type Value = HexBytes<N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"0x\" and {} hex digits ({N} bytes)", 2 * N)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        HexBytes::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

impl<'de, const N: usize> Deserialize<'de> for HexBytes<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(FixedVisitor)
    }
}

struct ListVisitor<const N: usize>;

impl<const N: usize> Visitor<'_> for ListVisitor<N> {
    type Value = HexList<N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"0x\" and an even number of hex digits (at most {N} bytes)")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        HexList::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

impl<'de, const N: usize> Deserialize<'de> for HexList<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(ListVisitor)
    }
}

impl<const N: usize> TreeHash for HexBytes<N> {
    fn tree_hash_type() -> TreeHashType {
        TreeHashType::Vector
    }

    fn tree_hash_packed_encoding(&self) -> PackedEncoding {
        self.0.tree_hash_packed_encoding()
    }

    fn tree_hash_packing_factor() -> usize {
        <[u8; N]>::tree_hash_packing_factor()
    }

    fn tree_hash_root(&self) -> Hash256 {
        self.0.tree_hash_root()
    }
}

impl<const N: usize> TreeHash for HexList<N> {
    fn tree_hash_type() -> TreeHashType {
        TreeHashType::List
    }

    fn tree_hash_packed_encoding(&self) -> PackedEncoding {
        self.tree_hash_root().0.to_vec().into()
    }

    fn tree_hash_packing_factor() -> usize {
        1
    }

    fn tree_hash_root(&self) -> Hash256 {
        let limit_in_chunks = N.div_ceil(tree_hash::BYTES_PER_CHUNK);
        mix_in_length(&merkle_root(&self.0, limit_in_chunks), self.0.len())
    }
}
