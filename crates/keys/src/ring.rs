//! The opened keys in memory, and the only way to a signature.
//!
//! Invariants: [`KeyRing::sign`] signs the permit's digest with the permit's key and nothing else;
//! the permit is consumed. A ring never changes: a reload makes a new one. Secrets rest in pages of
//! their own ([`SecretPages`]) and are whole for the moment of one signature, after which the stack
//! is wiped on which they were.

use std::collections::HashMap;
use std::fmt;

use palisade_protect::{KeyId, KeyType, Message, Permit};
use palisade_sandbox::{SecretError, SecretPages};

use crate::any::SecretKey;
use crate::hash_points::HashPoints;
use crate::held::Held;
use crate::{BlsPublicKey, BlsSecretKey, PublicKey, SessionPublicKey, SessionSignature, Signature};

/// Secret keys by the ledger's name for them.
#[derive(Default)]
pub struct KeyRing {
    keys: HashMap<KeyId, Held>,
    sessions: HashMap<KeyId, Held>,
    points: HashPoints,
}

/// Why a permitted digest was not signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignError {
    /// The ring does not hold the permit's key.
    UnknownKey(KeyId),
    /// The permit is for another key or message than those given.
    OtherMessage(KeyId),
    /// The permit's key does not sign messages of this kind.
    OtherScheme(KeyId),
    /// The signature that was made does not verify, and was thrown away: a fault of this machine.
    DoesNotVerify(KeyId),
    /// What is held in memory is no longer the secret of its public key: a fault of this machine.
    Damaged(KeyId),
}

impl KeyRing {
    /// A ring of these keys; a key given twice is held once.
    ///
    /// # Errors
    /// [`SecretError`] when the system gives no pages for them.
    pub fn new(keys: impl IntoIterator<Item = BlsSecretKey>) -> Result<Self, SecretError> {
        let pages = SecretPages::new();
        Self::of_held(keys.into_iter().map(|key| Held::new(&pages, &SecretKey::Bls(key))))
    }

    /// A ring of keys of any scheme, each put to rest before the next one is asked for.
    pub(crate) fn of_held<E>(keys: impl IntoIterator<Item = Result<Held, E>>) -> Result<Self, E> {
        let mut ring = Self::default();
        for held in keys {
            let held = held?;
            let of_kind = match held.public_key() {
                PublicKey::Bls(_) => &mut ring.keys,
                PublicKey::Session(_) => &mut ring.sessions,
            };
            of_kind.insert(held.public_key().id(), held);
        }
        Ok(ring)
    }

    /// Signs what the permit allows: one BLS signature (draft-irtf-cfrg-bls-signature, proof of
    /// possession scheme) over its 32-byte digest.
    ///
    /// # Errors
    /// [`SignError::UnknownKey`] when the key was removed since the decision. The duty is then
    /// recorded as signed although no signature left, which is safe.
    pub fn sign(&self, permit: Permit) -> Result<Signature, SignError> {
        let id = permit.key();
        let held = self.keys.get(&id).ok_or(SignError::UnknownKey(id))?;
        let point = self.points.point(&permit.digest());
        let signature = held.with(|key| match key {
            SecretKey::Bls(key) => key.sign_point(&point),
            SecretKey::Session(_) => None,
        });
        signature.flatten().ok_or(SignError::Damaged(id))
    }

    /// Signs what the permit allows with a session key. Key, key type and `message` must be those
    /// that were judged: they are compared with the permit.
    ///
    /// # Errors
    /// [`SignError`]; as with [`KeyRing::sign`], the duty is then recorded and no signature left.
    pub fn sign_message(
        &self,
        permit: Permit,
        public_key: &SessionPublicKey,
        key_type: KeyType,
        message: &Message<'_>,
    ) -> Result<SessionSignature, SignError> {
        let id = permit.key();
        let held = self.sessions.get(&public_key.id()).ok_or(SignError::UnknownKey(id))?;
        if public_key.ledger_id(key_type) != id || message.digest() != permit.digest() {
            return Err(SignError::OtherMessage(id));
        }
        sign_with(held, id, message)
    }

    /// Signs a message that took several decisions: there must be a permit for each part of it, in
    /// order ([`Message::part_digest`]).
    ///
    /// # Errors
    /// [`SignError`]; as with [`KeyRing::sign`], the duties are recorded and no signature left.
    pub fn sign_message_in_parts(
        &self,
        permits: Vec<Permit>,
        public_key: &SessionPublicKey,
        key_type: KeyType,
        message: &Message<'_>,
    ) -> Result<SessionSignature, SignError> {
        let id = public_key.ledger_id(key_type);
        let held = self.sessions.get(&public_key.id()).ok_or(SignError::UnknownKey(id))?;
        let parts = u8::try_from(permits.len()).map_err(|_| SignError::OtherMessage(id))?;
        let is_part = |(part, permit): (u8, &Permit)| {
            permit.key() == id && permit.digest() == message.part_digest(part, parts)
        };
        if parts < 2 || !(0..parts).zip(&permits).all(is_part) {
            return Err(SignError::OtherMessage(id));
        }
        sign_with(held, id, message)
    }

    /// The public key of each session key, in no particular order.
    pub fn session_public_keys(&self) -> impl Iterator<Item = SessionPublicKey> {
        self.sessions.values().filter_map(|held| match held.public_key() {
            PublicKey::Session(key) => Some(key),
            PublicKey::Bls(_) => None,
        })
    }

    /// Whether the ring holds this key.
    #[must_use]
    pub fn contains(&self, key: &KeyId) -> bool {
        self.keys.contains_key(key) || self.sessions.contains_key(key)
    }

    /// The public key of each validator's key, in no particular order.
    pub fn public_keys(&self) -> impl Iterator<Item = BlsPublicKey> {
        self.keys.values().filter_map(|held| match held.public_key() {
            PublicKey::Bls(key) => Some(key),
            PublicKey::Session(_) => None,
        })
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len() + self.sessions.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn sign_with(
    held: &Held,
    permitted: KeyId,
    message: &Message<'_>,
) -> Result<SessionSignature, SignError> {
    let signature = held.with(|key| match key {
        SecretKey::Session(key) => key.sign(permitted, message),
        SecretKey::Bls(_) => Err(SignError::Damaged(permitted)),
    });
    signature.unwrap_or(Err(SignError::Damaged(permitted)))
}

impl fmt::Display for SignError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey(key) => write!(
                f,
                "key {key} is not held here (any more); import it, or ask the guard that holds it"
            ),
            Self::OtherMessage(key) => {
                write!(f, "key {key}: not the key and message that were permitted")
            }
            Self::OtherScheme(key) => write!(f, "key {key} does not sign messages of this kind"),
            Self::DoesNotVerify(key) => write!(
                f,
                "key {key}: the signature that was made does not verify, so it was thrown away; \
                 check this machine's memory and processor"
            ),
            Self::Damaged(key) => write!(
                f,
                "key {key} changed in memory and was not used; restart the guard, and check this \
                 machine's memory"
            ),
        }
    }
}

impl std::error::Error for SignError {}
