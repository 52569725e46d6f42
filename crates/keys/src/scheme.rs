//! Which signature scheme a key belongs to, and the name that the ledger knows a key by.
//!
//! Invariant: tags and the digest of [`key_id`] are part of formats on disk and never change.

use palisade_protect::{KeyId, KeyType};
use sha2::{Digest as _, Sha256};

const KEY_ID_DOMAIN: &[u8] = b"palisade/key/v1";

/// A signature scheme, with the byte that stands for it on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Scheme {
    /// BLS12-381, public keys in G1 (draft-irtf-cfrg-bls-signature, proof of possession scheme).
    Bls12381 = 1,
    /// Schnorr signatures on Ristretto (schnorrkel), as Substrate uses them.
    Sr25519 = 2,
    /// RFC 8032.
    Ed25519 = 3,
    /// ECDSA on secp256k1, signatures with a recovery byte.
    Ecdsa = 4,
}

impl Scheme {
    /// The scheme that `tag` stands for; `None` for a tag of no known scheme.
    #[must_use]
    pub fn from_tag(tag: u8) -> Option<Self> {
        [Self::Bls12381, Self::Sr25519, Self::Ed25519, Self::Ecdsa]
            .into_iter()
            .find(|scheme| scheme.tag() == tag)
    }

    /// How many bytes a public key has.
    #[must_use]
    pub fn public_key_bytes(self) -> usize {
        match self {
            Self::Bls12381 => 48,
            Self::Sr25519 | Self::Ed25519 => 32,
            Self::Ecdsa => 33,
        }
    }

    /// The schemes of session keys of a type, the usual one first.
    #[must_use]
    pub fn for_key_type(key_type: KeyType) -> &'static [Self] {
        match key_type {
            KeyType::GRANDPA => &[Self::Ed25519],
            KeyType::BEEFY => &[Self::Ecdsa],
            KeyType::AURA => &[Self::Sr25519, Self::Ed25519],
            _ => &[Self::Sr25519],
        }
    }

    /// Its name, as operators write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bls12381 => "bls12-381",
            Self::Sr25519 => "sr25519",
            Self::Ed25519 => "ed25519",
            Self::Ecdsa => "ecdsa",
        }
    }

    /// The byte that stands for this scheme.
    #[must_use]
    pub fn tag(self) -> u8 {
        self as u8
    }
}

/// The ledger's name for a key: `SHA-256("palisade/key/v1" ‖ scheme byte ‖ public key)`.
#[must_use]
pub fn key_id(scheme: Scheme, public_key: &[u8]) -> KeyId {
    let digest = Sha256::new()
        .chain_update(KEY_ID_DOMAIN)
        .chain_update([scheme.tag()])
        .chain_update(public_key);
    KeyId(digest.finalize().into())
}
