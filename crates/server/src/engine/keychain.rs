//! The keys in memory: from a public key as a client writes it to the key that signs.
//!
//! Invariant: a keychain never changes; a reload makes a new one, and requests under way keep the
//! one that they started with.

use std::collections::BTreeMap;

use palisade_ethereum::PublicKey;
use palisade_keys::{KeyRing, Scheme, SessionPublicKey, key_id};
use palisade_protect::{Digest, KeyId, KeyType, Record};
use palisade_store::Store;

/// All keys of the guard.
pub struct Keychain {
    ring: KeyRing,
    ids: BTreeMap<PublicKey, KeyId>,
    sessions: Vec<SessionKey>,
}

/// A session key with what its record pins it to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionKey {
    /// The public key.
    pub public_key: SessionPublicKey,
    /// The ledger's name for it.
    pub id: KeyId,
    /// The genesis hash of its chain.
    pub chain: Digest,
    /// What it is for.
    pub key_type: KeyType,
}

impl SessionKey {
    /// What each of these is in service for, by the records that say which chain it is for: a key
    /// without a record is left out, because its past is unknown, and so is a type for which it is
    /// retired.
    #[must_use]
    pub fn in_service(
        keys: impl IntoIterator<Item = SessionPublicKey>,
        store: &Store,
    ) -> Vec<Self> {
        let as_type = |public_key: SessionPublicKey, key_type: KeyType| {
            let id = public_key.ledger_id(key_type);
            let Some(Record::Substrate(record)) = store.record(&id) else { return None };
            let key = Self { public_key, id, chain: record.chain, key_type };
            store.is_active(&id).then_some(key)
        };
        let of_key = |key: SessionPublicKey| {
            KeyType::ALL.into_iter().filter_map(move |key_type| as_type(key, key_type))
        };
        keys.into_iter().flat_map(of_key).collect()
    }
}

impl Keychain {
    /// The validators' keys of an opened vault.
    #[must_use]
    pub fn new(ring: KeyRing) -> Self {
        let ids = ring
            .public_keys()
            .map(|public_key| (PublicKey(public_key.0), key_id(Scheme::Bls12381, &public_key.0)))
            .collect();
        Self { ring, ids, sessions: Vec::new() }
    }

    /// The same, with session keys that are in service.
    #[must_use]
    pub fn with_sessions(self, mut sessions: Vec<SessionKey>) -> Self {
        sessions.sort_by(|one, other| bytes_of(one).cmp(bytes_of(other)));
        Self { sessions, ..self }
    }

    /// The session key with these bytes, once for each type that it is for.
    #[must_use]
    pub fn find_session(&self, public_key: &[u8]) -> &[SessionKey] {
        let start = self.sessions.partition_point(|key| bytes_of(key) < public_key);
        let from_there = self.sessions.get(start..).unwrap_or_default();
        let count = from_there.partition_point(|key| bytes_of(key) == public_key);
        from_there.get(..count).unwrap_or_default()
    }

    /// Every session key that has a record, in the order of the bytes.
    #[must_use]
    pub fn sessions(&self) -> &[SessionKey] {
        &self.sessions
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
        self.ids.values().copied().chain(self.sessions.iter().map(|key| key.id))
    }

    /// How many keys there are; a session key of several types counts once.
    #[must_use]
    pub fn len(&self) -> usize {
        let same = |one: &SessionKey, other: &SessionKey| one.public_key == other.public_key;
        self.ids.len() + self.sessions.chunk_by(same).count()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What signs.
    #[must_use]
    pub fn ring(&self) -> &KeyRing {
        &self.ring
    }
}

fn bytes_of(key: &SessionKey) -> &[u8] {
    key.public_key.as_bytes()
}
