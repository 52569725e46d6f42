//! Two guards that signed apart, and the merge of their records.
//!
//! Decides: after a merge nothing is permitted that is slashable with a message of either history.
//! The slashing conditions are those of `histories.rs`, in their shortest form.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod common;

use common::{Random, attestation, proposal};
use palisade_protect::{Duty, Intent, Record, decide};

const PAIRS: u64 = 100_000;

fn is_slashable(one: &Intent, other: &Intent) -> bool {
    match (one.duty, other.duty) {
        (Duty::Proposal { slot: one_slot }, Duty::Proposal { slot: other_slot }) => {
            one_slot == other_slot && one != other
        }
        (
            Duty::Attestation { source: one_source, target: one_target },
            Duty::Attestation { source: other_source, target: other_target },
        ) => {
            (one_target == other_target && one != other)
                || (one_source < other_source && other_target < one_target)
                || (other_source < one_source && one_target < other_target)
        }
        _ => false,
    }
}

fn every_message() -> Vec<Intent> {
    let mut messages = Vec::new();
    for root in 0..2 {
        for target in 0..6 {
            messages.push(proposal(target, root));
            messages.extend((0..6).map(|source| attestation(source, target, root)));
        }
    }
    messages
}

/// One guard's history: what it permitted, and the record it ended with.
fn signed_apart(random: &mut Random, messages: &[Intent]) -> (Vec<Intent>, Record) {
    let mut record = Record::fresh_ethereum();
    let mut permitted = Vec::new();
    for _ in 0..random.below(8) {
        let asked = random.pick(messages);
        if let Ok(next) = decide(&record, &asked) {
            record = next;
            permitted.push(asked);
        }
    }
    (permitted, record)
}

#[test]
fn a_merged_record_permits_nothing_slashable_with_either_history() {
    let messages = every_message();
    let (mut permits, mut repeats) = (0_u64, 0_u64);
    for seed in 0..PAIRS {
        let mut random = Random::new(seed);
        let (ours, our_record) = signed_apart(&mut random, &messages);
        let (theirs, their_record) = signed_apart(&mut random, &messages);
        let merged = our_record.merge_stricter(their_record).unwrap();
        for asked in messages.iter().filter(|asked| decide(&merged, asked).is_ok()) {
            let earlier = ours.iter().chain(&theirs);
            let conflict = earlier.clone().find(|earlier| is_slashable(earlier, asked));
            assert_eq!(conflict, None, "seed {seed}: permits {asked:?}: {ours:?} {theirs:?}");
            repeats += u64::from(earlier.clone().any(|earlier| earlier == asked));
            permits += 1;
        }
    }
    println!("{PAIRS} pairs of histories: {permits} permits after the merge, {repeats} repeats");
    assert!(permits > PAIRS && repeats > 0);
}
