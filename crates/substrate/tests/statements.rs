//! Parachain statements from bytes built by hand, and everything that must be refused.
//!
//! Decides: what is read is what stands there; a payload has one reading and one length; a message
//! of several candidates takes a decision on each.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests fail by panicking")]

use palisade_protect::{Digest, Duty, Message, Statement, Subject};
use palisade_substrate::para_statement;
use proptest::prelude::*;

const SESSION: u32 = 0x0102_0304;

fn duty(statement: Statement, candidate: u8) -> Duty {
    let subject = Subject { session: SESSION, candidate: Digest([candidate; 32]) };
    Duty::ParaStatement { subject, statement }
}

fn bytes(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn session() -> [u8; 4] {
    SESSION.to_le_bytes()
}

/// One of each kind with what it must read as.
fn samples() -> Vec<(Vec<u8>, Vec<Duty>)> {
    use Statement::{
        Approved, CodeAccepted, CodeRejected, DisputedInvalid, DisputedValid, Seconded, Valid,
    };
    let (candidate, parent, index) = ([7; 32], [8; 32], [9, 0, 0, 0]);
    let one = |prefix: &[u8; 4], kind: u8, rest: &[u8]| {
        bytes(&[prefix, &[kind], &candidate, &session(), rest])
    };
    let several = bytes(&[b"APPR", &[3 << 2], &[1; 32], &[2; 32], &[3; 32], &session()]);
    vec![
        (one(b"BKNG", 1, &parent), vec![duty(Seconded, 7)]),
        (one(b"BKNG", 2, &parent), vec![duty(Valid, 7)]),
        (one(b"DISP", 0, &[]), vec![duty(DisputedInvalid, 7)]),
        (one(b"DISP", 1, &[]), vec![duty(DisputedValid, 7)]),
        (one(b"VCPC", 0, &index), vec![duty(CodeRejected, 7)]),
        (one(b"VCPC", 1, &index), vec![duty(CodeAccepted, 7)]),
        (bytes(&[b"APPR", &candidate, &session()]), vec![duty(Approved, 7)]),
        (several, (1..=3).map(|candidate| duty(Approved, candidate)).collect()),
        (bytes(&[&[3 << 2, 0b101], &session(), &parent]), vec![Duty::Harmless]),
        (bytes(&[&[0], &session(), &parent]), vec![Duty::Harmless]),
        // 100 cores: two bytes of number, 13 of bits.
        (bytes(&[&[0x91, 0x01], &[0xff; 12], &[0x0f], &session(), &parent]), vec![Duty::Harmless]),
    ]
}

#[test]
fn each_kind_reads_as_what_it_says() {
    for (payload, duties) in samples() {
        let judged = para_statement(&payload).unwrap();
        let read: Vec<_> = judged.intents.iter().map(|intent| intent.duty).collect();
        assert_eq!(read, duties, "{}", hex::encode(&payload));
        assert_eq!(judged.message, Message::Payload(&payload));
    }
}

#[test]
fn a_message_of_several_candidates_takes_a_permit_for_each() {
    let (payload, _) = samples().swap_remove(7);
    let judged = para_statement(&payload).unwrap();
    let whole = judged.message.digest();
    let parts: Vec<_> = (0..3).map(|part| judged.message.part_digest(part, 3)).collect();
    assert!(judged.intents.iter().map(|intent| intent.digest).eq(parts.iter().copied()));
    assert!(!parts.contains(&whole), "a part's permit would be one for the whole");
    let (single, _) = samples().swap_remove(6);
    let judged = para_statement(&single).unwrap();
    assert_eq!(judged.intents.first().map(|intent| intent.digest), Some(judged.message.digest()));
}

#[test]
fn any_other_length_is_refused() {
    for (payload, _) in samples() {
        // Forty bytes behind these letters are always an approval of one candidate.
        let is_one = |end: &usize| *end == 40 && payload.starts_with(b"APPR");
        for end in (0..payload.len()).filter(|end| !is_one(end)) {
            assert!(para_statement(payload.get(..end).unwrap()).is_err(), "{end} {payload:?}");
        }
        for more in [1, 4, 32] {
            let longer = [payload.clone(), vec![0; more]].concat();
            assert!(para_statement(&longer).is_err(), "{more} {payload:?}");
        }
    }
}

#[test]
fn an_unknown_kind_is_refused() {
    for (payload, _) in samples().into_iter().take(6) {
        for kind in 0..=u8::MAX {
            let mut other = payload.clone();
            *other.get_mut(4).unwrap() = kind;
            let known = if payload.starts_with(b"BKNG") { [1, 2] } else { [0, 1] };
            assert_eq!(para_statement(&other).is_ok(), known.contains(&kind), "{other:?}");
        }
    }
}

#[test]
fn approvals_are_two_to_sixteen_different_ones() {
    let approval = |number: usize, listed: usize| {
        let candidates: Vec<u8> =
            (0..listed).flat_map(|place| [u8::try_from(place).unwrap(); 32]).collect();
        let number = u8::try_from(number << 2).unwrap();
        bytes(&[b"APPR", &[number], &candidates, &session()])
    };
    for number in 0..=20 {
        let read = para_statement(&approval(number, number)).is_ok();
        assert_eq!(read, (2..=16).contains(&number), "{number}");
        assert!(para_statement(&approval(number, number + 1)).is_err());
    }
    let unnumbered = bytes(&[b"APPR", &[1; 32], &[2; 32], &session()]);
    assert!(para_statement(&unnumbered).is_err());
    let twice = bytes(&[b"APPR", &[2 << 2], &[1; 64], &session()]);
    assert!(para_statement(&twice).is_err());
    // The number in a longer form.
    let long = bytes(&[b"APPR", &[0x09, 0], &[1; 32], &[2; 32], &session()]);
    assert!(para_statement(&long).is_err());
}

/// What could be read as another duty, or as a proof of possession, is no bitfield.
#[test]
fn no_bitfield_passes_for_anything_else() {
    let context = [0; 36];
    for letters in [b"POP_", b"DISP", b"APPR", b"BKNG", b"VCPC"] {
        for length in 0..800 {
            let tail = vec![0; length];
            let payload = bytes(&[letters, &tail, &context]);
            if let Ok(judged) = para_statement(&payload) {
                assert_ne!(judged.intents.first().unwrap().duty, Duty::Harmless, "{payload:?}");
            }
        }
    }
    // A bit beyond the last core; a number in a longer form than it needs; too many cores.
    assert!(para_statement(&bytes(&[&[3 << 2, 0b1000], &context])).is_err());
    assert!(para_statement(&bytes(&[&[0x0d, 0, 0b101], &context])).is_err());
    let most = bytes(&[&[0x01, 0x40], &[0xff; 512], &context]);
    assert!(para_statement(&most).is_ok());
    assert!(para_statement(&bytes(&[&[0x05, 0x40], &[0xff; 513], &context])).is_err());
}

proptest! {
    #[test]
    fn nothing_panics_and_what_is_read_has_a_decision(
        prefix in prop::sample::select(vec!["", "BKNG", "APPR", "DISP", "VCPC", "POP_"]),
        rest in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let payload = [prefix.as_bytes(), &rest].concat();
        if let Ok(judged) = para_statement(&payload) {
            prop_assert!((1..=16).contains(&judged.intents.len()));
            prop_assert!(payload.len() != 32, "it would be a seal");
        }
    }

    /// Every byte of a statement counts: a change makes another statement, or none.
    #[test]
    fn no_two_statements_are_one(at in any::<prop::sample::Index>(), with in 1..=255_u8) {
        for (payload, _) in samples() {
            let mut other = payload.clone();
            *other.get_mut(at.index(payload.len())).unwrap() ^= with;
            let judged = para_statement(&payload).unwrap();
            if let Ok(changed) = para_statement(&other) {
                prop_assert_ne!(changed.intents, judged.intents);
            }
        }
    }
}
