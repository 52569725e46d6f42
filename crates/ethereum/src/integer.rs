//! Integers as requests spell them: canonical decimal strings.
//!
//! Invariant: no sign, no leading zero, no JSON number. A JSON number may have lost its low digits
//! in a client that computes with doubles, and the SSZ JSON mapping
//! (consensus-specs `ssz/simple-serialize.md`) knows only strings.

use std::fmt;
use std::marker::PhantomData;

use alloy_primitives::U256;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use tree_hash::{Hash256, PackedEncoding, TreeHash, TreeHashType};

/// An SSZ `uint64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Uint64(pub(crate) u64);

/// An SSZ `uint256`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Uint256(pub(crate) U256);

/// What can be read from canonical decimal digits.
trait Decimal: Sized {
    const EXPECTED: &'static str;
    fn from_digits(digits: &str) -> Option<Self>;
}

impl Decimal for Uint64 {
    const EXPECTED: &'static str =
        "a decimal string from \"0\" to \"18446744073709551615\", without sign or leading zeros";

    fn from_digits(digits: &str) -> Option<Self> {
        digits.parse().ok().map(Self)
    }
}

impl Decimal for Uint256 {
    const EXPECTED: &'static str = "a decimal string below 2^256, without sign or leading zeros";

    fn from_digits(digits: &str) -> Option<Self> {
        U256::from_str_radix(digits, 10).ok().map(Self)
    }
}

/// Reads canonical decimal digits.
fn parse<T: Decimal>(text: &str) -> Option<T> {
    let canonical = match text.as_bytes() {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    canonical.then(|| T::from_digits(text)).flatten()
}

impl Uint64 {
    /// Reads canonical decimal digits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        parse(text)
    }
}

struct DecimalVisitor<T>(PhantomData<T>);

impl<T: Decimal> Visitor<'_> for DecimalVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

impl<'de> Deserialize<'de> for Uint64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(DecimalVisitor(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Uint256 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(DecimalVisitor(PhantomData))
    }
}

macro_rules! hash_as {
    ($type:ty, $inner:ty) => {
        impl TreeHash for $type {
            fn tree_hash_type() -> TreeHashType {
                <$inner>::tree_hash_type()
            }

            fn tree_hash_packed_encoding(&self) -> PackedEncoding {
                self.0.tree_hash_packed_encoding()
            }

            fn tree_hash_packing_factor() -> usize {
                <$inner>::tree_hash_packing_factor()
            }

            fn tree_hash_root(&self) -> Hash256 {
                self.0.tree_hash_root()
            }
        }
    };
}

hash_as!(Uint64, u64);
hash_as!(Uint256, U256);
