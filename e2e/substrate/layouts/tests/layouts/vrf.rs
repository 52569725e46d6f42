//! BABE's draws, and the proof that a session key is its owner's.

use palisade_keys::Scheme;
use palisade_protect::{BabeVrf, KeyType};
use palisade_substrate::{babe_vrf, ownership};
use proptest::prelude::*;
use sp_consensus_babe::make_vrf_sign_data;
use sp_core::crypto::{VrfPublic as _, VrfSecret as _};
use sp_core::proof_of_possession::{ProofOfPossessionVerifier as _, statement_of_ownership};
use sp_core::sr25519::vrf::{VrfPreOutput, VrfProof, VrfSignature};
use sp_core::{Pair as _, ed25519, sr25519};

use crate::support::{ALICE, CASES, Guard};

fn pair() -> sr25519::Pair {
    sr25519::Pair::from_string(ALICE, None).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn a_draw_is_the_one_that_babe_verifies(
        slot in any::<u64>(),
        epoch in any::<u64>(),
        randomness in any::<[u8; 32]>(),
    ) {
        let mut guard = Guard::new(Scheme::Sr25519, KeyType::BABE);
        let drawn = guard.sign(&babe_vrf(BabeVrf { slot, epoch, randomness })).unwrap();
        let (pre_output, proof) = drawn.as_bytes().split_at(32);
        let drawn = VrfSignature {
            pre_output: codec::Decode::decode(&mut &*pre_output).unwrap(),
            proof: codec::Decode::decode(&mut &*proof).unwrap(),
        };
        let input = make_vrf_sign_data(&randomness, slot.into(), epoch);
        prop_assert!(pair().public().vrf_verify(&input, &drawn));
        // The output, which decides who leads, is the one that the node itself would draw.
        let own: VrfSignature = pair().vrf_sign(&input);
        prop_assert_eq!(&own.pre_output, &drawn.pre_output);
        let other = make_vrf_sign_data(&randomness, slot.wrapping_add(1).into(), epoch);
        prop_assert!(!pair().public().vrf_verify(&other, &drawn));
    }
}

#[test]
fn a_draw_has_two_parts_of_known_length() {
    use codec::MaxEncodedLen as _;
    assert_eq!(VrfPreOutput::max_encoded_len(), 32);
    assert_eq!(VrfProof::max_encoded_len(), 64);
}

#[test]
fn an_ownership_proof_is_the_one_that_set_keys_verifies() {
    let owner = [9; 32];
    let statement = ownership(&owner).unwrap();
    let mut babe = Guard::new(Scheme::Sr25519, KeyType::BABE);
    let signature = babe.sign(&statement.judged()).unwrap();
    let signature = sr25519::Signature::try_from(signature.as_bytes()).unwrap();
    assert!(sr25519::Pair::verify_proof_of_possession(&owner, &signature, &pair().public()));
    let mut grandpa = Guard::new(Scheme::Ed25519, KeyType::GRANDPA);
    let signature = grandpa.sign(&statement.judged()).unwrap();
    let signature = ed25519::Signature::try_from(signature.as_bytes()).unwrap();
    let public = ed25519::Pair::from_string(ALICE, None).unwrap().public();
    assert!(ed25519::Pair::verify_proof_of_possession(&owner, &signature, &public));
    assert_eq!(statement_of_ownership(&owner), [b"POP_" as &[u8], &owner].concat());
}
