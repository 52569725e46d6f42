//! The sealed key directory of a home: one file of keys that an unlock secret opens.
//!
//! A random home key seals every secret key; the unlock secret seals the home key. A start
//! therefore pays for at most one slow key derivation (none with a generated unlock file), whatever
//! the number of keys.
//!
//! # Invariants
//! - The file changes by one durable rename under a lock: all of a change, or nothing of it. A
//!   vault whose file was changed by somebody else refuses to write.
//! - Every byte of the file is authenticated: a damaged, cut, swapped or mixed file does not open.
//! - A public key is bound to its secret by the seal, so that it need not be computed at a start.
//! - Secrets are opened by [`Vault::load_ring`] alone, straight into a [`KeyRing`].
//!
//! What this does not stop: somebody who can write the directory can put an older, whole copy of
//! the file there. Keys may then be missing or back; records of what was signed are not in here.

mod disk;
mod error;
mod format;
mod seal;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use palisade_protect::KeyId;
use palisade_sandbox::{Secret, SecretError, SecretPages};

pub use error::{UnlockKind, VaultError};
use format::{Contents, SealedKey};
use seal::{HomeKey, Randomness};

use crate::any::SecretKey;
use crate::unlock::UnlockFileSecret;
use crate::{BlsSecretKey, KeyRing, PublicKey, SessionSecretKey, UnlockError, UnlockSecret};

/// The most keys of one vault.
const MAX_KEYS: usize = 1_000_000;

/// An opened vault: the home key and the sealed keys, none of them in clear.
pub struct Vault {
    directory: PathBuf,
    home_key: HomeKey,
    contents: Contents,
    ids: HashSet<KeyId>,
}

/// A key to put into a vault.
pub struct NewKey(SecretKey);

/// What [`Vault::add`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// Keys that are new in the vault.
    pub added: Vec<PublicKey>,
    /// Keys that were in the vault before, or were given twice. They are in the vault once.
    pub duplicates: Vec<PublicKey>,
}

/// What [`Vault::remove`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Keys that were taken out.
    pub removed: Vec<PublicKey>,
    /// Names of keys that were not in the vault.
    pub unknown: Vec<KeyId>,
}

impl NewKey {
    /// A BLS12-381 key.
    #[must_use]
    pub fn bls(secret: BlsSecretKey) -> Self {
        Self(SecretKey::Bls(secret))
    }

    /// A session key of a Substrate chain.
    #[must_use]
    pub fn session(secret: SessionSecretKey) -> Self {
        Self(SecretKey::Session(secret))
    }
}

impl Vault {
    /// Creates an empty vault, and its directory if it is absent.
    ///
    /// # Errors
    /// [`VaultError::AlreadyExists`] when there is one; it is left alone.
    pub fn create(directory: &Path, unlock: &UnlockSecret) -> Result<Self, VaultError> {
        disk::create_directory(directory)?;
        let _lock = disk::lock(directory)?;
        disk::must_be_absent(directory)?;
        let random = &mut getrandom::fill;
        let home_key = HomeKey::generate(random)?;
        let wrap = seal::wrap(unlock, &home_key, random)?;
        let contents = Contents::seal(wrap, Vec::new(), &home_key, random)?;
        disk::replace(directory, &contents.encode())?;
        Ok(Self::of(directory, home_key, contents))
    }

    /// Opens a vault.
    ///
    /// # Errors
    /// [`VaultError::WrongUnlockSecret`] or [`VaultError::OtherUnlockKind`] when the secret is not
    /// its own, [`VaultError::Damaged`] when the file is not as it was written.
    pub fn open(directory: &Path, unlock: &UnlockSecret) -> Result<Self, VaultError> {
        let bytes = disk::read(directory)?;
        let in_file = |fault: format::Fault| fault.into_error(directory);
        let contents = Contents::decode(&bytes).map_err(in_file)?;
        let home_key = seal::unwrap(unlock, &contents.wrap).map_err(in_file)?;
        contents.authenticate(&home_key).map_err(in_file)?;
        Ok(Self::of(directory, home_key, contents))
    }

    /// Writes a new random unlock secret to a new file (mode 0600, durable).
    ///
    /// # Errors
    /// [`UnlockError::Io`] also when the file exists; it is left alone.
    pub fn generate_unlock_file(path: &Path) -> Result<(), UnlockError> {
        UnlockFileSecret::generate(path)
    }

    /// Adds keys, all of them or none. Keys that are there already are left as they are. What this
    /// process could not load into a ring beside the one that it has is not added.
    ///
    /// # Errors
    /// [`VaultError`]; the vault is then as before. If the failure came after the rename (a
    /// directory that cannot be flushed), the keys may be there after a new [`Vault::open`].
    pub fn add(&mut self, keys: Vec<NewKey>) -> Result<Added, VaultError> {
        let mut outcome = Added::default();
        let mut ids = self.ids.clone();
        let mut sealed = self.contents.keys.clone();
        for NewKey(secret) in &keys {
            let public_key = secret.public_key();
            if !ids.insert(public_key.id()) {
                outcome.duplicates.push(public_key);
                continue;
            }
            sealed.push(seal::seal_key(&self.home_key, secret, &mut getrandom::fill)?);
            outcome.added.push(public_key);
        }
        if sealed.len() > MAX_KEYS {
            return Err(VaultError::TooManyKeys);
        }
        if !outcome.added.is_empty() {
            can_be_held(sealed.len())?;
            self.write(sealed)?;
        }
        Ok(outcome)
    }

    /// Removes keys from the file. What the disk kept of the old file is not overwritten: to be
    /// sure that a removed key is gone, destroy the unlock secret's old copies and
    /// [`rewrap`](Vault::rewrap).
    ///
    /// # Errors
    /// [`VaultError`], as [`Vault::add`].
    pub fn remove(&mut self, keys: &[KeyId]) -> Result<Removed, VaultError> {
        let wanted: HashSet<KeyId> = keys.iter().copied().collect();
        let unknown = wanted.difference(&self.ids).copied().collect();
        let all = self.contents.keys.iter().cloned();
        let (gone, left): (Vec<_>, Vec<_>) = all.partition(|key| wanted.contains(&key.id()));
        if !gone.is_empty() {
            self.write(left)?;
        }
        Ok(Removed { removed: gone.iter().map(|key| key.public_key).collect(), unknown })
    }

    /// Seals everything anew, under a new home key, for another unlock secret. The old unlock
    /// secret no longer opens the file.
    ///
    /// # Errors
    /// [`VaultError`]; the vault is then as before, and so is its unlock secret.
    pub fn rewrap(&mut self, unlock: &UnlockSecret) -> Result<(), VaultError> {
        let random: Randomness<'_> = &mut getrandom::fill;
        let home_key = HomeKey::generate(random)?;
        let mut keys = Vec::with_capacity(self.contents.keys.len());
        for sealed in &self.contents.keys {
            let secret = seal::open_key(&self.home_key, sealed)
                .map_err(|fault| fault.into_error(&self.directory))?;
            keys.push(seal::seal_key(&home_key, &secret, random)?);
        }
        let wrap = seal::wrap(unlock, &home_key, random)?;
        let contents = Contents::seal(wrap, keys, &home_key, random)?;
        self.replace(contents)?;
        self.home_key = home_key;
        Ok(())
    }

    /// Opens every key into a new ring: about 3 µs a key.
    ///
    /// # Errors
    /// [`VaultError::Damaged`] when a key does not open, [`VaultError::NoSecretMemory`] when the
    /// system gives no pages for them; none is then returned.
    pub fn load_ring(&self) -> Result<KeyRing, VaultError> {
        seal::open_all(&self.home_key, &self.contents.keys)
            .map_err(|fault| fault.into_error(&self.directory))
    }

    /// The public key of each key, in the order in which they were added.
    pub fn public_keys(&self) -> impl Iterator<Item = PublicKey> {
        self.contents.keys.iter().map(|sealed| sealed.public_key)
    }

    /// Whether the vault holds this key.
    #[must_use]
    pub fn contains(&self, key: &KeyId) -> bool {
        self.ids.contains(key)
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

    fn of(directory: &Path, home_key: HomeKey, contents: Contents) -> Self {
        let ids = contents.keys.iter().map(SealedKey::id).collect();
        Self { directory: directory.to_owned(), home_key, contents, ids }
    }

    fn write(&mut self, keys: Vec<SealedKey>) -> Result<(), VaultError> {
        let wrap = self.contents.wrap.clone();
        self.replace(Contents::seal(wrap, keys, &self.home_key, &mut getrandom::fill)?)
    }

    fn replace(&mut self, contents: Contents) -> Result<(), VaultError> {
        let _lock = disk::lock(&self.directory)?;
        if !disk::read(&self.directory)?.ends_with(&self.contents.closing()) {
            return Err(VaultError::ChangedMeanwhile { path: disk::file(&self.directory) });
        }
        disk::replace(&self.directory, &contents.encode())?;
        self.ids = contents.keys.iter().map(SealedKey::id).collect();
        self.contents = contents;
        Ok(())
    }
}

/// Whether the system gives pages for so many keys at once. They are given back.
fn can_be_held(keys: usize) -> Result<(), VaultError> {
    let pages = SecretPages::new();
    let places: Result<Vec<Secret<32>>, SecretError> =
        (0..keys).map(|_| pages.fill(|_| Ok(()))).collect();
    places.map(drop).map_err(VaultError::NoSecretMemory)
}
