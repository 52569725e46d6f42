//! Parachain statements: read as `polkadot-primitives` writes them, signed as it verifies them, and
//! never two that a relay chain's disputes could hold against the key together.

use codec::Encode;
use palisade_keys::Scheme;
use palisade_protect::{Digest, Duty, KeyType, Statement, Subject};
use palisade_substrate::para_statement;
use polkadot_primitives::{
    ApprovalVote, ApprovalVoteMultipleCandidates, AvailabilityBitfield, CandidateHash,
    CoalescedApprovalCandidateHashes, CompactStatement, DisputeStatement,
    InvalidDisputeStatementKind, MAX_COALESCE_APPROVALS, PvfCheckStatement, SigningContext,
    ValidDisputeStatementKind, ValidatorId, ValidatorSignature,
};
use proptest::prelude::*;
use sp_core::{H256, Pair as _, sr25519};

use crate::support::{ALICE, CASES, Guard};

fn alice() -> ValidatorId {
    sr25519::Pair::from_string(ALICE, None).unwrap().public().into()
}

fn hash(byte: u8) -> CandidateHash {
    CandidateHash(H256([byte; 32]))
}

fn duties(payload: &[u8]) -> Vec<Duty> {
    para_statement(payload).unwrap().intents.iter().map(|intent| intent.duty).collect()
}

fn duty(statement: Statement, session: u32, candidate: H256) -> Duty {
    let subject = Subject { session, candidate: Digest(candidate.0) };
    Duty::ParaStatement { subject, statement }
}

/// Every statement of a dispute: what else backing and approval sign has the same payloads.
fn kinds(parent: H256) -> [(DisputeStatement, Statement); 5] {
    use DisputeStatement::{Invalid, Valid};
    [
        (Valid(ValidDisputeStatementKind::BackingSeconded(parent)), Statement::Seconded),
        (Valid(ValidDisputeStatementKind::BackingValid(parent)), Statement::Valid),
        (Valid(ValidDisputeStatementKind::ApprovalChecking), Statement::Approved),
        (Valid(ValidDisputeStatementKind::Explicit), Statement::DisputedValid),
        (Invalid(InvalidDisputeStatementKind::Explicit), Statement::DisputedInvalid),
    ]
}

proptest! {
    #[test]
    fn a_statement_reads_as_the_chain_wrote_it(
        candidate in any::<[u8; 32]>(),
        parent in any::<[u8; 32]>(),
        session in any::<u32>(),
        validator in any::<u32>(),
    ) {
        let (candidate, parent) = (H256(candidate), H256(parent));
        for (statement, read) in kinds(parent) {
            let payload = statement.payload_data(CandidateHash(candidate), session).unwrap();
            prop_assert_eq!(duties(&payload), [duty(read, session, candidate)]);
        }
        let context = SigningContext { session_index: session, parent_hash: parent };
        let backing = CompactStatement::Valid(CandidateHash(candidate)).signing_payload(&context);
        prop_assert_eq!(duties(&backing), [duty(Statement::Valid, session, candidate)]);
        let approval = ApprovalVote(CandidateHash(candidate)).signing_payload(session);
        prop_assert_eq!(duties(&approval), [duty(Statement::Approved, session, candidate)]);
        for (accept, read) in [(true, Statement::CodeAccepted), (false, Statement::CodeRejected)] {
            let vote = PvfCheckStatement {
                accept,
                subject: candidate.into(),
                session_index: session,
                validator_index: validator.into(),
            };
            prop_assert_eq!(duties(&vote.signing_payload()), [duty(read, session, candidate)]);
        }
    }

    #[test]
    fn a_bitfield_reads_as_the_chain_wrote_it(
        bits in prop::collection::vec(any::<bool>(), 0..300),
        parent in any::<[u8; 32]>(),
        session in any::<u32>(),
    ) {
        let bits: bitvec::vec::BitVec<u8, bitvec::order::Lsb0> = bits.into_iter().collect();
        let context = SigningContext { session_index: session, parent_hash: H256(parent) };
        let payload = (AvailabilityBitfield::from(bits), context).encode();
        prop_assert_eq!(duties(&payload), [Duty::Harmless]);
    }
}

#[test]
fn an_approval_of_several_candidates_reads_as_each_of_them() {
    for number in 1..=u8::try_from(MAX_COALESCE_APPROVALS).unwrap() {
        let candidates: Vec<_> = (0..number).map(hash).collect();
        let payload = ApprovalVoteMultipleCandidates(&candidates).signing_payload(77);
        let expected: Vec<_> =
            candidates.iter().map(|one| duty(Statement::Approved, 77, one.0)).collect();
        assert_eq!(duties(&payload), expected);
        let bounded = CoalescedApprovalCandidateHashes::try_from(candidates).unwrap();
        let kind = ValidDisputeStatementKind::ApprovalCheckingMultipleCandidates(bounded);
        let disputed = DisputeStatement::Valid(kind).payload_data(hash(0), 77).unwrap();
        assert_eq!(disputed, payload);
    }
    let many: Vec<_> = (0..=u8::try_from(MAX_COALESCE_APPROVALS).unwrap()).map(hash).collect();
    assert!(para_statement(&ApprovalVoteMultipleCandidates(&many).signing_payload(77)).is_err());
}

/// One thing that a node may ask for: a statement, about some candidates.
type Ask = (DisputeStatement, Vec<u8>);

fn ask() -> impl Strategy<Value = Ask> {
    let single = (0..5_usize, 0..3_u8)
        .prop_map(|(kind, candidate)| (kinds(H256([9; 32]))[kind].0.clone(), vec![candidate]));
    let several = prop::sample::subsequence(vec![0_u8, 1, 2], 2..=3).prop_map(|candidates| {
        let list = candidates.iter().copied().map(hash).collect::<Vec<_>>();
        let bounded = CoalescedApprovalCandidateHashes::try_from(list).unwrap();
        let kind = ValidDisputeStatementKind::ApprovalCheckingMultipleCandidates(bounded);
        (DisputeStatement::Valid(kind), candidates)
    });
    prop_oneof![3 => single, 1 => several]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES / 3))]

    /// Of whatever is asked, in whatever order: all that was signed verifies on the chain, and no
    /// candidate has signed statements of this key on both sides.
    #[test]
    fn nothing_signed_stands_on_both_sides(asks in prop::collection::vec(ask(), 1..20)) {
        let mut guard = Guard::new(Scheme::Sr25519, KeyType::PARACHAIN);
        let mut signed: Vec<Ask> = Vec::new();
        let session = 500;
        for (statement, candidates) in asks {
            let payload = statement.payload_data(hash(candidates[0]), session).unwrap();
            let Some(signature) = guard.sign_parts(&para_statement(&payload).unwrap()) else {
                continue;
            };
            let signature = sr25519::Signature::try_from(signature.as_bytes()).unwrap();
            let signature = ValidatorSignature::from(signature);
            for candidate in &candidates {
                let checked =
                    statement.check_signature(&alice(), hash(*candidate), session, &signature);
                prop_assert!(checked.is_ok());
            }
            signed.push((statement, candidates));
        }
        for (one, candidates) in &signed {
            for (other, also) in &signed {
                let meet = candidates.iter().any(|candidate| also.contains(candidate));
                let sides = [one, other].map(DisputeStatement::indicates_validity);
                prop_assert!(!meet || sides[0] == sides[1], "{one:?} {other:?}");
            }
        }
    }
}

/// The test above can fail: two guards that do not know of each other say both.
#[test]
fn two_guards_would_contradict_each_other() {
    let [(seconded, _), .., (invalid, _)] = kinds(H256([9; 32]));
    for statement in [seconded, invalid] {
        let payload = statement.payload_data(hash(1), 500).unwrap();
        let mut guard = Guard::new(Scheme::Sr25519, KeyType::PARACHAIN);
        let signature = guard.sign_parts(&para_statement(&payload).unwrap()).unwrap();
        let signature = sr25519::Signature::try_from(signature.as_bytes()).unwrap();
        assert!(statement.check_signature(&alice(), hash(1), 500, &signature.into()).is_ok());
    }
}
