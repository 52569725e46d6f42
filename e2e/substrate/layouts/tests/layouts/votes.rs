//! GRANDPA votes: read as the chain writes them, signed as it verifies them, never equivocated.

use codec::Encode;
use finality_grandpa::{Equivocation as Twice, Message, Precommit, Prevote, PrimaryPropose};
use palisade_keys::Scheme;
use palisade_protect::{Duty, GrandpaStage, KeyType};
use palisade_substrate::{BlockNumberBits, grandpa_vote};
use proptest::prelude::*;
use sp_consensus_grandpa::{
    AuthorityId, AuthoritySignature, Equivocation, EquivocationProof, check_equivocation_proof,
    check_message_signature, localized_payload,
};
use sp_core::{H256, Pair as _, ed25519};

use crate::support::{ALICE, CASES, Guard, chain};

type Vote = Message<H256, u32>;

fn alice() -> AuthorityId {
    ed25519::Pair::from_string(ALICE, None).unwrap().public().into()
}

fn message<N>(stage: GrandpaStage, target: H256, number: N) -> Message<H256, N> {
    match stage {
        GrandpaStage::Prevote => Message::Prevote(Prevote::new(target, number)),
        GrandpaStage::Precommit => Message::Precommit(Precommit::new(target, number)),
        GrandpaStage::PrimaryPropose => {
            Message::PrimaryPropose(PrimaryPropose::new(target, number))
        }
    }
}

fn stage() -> impl Strategy<Value = GrandpaStage> {
    prop::sample::select(GrandpaStage::ALL.to_vec())
}

fn duty_of(payload: &[u8], bits: BlockNumberBits) -> Duty {
    grandpa_vote(payload, &chain(bits)).unwrap().intent.duty
}

/// The proof that a watcher would submit for two signed votes of one round, if there can be one.
fn proof(
    set_id: u64,
    round_number: u64,
    first: (Vote, AuthoritySignature),
    second: (Vote, AuthoritySignature),
) -> Option<EquivocationProof<H256, u32>> {
    let identity = alice();
    let equivocation = match (first, second) {
        ((Message::Prevote(one), by_one), (Message::Prevote(other), by_other)) => {
            let (first, second) = ((one, by_one), (other, by_other));
            Equivocation::Prevote(Twice { round_number, identity, first, second })
        }
        ((Message::Precommit(one), by_one), (Message::Precommit(other), by_other)) => {
            let (first, second) = ((one, by_one), (other, by_other));
            Equivocation::Precommit(Twice { round_number, identity, first, second })
        }
        _ => return None,
    };
    Some(EquivocationProof::new(set_id, equivocation))
}

/// Asks for a vote, and gives it as it would go out.
fn sign(guard: &mut Guard, set_id: u64, round: u64, vote: &Vote) -> Option<AuthoritySignature> {
    let payload = localized_payload(round, set_id, vote);
    let judged = grandpa_vote(&payload, &chain(BlockNumberBits::U32)).unwrap();
    let signature = guard.sign(&judged)?;
    let signature = ed25519::Signature::try_from(signature.as_bytes()).unwrap().into();
    assert!(check_message_signature(vote, &alice(), &signature, round, set_id).is_valid());
    Some(signature)
}

fn requests() -> impl Strategy<Value = Vec<(u64, u64, GrandpaStage, u8)>> {
    prop::collection::vec((0..3_u64, 0..4_u64, stage(), 0..3_u8), 1..40)
}

proptest! {
    #[test]
    fn a_vote_reads_as_grandpa_wrote_it(
        stage in stage(),
        target in any::<[u8; 32]>(),
        (number, round, set_id) in (any::<u64>(), any::<u64>(), any::<u64>()),
    ) {
        let expected = Duty::GrandpaVote { stage, set_id, round };
        let wide = localized_payload(round, set_id, &message(stage, H256(target), number));
        prop_assert_eq!(duty_of(&wide, BlockNumberBits::U64), expected);
        prop_assert!(grandpa_vote(&wide, &chain(BlockNumberBits::U32)).is_err());
        let narrow = message(stage, H256(target), number as u32);
        let narrow = localized_payload(round, set_id, &narrow);
        prop_assert_eq!(duty_of(&narrow, BlockNumberBits::U32), expected);
        prop_assert!(grandpa_vote(&narrow, &chain(BlockNumberBits::U64)).is_err());
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    /// Whatever is asked, in whatever order: no two answers are a proof that the chain accepts.
    #[test]
    fn nothing_signed_is_an_equivocation(requests in requests()) {
        let mut guard = Guard::new(Scheme::Ed25519, KeyType::GRANDPA);
        let mut signed = Vec::new();
        for (set_id, round, stage, target) in requests {
            let vote = message(stage, H256([target; 32]), u32::from(target));
            if let Some(signature) = sign(&mut guard, set_id, round, &vote) {
                signed.push((set_id, round, vote, signature));
            }
        }
        for (set_id, round, vote, signature) in &signed {
            for (other_set, other_round, other, by_other) in &signed {
                if (set_id, round) == (other_set, other_round) {
                    let first = (vote.clone(), signature.clone());
                    let second = (other.clone(), by_other.clone());
                    let proof = proof(*set_id, *round, first, second);
                    prop_assert!(!proof.is_some_and(check_equivocation_proof));
                }
            }
        }
    }
}

/// The test above can fail: of two guards that do not know of each other, the chain has a proof.
#[test]
fn two_guards_would_equivocate() {
    let votes = [1, 2].map(|target| message(GrandpaStage::Precommit, H256([target; 32]), 5_u32));
    let [first, second] = votes.map(|vote| {
        let mut guard = Guard::new(Scheme::Ed25519, KeyType::GRANDPA);
        let signature = sign(&mut guard, 4, 9, &vote).unwrap();
        (vote, signature)
    });
    assert!(check_equivocation_proof(proof(4, 9, first, second).unwrap()));
}

/// A vote has the same bytes in every encoding of it that a node has.
#[test]
fn a_payload_is_message_round_and_set() {
    let vote = message(GrandpaStage::Prevote, H256([5; 32]), 6_u32);
    assert_eq!(localized_payload(7, 8, &vote), (&vote, 7_u64, 8_u64).encode());
}
