//! The order load, decide, make durable, permit: seen through a ledger that records every call.
//!
//! Decides: a batch equals its requests one by one; it costs one write; no permit leaves without
//! the write that it needed, whichever operation of the ledger fails.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod common;

use std::collections::BTreeMap;

use common::{
    Broken, Call, Random, RecordingLedger, attestation, harmless, irrevocable, key, proposal,
};
use palisade_protect::journal::Event;
use palisade_protect::{
    Changes, Denied, Duty, Intent, KeyId, Permit, Record, RefusalKind, authorise, decide,
};

type Answer = Result<Permit, Denied<Broken>>;
type Batch = Vec<(KeyId, Intent)>;

const UNKNOWN: u8 = 99;

/// A batch in which keys repeat, messages repeat and conflict, and some keys are unknown.
fn random_batch(random: &mut Random, keys: u8) -> Batch {
    let mut batch = Batch::new();
    for _ in 0..random.below(24) {
        let owner = random.below(u64::from(keys) + 1);
        let owner = if owner == u64::from(keys) { UNKNOWN } else { u8::try_from(owner).unwrap() };
        let root = u8::try_from(random.below(2)).unwrap();
        let intent = match random.below(10) {
            0 => harmless(root),
            1 => irrevocable(root),
            2 | 3 => proposal(random.below(4), root),
            _ => attestation(random.below(4), random.below(4), root),
        };
        batch.push((key(owner), intent));
        if random.below(4) == 0 {
            batch.push(random.pick(&batch));
        }
    }
    random.shuffle(&mut batch);
    batch
}

/// A ledger of `keys` keys that already signed something.
fn used_ledger(random: &mut Random, keys: u8) -> RecordingLedger {
    let mut ledger = RecordingLedger::with_fresh_keys(keys);
    drop(authorise(&mut ledger, &random_batch(random, keys)));
    ledger.calls.clear();
    ledger
}

fn one_by_one(ledger: &mut RecordingLedger, batch: &Batch) -> Vec<Answer> {
    batch.iter().flat_map(|request| authorise(ledger, &[*request])).collect()
}

fn events(ledger: &RecordingLedger) -> (Vec<Event>, Vec<Event>) {
    let permitted = ledger.persists().into_iter().flat_map(|(_, events)| events.clone()).collect();
    let deferred = |call: &Call| match call {
        Call::Defer(event) => Some(*event),
        _ => None,
    };
    (permitted, ledger.calls.iter().filter_map(deferred).collect())
}

#[test]
fn a_batch_equals_its_requests_one_by_one() {
    let mut requests = 0;
    for seed in 0..20_000 {
        let mut random = Random::new(seed);
        let keys = 1 + u8::try_from(random.below(6)).unwrap();
        let records = used_ledger(&mut random, keys).records;
        let batch = random_batch(&mut random, keys);
        let mut together = RecordingLedger::with_records(records.clone());
        let mut apart = RecordingLedger::with_records(records);
        let answers = authorise(&mut together, &batch);
        assert_eq!(answers, one_by_one(&mut apart, &batch), "seed {seed}");
        assert_eq!(together.records, apart.records, "seed {seed}");
        assert_eq!(events(&together), events(&apart), "seed {seed}: the journal differs");
        requests += batch.len();
    }
    println!("{requests} requests in 20000 batches");
}

#[test]
fn a_key_is_not_touched_by_its_neighbours() {
    for seed in 0..5_000 {
        let mut random = Random::new(seed);
        let batch = random_batch(&mut random, 4);
        let mut mixed = RecordingLedger::with_fresh_keys(4);
        let answers = authorise(&mut mixed, &batch);
        for owner in (0..4).map(key) {
            let (own, expected): (Batch, Vec<&Answer>) = batch
                .iter()
                .zip(&answers)
                .filter(|((key, _), _)| *key == owner)
                .map(|(request, answer)| (*request, answer))
                .unzip();
            let mut alone = RecordingLedger::with_fresh_keys(4);
            let answers = authorise(&mut alone, &own);
            assert_eq!(answers.iter().collect::<Vec<_>>(), expected, "seed {seed}");
            assert_eq!(alone.records[&owner], mixed.records[&owner], "seed {seed}");
        }
    }
}

#[test]
fn a_batch_is_written_once_after_every_load() {
    let batch: Batch = (0..4).map(|owner| (key(owner), attestation(0, 1, owner))).collect();
    let twice = [batch.clone(), batch].concat();
    let mut ledger = RecordingLedger::with_fresh_keys(4);
    let answers = authorise(&mut ledger, &twice);
    assert!(answers.iter().all(Result::is_ok));
    let loads = (0..4).map(|owner| Call::Load(key(owner)));
    assert!(ledger.calls.iter().take(4).cloned().eq(loads), "{:?}", ledger.calls);
    assert_eq!(ledger.calls.len(), 5, "each key is loaded once, and all are written once");
    let (changes, events) = ledger.persists()[0];
    assert_eq!(changes.records.len(), 4);
    assert_eq!(events.len(), 4, "a repeat within the batch is no second event");
}

#[test]
fn a_durable_repeat_and_a_harmless_duty_need_no_write() {
    let mut ledger = RecordingLedger::with_fresh_keys(1);
    let first = [(key(0), attestation(0, 1, 7)), (key(0), proposal(5, 8))];
    assert!(authorise(&mut ledger, &first).iter().all(Result::is_ok));
    ledger.calls.clear();
    let again = [first[0], first[1], (key(0), harmless(9))];
    assert!(authorise(&mut ledger, &again).iter().all(Result::is_ok));
    assert_eq!(ledger.calls, [Call::Load(key(0))]);
}

#[test]
fn an_irrevocable_duty_is_journaled_before_it_leaves_and_changes_no_record() {
    let mut ledger = RecordingLedger::with_fresh_keys(1);
    let asked = [(key(0), irrevocable(3))];
    assert!(authorise(&mut ledger, &asked)[0].is_ok());
    assert!(authorise(&mut ledger, &asked)[0].is_ok());
    let event = Event::Permitted { key: key(0), intent: irrevocable(3) };
    let journaled = (Changes::default(), vec![event]);
    assert_eq!(ledger.persists(), [(&journaled.0, &journaled.1); 2], "each time anew");
    let mut failing = RecordingLedger::failing_at(ledger.records, 1);
    assert_eq!(authorise(&mut failing, &asked), [Err(Denied::Failed(Broken(1)))]);
}

#[test]
fn an_unknown_key_signs_nothing_not_even_the_harmless() {
    let mut ledger = RecordingLedger::with_fresh_keys(1);
    let kinds = [harmless(0), irrevocable(0), proposal(1, 0), attestation(0, 1, 0)];
    for intent in kinds {
        let answers = authorise(&mut ledger, &[(key(UNKNOWN), intent)]);
        assert_eq!(answers, [Err(Denied::UnknownKey(key(UNKNOWN)))]);
    }
    assert!(ledger.persists().is_empty());
    assert!(!ledger.records.contains_key(&key(UNKNOWN)), "asking must not admit a key");
}

#[test]
fn a_refusal_is_deferred_to_the_journal_and_costs_no_write() {
    let mut ledger = RecordingLedger::with_fresh_keys(1);
    drop(authorise(&mut ledger, &[(key(0), proposal(5, 1))]));
    ledger.calls.clear();
    let asked = proposal(5, 2);
    let answers = authorise(&mut ledger, &[(key(0), asked)]);
    let Err(Denied::Refused(refusal)) = &answers[0] else { panic!("{answers:?}") };
    assert_eq!((refusal.kind, refusal.asked), (RefusalKind::DoubleProposal, asked));
    let kind = RefusalKind::DoubleProposal;
    let deferred = Call::Defer(Event::Refused { key: key(0), intent: asked, kind });
    assert_eq!(ledger.calls, [Call::Load(key(0)), deferred]);
}

#[test]
fn an_empty_batch_does_nothing() {
    let mut ledger = RecordingLedger::with_fresh_keys(1);
    assert!(authorise(&mut ledger, &[]).is_empty());
    assert!(ledger.calls.is_empty());
}

/// What may leave when the write fails: only what the durable record alone allows.
fn needs_no_write(durable: &BTreeMap<KeyId, Record>, owner: &KeyId, intent: &Intent) -> bool {
    let Some(record) = durable.get(owner) else { return false };
    match intent.duty {
        Duty::Harmless => true,
        Duty::Irrevocable => false,
        _ => decide(record, intent) == Ok(*record),
    }
}

fn assert_failed_write(records: &BTreeMap<KeyId, Record>, batch: &Batch, calm: &[Answer]) {
    let mut ledger = RecordingLedger::with_records(records.clone());
    drop(authorise(&mut ledger, batch));
    if ledger.persists().is_empty() {
        return;
    }
    // The write is the last operation.
    let write = ledger.operations() - 1;
    let mut ledger = RecordingLedger::failing_at(records.clone(), write);
    let answers = authorise(&mut ledger, batch);
    assert_eq!(ledger.records, *records, "a failed write must leave nothing behind");
    for (((owner, intent), answer), calm) in batch.iter().zip(answers).zip(calm) {
        match calm {
            Ok(_) if needs_no_write(records, owner, intent) => assert!(answer.is_ok()),
            Ok(_) => assert_eq!(answer, Err(Denied::Failed(Broken(write)))),
            Err(denied) => assert_eq!(answer.as_ref(), Err(denied)),
        }
    }
    let after = authorise(&mut ledger, batch);
    assert!(after.iter().all(|answer| matches!(answer, Err(Denied::Failed(_)))), "{after:?}");
}

/// A load that fails denies that request; all others stand as if it had not been asked.
fn assert_failed_load(records: &BTreeMap<KeyId, Record>, batch: &Batch, operation: usize) -> bool {
    let mut ledger = RecordingLedger::failing_at(records.clone(), operation);
    let answers = authorise(&mut ledger, batch);
    let failed: Vec<usize> = (0..batch.len())
        .filter(|place| answers[*place] == Err(Denied::Failed(Broken(operation))))
        .collect();
    let [place] = failed[..] else { return false };
    let (mut rest, mut others) = (batch.clone(), answers);
    rest.remove(place);
    drop(others.remove(place));
    let mut calm = RecordingLedger::with_records(records.clone());
    assert_eq!(others, authorise(&mut calm, &rest));
    assert_eq!(ledger.records, calm.records);
    true
}

#[test]
fn whichever_operation_fails_no_permit_leaves_without_its_write() {
    let (mut loads, mut writes) = (0, 0);
    for seed in 0..3_000 {
        let mut random = Random::new(seed);
        let records = used_ledger(&mut random, 3).records;
        let batch = random_batch(&mut random, 3);
        let mut ledger = RecordingLedger::with_records(records.clone());
        let calm = authorise(&mut ledger, &batch);
        let written = ledger.persists().len();
        assert!(written <= 1, "seed {seed}");
        for operation in 0..ledger.operations() - written {
            assert!(assert_failed_load(&records, &batch, operation), "seed {seed} {operation}");
            loads += 1;
        }
        assert_failed_write(&records, &batch, &calm);
        writes += written;
    }
    println!("{loads} failed loads, {writes} failed writes");
    assert!(loads > 1_000 && writes > 1_000);
}

/// The write names what was permitted: a ledger that is read back after a crash refuses a twin.
#[test]
fn what_was_written_before_a_permit_forbids_its_conflicting_twin() {
    for seed in 0..5_000 {
        let mut random = Random::new(seed);
        let batch = random_batch(&mut random, 3);
        let mut ledger = RecordingLedger::with_fresh_keys(3);
        let answers = authorise(&mut ledger, &batch);
        let (journaled, _) = events(&ledger);
        for ((owner, intent), answer) in batch.iter().zip(answers) {
            if answer.is_err() || intent.duty == Duty::Harmless {
                continue;
            }
            let event = Event::Permitted { key: *owner, intent: *intent };
            assert!(journaled.contains(&event), "seed {seed}: {event:?} is not in the journal");
            let twin = Intent { duty: intent.duty, digest: common::digest(0xff) };
            let allowed = decide(&ledger.records[owner], &twin).is_ok();
            assert_eq!(allowed, intent.duty == Duty::Irrevocable, "seed {seed}: {twin:?}");
        }
    }
}
