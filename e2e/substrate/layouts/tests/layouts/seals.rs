//! Seals: what was sealed is never an equivocation by the function that runs on the chain.
//!
//! sr25519 signatures are randomised, and two different seals of one header are two blocks of one
//! slot: an equivocation. So the guard must answer a repeat with the very same bytes.

use codec::Encode as _;
use palisade_keys::Scheme;
use palisade_protect::KeyType;
use palisade_substrate::{BlockNumberBits, announcement};
use proptest::prelude::*;
use sp_consensus_babe::digests::{CompatibleDigestItem as _, PreDigest, SecondaryPlainPreDigest};
use sp_consensus_babe::{AuthorityId, EquivocationProof, check_equivocation_proof};
use sp_core::{H256, Pair as _, sr25519};
use sp_runtime::traits::{BlakeTwo256, Header as _};
use sp_runtime::{Digest, DigestItem, generic};

use crate::support::{ALICE, CASES, Guard, chain};

type Header = generic::Header<u32, BlakeTwo256>;

fn pair() -> sr25519::Pair {
    sr25519::Pair::from_string(ALICE, None).unwrap()
}

/// An unsealed block of a slot; blocks with different `content` differ.
fn block(slot: u64, content: u8) -> Header {
    let claim = SecondaryPlainPreDigest { authority_index: 0, slot: slot.into() };
    let claim = DigestItem::babe_pre_digest(PreDigest::SecondaryPlain(claim));
    let logs = vec![claim];
    Header::new(9, H256([content; 32]), H256([2; 32]), H256([3; 32]), Digest { logs })
}

fn sealed(mut block: Header, signature: sr25519::Signature) -> Header {
    block.digest_mut().push(DigestItem::babe_seal(signature.into()));
    block
}

/// Asks for a seal, and gives the block as it would go out.
fn seal(guard: &mut Guard, block: &Header) -> Option<Header> {
    let announced = announcement(&block.encode(), &chain(BlockNumberBits::U32)).unwrap();
    let signature = guard.sign(&announced.seal())?;
    let signature = sr25519::Signature::try_from(signature.as_bytes()).unwrap();
    assert!(sr25519::Pair::verify(&signature, block.hash(), &pair().public()));
    Some(sealed(block.clone(), signature))
}

fn is_equivocation(slot: u64, first_header: Header, second_header: Header) -> bool {
    let offender = AuthorityId::from(pair().public());
    let slot = slot.into();
    check_equivocation_proof(EquivocationProof { offender, slot, first_header, second_header })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    /// Whatever is asked, in whatever order and however often.
    #[test]
    fn nothing_sealed_is_an_equivocation(
        requests in prop::collection::vec((0..6_u64, 0..3_u8), 1..30),
    ) {
        let mut guard = Guard::new(Scheme::Sr25519, KeyType::BABE);
        let mut blocks = Vec::new();
        for (slot, content) in requests {
            let sealed = seal(&mut guard, &block(slot, content));
            blocks.extend(sealed.map(|block| (slot, block)));
        }
        for (slot, block) in &blocks {
            for (_, other) in &blocks {
                prop_assert!(!is_equivocation(*slot, block.clone(), other.clone()));
            }
        }
    }
}

#[test]
fn a_repeat_has_the_same_bytes_even_after_the_record_is_all_that_is_left() {
    let mut guard = Guard::new(Scheme::Sr25519, KeyType::BABE);
    let first = seal(&mut guard, &block(5, 1)).unwrap();
    assert_eq!(seal(&mut guard, &block(5, 1)).unwrap(), first);
    assert!(seal(&mut guard, &block(5, 2)).is_none());
    // Another process with the same home: nothing but the key is needed for the same bytes.
    let mut other = Guard::new(Scheme::Sr25519, KeyType::BABE);
    assert_eq!(seal(&mut other, &block(5, 1)).unwrap(), first);
}

/// Why the test above matters: sealed twice as nodes do, one block is an equivocation.
#[test]
fn one_block_sealed_twice_with_fresh_randomness_is_an_equivocation() {
    let block = block(5, 1);
    let [first, second] =
        [0, 1].map(|_| sealed(block.clone(), pair().sign(block.hash().as_bytes())));
    assert_ne!(first, second);
    assert!(is_equivocation(5, first, second));
}

/// The property can fail: of two guards that do not know of each other, the chain has a proof.
#[test]
fn two_guards_would_equivocate() {
    let [first, second] = [1, 2].map(|content| {
        let mut guard = Guard::new(Scheme::Sr25519, KeyType::BABE);
        seal(&mut guard, &block(5, content)).unwrap()
    });
    assert!(is_equivocation(5, first, second));
}
