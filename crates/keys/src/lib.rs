//! Custody of keys: how they come in, how they rest, and the one way in which they sign.
//!
//! - [`keystore`] reads and writes EIP-2335 files; [`import`] reads many of them, or raw hex, as
//!   one all-or-nothing step.
//! - [`Vault`] is the sealed key directory of a home; an [`UnlockSecret`] opens it.
//! - [`KeyRing`] holds the opened keys in memory. [`KeyRing::sign`] consumes a
//!   [`Permit`](palisade_protect::Permit) and is the only function here that signs.
//!
//! # Invariants
//! - Nothing is signed without a permit: no public function takes a message and a key.
//! - Secret types have no `Debug`, `Display`, `Clone` or `Serialize`, compare in constant time and
//!   are wiped when dropped. No error repeats a secret, a password or a line of a secret file.
//! - Every read of a file is bounded; foreign bytes never cause a panic.
//! - The vault changes by one durable rename: it holds all of a change or nothing of it.
//! - No network, no clock; randomness is the operating system's.
//!
//! # What cannot be wiped
//! A key at rest stands in secret pages (`palisade_sandbox::SecretPages`) alone, as does the home
//! key; for one signature it is copied to one heap place, which is wiped. Copies that the compiler
//! or a library makes on the stack are overwritten after each computation with a key (`stack`), as
//! deep as one goes. The Unicode normaliser of passwords and scrypt's working memory are freed
//! without being wiped; registers are nobody's. Secure mode (no core dumps, locked memory) is what
//! keeps those from leaving the process.
#![forbid(unsafe_code)]

mod any;
mod bls;
mod files;
mod hash_points;
mod held;
pub mod import;
pub mod keystore;
mod password;
mod ring;
mod scheme;
mod secret_uri;
mod session;
mod signature;
mod stack;
mod unlock;
mod vault;

pub use any::PublicKey;
pub use bls::{BlsPublicKey, BlsSecretKey, PublicKeyError, SecretKeyError};
pub use password::{Password, PasswordError};
pub use ring::{KeyRing, SignError};
pub use scheme::{Scheme, key_id};
pub use secret_uri::SecretUriError;
pub use session::{
    GenerateError, SessionPublicKey, SessionPublicKeyError, SessionSecretKey, SessionSignature,
};
pub use signature::Signature;
pub use unlock::{UnlockError, UnlockFileSecret, UnlockSecret};
pub use vault::{Added, NewKey, Removed, UnlockKind, Vault, VaultError};
