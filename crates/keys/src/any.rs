//! A key of any scheme, where custody does not care which.
//!
//! Invariant: on disk a public key stands in 48 bytes, padded with zeros, so that each key has one
//! form; the scheme's byte beside it says how many of them count.

use palisade_protect::KeyId;
use zeroize::Zeroizing;

use crate::{BlsPublicKey, BlsSecretKey, Scheme, SessionPublicKey, SessionSecretKey, key_id};

/// A public key of any scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PublicKey {
    /// A validator's key on an Ethereum network.
    Bls(BlsPublicKey),
    /// A session key on a Substrate chain.
    Session(SessionPublicKey),
}

/// A secret key of any scheme.
pub(crate) enum SecretKey {
    Bls(BlsSecretKey),
    Session(SessionSecretKey),
}

impl PublicKey {
    /// Its scheme.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        match self {
            Self::Bls(_) => Scheme::Bls12381,
            Self::Session(key) => key.scheme(),
        }
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Bls(key) => &key.0,
            Self::Session(key) => key.as_bytes(),
        }
    }

    /// The ledger's name for it.
    #[must_use]
    pub fn id(&self) -> KeyId {
        key_id(self.scheme(), self.as_bytes())
    }

    pub(crate) fn padded(&self) -> [u8; 48] {
        let mut out = [0; 48];
        for (place, byte) in out.iter_mut().zip(self.as_bytes()) {
            *place = *byte;
        }
        out
    }

    /// `None` when the bytes behind the key are not zeros.
    pub(crate) fn from_padded(scheme: Scheme, padded: [u8; 48]) -> Option<Self> {
        if scheme == Scheme::Bls12381 {
            return Some(Self::Bls(BlsPublicKey(padded)));
        }
        let (bytes, padding) = padded.split_at_checked(scheme.public_key_bytes())?;
        let key = SessionPublicKey::new(scheme, bytes).ok()?;
        padding.iter().all(|byte| *byte == 0).then_some(Self::Session(key))
    }
}

impl SecretKey {
    pub(crate) fn public_key(&self) -> PublicKey {
        match self {
            Self::Bls(key) => PublicKey::Bls(key.public_key()),
            Self::Session(key) => PublicKey::Session(key.public_key()),
        }
    }

    /// The 32 bytes to seal.
    pub(crate) fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        match self {
            Self::Bls(key) => key.to_bytes(),
            Self::Session(key) => Zeroizing::new(*key.seed()),
        }
    }

    /// A key from an authenticated file; `None` when the bytes are no secret of that public key.
    pub(crate) fn from_bytes(bytes: &Zeroizing<[u8; 32]>, public_key: PublicKey) -> Option<Self> {
        match public_key {
            PublicKey::Bls(known) => {
                BlsSecretKey::with_public_key(bytes, known).ok().map(Self::Bls)
            }
            PublicKey::Session(known) => {
                let key = SessionSecretKey::from_seed(known.scheme(), bytes.clone()).ok()?;
                (key.public_key() == known).then_some(Self::Session(key))
            }
        }
    }
}

/// 64 hexadecimal digits after `0x`, in a buffer that never grows: one that does leaves copies.
pub(crate) fn in_clear(secret: &[u8; 32]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(66));
    text.push_str("0x");
    let digits = secret.iter().flat_map(|byte| [byte >> 4, byte & 0x0f]);
    text.extend(digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)));
    text
}
