//! A validator's public key as a name: 48 bytes, not checked to be a point of the curve.
//!
//! Invariant: it prints in one way only (`0x`, lower case), so that prints can be compared.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

/// A compressed BLS12-381 public key (48 bytes).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 48]);

/// The text is not `0x` (or nothing) and 96 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKeyError;

impl FromStr for PublicKey {
    type Err = PublicKeyError;

    /// Reads 96 hex digits of either case, with or without `0x` before them.
    fn from_str(text: &str) -> Result<Self, PublicKeyError> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let mut bytes = [0; 48];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| PublicKeyError)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for PublicKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a public key is \"0x\" and 96 hex digits (48 bytes)")
    }
}

impl std::error::Error for PublicKeyError {}

struct PublicKeyVisitor;

impl Visitor<'_> for PublicKeyVisitor {
    type Value = PublicKey;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a public key (\"0x\" and 96 hex digits)")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<PublicKey, E> {
        text.parse().map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(PublicKeyVisitor)
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
