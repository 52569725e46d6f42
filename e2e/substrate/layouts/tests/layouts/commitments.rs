//! BEEFY commitments: read as the bridge writes them, signed as it verifies them.

use codec::Encode as _;
use palisade_keys::Scheme;
use palisade_protect::{Duty, KeyType};
use palisade_substrate::{BlockNumberBits, beefy_commitment, mmr_commitment};
use proptest::prelude::*;
use sp_consensus_beefy::{
    BeefyAuthorityId, Commitment, Payload, ecdsa_crypto, known_payloads::MMR_ROOT_ID,
};
use sp_core::{Pair as _, ecdsa};

use crate::support::{ALICE, Guard, chain};

fn commitment(root: [u8; 32], block_number: u32, validator_set_id: u64) -> Commitment<u32> {
    let payload = Payload::from_single_entry(MMR_ROOT_ID, root.to_vec());
    Commitment { payload, block_number, validator_set_id }
}

proptest! {
    #[test]
    fn a_commitment_reads_as_beefy_wrote_it(
        root in any::<[u8; 32]>(),
        block in any::<u32>(),
        set_id in any::<u64>(),
    ) {
        let commitment = commitment(root, block, set_id).encode();
        let read = beefy_commitment(&commitment, &chain(BlockNumberBits::U32)).unwrap();
        let expected = Duty::BeefyVote { set_id, block: u64::from(block) };
        prop_assert_eq!(read.intent.duty, expected);
        prop_assert_eq!(mmr_commitment(root, block, set_id), commitment);
    }

    #[test]
    fn several_entries_stay_in_their_order(
        entries in prop::collection::btree_map(any::<[u8; 2]>(), any::<[u8; 8]>(), 1..5),
        block_number in any::<u64>(),
    ) {
        let mut entries = entries.into_iter();
        let (id, value) = entries.next().unwrap();
        let mut payload = Payload::from_single_entry(id, value.to_vec());
        for (id, value) in entries {
            payload = payload.push_raw(id, value.to_vec());
        }
        let commitment = Commitment { payload, block_number, validator_set_id: 3 }.encode();
        prop_assert!(beefy_commitment(&commitment, &chain(BlockNumberBits::U64)).is_ok());
    }
}

#[test]
fn a_signature_is_one_that_beefy_verifies() {
    let commitment = commitment([1; 32], 2, 3).encode();
    let mut guard = Guard::new(Scheme::Ecdsa, KeyType::BEEFY);
    let judged = beefy_commitment(&commitment, &chain(BlockNumberBits::U32)).unwrap();
    let signature = guard.sign(&judged).unwrap();
    let signature = ecdsa::Signature::try_from(signature.as_bytes()).unwrap();
    let public = ecdsa::Pair::from_string(ALICE, None).unwrap().public();
    let authority = ecdsa_crypto::AuthorityId::from(public);
    assert!(BeefyAuthorityId::verify(&authority, &signature.into(), &commitment));
}
