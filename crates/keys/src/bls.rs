//! BLS12-381 keys: what counts as one, and how a secret one is held.
//!
//! Invariants: a [`BlsSecretKey`] is in `1..r` (draft-irtf-cfrg-bls-signature section 2.3), lives
//! in one place on the heap and is wiped when dropped; it can be neither printed nor copied:
//!
//! ```compile_fail,E0277
//! fn print(key: palisade_keys::BlsSecretKey) -> String {
//!     format!("{key:?}")
//! }
//! ```
//! ```compile_fail,E0277
//! fn print(key: palisade_keys::BlsSecretKey) -> String {
//!     format!("{key}")
//! }
//! ```
//! ```compile_fail,E0599
//! fn twice(key: palisade_keys::BlsSecretKey) -> [palisade_keys::BlsSecretKey; 2] {
//!     [key.clone(), key]
//! }
//! ```

use std::fmt;
use std::str::FromStr;

use blstrs::{G2Projective, Scalar};
use subtle::{Choice, ConstantTimeEq};
use zeroize::{DefaultIsZeroes, Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::any::in_clear;
use crate::stack::forgetting;
use crate::{Scheme, Signature, key_id};

/// A public key: 48 bytes, a compressed point of G1. The bytes are not checked to be a point.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlsPublicKey(pub [u8; 48]);

/// A secret key: a number in `1..r`, big-endian, together with its public key.
pub struct BlsSecretKey {
    // Not as the number that is multiplied: one that is made and moved leaves copies on the stack.
    bytes: Box<[u8; 32]>,
    public_key: BlsPublicKey,
}

/// The bytes are not a BLS12-381 secret key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecretKeyError {
    /// Not 32 bytes.
    WrongLength,
    /// Not hexadecimal.
    NotHex,
    /// Zero, or not below the order of the group.
    OutOfRange,
}

/// The text is not 48 bytes in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKeyError;

/// The number that is multiplied, in one place on the heap, for one signature.
struct Whole(Box<WipedScalar>);

/// Gives blst's scalar the volatile overwrite of `zeroize`; the default scalar is all zeros.
#[derive(Clone, Copy, Default)]
struct WipedScalar(Scalar);

impl DefaultIsZeroes for WipedScalar {}

impl BlsSecretKey {
    /// Reads a secret key: 32 bytes, big-endian. Computes the public key, about 0.1 ms.
    ///
    /// # Errors
    /// [`SecretKeyError::OutOfRange`] for zero and for anything at or above the group order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, SecretKeyError> {
        forgetting(|| {
            let public_key = BlsPublicKey(in_range(bytes)?.sk_to_pk().compress());
            Ok(Self { bytes: Box::new(*bytes), public_key })
        })
    }

    /// Reads a secret key: 64 hexadecimal digits, big-endian, with or without `0x`.
    ///
    /// # Errors
    /// [`SecretKeyError`]; it does not repeat the text.
    pub fn from_hex(text: &str) -> Result<Self, SecretKeyError> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        if digits.len() != 64 {
            return Err(SecretKeyError::WrongLength);
        }
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(digits, &mut *bytes).map_err(|_| SecretKeyError::NotHex)?;
        Self::from_bytes(&bytes)
    }

    /// A key whose public key is known from an authenticated source and is not computed again.
    pub(crate) fn with_public_key(
        bytes: &[u8; 32],
        public_key: BlsPublicKey,
    ) -> Result<Self, SecretKeyError> {
        in_range(bytes)?;
        Ok(Self { bytes: Box::new(*bytes), public_key })
    }

    /// The public key.
    #[must_use]
    pub fn public_key(&self) -> BlsPublicKey {
        self.public_key
    }

    /// The secret in clear, as 64 hexadecimal digits after `0x`: for handing a key to another
    /// process of this guard. It must never reach a log, an argument or a file.
    #[must_use]
    pub fn to_hex(&self) -> Zeroizing<String> {
        in_clear(&self.bytes)
    }

    /// The secret in clear, 32 bytes, big-endian.
    pub(crate) fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(*self.bytes)
    }

    /// The signature over the message whose point on the curve is given. blst multiplies in
    /// constant time. `None` when the bytes are no more what they were.
    #[expect(clippy::op_ref, reason = "a scalar by value would be a copy that is not wiped")]
    pub(crate) fn sign_point(&self, point: &G2Projective) -> Option<Signature> {
        let whole = Whole::new(&self.bytes)?;
        Some(Signature((point * &whole.0.0).to_compressed()))
    }
}

/// The number as blst holds it, which wipes it.
fn in_range(bytes: &[u8; 32]) -> Result<blst::min_pk::SecretKey, SecretKeyError> {
    blst::min_pk::SecretKey::from_bytes(bytes).map_err(|_| SecretKeyError::OutOfRange)
}

impl BlsPublicKey {
    /// The ledger's name for this key.
    #[must_use]
    pub fn id(&self) -> palisade_protect::KeyId {
        key_id(Scheme::Bls12381, &self.0)
    }
}

impl Whole {
    fn new(bytes: &[u8; 32]) -> Option<Self> {
        Option::from(Scalar::from_bytes_be(bytes)).map(|scalar| Self(Box::new(WipedScalar(scalar))))
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        self.0.as_mut().zeroize();
    }
}

impl Drop for BlsSecretKey {
    fn drop(&mut self) {
        self.bytes.as_mut().zeroize();
    }
}

impl ZeroizeOnDrop for BlsSecretKey {}

impl ConstantTimeEq for BlsSecretKey {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.bytes.ct_eq(other.bytes.as_ref())
    }
}

impl PartialEq for BlsSecretKey {
    fn eq(&self, other: &Self) -> bool {
        self.ct_eq(other).into()
    }
}

impl Eq for BlsSecretKey {}

impl FromStr for BlsPublicKey {
    type Err = PublicKeyError;

    /// Reads 96 hexadecimal digits of either case, with or without `0x`.
    fn from_str(text: &str) -> Result<Self, PublicKeyError> {
        let mut bytes = [0; 48];
        let digits = text.strip_prefix("0x").unwrap_or(text);
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| PublicKeyError)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for BlsPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.0))
    }
}

impl fmt::Debug for BlsPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for SecretKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WrongLength => "a secret key is 64 hexadecimal digits (32 bytes)",
            Self::NotHex => "a secret key is written in hexadecimal digits only",
            Self::OutOfRange => "the value is zero or not below the order of BLS12-381",
        })
    }
}

impl std::error::Error for SecretKeyError {}

impl fmt::Display for PublicKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a BLS12-381 public key is 96 hexadecimal digits (48 bytes)")
    }
}

impl std::error::Error for PublicKeyError {}
