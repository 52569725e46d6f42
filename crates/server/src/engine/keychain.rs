//! The keys in memory: from a public key as a client writes it to the key that signs.
//!
//! Invariant: a keychain never changes; a reload makes a new one, and requests under way keep the
//! one that they started with.

use std::collections::BTreeMap;

use palisade_ethereum::PublicKey;
use palisade_keys::{KeyRing, Scheme, key_id};
use palisade_protect::KeyId;

/// All keys of the guard.
pub struct Keychain {
    ring: KeyRing,
    ids: BTreeMap<PublicKey, KeyId>,
}

impl Keychain {
    /// The keys of an opened vault.
    #[must_use]
    pub fn new(ring: KeyRing) -> Self {
        let ids = ring
            .public_keys()
            .map(|public_key| (PublicKey(public_key.0), key_id(Scheme::Bls12381, &public_key.0)))
            .collect();
        Self { ring, ids }
    }

    /// Looks a key up as written in a path: hex, with or without `0x`, in any letter case.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<(PublicKey, KeyId)> {
        let public_key: PublicKey = text.parse().ok()?;
        self.id(&public_key).map(|id| (public_key, id))
    }

    /// The ledger's name for a key that is here.
    #[must_use]
    pub fn id(&self, public_key: &PublicKey) -> Option<KeyId> {
        self.ids.get(public_key).copied()
    }

    /// Every public key, in order.
    pub fn public_keys(&self) -> impl Iterator<Item = &PublicKey> {
        self.ids.keys()
    }

    /// The ledger's name of every key.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> + '_ {
        self.ids.values().copied()
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// What signs.
    #[must_use]
    pub fn ring(&self) -> &KeyRing {
        &self.ring
    }
}
