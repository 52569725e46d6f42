//! The stored form of a record, and the merge of two.
//!
//! Decides: the bytes of version 1 are frozen; a record has one encoding and nothing else is read;
//! a merge forbids whatever either side forbids, in any order and any grouping.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod common;

use common::{
    attestation, bound, ethereum, full_record, harmless, irrevocable, last_attestation,
    last_proposal, proposal,
};
use palisade_protect::{Intent, Record, RecordError, StopLine, decide};
use proptest::prelude::*;

/// Version 1, family 1, all six flags; then slot, root, source, target, root, two bounds.
const FULL_V1: &str = "01013f\
    0807060504030201\
    aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\
    12110000000000002423222100000000\
    bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\
    ffffffffffffffff3231000000000000\
    42410000000000005251000000000000";

/// A record with one part only, for each flag, and its bytes.
fn partial_records() -> Vec<(Record, &'static str)> {
    let none = StopLine::default();
    let below = StopLine { below: Some(bound(1, 2)), ..none };
    let at_or_above = StopLine { at_or_above: Some(bound(1, 2)), ..none };
    vec![
        (Record::fresh_ethereum(), "010100"),
        (ethereum(Some(last_proposal(3, None)), None, none), "0101010300000000000000"),
        (
            ethereum(None, Some(last_attestation(4, 5, None)), none),
            "01010404000000000000000500000000000000",
        ),
        (ethereum(None, None, at_or_above), "01011001000000000000000200000000000000"),
        (ethereum(None, None, below), "01012001000000000000000200000000000000"),
    ]
}

#[test]
fn the_bytes_of_version_1_are_frozen() {
    let full = (full_record(), FULL_V1);
    for (record, golden) in partial_records().into_iter().chain([full]) {
        assert_eq!(hex::encode(record.encode()), golden);
        assert_eq!(Record::decode(&hex::decode(golden).unwrap()), Ok(record));
    }
}

#[test]
fn every_truncation_and_every_extension_is_refused() {
    let full = (full_record(), FULL_V1);
    for (record, _) in partial_records().into_iter().chain([full]) {
        let bytes = record.encode();
        for length in 0..bytes.len() {
            assert_eq!(Record::decode(&bytes[..length]), Err(RecordError::Malformed), "{length}");
        }
        for extra in 0..=u8::MAX {
            let longer = [bytes.clone(), vec![extra]].concat();
            assert_eq!(Record::decode(&longer), Err(RecordError::Malformed));
        }
    }
}

#[test]
fn a_wrong_version_family_or_flag_is_refused() {
    let bytes = full_record().encode();
    for value in 0..=u8::MAX {
        let with = |place: usize| {
            let mut changed = bytes.clone();
            changed[place] = value;
            Record::decode(&changed)
        };
        if value != 1 {
            assert_eq!(with(0), Err(RecordError::UnknownVersion(value)));
            assert_eq!(with(1), Err(RecordError::Malformed));
        }
        // A flag byte without the parts it promises, or with parts that it does not.
        assert_eq!(with(2).is_ok(), value == bytes[2], "flags {value:#010b}");
    }
}

#[test]
fn a_root_without_its_message_is_refused() {
    let root = [0x77; 32];
    for flags in [0b10_u8, 0b1000, 0b1010] {
        let roots = usize::try_from(flags.count_ones()).unwrap();
        let bytes = [&[1, 1, flags][..], &root.repeat(roots)].concat();
        assert_eq!(Record::decode(&bytes), Err(RecordError::Malformed), "{flags:#06b}");
    }
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0..5_u64, 1 => Just(u64::MAX), 1 => Just(u64::MAX - 1)]
}

fn root() -> impl Strategy<Value = Option<u8>> {
    proptest::option::of(0..2_u8)
}

fn any_stop_line() -> impl Strategy<Value = StopLine> {
    let side = || proptest::option::weighted(0.3, (number(), number()));
    (side(), side()).prop_map(|(at_or_above, below)| StopLine {
        at_or_above: at_or_above.map(|(slot, epoch)| bound(slot, epoch)),
        below: below.map(|(slot, epoch)| bound(slot, epoch)),
    })
}

prop_compose! {
    /// Any record, also those that no honest history leads to.
    fn any_record()(
        block in proptest::option::of((number(), root())),
        vote in proptest::option::of((number(), number(), root())),
        line in any_stop_line(),
    ) -> Record {
        let block = block.map(|(slot, root)| last_proposal(slot, root));
        let vote = vote.map(|(source, target, root)| last_attestation(source, target, root));
        ethereum(block, vote, line)
    }
}

fn any_intent() -> impl Strategy<Value = Intent> {
    prop_oneof![
        (number(), 0..2_u8).prop_map(|(slot, root)| proposal(slot, root)),
        (number(), number(), 0..2_u8)
            .prop_map(|(source, target, root)| attestation(source, target, root)),
        (0..2_u8).prop_map(harmless),
        (0..2_u8).prop_map(irrevocable),
    ]
}

fn cases(count: u32) -> ProptestConfig {
    ProptestConfig { cases: count, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(20_000))]

    #[test]
    fn what_was_encoded_decodes_to_itself(record in any_record()) {
        prop_assert_eq!(Record::decode(&record.encode()), Ok(record));
    }

    /// Whatever can be read is written the same way again: there is no second encoding.
    #[test]
    fn what_decodes_has_one_encoding(
        record in any_record(),
        place in any::<prop::sample::Index>(),
        value in any::<u8>(),
    ) {
        let mut bytes = record.encode();
        *place.get_mut(&mut bytes) = value;
        if let Ok(read) = Record::decode(&bytes) {
            prop_assert_eq!(read.encode(), bytes);
        }
    }

    #[test]
    fn decode_answers_to_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(read) = Record::decode(&bytes) {
            prop_assert_eq!(read.encode(), bytes);
        }
    }

    #[test]
    fn a_merge_does_not_depend_on_order_or_grouping(
        one in any_record(), other in any_record(), third in any_record(),
    ) {
        let merge = |a: Record, b: Record| a.merge_stricter(b).unwrap();
        prop_assert_eq!(merge(one, other), merge(other, one));
        prop_assert_eq!(merge(one, one), one);
        prop_assert_eq!(merge(merge(one, other), third), merge(one, merge(other, third)));
        prop_assert_eq!(merge(merge(one, other), other), merge(one, other));
        prop_assert_eq!(merge(one, Record::fresh_ethereum()), one);
    }

    #[test]
    fn a_merge_refuses_whatever_either_side_refuses(
        one in any_record(), other in any_record(), asked in any_intent(),
    ) {
        let merged = one.merge_stricter(other).unwrap();
        let either = decide(&one, &asked).is_err() || decide(&other, &asked).is_err();
        prop_assert!(!either || decide(&merged, &asked).is_err(), "{:?}", merged);
    }

    /// ... and hardly more: what lies above both, within both lines, is still permitted.
    #[test]
    fn a_merge_permits_what_is_newer_than_both(
        one in any_record(), other in any_record(), asked in any_intent(),
    ) {
        let merged = one.merge_stricter(other).unwrap();
        let writes = |record: &Record| {
            decide(record, &asked).is_ok_and(|next| next != *record)
        };
        if writes(&one) && writes(&other) {
            prop_assert!(writes(&merged), "{:?}", merged);
        }
    }

    #[test]
    fn deciding_never_makes_a_record_less_strict(
        record in any_record(), first in any_intent(), asked in any_intent(),
    ) {
        let Ok(next) = decide(&record, &first) else { return Ok(()) };
        let repeats = asked == first;
        prop_assert!(repeats || decide(&record, &asked).is_ok() || decide(&next, &asked).is_err());
        prop_assert_eq!(record.merge_stricter(next), Ok(next));
    }
}
