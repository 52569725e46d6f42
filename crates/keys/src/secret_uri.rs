//! Secret URIs: from the text that Substrate's tools print to the 32 bytes of a session secret.
//!
//! `[phrase | 0x seed][//junction]…[///password]`, as `sp_core::crypto::SecretUri` reads it.
//! Without a phrase the public development phrase is meant.
//!
//! Invariants: an error never repeats the text; intermediate secrets are wiped. Soft junctions (one
//! slash) are refused: whoever knows one child's secret and the parent's public key computes the
//! parent's secret, and no node makes session keys with them.

use std::fmt;

use blake2::digest::Digest as _;
use blake2::digest::consts::U32;
use schnorrkel::derive::ChainCode;
use schnorrkel::{ExpansionMode, MiniSecretKey};
use zeroize::Zeroizing;

use crate::Scheme;

const DEVELOPMENT_PHRASE: &str =
    "bottom drive obey lake curtain smoke basket hold race lonely fit walk";
/// Rounds of PBKDF2 (`substrate-bip39`, `seed_from_entropy`).
const ROUNDS: u32 = 2048;

/// A session secret's 32 bytes.
pub(crate) type Seed = Zeroizing<[u8; 32]>;

/// The text is not a secret URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecretUriError {
    /// A seed is `0x` and 64 hexadecimal digits.
    NotASeed,
    /// Not a BIP-39 phrase in English, or its checksum does not hold.
    NotAPhrase,
    /// A junction with one slash.
    SoftJunction,
    /// A junction without a name.
    EmptyJunction,
    /// The seed is no secret key of this scheme.
    OutOfRange,
    /// The scheme has no secret URIs.
    WrongScheme,
}

/// The seed that `uri` stands for.
pub(crate) fn seed(scheme: Scheme, uri: &str) -> Result<Seed, SecretUriError> {
    let (uri, password) = uri.split_once("///").unwrap_or((uri, ""));
    let (root, path) = uri.split_at(uri.find('/').unwrap_or(uri.len()));
    let mut seed = match root.strip_prefix("0x") {
        Some(digits) => hex_seed(digits)?,
        None if root.is_empty() => phrase_seed(DEVELOPMENT_PHRASE, password)?,
        None => phrase_seed(root, password)?,
    };
    for junction in junctions(path)? {
        seed = derive_hard(scheme, &seed, &chain_code(junction))?;
    }
    Ok(seed)
}

fn hex_seed(digits: &str) -> Result<Seed, SecretUriError> {
    let mut seed = Zeroizing::new([0; 32]);
    hex::decode_to_slice(digits, &mut *seed).map_err(|_| SecretUriError::NotASeed)?;
    Ok(seed)
}

fn phrase_seed(phrase: &str, password: &str) -> Result<Seed, SecretUriError> {
    let phrase = bip39::Mnemonic::parse_in(bip39::Language::English, phrase)
        .map_err(|_| SecretUriError::NotAPhrase)?;
    let (entropy, length) = phrase.to_entropy_array();
    let entropy = Zeroizing::new(entropy);
    let entropy = entropy.get(..length).ok_or(SecretUriError::NotAPhrase)?;
    let salt = Zeroizing::new(format!("mnemonic{password}"));
    let mut long = Zeroizing::new([0_u8; 64]);
    pbkdf2::pbkdf2_hmac::<sha2::Sha512>(entropy, salt.as_bytes(), ROUNDS, &mut *long);
    let first = long.first_chunk::<32>().ok_or(SecretUriError::NotAPhrase)?;
    Ok(Zeroizing::new(*first))
}

/// The names of a path of hard junctions.
fn junctions(path: &str) -> Result<Vec<&str>, SecretUriError> {
    let mut names = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        let inner = rest.strip_prefix("//").ok_or(SecretUriError::SoftJunction)?;
        let (name, behind) = inner.split_at(inner.find('/').unwrap_or(inner.len()));
        if name.is_empty() {
            return Err(SecretUriError::EmptyJunction);
        }
        names.push(name);
        rest = behind;
    }
    Ok(names)
}

/// `sp_core::crypto::DeriveJunction`: a number as eight bytes, a text behind its compact length;
/// padded with zeros, or hashed when it is longer than 32 bytes.
fn chain_code(name: &str) -> [u8; 32] {
    let encoded = match name.parse::<u64>() {
        Ok(number) => number.to_le_bytes().to_vec(),
        Err(_) => encoded_text(name.as_bytes()),
    };
    let mut code = [0; 32];
    match code.get_mut(..encoded.len()) {
        Some(front) => front.copy_from_slice(&encoded),
        None => code = blake2_256(&[&encoded]),
    }
    code
}

/// SCALE: a compact length, then the bytes.
fn encoded_text(text: &[u8]) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    let mut out = if length < 1 << 6 {
        vec![u8::try_from(length << 2).unwrap_or(u8::MAX)]
    } else if length < 1 << 14 {
        u16::try_from(length << 2 | 1).unwrap_or(u16::MAX).to_le_bytes().to_vec()
    } else {
        (length << 2 | 2).to_le_bytes().to_vec()
    };
    out.extend_from_slice(text);
    out
}

fn derive_hard(scheme: Scheme, seed: &Seed, code: &[u8; 32]) -> Result<Seed, SecretUriError> {
    let hashed = |domain: &[u8]| {
        let secret = Zeroizing::new(**seed);
        Zeroizing::new(blake2_256(&[&encoded_text(domain), secret.as_slice(), code]))
    };
    Ok(match scheme {
        Scheme::Sr25519 => {
            let mini =
                MiniSecretKey::from_bytes(&**seed).map_err(|_| SecretUriError::OutOfRange)?;
            let secret = mini.expand(ExpansionMode::Ed25519);
            let (child, _) = secret.hard_derive_mini_secret_key(Some(ChainCode(*code)), b"");
            Zeroizing::new(child.to_bytes())
        }
        Scheme::Ed25519 => hashed(b"Ed25519HDKD"),
        Scheme::Ecdsa => hashed(b"Secp256k1HDKD"),
        Scheme::Bls12381 => return Err(SecretUriError::WrongScheme),
    })
}

fn blake2_256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = blake2::Blake2b::<U32>::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().into()
}

impl fmt::Display for SecretUriError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotASeed => "a seed is 0x and 64 hexadecimal digits",
            Self::NotAPhrase => {
                "neither a seed (0x and 64 hexadecimal digits) nor an English mnemonic phrase with \
                 a checksum that holds"
            }
            Self::SoftJunction => {
                "a junction with one slash gives keys that betray each other; use two slashes"
            }
            Self::EmptyJunction => "a junction has no name; write //name",
            Self::OutOfRange => "the seed is no secret key of this scheme",
            Self::WrongScheme => "keys of this scheme have no secret URIs",
        })
    }
}

impl std::error::Error for SecretUriError {}
