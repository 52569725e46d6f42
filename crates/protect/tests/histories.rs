//! The rules against a naive model that remembers every message ever permitted.
//!
//! Decides: nothing that is permitted is slashable with anything permitted before (safety); what is
//! strictly newer, or the last message again, is permitted (completeness); a refusal's kind is true
//! of the messages that the model remembers.
//!
//! The slashing conditions stand here as consensus-specs has them (`phase0/beacon-chain.md`,
//! `is_slashable_attestation_data` and `process_proposer_slashing`), not as the rules do it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod common;

use common::{Random, RecordingLedger, attestation, bound, ethereum, key, proposal};
use palisade_protect::{
    Bound, Duty, Intent, KeyId, Record, Refusal, RefusalKind, StopLine, authorise, decide,
};

const HISTORIES: u64 = 500_000;
const BATCH_HISTORIES: u64 = 100_000;
const SMALL: [u64; 6] = [0, 1, 2, 3, 4, 5];
const EXTREME: [u64; 6] = [0, 1, 1 << 63, u64::MAX - 2, u64::MAX - 1, u64::MAX];

/// Every message that was permitted for one key, in order.
#[derive(Debug, Default)]
struct Model {
    permitted: Vec<Intent>,
}

/// `is_slashable_attestation_data(data_1, data_2)` in both orders, and two headers of one slot.
fn is_slashable(one: &Intent, other: &Intent) -> bool {
    is_double(one, other) || surrounds(one, other) || surrounds(other, one)
}

fn is_double(one: &Intent, other: &Intent) -> bool {
    let same_place = match (one.duty, other.duty) {
        (Duty::Proposal { slot: one }, Duty::Proposal { slot: other }) => one == other,
        (Duty::Attestation { target: one, .. }, Duty::Attestation { target: other, .. }) => {
            one == other
        }
        _ => false,
    };
    same_place && one != other
}

fn surrounds(outer: &Intent, inner: &Intent) -> bool {
    let (Some((outer_source, outer_target)), Some((source, target))) = (vote(outer), vote(inner))
    else {
        return false;
    };
    outer_source < source && target < outer_target
}

fn vote(intent: &Intent) -> Option<(u64, u64)> {
    match intent.duty {
        Duty::Attestation { source, target } => Some((source.0, target.0)),
        _ => None,
    }
}

fn slot(intent: &Intent) -> Option<u64> {
    match intent.duty {
        Duty::Proposal { slot } => Some(slot.0),
        _ => None,
    }
}

impl Model {
    fn votes(&self) -> impl Iterator<Item = (u64, u64)> {
        self.permitted.iter().filter_map(vote)
    }

    fn slots(&self) -> impl Iterator<Item = u64> {
        self.permitted.iter().filter_map(slot)
    }

    fn is_strictly_newer(&self, asked: &Intent) -> bool {
        match asked.duty {
            Duty::Proposal { slot } => self.slots().all(|earlier| earlier < slot.0),
            Duty::Attestation { source, target } => {
                let newer = |(s, t): (u64, u64)| t < target.0 && s <= source.0;
                source <= target && self.votes().all(newer)
            }
            _ => true,
        }
    }

    fn repeats_the_last(&self, asked: &Intent) -> bool {
        let kind = core::mem::discriminant(&asked.duty);
        let of_kind = |earlier: &&Intent| core::mem::discriminant(&earlier.duty) == kind;
        self.permitted.iter().rev().find(of_kind) == Some(asked)
    }

    fn assert_permit(&mut self, asked: &Intent, context: &str) {
        if let Some(earlier) = self.permitted.iter().find(|earlier| is_slashable(earlier, asked)) {
            panic!("{context}: permitted {asked:?}, slashable with {earlier:?}: {self:?}");
        }
        self.permitted.push(*asked);
    }

    fn assert_refusal(&self, asked: &Intent, refusal: &Refusal, context: &str) {
        let mine = self.is_strictly_newer(asked) || self.repeats_the_last(asked);
        assert!(!mine, "{context}: refused the harmless {asked:?} as {refusal:?}: {self:?}");
        assert!(self.is_true(asked, refusal.kind), "{context}: {asked:?} {refusal:?}: {self:?}");
        assert_eq!(refusal.asked, *asked, "{context}");
    }

    /// Does what the kind says of `asked` hold for some message that was permitted?
    fn is_true(&self, asked: &Intent, kind: RefusalKind) -> bool {
        let some = |holds: &dyn Fn(&Intent) -> bool| self.permitted.iter().any(holds);
        match kind {
            RefusalKind::DoubleProposal => slot(asked).is_some() && some(&|e| is_double(e, asked)),
            RefusalKind::DoubleVote => vote(asked).is_some() && some(&|e| is_double(e, asked)),
            RefusalKind::SurroundingVote => some(&|earlier| surrounds(asked, earlier)),
            RefusalKind::SurroundedVote => some(&|earlier| surrounds(earlier, asked)),
            RefusalKind::ProposalBehind => self.slots().any(|e| slot(asked).unwrap() < e),
            RefusalKind::TargetBehind => self.votes().any(|(_, t)| vote(asked).unwrap().1 < t),
            RefusalKind::SourceAfterTarget => vote(asked).is_some_and(|(s, t)| t < s),
            _ => false,
        }
    }
}

fn random_intent(random: &mut Random, domain: &[u64], model: &Model) -> Intent {
    let root = u8::try_from(random.below(2)).unwrap();
    match random.below(8) {
        0 if !model.permitted.is_empty() => random.pick(&model.permitted),
        0..=2 => proposal(random.pick(domain), root),
        _ => attestation(random.pick(domain), random.pick(domain), root),
    }
}

fn random_stop_line(random: &mut Random, domain: &[u64]) -> StopLine {
    let mut side = || {
        let bound = bound(random.pick(domain), random.pick(domain));
        (random.below(2) == 0).then_some(bound)
    };
    StopLine { at_or_above: side(), below: side() }
}

/// Whether the operator's line alone already forbids `asked`; written apart from the rules.
fn is_outside(line: &StopLine, asked: &Intent) -> bool {
    let of = |bound: Bound| if slot(asked).is_some() { bound.slot.0 } else { bound.epoch.0 };
    let (lowest, highest) = match asked.duty {
        Duty::Proposal { slot } => (slot.0, slot.0),
        Duty::Attestation { source, target } => (target.0, target.0.max(source.0)),
        _ => return false,
    };
    line.at_or_above.is_some_and(|bound| of(bound) <= highest)
        || line.below.is_some_and(|bound| lowest < of(bound))
}

/// Plays one history of one key and says how many were permitted and how many refused.
fn play(seed: u64) -> (u64, u64) {
    let mut random = Random::new(seed);
    let domain = if random.below(3) == 0 { EXTREME } else { SMALL };
    let with_line = random.below(4) == 0;
    let line = if with_line { random_stop_line(&mut random, &domain) } else { StopLine::default() };
    let mut record = ethereum(None, None, line);
    let mut model = Model::default();
    let (mut permits, mut refusals) = (0, 0);
    let context = format!("seed {seed}");
    for _ in 0..(1 + random.below(20)) {
        let asked = random_intent(&mut random, &domain, &model);
        match decide(&record, &asked) {
            Ok(next) => {
                assert!(!is_outside(&line, &asked), "{context}: {asked:?} against {line:?}");
                model.assert_permit(&asked, &context);
                record = next;
                permits += 1;
            }
            Err(refusal) if is_outside(&line, &asked) => {
                let kinds = [RefusalKind::AtOrAboveStopLine, RefusalKind::BelowStopLine];
                assert!(kinds.contains(&refusal.kind), "{context}: {refusal:?}");
                refusals += 1;
            }
            Err(refusal) => {
                model.assert_refusal(&asked, &refusal, &context);
                refusals += 1;
            }
        }
    }
    (permits, refusals)
}

#[test]
fn no_random_history_holds_a_slashable_pair() {
    let played = (0..HISTORIES).map(play);
    let (permits, refusals) = played.fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1));
    println!("{HISTORIES} histories: {permits} permits, {refusals} refusals");
    assert!(permits > HISTORIES && refusals > HISTORIES, "the domains no longer collide");
}

/// All histories of four messages over epochs 0 to 3 and two roots: nothing is left to luck.
#[test]
fn no_short_history_holds_a_slashable_pair() {
    let epochs = 0..4_u64;
    let mut messages: Vec<Intent> = Vec::new();
    for (source, target) in epochs.clone().flat_map(|s| epochs.clone().map(move |t| (s, t))) {
        messages.extend([0, 1].map(|root| attestation(source, target, root)));
    }
    messages.extend([(0, 0), (0, 1), (1, 0), (1, 1)].map(|(slot, root)| proposal(slot, root)));
    let played = play_all(&messages, Record::fresh_ethereum(), &mut Model::default(), 4);
    println!("{played} histories of four messages: all of them");
    assert_eq!(played, 36_u64.pow(4));
}

/// Continues a history with every message, to `depth` more messages, and counts the ends.
fn play_all(messages: &[Intent], record: Record, model: &mut Model, depth: u32) -> u64 {
    if depth == 0 {
        return 1;
    }
    let mut ends = 0;
    for asked in messages {
        match decide(&record, asked) {
            Ok(next) => {
                model.assert_permit(asked, "exhaustive");
                ends += play_all(messages, next, model, depth - 1);
                model.permitted.pop();
            }
            Err(refusal) => {
                model.assert_refusal(asked, &refusal, "exhaustive");
                ends += play_all(messages, record, model, depth - 1);
            }
        }
    }
    ends
}

/// Random batches over three keys, through the ledger.
fn play_batches(seed: u64) -> u64 {
    let mut random = Random::new(seed ^ 0x0ba7_c4e5);
    let domain = if random.below(3) == 0 { EXTREME } else { SMALL };
    let mut ledger = RecordingLedger::with_fresh_keys(3);
    let mut models = [Model::default(), Model::default(), Model::default()];
    let mut permits = 0;
    let context = format!("batch seed {seed}");
    for _ in 0..(1 + random.below(4)) {
        let batch: Vec<(KeyId, Intent)> = (0..random.below(8))
            .map(|_| {
                let owner = u8::try_from(random.below(3)).unwrap();
                let model = &models[usize::from(owner)];
                (key(owner), random_intent(&mut random, &domain, model))
            })
            .collect();
        let answers = authorise(&mut ledger, &batch);
        assert_eq!(answers.len(), batch.len(), "{context}");
        for ((owner, asked), answer) in batch.iter().zip(answers) {
            let model = &mut models[usize::from(owner.0[0])];
            if let Ok(permit) = answer {
                assert_eq!((permit.key(), permit.digest()), (*owner, asked.digest), "{context}");
                model.assert_permit(asked, &context);
                permits += 1;
            }
        }
    }
    permits
}

#[test]
fn no_history_of_batches_holds_a_slashable_pair() {
    let permits: u64 = (0..BATCH_HISTORIES).map(play_batches).sum();
    println!("{BATCH_HISTORIES} histories of batches: {permits} permits");
    assert!(permits > BATCH_HISTORIES);
}

/// The model itself must be able to object.
#[test]
fn the_model_knows_slashable_pairs_from_harmless_ones() {
    let slashable = [
        (proposal(1, 0), proposal(1, 1)),
        (attestation(0, 2, 0), attestation(0, 2, 1)),
        (attestation(1, 2, 0), attestation(0, 2, 0)),
        (attestation(0, 3, 0), attestation(1, 2, 0)),
    ];
    let harmless = [
        (proposal(1, 0), proposal(1, 0)),
        (proposal(1, 0), proposal(2, 1)),
        (attestation(0, 2, 0), attestation(0, 2, 0)),
        (attestation(0, 1, 0), attestation(1, 2, 0)),
        (attestation(0, 2, 0), attestation(0, 3, 0)),
        (proposal(2, 0), attestation(0, 2, 1)),
    ];
    for (one, other) in slashable {
        assert!(is_slashable(&one, &other) && is_slashable(&other, &one), "{one:?} {other:?}");
    }
    for (one, other) in harmless {
        assert!(!is_slashable(&one, &other) && !is_slashable(&other, &one), "{one:?} {other:?}");
    }
}
