//! Decides which method of the guard signs a payload, by key type and shape.
//!
//! Invariant: a payload that is none of these has no method. There is no "sign these bytes".

use sp_core::crypto::{CryptoTypeId, KeyTypeId};
use sp_core::{ecdsa, ed25519, sr25519};

use crate::config::{ASSIGNMENT, AURA, AUTHORITY_DISCOVERY, BABE, BEEFY, GRANDPA, PARACHAIN};

/// What `set_keys` lets every session key sign, followed by the owner's account.
const POSSESSION: &[u8] = b"POP_";
/// The length of a block's pre-hash.
const PRE_HASH: usize = 32;
/// A GRANDPA message with a 32-bit and a 64-bit block number.
const VOTES: [usize; 2] = [53, 57];
/// Prevote, precommit, primary propose.
const LAST_VOTE_KIND: u8 = 2;
/// The longest account of any chain that an ownership proof is made for.
const LONGEST_OWNER: usize = 64;

/// What a payload asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Duty<'a> {
    /// The seal of a block that was announced.
    Seal(&'a [u8]),
    /// A GRANDPA vote.
    Vote(&'a [u8]),
    /// An authority discovery record.
    Record(&'a [u8]),
    /// A parachain statement, bitfield, approval, dispute or PVF vote.
    Statement(&'a [u8]),
    /// A proof that the owner's account holds the session key.
    Possession(&'a [u8]),
}

/// The duty behind a payload, if it is one.
pub(crate) fn duty(key_type: KeyTypeId, payload: &[u8]) -> Option<Duty<'_>> {
    match key_type {
        // A pre-hash may begin with any bytes, the letters of an ownership proof included.
        BABE | AURA if payload.len() == PRE_HASH => return Some(Duty::Seal(payload)),
        // A bitfield of 20 cores may begin with them too; it is 40 bytes long.
        PARACHAIN if payload.len() == 40 => return Some(Duty::Statement(payload)),
        _ => {}
    }
    if let Some(owner) = payload.strip_prefix(POSSESSION) {
        return (1..=LONGEST_OWNER).contains(&owner.len()).then_some(Duty::Possession(owner));
    }
    match key_type {
        GRANDPA => {
            let kind = payload.first().is_some_and(|kind| *kind <= LAST_VOTE_KIND);
            (kind && VOTES.contains(&payload.len())).then_some(Duty::Vote(payload))
        }
        AUTHORITY_DISCOVERY => Some(Duty::Record(payload)),
        PARACHAIN => Some(Duty::Statement(payload)),
        _ => None,
    }
}

/// The cryptography of a key type; `None` for types that a guard does not hold.
pub(crate) fn cryptography(key_type: KeyTypeId, aura_ed25519: bool) -> Option<CryptoTypeId> {
    match key_type {
        GRANDPA => Some(ed25519::CRYPTO_ID),
        BEEFY => Some(ecdsa::CRYPTO_ID),
        AURA if aura_ed25519 => Some(ed25519::CRYPTO_ID),
        BABE | AURA | AUTHORITY_DISCOVERY | PARACHAIN | ASSIGNMENT => Some(sr25519::CRYPTO_ID),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pre_hash_that_looks_like_an_ownership_proof_is_a_seal() {
        let mut hash = [7; 32];
        hash[..4].copy_from_slice(b"POP_");
        assert_eq!(duty(BABE, &hash), Some(Duty::Seal(&hash)));
        assert_eq!(duty(AURA, &hash), Some(Duty::Seal(&hash)));
    }

    #[test]
    fn a_bitfield_that_looks_like_an_ownership_proof_is_a_statement() {
        let mut bitfield = [7; 40];
        bitfield[..4].copy_from_slice(b"POP_");
        assert_eq!(duty(PARACHAIN, &bitfield), Some(Duty::Statement(&bitfield)));
    }

    #[test]
    fn every_key_type_proves_possession() {
        let payload = [b"POP_".as_slice(), &[9; 32]].concat();
        for key_type in [BABE, AURA, GRANDPA, BEEFY, AUTHORITY_DISCOVERY, PARACHAIN, ASSIGNMENT] {
            assert_eq!(duty(key_type, &payload), Some(Duty::Possession(&[9; 32])));
        }
    }

    #[test]
    fn votes_have_two_lengths_and_three_kinds() {
        for length in [53, 57] {
            for kind in 0..=2 {
                let mut vote = vec![kind; length];
                assert_eq!(duty(GRANDPA, &vote), Some(Duty::Vote(&vote)));
                vote[0] = 3;
                assert_eq!(duty(GRANDPA, &vote), None);
            }
        }
    }

    #[test]
    fn anything_else_has_no_method() {
        assert_eq!(duty(BABE, &[0; 31]), None);
        assert_eq!(duty(AURA, b""), None);
        assert_eq!(duty(GRANDPA, &[0; 32]), None);
        assert_eq!(duty(BEEFY, &[0; 48]), None);
        assert_eq!(duty(ASSIGNMENT, &[0; 32]), None);
        assert_eq!(duty(KeyTypeId(*b"imon"), &[0; 32]), None);
        assert_eq!(duty(BABE, b"POP_"), None);
        assert_eq!(duty(BABE, &[b"POP_".as_slice(), &[1; 65]].concat()), None);
    }
}
