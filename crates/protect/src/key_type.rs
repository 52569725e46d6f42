//! What a session key is for.
//!
//! Invariant: four bytes, as the chain has them; a type without rules is none of [`KeyType::ALL`].

use core::fmt;

/// The four bytes that name what a session key is for (`sp_core::crypto::KeyTypeId`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyType(pub [u8; 4]);

impl KeyType {
    /// BABE block production, sr25519.
    pub const BABE: Self = Self(*b"babe");
    /// Aura block production, sr25519 or ed25519.
    pub const AURA: Self = Self(*b"aura");
    /// GRANDPA finality, ed25519.
    pub const GRANDPA: Self = Self(*b"gran");
    /// BEEFY bridge finality, ECDSA on secp256k1.
    pub const BEEFY: Self = Self(*b"beef");
    /// Authority discovery, sr25519.
    pub const AUTHORITY_DISCOVERY: Self = Self(*b"audi");
    /// What a relay chain's validator says of parachains, sr25519.
    pub const PARACHAIN: Self = Self(*b"para");
    /// The assignments of approval checking, sr25519. Only its ownership is proven.
    pub const ASSIGNMENT: Self = Self(*b"asgn");

    /// Every key type that there are rules for.
    pub const ALL: [Self; 7] = [
        Self::BABE,
        Self::AURA,
        Self::GRANDPA,
        Self::BEEFY,
        Self::AUTHORITY_DISCOVERY,
        Self::PARACHAIN,
        Self::ASSIGNMENT,
    ];
}

impl fmt::Display for KeyType {
    /// The four letters; bytes that are no printable letter are escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}

impl fmt::Debug for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
