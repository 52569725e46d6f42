//! The opened keys in memory, and the only way to a signature.
//!
//! Invariants: [`KeyRing::sign`] signs the permit's digest with the permit's key and nothing else;
//! the permit is consumed. A ring never changes: a reload makes a new one.

use std::collections::HashMap;
use std::fmt;

use palisade_protect::{KeyId, Permit};

use crate::hash_points::HashPoints;
use crate::{BlsPublicKey, BlsSecretKey, Signature};

/// Secret keys by the ledger's name for them.
#[derive(Default)]
pub struct KeyRing {
    keys: HashMap<KeyId, BlsSecretKey>,
    points: HashPoints,
}

/// Why a permitted digest was not signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignError {
    /// The ring does not hold the permit's key.
    UnknownKey(KeyId),
}

impl KeyRing {
    /// A ring of these keys; a key given twice is held once.
    pub fn new(keys: impl IntoIterator<Item = BlsSecretKey>) -> Self {
        let keys = keys.into_iter().map(|key| (key.public_key().id(), key)).collect();
        Self { keys, points: HashPoints::default() }
    }

    /// Signs what the permit allows: one BLS signature (draft-irtf-cfrg-bls-signature, proof of
    /// possession scheme) over its 32-byte digest.
    ///
    /// # Errors
    /// [`SignError::UnknownKey`] when the key was removed since the decision. The duty is then
    /// recorded as signed although no signature left, which is safe.
    pub fn sign(&self, permit: Permit) -> Result<Signature, SignError> {
        let id = permit.key();
        let key = self.keys.get(&id).ok_or(SignError::UnknownKey(id))?;
        Ok(key.sign_point(&self.points.point(&permit.digest())))
    }

    /// Whether the ring holds this key.
    #[must_use]
    pub fn contains(&self, key: &KeyId) -> bool {
        self.keys.contains_key(key)
    }

    /// The public key of each key, in no particular order.
    pub fn public_keys(&self) -> impl Iterator<Item = BlsPublicKey> {
        self.keys.values().map(BlsSecretKey::public_key)
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

impl fmt::Display for SignError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::UnknownKey(key) = self;
        write!(
            f,
            "key {key} is not held here (any more); import it, or ask the guard that holds it"
        )
    }
}

impl std::error::Error for SignError {}
