//! From a password to the decryption key: scrypt (RFC 7914) or PBKDF2 (RFC 8018).
//!
//! Invariant: a cost is checked when a [`Kdf`] is used, so that a file cannot ask for more memory
//! or time than the limits here.

use sha2::Sha256;
use zeroize::Zeroizing;

use super::KeystoreError;

/// The most working memory that one keystore may ask for: `128 · n · r` bytes. Twice what EIP-2335
/// uses itself (n = 262,144, r = 8).
pub const MAX_SCRYPT_BYTES: u64 = 512 * 1024 * 1024;
/// The most rounds of PBKDF2 that one keystore may ask for; EIP-2335 uses 262,144.
pub const MAX_PBKDF2_ROUNDS: u32 = 1 << 24;
const MAX_SCRYPT_PASSES: u32 = 16;

/// A key derivation function with its cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kdf {
    /// scrypt with the numbers as RFC 7914 names them.
    Scrypt {
        /// Cost N, a power of two.
        n: u64,
        /// Block size.
        r: u32,
        /// Parallelism.
        p: u32,
    },
    /// PBKDF2 with HMAC-SHA-256.
    Pbkdf2 {
        /// Iterations.
        rounds: u32,
    },
}

impl Kdf {
    /// The scrypt cost of EIP-2335's own example: 256 MiB, about a second.
    pub const STANDARD: Self = Self::Scrypt { n: 262_144, r: 8, p: 1 };

    /// Working memory of one derivation, in bytes.
    #[must_use]
    pub fn working_memory(&self) -> u64 {
        match self {
            Self::Scrypt { n, r, .. } => n.saturating_mul(u64::from(*r)).saturating_mul(128),
            Self::Pbkdf2 { .. } => 0,
        }
    }

    pub(super) fn check(&self) -> Result<(), KeystoreError> {
        let refuse = |field, accepted| Err(KeystoreError::OutOfBounds { field, accepted });
        match *self {
            Self::Scrypt { n, .. } if n < 2 || !n.is_power_of_two() => {
                refuse("crypto.kdf.params.n", "a power of two from 2 on")
            }
            Self::Scrypt { r: 0, .. } => refuse("crypto.kdf.params.r", "1 or more"),
            Self::Scrypt { p, .. } if !(1..=MAX_SCRYPT_PASSES).contains(&p) => {
                refuse("crypto.kdf.params.p", "1 to 16")
            }
            Self::Scrypt { .. } if self.working_memory() > MAX_SCRYPT_BYTES => {
                refuse("crypto.kdf.params (scrypt)", "n and r that need at most 512 MiB")
            }
            Self::Pbkdf2 { rounds } if !(1..=MAX_PBKDF2_ROUNDS).contains(&rounds) => {
                refuse("crypto.kdf.params.c", "1 to 16,777,216")
            }
            _ => Ok(()),
        }
    }

    /// The first 32 bytes of the key; a longer `dklen` starts with the same bytes.
    pub(super) fn derive(
        &self,
        password: &str,
        salt: &[u8],
    ) -> Result<Zeroizing<[u8; 32]>, KeystoreError> {
        self.check()?;
        let mut key = Zeroizing::new([0; 32]);
        match *self {
            Self::Scrypt { n, r, p } => {
                let refused =
                    KeystoreError::OutOfBounds { field: "crypto.kdf.params", accepted: "RFC 7914" };
                let log_n = u8::try_from(n.ilog2()).map_err(|_| refused.clone())?;
                let params = scrypt::Params::new(log_n, r, p).map_err(|_| refused.clone())?;
                scrypt::scrypt(password.as_bytes(), salt, &params, &mut *key)
                    .map_err(|_| refused)?;
            }
            Self::Pbkdf2 { rounds } => {
                pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), salt, rounds, &mut *key);
            }
        }
        Ok(key)
    }
}
