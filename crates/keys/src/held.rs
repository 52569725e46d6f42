//! How an opened key rests in memory between two signatures.
//!
//! Invariants: the secret's bytes stand in secret pages alone and are wiped when the key is
//! dropped; a key is whole for the moment of one signature, and only if its public key is the one
//! that it was held for.

use palisade_sandbox::{Secret, SecretError, SecretPages};
use zeroize::Zeroizing;

use crate::PublicKey;
use crate::any::SecretKey;
use crate::stack::forgetting;

/// A secret key at rest.
pub(crate) struct Held {
    secret: Secret<32>,
    public_key: PublicKey,
}

impl Held {
    /// Puts a key to rest.
    pub(crate) fn new(pages: &SecretPages, key: &SecretKey) -> Result<Self, SecretError> {
        let mut bytes = key.to_bytes();
        Ok(Self { secret: pages.store(&mut bytes)?, public_key: key.public_key() })
    }

    /// Puts to rest what `write` writes, which must be the secret of `public_key`. It is nowhere
    /// else meanwhile, but for the look at whether it is, whose stack is the caller's to overwrite.
    pub(crate) fn written_by<E: From<SecretError>>(
        pages: &SecretPages,
        public_key: PublicKey,
        write: impl FnOnce(&mut [u8; 32]) -> Result<(), E>,
    ) -> Result<Option<Self>, E> {
        let held = Self { secret: pages.fill(write)?, public_key };
        let is_its_secret = held.opened().is_some();
        Ok(is_its_secret.then_some(held))
    }

    /// Its public half.
    pub(crate) fn public_key(&self) -> PublicKey {
        self.public_key
    }

    /// What `work` makes of the key. `None` when its bytes are no more what they were: a fault of
    /// this machine's memory.
    pub(crate) fn with<T>(&self, work: impl FnOnce(SecretKey) -> T) -> Option<T> {
        forgetting(|| self.opened().map(work))
    }

    fn opened(&self) -> Option<SecretKey> {
        let bytes = self.secret.expose(|bytes| Zeroizing::new(*bytes));
        SecretKey::from_bytes(&bytes, self.public_key)
    }
}
