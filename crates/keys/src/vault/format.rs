//! The bytes of `keys.sealed`, format version 1.
//!
//! ```text
//! "PALIKEYS"  version 1
//! wrap        kind: 1 generated file | 2 passphrase, then log2 N (1), r (4), p (4) of scrypt
//!             salt 32, nonce 24, sealed home key 32 + 16
//! keys        count (4), then for each: scheme (1), public key 48 (shorter ones are padded with
//!             zeros), nonce 24, sealed secret 32 + 16
//! closing     SHA-256 of all bytes before, 32; nonce 24, tag 16 over that digest
//! ```
//! Integers are little-endian. The digest tells damage from a wrong unlock secret; the tag, made
//! with the home key, keeps keys from being taken out or put back one by one.
//!
//! Invariants: a value has one encoding, left-over bytes are refused, no key stands there twice,
//! the cost of the key derivation is bounded before it is paid.

use std::collections::HashSet;
use std::path::Path;

use palisade_protect::KeyId;
use palisade_sandbox::SecretError;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

use super::seal::{self, HomeKey, Randomness};
use super::{MAX_KEYS, UnlockKind, VaultError, disk};
use crate::{PublicKey, Scheme};

const MAGIC: &[u8; 8] = b"PALIKEYS";
pub(super) const VERSION: u8 = 1;
const KIND_GENERATED: u8 = 1;
const KIND_PASSPHRASE: u8 = 2;
const CLOSING_BYTES: usize = 32 + 24 + 16;

/// A sealed 32-byte value.
#[derive(Clone)]
pub(super) struct Sealed {
    pub(super) nonce: [u8; 24],
    pub(super) ciphertext: [u8; 32],
    pub(super) tag: [u8; 16],
}

/// How the key that opens the home key comes from the unlock secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stretch {
    /// HKDF-SHA-256 (RFC 5869) of a generated secret.
    Hkdf,
    /// scrypt (RFC 7914) of a passphrase.
    Scrypt { log_n: u8, r: u32, p: u32 },
}

/// The home key, sealed under the unlock secret.
#[derive(Clone)]
pub(super) struct Wrap {
    pub(super) stretch: Stretch,
    pub(super) salt: [u8; 32],
    pub(super) home_key: Sealed,
}

/// One key, sealed under the home key.
#[derive(Clone)]
pub(super) struct SealedKey {
    pub(super) public_key: PublicKey,
    pub(super) secret: Sealed,
}

/// All of the file.
pub(super) struct Contents {
    pub(super) wrap: Wrap,
    pub(super) keys: Vec<SealedKey>,
    digest: [u8; 32],
    nonce: [u8; 24],
    tag: [u8; 16],
}

/// What does not hold, before it is known in which file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Damaged(&'static str),
    UnknownVersion(u8),
    WrongSecret(UnlockKind),
    OtherKind(UnlockKind),
    NoSecretMemory(SecretError),
    Internal(&'static str),
}

impl From<SecretError> for Fault {
    fn from(error: SecretError) -> Self {
        Self::NoSecretMemory(error)
    }
}

impl Fault {
    pub(super) const NOT_ITS_SECRET: Self =
        Self::Damaged("a sealed value is not the secret of its public key");

    pub(super) fn into_error(self, directory: &Path) -> VaultError {
        let path = disk::file(directory);
        match self {
            Self::Damaged(problem) => VaultError::Damaged { path, problem },
            Self::UnknownVersion(version) => VaultError::UnknownVersion { path, version },
            Self::WrongSecret(kind) => VaultError::WrongUnlockSecret { path, kind },
            Self::OtherKind(kind) => VaultError::OtherUnlockKind { path, kind },
            Self::NoSecretMemory(error) => VaultError::NoSecretMemory(error),
            Self::Internal(what) => VaultError::Internal(what),
        }
    }
}

impl Stretch {
    pub(super) fn kind(self) -> UnlockKind {
        match self {
            Self::Hkdf => UnlockKind::GeneratedFile,
            Self::Scrypt { .. } => UnlockKind::Passphrase,
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        match reader.byte()? {
            KIND_GENERATED => Ok(Self::Hkdf),
            KIND_PASSPHRASE => {
                let log_n = reader.byte()?;
                let [r, p] = [reader.u32()?, reader.u32()?];
                // At most 1 GiB; a release that raises the cost stays readable for this one.
                if !(10..=20).contains(&log_n) || r != 8 || !(1..=4).contains(&p) {
                    return Err(Fault::Damaged("scrypt parameters out of bounds"));
                }
                Ok(Self::Scrypt { log_n, r, p })
            }
            _ => Err(Fault::Damaged("unknown kind of unlock secret")),
        }
    }
}

/// What stands before the sealed home key, and is authenticated with it.
pub(super) fn preamble(stretch: Stretch, salt: &[u8; 32]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.push(VERSION);
    match stretch {
        Stretch::Hkdf => bytes.push(KIND_GENERATED),
        Stretch::Scrypt { log_n, r, p } => {
            bytes.extend([KIND_PASSPHRASE, log_n]);
            bytes.extend(r.to_le_bytes());
            bytes.extend(p.to_le_bytes());
        }
    }
    bytes.extend(salt);
    bytes
}

impl SealedKey {
    pub(super) fn id(&self) -> KeyId {
        self.public_key.id()
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        let scheme = Scheme::from_tag(reader.byte()?);
        let scheme = scheme.ok_or(Fault::Damaged("unknown signature scheme"))?;
        let public_key = PublicKey::from_padded(scheme, reader.array()?)
            .ok_or(Fault::Damaged("a public key is longer than its scheme's"))?;
        Ok(Self { public_key, secret: Sealed::decode(reader)? })
    }
}

impl Sealed {
    fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.nonce);
        bytes.extend(self.ciphertext);
        bytes.extend(self.tag);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(Self { nonce: reader.array()?, ciphertext: reader.array()?, tag: reader.array()? })
    }
}

impl Contents {
    /// Closes these keys with the home key.
    pub(super) fn seal(
        wrap: Wrap,
        keys: Vec<SealedKey>,
        home_key: &HomeKey,
        random: Randomness<'_>,
    ) -> Result<Self, VaultError> {
        let digest = digest_of(&encode_body(&wrap, &keys));
        let (nonce, tag) = seal::close(home_key, &digest, random)?;
        Ok(Self { wrap, keys, digest, nonce, tag })
    }

    /// Reads the file's bytes. Nothing is authenticated yet.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        let mut reader = Reader(bytes);
        if reader.array()? != *MAGIC {
            return Err(Fault::Damaged("it does not start as a file of sealed keys"));
        }
        let version = reader.byte()?;
        if version != VERSION {
            return Err(Fault::UnknownVersion(version));
        }
        let body = bytes.split_last_chunk::<CLOSING_BYTES>().map(|(body, _)| body);
        let stated = bytes.last_chunk::<CLOSING_BYTES>().and_then(|end| end.first_chunk::<32>());
        let (Some(body), Some(stated)) = (body, stated) else {
            return Err(Fault::Damaged("it ends too early"));
        };
        if !bool::from(digest_of(body).ct_eq(stated)) {
            return Err(Fault::Damaged("its checksum does not hold"));
        }
        let wrap = Wrap::decode(&mut reader)?;
        let keys = decode_keys(&mut reader)?;
        let (digest, nonce, tag) = (reader.array()?, reader.array()?, reader.array()?);
        reader.finish()?;
        Ok(Self { wrap, keys, digest, nonce, tag })
    }

    /// Checks that the whole was written with this home key.
    pub(super) fn authenticate(&self, home_key: &HomeKey) -> Result<(), Fault> {
        seal::check_closing(home_key, &self.digest, &self.nonce, &self.tag)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = encode_body(&self.wrap, &self.keys);
        bytes.extend(self.closing());
        bytes
    }

    /// The last bytes of the file. The random nonce makes them different after every change.
    pub(super) fn closing(&self) -> Vec<u8> {
        [&self.digest[..], &self.nonce, &self.tag].concat()
    }
}

impl Wrap {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        let stretch = Stretch::decode(reader)?;
        Ok(Self { stretch, salt: reader.array()?, home_key: Sealed::decode(reader)? })
    }
}

fn decode_keys(reader: &mut Reader<'_>) -> Result<Vec<SealedKey>, Fault> {
    let count = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
    if count > MAX_KEYS {
        return Err(Fault::Damaged("more keys than a vault holds"));
    }
    let keys: Vec<_> = (0..count).map(|_| SealedKey::decode(reader)).collect::<Result<_, _>>()?;
    let mut seen = HashSet::with_capacity(count);
    if !keys.iter().all(|key| seen.insert(key.public_key)) {
        return Err(Fault::Damaged("a key stands there twice"));
    }
    Ok(keys)
}

fn encode_body(wrap: &Wrap, keys: &[SealedKey]) -> Vec<u8> {
    let mut bytes = preamble(wrap.stretch, &wrap.salt);
    wrap.home_key.encode(&mut bytes);
    // Bounded by MAX_KEYS before it comes here.
    bytes.extend(u32::try_from(keys.len()).unwrap_or(u32::MAX).to_le_bytes());
    for key in keys {
        bytes.push(key.public_key.scheme().tag());
        bytes.extend(key.public_key.padded());
        key.secret.encode(&mut bytes);
    }
    bytes
}

fn digest_of(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Takes values off the front of a byte string and never looks past its end.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (head, rest) =
            self.0.split_first_chunk::<N>().ok_or(Fault::Damaged("it ends too early"))?;
        self.0 = rest;
        Ok(*head)
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Result<u32, Fault> {
        self.array().map(u32::from_le_bytes)
    }

    fn finish(self) -> Result<(), Fault> {
        if self.0.is_empty() { Ok(()) } else { Err(Fault::Damaged("bytes are left over")) }
    }
}
