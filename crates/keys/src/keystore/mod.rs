//! EIP-2335 keystores, version 4: one secret key in a JSON file under a password.
//!
//! Invariants: a file is judged whole (shape, names, lengths, cost) before any key derivation runs;
//! the cost that a file may ask for is bounded ([`MAX_SCRYPT_BYTES`], [`MAX_PBKDF2_ROUNDS`]); the
//! checksum is compared in constant time; the derived public key must be the stated one; no error
//! repeats a value of the file, which may be something else than a keystore.
//!
//! `description`, `path` and `uuid` do not matter to custody and are not read. Source:
//! <https://eips.ethereum.org/EIPS/eip-2335>.

mod error;
mod format;
mod kdf;

use aes::Aes128;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

pub use error::KeystoreError;
pub(crate) use format::Keystore;
pub use kdf::{Kdf, MAX_PBKDF2_ROUNDS, MAX_SCRYPT_BYTES};

use crate::stack::forgetting;
use crate::{BlsSecretKey, Password};

/// The largest keystore that is read, in bytes; a usual one has about 1,000.
pub const MAX_BYTES: usize = 64 * 1024;

/// Opens a keystore.
///
/// # Errors
/// [`KeystoreError::WrongPassword`] when the checksum does not match; any other error means that
/// the file itself is at fault. A damaged checksum cannot be told from a wrong password.
pub fn decrypt(json: &[u8], password: &Password) -> Result<BlsSecretKey, KeystoreError> {
    Keystore::parse(json)?.open(password)
}

/// Writes a secret key as a keystore with a new salt, initialisation vector and UUID.
///
/// # Errors
/// [`KeystoreError::OutOfBounds`] for a cost beyond what [`decrypt`] accepts;
/// [`KeystoreError::Randomness`].
pub fn encrypt(
    secret: &BlsSecretKey,
    password: &Password,
    kdf: Kdf,
) -> Result<String, KeystoreError> {
    let mut random = Random { salt: [0; 32], initialisation_vector: [0; 16], uuid: [0; 16] };
    for bytes in [&mut random.salt[..], &mut random.initialisation_vector, &mut random.uuid] {
        getrandom::fill(bytes).map_err(KeystoreError::Randomness)?;
    }
    encrypt_with(secret, password, kdf, &random)
}

/// What must be new in each keystore.
struct Random {
    salt: [u8; 32],
    initialisation_vector: [u8; 16],
    uuid: [u8; 16],
}

fn encrypt_with(
    secret: &BlsSecretKey,
    password: &Password,
    kdf: Kdf,
    random: &Random,
) -> Result<String, KeystoreError> {
    let key = kdf.derive(&password.normalized(), &random.salt)?;
    let mut ciphertext = secret.to_bytes();
    apply_cipher(&key, &random.initialisation_vector, &mut ciphertext);
    let keystore = Keystore {
        kdf,
        salt: random.salt.to_vec(),
        checksum: checksum(&key, &ciphertext),
        initialisation_vector: random.initialisation_vector,
        ciphertext: *ciphertext,
        public_key: Some(secret.public_key()),
    };
    keystore.to_json(random.uuid)
}

impl Keystore {
    /// Opens it: key derivation, checksum, cipher, public key.
    pub(crate) fn open(&self, password: &Password) -> Result<BlsSecretKey, KeystoreError> {
        let secret = forgetting(|| self.decrypted(password))?;
        match self.public_key {
            Some(stated) if stated != secret.public_key() => {
                Err(KeystoreError::OtherPublicKey { stated, derived: secret.public_key() })
            }
            _ => Ok(secret),
        }
    }

    fn decrypted(&self, password: &Password) -> Result<BlsSecretKey, KeystoreError> {
        let key = self.kdf.derive(&password.normalized(), &self.salt)?;
        let matches = checksum(&key, &self.ciphertext).ct_eq(&self.checksum);
        if !bool::from(matches) {
            return Err(KeystoreError::WrongPassword);
        }
        let mut secret = Zeroizing::new(self.ciphertext);
        apply_cipher(&key, &self.initialisation_vector, &mut secret);
        BlsSecretKey::from_bytes(&secret).map_err(KeystoreError::NotASecretKey)
    }
}

/// AES-128 in counter mode under the first half of the key; its own inverse.
fn apply_cipher(key: &[u8; 32], initialisation_vector: &[u8; 16], bytes: &mut [u8; 32]) {
    let [cipher_key, _] = halves(key);
    Ctr128BE::<Aes128>::new((&*cipher_key).into(), initialisation_vector.into())
        .apply_keystream(bytes);
}

/// `SHA-256(second half of the key ‖ ciphertext)`.
fn checksum(key: &[u8; 32], ciphertext: &[u8; 32]) -> [u8; 32] {
    let [_, checksum_key] = halves(key);
    Sha256::new().chain_update(*checksum_key).chain_update(ciphertext).finalize().into()
}

fn halves(key: &[u8; 32]) -> [Zeroizing<[u8; 16]>; 2] {
    let mut halves = [Zeroizing::new([0; 16]), Zeroizing::new([0; 16])];
    for (half, bytes) in halves.iter_mut().zip(key.chunks_exact(16)) {
        half.copy_from_slice(bytes);
    }
    halves
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f";

    fn array<const N: usize>(digits: &str) -> [u8; N] {
        hex::decode(digits).unwrap().try_into().unwrap()
    }

    /// The second vector of the EIP, forwards: writing gives its checksum and its ciphertext.
    #[test]
    fn encryption_reproduces_the_vector_of_the_eip() {
        let random = Random {
            salt: array("d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3"),
            initialisation_vector: array("264daa3f303d7259501c93d997d84fe6"),
            uuid: [0x5a; 16],
        };
        let secret = BlsSecretKey::from_hex(SECRET).unwrap();
        let password = Password::new("𝔱𝔢𝔰𝔱𝔭𝔞𝔰𝔰𝔴𝔬𝔯𝔡🔑".to_owned());
        let kdf = Kdf::Pbkdf2 { rounds: 262_144 };
        let json = encrypt_with(&secret, &password, kdf, &random).unwrap();
        for expected in [
            "8a9f5d9912ed7e75ea794bc5a89bca5f193721d30868ade6f73043c6ea6febf1",
            "cee03fde2af33149775b7223e7845e4fb2c8ae1792e5f99fe9ecf474cc8c16ad",
            "5a5a5a5a-5a5a-4a5a-9a5a-5a5a5a5a5a5a",
        ] {
            assert!(json.contains(expected), "{expected} in {json}");
        }
    }
}
