//! The cryptography of the vault: XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha) with a random nonce
//! for each seal, under the home key or under a key that comes from the unlock secret.
//!
//! Invariants: what a seal is for is bound to it as associated data, so that no ciphertext can
//! stand in for another; randomness arrives as an argument; plaintexts and derived keys are wiped.

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use hkdf::Hkdf;
use palisade_sandbox::{Secret, SecretPages};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::VaultError;
use super::format::{Fault, Sealed, SealedKey, Stretch, VERSION, Wrap, preamble};
use crate::any::SecretKey;
use crate::held::Held;
use crate::stack::forgetting;
use crate::{KeyRing, PublicKey, UnlockSecret};

const UNLOCK_DOMAIN: &[u8] = b"palisade/vault/v1/unlock";
const HOME_KEY_DOMAIN: &[u8] = b"palisade/vault/v1/home-key";
const KEY_DOMAIN: &[u8] = b"palisade/vault/v1/key";
const CLOSING_DOMAIN: &[u8] = b"palisade/vault/v1/closing";
/// The cost for a passphrase: 128 MiB (OWASP Password Storage Cheat Sheet, "scrypt").
const PASSPHRASE_STRETCH: Stretch = Stretch::Scrypt { log_n: 17, r: 8, p: 1 };

/// Fills a buffer with random bytes.
pub(super) type Randomness<'a> = &'a mut dyn FnMut(&mut [u8]) -> Result<(), getrandom::Error>;

/// The key that seals all secret keys of a home, in pages of its own.
pub(super) struct HomeKey(Secret<32>);

impl HomeKey {
    pub(super) fn generate(random: Randomness<'_>) -> Result<Self, VaultError> {
        let write = |room: &mut [u8; 32]| random(room).map_err(VaultError::Randomness);
        SecretPages::new().fill(write).map(Self)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        self.0.expose(|key| XChaCha20Poly1305::new(key.into()))
    }
}

/// Seals the home key under the unlock secret.
pub(super) fn wrap(
    unlock: &UnlockSecret,
    home_key: &HomeKey,
    random: Randomness<'_>,
) -> Result<Wrap, VaultError> {
    let stretch = match unlock {
        UnlockSecret::Generated(_) => Stretch::Hkdf,
        UnlockSecret::Passphrase(_) => PASSPHRASE_STRETCH,
    };
    let mut salt = [0; 32];
    random(&mut salt).map_err(VaultError::Randomness)?;
    let key = unlock_key(unlock, stretch, &salt).map_err(internal)?;
    let context = [HOME_KEY_DOMAIN, &preamble(stretch, &salt)].concat();
    let cipher = XChaCha20Poly1305::new((&*key).into());
    let home_key = home_key.0.expose(|key| seal(&cipher, &context, key, random))?;
    Ok(Wrap { stretch, salt, home_key })
}

/// Opens the home key with the unlock secret.
pub(super) fn unwrap(unlock: &UnlockSecret, wrap: &Wrap) -> Result<HomeKey, Fault> {
    forgetting(|| unwrap_in_place(unlock, wrap))
}

fn unwrap_in_place(unlock: &UnlockSecret, wrap: &Wrap) -> Result<HomeKey, Fault> {
    let key = unlock_key(unlock, wrap.stretch, &wrap.salt)?;
    let context = [HOME_KEY_DOMAIN, &preamble(wrap.stretch, &wrap.salt)].concat();
    let cipher = XChaCha20Poly1305::new((&*key).into());
    let write = |room: &mut [u8; 32]| {
        open_into(&cipher, &context, &wrap.home_key, room)
            .ok_or(Fault::WrongSecret(wrap.stretch.kind()))
    };
    SecretPages::new().fill(write).map(HomeKey)
}

pub(super) fn seal_key(
    home_key: &HomeKey,
    secret: &SecretKey,
    random: Randomness<'_>,
) -> Result<SealedKey, VaultError> {
    let public_key = secret.public_key();
    let context = key_context(&public_key);
    let sealed = forgetting(|| seal(&home_key.cipher(), &context, &secret.to_bytes(), random));
    Ok(SealedKey { public_key, secret: sealed? })
}

/// Opens a key for a moment.
pub(super) fn open_key(home_key: &HomeKey, sealed: &SealedKey) -> Result<SecretKey, Fault> {
    let mut bytes = Zeroizing::new([0; 32]);
    open_key_into(home_key, sealed, &mut bytes)?;
    SecretKey::from_bytes(&bytes, sealed.public_key).ok_or(Fault::NOT_ITS_SECRET)
}

/// Opens each key straight into the pages in which it rests: no other memory ever holds more than
/// one of them.
pub(super) fn open_all(home_key: &HomeKey, keys: &[SealedKey]) -> Result<KeyRing, Fault> {
    let pages = SecretPages::new();
    let open = |sealed: &SealedKey| {
        let write = |room: &mut [u8; 32]| open_key_into(home_key, sealed, room);
        Held::written_by(&pages, sealed.public_key, write)?.ok_or(Fault::NOT_ITS_SECRET)
    };
    forgetting(|| KeyRing::of_held(keys.iter().map(open)))
}

fn open_key_into(home_key: &HomeKey, sealed: &SealedKey, room: &mut [u8; 32]) -> Result<(), Fault> {
    let context = key_context(&sealed.public_key);
    open_into(&home_key.cipher(), &context, &sealed.secret, room)
        .ok_or(Fault::Damaged("a key does not open"))
}

/// Authenticates the digest of the file.
pub(super) fn close(
    home_key: &HomeKey,
    digest: &[u8; 32],
    random: Randomness<'_>,
) -> Result<([u8; 24], [u8; 16]), VaultError> {
    let mut nonce = [0; 24];
    random(&mut nonce).map_err(VaultError::Randomness)?;
    let context = [CLOSING_DOMAIN, digest].concat();
    let nothing: &mut [u8] = &mut [];
    let tag = forgetting(|| {
        home_key.cipher().encrypt_inout_detached((&nonce).into(), &context, nothing.into())
    });
    Ok((nonce, tag.map_err(|_| internal(TOO_LONG))?.into()))
}

pub(super) fn check_closing(
    home_key: &HomeKey,
    digest: &[u8; 32],
    nonce: &[u8; 24],
    tag: &[u8; 16],
) -> Result<(), Fault> {
    let context = [CLOSING_DOMAIN, digest].concat();
    let nothing: &mut [u8] = &mut [];
    let (nonce, tag) = (nonce.into(), tag.into());
    let opened = forgetting(|| {
        home_key.cipher().decrypt_inout_detached(nonce, &context, nothing.into(), tag)
    });
    opened.map_err(|_| Fault::Damaged("its closing seal does not hold"))
}

const TOO_LONG: Fault = Fault::Internal("a value was too long to be sealed");

fn internal(fault: Fault) -> VaultError {
    match fault {
        Fault::Internal(what) => VaultError::Internal(what),
        _ => VaultError::Internal("sealing failed"),
    }
}

/// What binds a sealed secret to its format, scheme and public key.
fn key_context(public_key: &PublicKey) -> Vec<u8> {
    [KEY_DOMAIN, &[VERSION, public_key.scheme().tag()], &public_key.padded()].concat()
}

/// The key that seals the home key.
fn unlock_key(
    unlock: &UnlockSecret,
    stretch: Stretch,
    salt: &[u8; 32],
) -> Result<Zeroizing<[u8; 32]>, Fault> {
    let mut key = Zeroizing::new([0; 32]);
    match (unlock, stretch) {
        (UnlockSecret::Generated(secret), Stretch::Hkdf) => {
            Hkdf::<Sha256>::new(Some(salt), secret.bytes())
                .expand(UNLOCK_DOMAIN, &mut *key)
                .map_err(|_| Fault::Internal("HKDF refused its length"))?;
        }
        (UnlockSecret::Passphrase(passphrase), Stretch::Scrypt { log_n, r, p }) => {
            let refused = || Fault::Internal("scrypt refused its parameters");
            let params = scrypt::Params::new(log_n, r, p).map_err(|_| refused())?;
            scrypt::scrypt(passphrase.normalized().as_bytes(), salt, &params, &mut *key)
                .map_err(|_| refused())?;
        }
        (_, stretch) => return Err(Fault::OtherKind(stretch.kind())),
    }
    Ok(key)
}

fn seal(
    cipher: &XChaCha20Poly1305,
    context: &[u8],
    plaintext: &[u8; 32],
    random: Randomness<'_>,
) -> Result<Sealed, VaultError> {
    let mut nonce = [0; 24];
    random(&mut nonce).map_err(VaultError::Randomness)?;
    let mut bytes = Zeroizing::new(*plaintext);
    let tag = cipher
        .encrypt_inout_detached((&nonce).into(), context, bytes.as_mut_slice().into())
        .map_err(|_| internal(TOO_LONG))?;
    Ok(Sealed { nonce, ciphertext: *bytes, tag: tag.into() })
}

/// Opens a sealed value where it stays. `None` when it is not what was sealed.
fn open_into(
    cipher: &XChaCha20Poly1305,
    context: &[u8],
    sealed: &Sealed,
    room: &mut [u8; 32],
) -> Option<()> {
    room.copy_from_slice(&sealed.ciphertext);
    let tag = (&sealed.tag).into();
    cipher
        .decrypt_inout_detached((&sealed.nonce).into(), context, room.as_mut_slice().into(), tag)
        .ok()
}
