//! A disk that fails at every operation in every way: whatever happens, no permit left without
//! its durable record, and a store that failed says nothing more until it is opened anew.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    unreachable_pub,
    missing_docs,
    reason = "tests fail by panicking, and say loudly what they skip"
)]

mod common;

use std::collections::BTreeMap;

use common::{
    admission, attestation, creation, forbids_twin, fresh, fresh_validator, irrevocable,
    is_slashable, key, proposal, statement, twin,
};
use palisade_protect::journal::Event;
use palisade_protect::{
    Bound, Denied, Epoch, EthereumRecord, Intent, KeyId, Record, Slot, Statement, StopLine,
    authorise,
};
use palisade_store::testing::{Fault, FaultyDisk, SMALL_LOG_BYTES};
use palisade_store::{Admission, Standing, Store, StoreError};
use proptest::prelude::*;

const FAULTS: [Fault; 7] = [
    Fault::ErrorOnce,
    Fault::ErrorForEver,
    Fault::ShortWrite,
    Fault::ReadError,
    Fault::DiskFull,
    Fault::ReadOnly,
    Fault::PowerCut,
];

/// What left the store as a promise.
#[derive(Default)]
struct Promises {
    created: bool,
    permits: Vec<(KeyId, Intent)>,
    records: BTreeMap<KeyId, Record>,
    retired: Vec<KeyId>,
    failed: Option<StoreError>,
}

impl Promises {
    /// Notes a call's outcome; after the first failure all others must be "dead".
    fn note<T>(&mut self, result: Result<T, StoreError>) -> Option<T> {
        match (result, &self.failed) {
            (Ok(value), None) => Some(value),
            (Ok(_), Some(failure)) => panic!("the store went on after {failure}"),
            (Err(error), None) => {
                assert_ne!(error.code(), "store-dead", "dead before any failure: {error}");
                self.failed = Some(error);
                None
            }
            (Err(error), Some(_)) => {
                assert_eq!(error.code(), "store-dead", "{error}");
                None
            }
        }
    }

    fn authorise(&mut self, store: &mut Store, batch: &[(u8, Intent)]) {
        let batch: Vec<_> = batch.iter().map(|(number, intent)| (key(*number), *intent)).collect();
        let mut failure = None;
        for ((key, intent), answer) in batch.iter().zip(authorise(store, &batch)) {
            match answer {
                Ok(permit) => {
                    assert_eq!((permit.key(), permit.digest()), (*key, intent.digest));
                    assert!(self.failed.is_none(), "a permit from a dead store");
                    self.permits.push((*key, *intent));
                }
                Err(Denied::Failed(error)) => failure = Some(error),
                Err(_) => {}
            }
        }
        if let Some(error) = failure {
            self.note::<()>(Err(error));
        }
    }

    fn bring(&mut self, admissions: &[Admission], result: Result<(), StoreError>) {
        if self.note(result).is_some() {
            for admission in admissions {
                self.records.insert(admission.key, admission.record);
            }
        }
    }
}

fn history(slot: u64, epoch: u64) -> Record {
    Record::Ethereum(EthereumRecord::from_now(Slot(slot), Epoch(epoch)))
}

fn line(slot: u64, epoch: u64) -> StopLine {
    StopLine { at_or_above: Some(Bound { slot: Slot(slot), epoch: Epoch(epoch) }), below: None }
}

/// Five are permitted; the second and the last contradict what was said before.
const STATEMENTS: [(u32, u64, Statement); 7] = [
    (10, 1, Statement::Seconded),
    (10, 1, Statement::DisputedInvalid),
    (10, 1, Statement::Seconded),
    (10, 2, Statement::DisputedInvalid),
    (11, 1, Statement::Valid),
    (11, 2, Statement::Approved),
    (11, 2, Statement::DisputedInvalid),
];

/// A bit of everything that a store is asked for.
fn work(disk: &FaultyDisk) -> Promises {
    let mut promises = Promises::default();
    let created = Store::create_with_backend(disk.clone(), creation(), SMALL_LOG_BYTES);
    let Some(mut store) = promises.note(created) else { return promises };
    promises.created = true;
    store = store.with_clock(|| 1_700_000_000_000);
    let admissions = [fresh(1), fresh(2), fresh(3), fresh_validator(4)];
    let admitted = store.admit(&admissions).map(drop);
    promises.bring(&admissions, admitted);
    promises
        .authorise(&mut store, &[(1, proposal(5, 1)), (2, proposal(5, 2)), (3, proposal(6, 3))]);
    let twins = [(1, twin(&proposal(5, 1))), (2, proposal(4, 2)), (9, proposal(1, 1))];
    promises.authorise(&mut store, &twins);
    let votes = [
        (1, attestation(0, 1, 1)),
        (1, attestation(1, 2, 2)),
        (1, attestation(0, 3, 3)),
        (2, attestation(3, 4, 4)),
        (2, attestation(3, 4, 4)),
        (3, attestation(3, 4, 5)),
    ];
    promises.authorise(&mut store, &votes);
    promises.authorise(&mut store, &STATEMENTS.map(|(s, c, said)| (4, statement(s, c, said))));
    // The window moves on: what was said of session 10 is dropped with this write.
    let later = [(16, 1, Statement::Approved), (17, 1, Statement::Approved)];
    promises.authorise(&mut store, &later.map(|(s, c, said)| (4, statement(s, c, said))));
    let histories = [admission(2, history(50, 9)), admission(9, history(70, 10))];
    let raised = store.raise(&histories).map(drop);
    promises.bring(&histories, raised);
    let retired = store.retire(&[key(3)]);
    if promises.note(retired).is_some() {
        promises.retired.push(key(3));
    }
    let moved = store.set_stop_line(&[key(1)], line(100, 10));
    promises.note(moved);
    promises.authorise(&mut store, &[(1, proposal(100, 7)), (1, irrevocable(8))]);
    let moved = store.set_stop_line(&[key(1)], StopLine::default());
    promises.note(moved);
    promises.authorise(&mut store, &[(1, attestation(2, 9, 9)), (1, attestation(2, 9, 10))]);
    let checkpoint = store.checkpoint();
    promises.note(checkpoint);
    promises.authorise(&mut store, &[(2, attestation(9, 12, 12)), (1, proposal(101, 13))]);
    let pinned = store.pin_genesis_validators_root(common::digest(77));
    promises.note(pinned);
    promises
}

/// Opens what is left on the disk and holds it against the promises.
fn check(image: Vec<u8>, promises: &Promises, what: &str) {
    let mut store = Store::open_with_backend(FaultyDisk::from_image(image))
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    store.verify_journal().unwrap_or_else(|fault| panic!("{what}: {fault}"));
    let events: Vec<_> = store.recent_events(1_000).unwrap();
    for (key, intent) in &promises.permits {
        let event = Event::Permitted { key: *key, intent: *intent };
        // A repeat of the last message leaves no event of its own, so one is enough.
        assert!(
            events.iter().any(|(_, found)| *found == event),
            "{what}: {intent:?} not journaled"
        );
        assert!(forbids_twin(&mut store, key, intent), "{what}: {intent:?} has no durable record");
    }
    for (key, promised) in &promises.records {
        let record = store.record(key).unwrap_or_else(|| panic!("{what}: {key} is lost"));
        assert_eq!(record.merge_stricter(*promised), Ok(record), "{what}: {key} was lowered");
    }
    for retired in &promises.retired {
        let standing = store.records().find(|(key, ..)| key == retired).map(|found| found.2);
        assert_eq!(standing, Some(Standing::Retired), "{what}");
    }
}

fn images(disk: &FaultyDisk, fault: Fault, operation: u64) -> Vec<Vec<u8>> {
    let cut = |seed| disk.image_after_power_cut(seed);
    match fault {
        Fault::PowerCut => {
            let seeds = (0..6).map(|round| cut(Some(operation * 6 + round)));
            seeds.chain([cut(None)]).collect()
        }
        // The process is started again; or the machine goes down too.
        _ => vec![disk.image(), cut(Some(operation))],
    }
}

#[test]
fn the_work_is_done_on_a_sound_disk() {
    let disk = FaultyDisk::new();
    let promises = work(&disk);
    assert!(promises.failed.is_none());
    assert_eq!(promises.permits.len(), 3 + 5 + 5 + 2 + 1 + 1 + 2);
    check(disk.image(), &promises, "closed");
    check(disk.image_after_power_cut(None), &promises, "closed, then cut");
}

#[test]
fn every_fault_at_every_operation() {
    let total = {
        let disk = FaultyDisk::new();
        work(&disk);
        disk.operations()
    };
    let mut struck = 0_u64;
    for fault in FAULTS {
        for operation in 1..=total {
            let disk = FaultyDisk::new();
            disk.fail_at(operation, fault);
            let promises = work(&disk);
            struck += u64::from(disk.failures() != 0);
            if !promises.created {
                continue;
            }
            for image in images(&disk, fault, operation) {
                check(image, &promises, &format!("{fault:?} at {operation} of {total}"));
            }
        }
    }
    // Not each kind finds an operation of its kind after each place.
    assert!(total * 6 < struck, "{struck} of {total} operations and {} kinds", FAULTS.len());
    eprintln!("{total} operations, {} kinds of faults, {struck} runs with a fault", FAULTS.len());
}

/// The log alone: the database has its own way with pages that a cut damages.
#[test]
fn a_cut_that_damages_whole_pages_of_the_log_takes_no_promise_back() {
    let log = 4_096..4_096 + 2 * SMALL_LOG_BYTES as usize;
    let total = {
        let disk = FaultyDisk::new();
        work(&disk);
        disk.operations()
    };
    let mut damaged = 0;
    for operation in 1..=total {
        let disk = FaultyDisk::new();
        disk.fail_at(operation, Fault::PowerCut);
        let promises = work(&disk);
        if !promises.created {
            continue;
        }
        let image = disk.image_with_damaged_pages(log.clone());
        damaged += u32::from(image != disk.image_after_power_cut(None));
        check(image, &promises, &format!("pages damaged at {operation} of {total}"));
    }
    assert!(10 < damaged, "{damaged}");
}

#[test]
fn power_cuts_while_the_last_cut_is_being_repaired() {
    let total = {
        let disk = FaultyDisk::new();
        work(&disk);
        disk.operations()
    };
    for operation in (total / 3..total).step_by(7) {
        let disk = FaultyDisk::new();
        disk.fail_at(operation, Fault::PowerCut);
        let promises = work(&disk);
        assert!(promises.created);
        let image = disk.image_after_power_cut(Some(operation));
        for again in 1.. {
            let disk = FaultyDisk::from_image(image.clone());
            disk.fail_at(again, Fault::PowerCut);
            drop(Store::open_with_backend(disk.clone()));
            if disk.failures() == 0 {
                break;
            }
            let what = format!("cut at {operation}, and at {again} of the repair");
            check(disk.image_after_power_cut(Some(again)), &promises, &what);
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Ask(Vec<(u8, Intent)>),
    Raise(u8, u64, u64),
    Retire(u8),
    Admit(u8),
    Checkpoint,
    Reopen,
}

fn any_step() -> impl Strategy<Value = Step> {
    let intent = prop_oneof![
        (0..12_u64, 0..3_u64).prop_map(|(slot, root)| proposal(slot, root)),
        (0..8_u64, 0..8_u64, 0..3_u64).prop_map(|(s, t, root)| attestation(s, t, root)),
    ];
    let asked = proptest::collection::vec((1..4_u8, intent), 1..12);
    let said = (0..16_u32, 0..3_u64, proptest::sample::select(Statement::ALL.to_vec()))
        .prop_map(|(session, candidate, said)| (4, statement(session, candidate, said)));
    let said = proptest::collection::vec(said, 1..12);
    prop_oneof![
        8 => asked.prop_map(Step::Ask),
        4 => said.prop_map(Step::Ask),
        1 => (1..5_u8, 0..12_u64, 0..8_u64)
            .prop_map(|(k, slot, epoch)| Step::Raise(k, slot, epoch)),
        1 => (1..4_u8).prop_map(Step::Retire),
        1 => (1..4_u8).prop_map(Step::Admit),
        1 => Just(Step::Checkpoint),
        1 => Just(Step::Reopen),
    ]
}

fn any_fault() -> impl Strategy<Value = (u64, Fault, u64)> {
    (1..200_u64, proptest::sample::select(FAULTS.to_vec()), any::<u64>())
}

/// Takes the steps until they end or the store is dead; false when it is.
fn take_steps(store: &mut Store, promises: &mut Promises, steps: &mut &[Step]) -> bool {
    while let Some((step, rest)) = steps.split_first() {
        *steps = rest;
        match step {
            Step::Ask(batch) => promises.authorise(store, batch),
            Step::Raise(number, slot, epoch) => {
                let histories = [admission(*number, history(*slot, *epoch))];
                let raised = store.raise(&histories).map(drop);
                promises.note(raised);
            }
            Step::Retire(number) => {
                let retired = store.retire(&[key(*number)]);
                promises.note(retired);
            }
            Step::Admit(number) => {
                let admitted = store.admit(&[fresh(*number)]).map(drop);
                promises.note(admitted);
            }
            Step::Checkpoint => {
                let checkpoint = store.checkpoint();
                promises.note(checkpoint);
            }
            Step::Reopen => return true,
        }
        if promises.failed.is_some() {
            return true;
        }
    }
    false
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Random work on disks that fail again and again: over the whole life of the file no two
    /// permits conflict, and none is forgotten.
    #[test]
    fn random_work_on_failing_disks(
        steps in proptest::collection::vec(any_step(), 1..60),
        faults in proptest::collection::vec(any_fault(), 1..12),
    ) {
        let disk = FaultyDisk::new();
        let created = Store::create_with_backend(disk.clone(), creation(), SMALL_LOG_BYTES);
        created.unwrap().admit(&[fresh(1), fresh(2), fresh(3), fresh_validator(4)]).unwrap();
        let mut image = disk.image();
        let mut promises = Promises::default();
        let mut left: &[Step] = &steps;
        for (operation, fault, seed) in faults {
            let disk = FaultyDisk::from_image(image);
            disk.fail_at(operation, fault);
            promises.failed = None;
            if let Ok(mut store) = Store::open_with_backend(disk.clone()) {
                take_steps(&mut store, &mut promises, &mut left);
            }
            image = match fault {
                Fault::PowerCut => disk.image_after_power_cut(Some(seed)),
                _ => disk.image(),
            };
            check(image.clone(), &promises, &format!("{fault:?} at {operation}"));
        }
        for (place, (key, one)) in promises.permits.iter().enumerate() {
            for (other_key, other) in &promises.permits[..place] {
                prop_assert!(key != other_key || !is_slashable(one, other), "{one:?} {other:?}");
            }
        }
    }
}
