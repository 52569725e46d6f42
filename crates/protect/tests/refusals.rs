//! The closed list of refusals.
//!
//! Decides: each kind is reached by a real request and carries the fact that forbids it; codes and
//! sentences are frozen, as clients and the journal depend on them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod common;

use std::collections::BTreeSet;

use common::{
    attestation, bound, ethereum, harmless, irrevocable, last_attestation, last_proposal, proposal,
};
use palisade_protect::{Evidence, Intent, Record, Refusal, RefusalKind, StopLine, decide};

/// Byte in the journal, code, explanation. Only ever grows at its end.
const FROZEN: &str = "\
0 double-proposal: a different block may already be signed in this slot
1 proposal-behind: a block of a later slot is already signed
2 double-vote: a different vote may already be signed for this target epoch
3 surrounding-vote: the vote would surround one that is already signed
4 surrounded-vote: the vote is surrounded by one that is already signed
5 target-behind: a vote with a later target epoch is already signed
6 source-after-target: the source epoch is after the target epoch
7 at-or-above-stop-line: the operator's stop-line forbids signing from there on
8 below-stop-line: the operator's stop-line forbids signing before it
9 duty-of-another-chain: the key's record belongs to another kind of chain
10 double-seal: a different block may already be sealed in this slot
11 seal-behind: a block of a later slot is already sealed
12 double-grandpa-vote: a different vote may already be signed in this round
13 grandpa-vote-behind: a vote of a later round or set is already signed
14 double-beefy-vote: a different commitment may already be signed for this block
15 beefy-vote-behind: a vote for a later block or set is already signed
16 too-far-ahead: the message is further ahead than the chain can have moved
17 awaits-floor: the key's past is unknown and no floor was given for it
18 contradictory-statement: the opposite is already said of this candidate
19 double-backing: the candidate is already backed, by the other kind of statement
20 session-behind: the session is before those that this guard remembers
21 stance-unknown: what was said of the candidate before was not looked up
22 too-many-candidates: the key spoke about too many candidates of this session
";

#[test]
fn codes_and_explanations_are_frozen() {
    let line = |(place, kind): (usize, RefusalKind)| {
        format!("{place} {}: {}\n", kind.code(), kind.explanation())
    };
    let listed: String = RefusalKind::ALL.into_iter().enumerate().map(line).collect();
    assert_eq!(listed, FROZEN);
}

#[test]
fn codes_are_unique_and_kebab_case() {
    let codes: BTreeSet<&str> = RefusalKind::ALL.iter().map(|kind| kind.code()).collect();
    assert_eq!(codes.len(), RefusalKind::ALL.len());
    for code in codes {
        let words = code
            .split('-')
            .all(|word| !word.is_empty() && word.bytes().all(|letter| letter.is_ascii_lowercase()));
        assert!(words, "{code}");
    }
}

/// The last block of slot 10, the last vote from 4 to 6, nothing from 100 on or below 2.
fn used_record() -> Record {
    ethereum(
        Some(last_proposal(10, Some(1))),
        Some(last_attestation(4, 6, Some(1))),
        StopLine { at_or_above: Some(bound(100, 100)), below: Some(bound(2, 2)) },
    )
}

/// What is asked of [`used_record`], the kind of the refusal and its evidence.
fn cases() -> Vec<(Intent, RefusalKind, Evidence)> {
    use RefusalKind as Kind;
    let block = Evidence::Proposal(last_proposal(10, Some(1)));
    let vote = Evidence::Attestation(last_attestation(4, 6, Some(1)));
    let above = Evidence::StopLine(bound(100, 100));
    let below = Evidence::StopLine(bound(2, 2));
    vec![
        (proposal(10, 2), Kind::DoubleProposal, block),
        (proposal(9, 1), Kind::ProposalBehind, block),
        (proposal(9, 2), Kind::ProposalBehind, block),
        (attestation(4, 6, 2), Kind::DoubleVote, vote),
        (attestation(3, 6, 1), Kind::DoubleVote, vote),
        (attestation(5, 6, 1), Kind::DoubleVote, vote),
        (attestation(3, 7, 2), Kind::SurroundingVote, vote),
        (attestation(0, 99, 2), Kind::SurroundingVote, vote),
        (attestation(5, 5, 2), Kind::SurroundedVote, vote),
        (attestation(4, 5, 2), Kind::TargetBehind, vote),
        (attestation(2, 5, 2), Kind::TargetBehind, vote),
        (attestation(8, 7, 2), Kind::SourceAfterTarget, Evidence::Request),
        (proposal(100, 2), Kind::AtOrAboveStopLine, above),
        (proposal(u64::MAX, 2), Kind::AtOrAboveStopLine, above),
        (attestation(6, 100, 2), Kind::AtOrAboveStopLine, above),
        (attestation(100, 7, 2), Kind::AtOrAboveStopLine, above),
        (attestation(u64::MAX, u64::MAX, 2), Kind::AtOrAboveStopLine, above),
        (proposal(1, 2), Kind::BelowStopLine, below),
        (attestation(0, 1, 2), Kind::BelowStopLine, below),
    ]
}

#[test]
fn each_refusal_names_its_rule_and_carries_its_evidence() {
    for (asked, kind, evidence) in cases() {
        let expected = Refusal { kind, asked, evidence };
        assert_eq!(decide(&used_record(), &asked), Err(expected));
        assert_eq!(expected.to_string(), kind.explanation());
    }
}

/// The others are the session keys', in `substrate_histories.rs`.
#[test]
fn each_kind_of_an_ethereum_key_is_reached() {
    let reached: BTreeSet<&str> = cases().iter().map(|(_, kind, _)| kind.code()).collect();
    let of_ethereum = RefusalKind::DutyOfAnotherChain as usize;
    let all = RefusalKind::ALL.iter().take(of_ethereum).map(|kind| kind.code());
    let missing: Vec<&str> = all.filter(|code| !reached.contains(code)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn what_is_newer_or_the_last_again_is_permitted() {
    let newer = [
        proposal(11, 2),
        proposal(99, 2),
        attestation(4, 7, 2),
        attestation(6, 7, 2),
        attestation(99, 99, 2),
    ];
    for asked in newer {
        let next = decide(&used_record(), &asked).unwrap();
        assert_ne!(next, used_record());
        assert_eq!(decide(&next, &asked), Ok(next), "the same again");
    }
    let unchanged = [proposal(10, 1), attestation(4, 6, 1), harmless(9), irrevocable(9)];
    for asked in unchanged {
        assert_eq!(decide(&used_record(), &asked), Ok(used_record()));
    }
}

#[test]
fn the_genesis_vote_is_permitted_once() {
    let record = decide(&Record::fresh_ethereum(), &attestation(0, 0, 1)).unwrap();
    assert_eq!(decide(&record, &attestation(0, 0, 1)), Ok(record), "the same again");
    assert_eq!(decide(&record, &attestation(0, 0, 2)).unwrap_err().kind, RefusalKind::DoubleVote);
    assert!(decide(&record, &attestation(0, 1, 2)).is_ok());
    let slot = decide(&Record::fresh_ethereum(), &proposal(0, 1)).unwrap();
    assert_eq!(decide(&slot, &proposal(0, 2)).unwrap_err().kind, RefusalKind::DoubleProposal);
}

/// What was imported without its root may be anything: the same place is never signed again.
#[test]
fn an_unknown_root_equals_nothing() {
    let none = StopLine::default();
    let record = ethereum(Some(last_proposal(10, None)), Some(last_attestation(4, 6, None)), none);
    for root in 0..=u8::MAX {
        let refused = |asked| decide(&record, &asked).unwrap_err().kind;
        assert_eq!(refused(proposal(10, root)), RefusalKind::DoubleProposal);
        assert_eq!(refused(attestation(4, 6, root)), RefusalKind::DoubleVote);
    }
}

/// A key that moves to another guard falls silent at the line, also for its last message.
#[test]
fn the_stop_line_stands_above_the_right_to_repeat() {
    let line = StopLine { at_or_above: Some(bound(10, 6)), below: None };
    let record =
        ethereum(Some(last_proposal(10, Some(1))), Some(last_attestation(4, 6, Some(1))), line);
    for asked in [proposal(10, 1), attestation(4, 6, 1)] {
        let refusal = decide(&record, &asked).unwrap_err();
        assert_eq!(refusal.kind, RefusalKind::AtOrAboveStopLine);
    }
    for asked in [harmless(1), irrevocable(1)] {
        assert!(decide(&record, &asked).is_ok(), "the line is about slashable duties only");
    }
}
