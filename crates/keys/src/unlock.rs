//! What opens the vault: a generated secret in a file, or a passphrase.
//!
//! Invariants: wiped on drop, never printed; a file that others may read, or that is somebody
//! else's, is refused; a file that says it is a generated secret is never taken for a passphrase.

use std::fmt;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::files;
use crate::{Password, PasswordError};

/// First line of a generated unlock file, up to the 64 hexadecimal digits.
const GENERATED_PREFIX: &[u8] = b"palisade-unlock-1:";
const MAX_FILE_BYTES: u64 = 4096;
/// Permission bits of group and others.
const NOT_OWNER: u32 = 0o077;
/// What systemd may not have set on a credential: with `User=` it grants the service's user by an
/// access control list, whose mask shows as group read (systemd.exec(5), "CREDENTIALS").
const NOT_CREDENTIAL: u32 = 0o037;

/// What opens the vault.
#[non_exhaustive]
pub enum UnlockSecret {
    /// 32 random bytes from a file of
    /// [`Vault::generate_unlock_file`](crate::Vault::generate_unlock_file).
    Generated(UnlockFileSecret),
    /// Anything else: typed, or the content of a file. Stretched with scrypt.
    Passphrase(Password),
}

/// The 32 random bytes of a generated unlock file, in one place on the heap.
pub struct UnlockFileSecret(Box<Zeroizing<[u8; 32]>>);

/// Why there is no unlock secret.
#[derive(Debug)]
#[non_exhaustive]
pub enum UnlockError {
    /// The file could not be read or written.
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Others than the owner have rights on the file.
    NotPrivate {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is somebody's who is neither this user nor root, and who can read it therefore.
    NotOurs {
        /// The file.
        path: PathBuf,
        /// Its owner's number.
        owner: u32,
    },
    /// The file starts like a generated secret, but does not go on like one.
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// The passphrase is empty once control codes are stripped.
    Empty,
    /// The passphrase is not UTF-8.
    NotText(PasswordError),
    /// The operating system gave no randomness.
    Randomness(getrandom::Error),
}

impl UnlockSecret {
    /// Reads an unlock file of at most 4 KiB: a generated secret, or else a passphrase.
    ///
    /// # Errors
    /// [`UnlockError`]; a file on which group or others have any right, or that is another user's,
    /// is refused.
    pub fn from_file(path: &Path) -> Result<Self, UnlockError> {
        Self::read(path, NOT_OWNER)
    }

    /// Reads a systemd credential (`$CREDENTIALS_DIRECTORY/palisade-unlock`). As
    /// [`UnlockSecret::from_file`], but group read is allowed, since systemd shows its access
    /// control list in that way.
    ///
    /// # Errors
    /// [`UnlockError`].
    pub fn from_credential(path: &Path) -> Result<Self, UnlockError> {
        Self::read(path, NOT_CREDENTIAL)
    }

    /// A passphrase that a person typed.
    ///
    /// # Errors
    /// [`UnlockError::Empty`].
    pub fn from_passphrase(passphrase: Password) -> Result<Self, UnlockError> {
        if passphrase.normalized().is_empty() {
            return Err(UnlockError::Empty);
        }
        Ok(Self::Passphrase(passphrase))
    }

    fn read(path: &Path, forbidden_mode: u32) -> Result<Self, UnlockError> {
        let io = |source| UnlockError::Io { path: path.to_owned(), source };
        let file = files::open_regular(path).map_err(io)?;
        // Asked of the open file, so that it cannot be exchanged in between.
        let mode = file.metadata().map(permission_bits).map_err(io)?;
        if mode & forbidden_mode != 0 {
            return Err(UnlockError::NotPrivate { path: path.to_owned(), mode });
        }
        if let Some(owner) = files::stranger(&file, path).map_err(io)? {
            return Err(UnlockError::NotOurs { path: path.to_owned(), owner });
        }
        let bytes = files::read_all(file, MAX_FILE_BYTES).map_err(io)?;
        match bytes.strip_prefix(GENERATED_PREFIX) {
            Some(digits) => UnlockFileSecret::parse(digits.trim_ascii_end())
                .map(Self::Generated)
                .ok_or_else(|| UnlockError::Malformed { path: path.to_owned() }),
            None => {
                Self::from_passphrase(Password::from_bytes(&bytes).map_err(UnlockError::NotText)?)
            }
        }
    }
}

impl UnlockFileSecret {
    /// Makes a new secret and writes it to a new file (mode 0600, durable).
    pub(crate) fn generate(path: &Path) -> Result<(), UnlockError> {
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *secret).map_err(UnlockError::Randomness)?;
        let mut digits = Zeroizing::new([0; 64]);
        let encoded = hex::encode_to_slice(*secret, &mut *digits);
        encoded.map_err(|_| UnlockError::Malformed { path: path.to_owned() })?;
        let mut text = Zeroizing::new(Vec::with_capacity(128));
        text.extend_from_slice(GENERATED_PREFIX);
        text.extend_from_slice(&*digits);
        text.push(b'\n');
        files::create_private(path, &text)
            .map_err(|source| UnlockError::Io { path: path.to_owned(), source })
    }

    #[cfg(test)]
    pub(crate) fn from_array(bytes: [u8; 32]) -> Self {
        Self(Box::new(Zeroizing::new(bytes)))
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn parse(digits: &[u8]) -> Option<Self> {
        let mut secret = Box::new(Zeroizing::new([0; 32]));
        hex::decode_to_slice(digits, secret.as_mut_slice()).ok()?;
        Some(Self(secret))
    }
}

fn permission_bits(metadata: Metadata) -> u32 {
    metadata.permissions().mode() & 0o777
}

impl fmt::Display for UnlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, source } => write!(f, "unlock file {}: {source}", path.display()),
            Self::NotPrivate { path, mode } => write!(
                f,
                "unlock file {0} has mode {mode:04o}: others than its owner have rights on it. \
                 Run `chmod 600 {0}`, and change the secret if somebody may have read it",
                path.display()
            ),
            Self::NotOurs { path, owner } => write!(
                f,
                "unlock file {0} belongs to user {owner}, who can read it. Run `chown` on {0} so \
                 that it is the guard's user's, and change the secret unless user {owner} may know \
                 it",
                path.display()
            ),
            Self::Malformed { path } => write!(
                f,
                "unlock file {} is damaged: it must be one line, `palisade-unlock-1:` and 64 \
                 hexadecimal digits. Restore it from its backup",
                path.display()
            ),
            Self::Empty => f.write_str("the passphrase is empty; give one that is not"),
            Self::NotText(error) => error.fmt(f),
            Self::Randomness(error) => {
                write!(f, "the operating system gave no randomness ({error}); nothing was written")
            }
        }
    }
}

impl std::error::Error for UnlockError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
