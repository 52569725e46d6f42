//! What operators do to keys: admit, raise, retire, stop-line, pin; and what the journal and a
//! failing disk say.
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

use std::sync::atomic::{AtomicU64, Ordering};

use common::{
    admission, ask, attestation, creation, digest, forbids_twin, fresh, irrevocable, key, proposal,
};
use palisade_protect::journal::Event;
use palisade_protect::{
    Bound, Denied, Epoch, EthereumRecord, Record, RefusalKind, Slot, StopLine, authorise,
};
use palisade_store::testing::{Fault, FaultyDisk, SMALL_LOG_BYTES};
use palisade_store::{Admitted, Creation, Standing, Store, StoreError};

fn empty_store() -> (FaultyDisk, Store) {
    let disk = FaultyDisk::new();
    let store = Store::create_with_backend(disk.clone(), creation(), SMALL_LOG_BYTES).unwrap();
    (disk, store)
}

fn reopen(disk: &FaultyDisk, store: Store) -> Store {
    drop(store);
    Store::open_with_backend(FaultyDisk::from_image(disk.image())).unwrap()
}

fn from_now(slot: u64, epoch: u64) -> Record {
    Record::Ethereum(EthereumRecord::from_now(Slot(slot), Epoch(epoch)))
}

fn kind<T>(answer: &Result<T, Denied<StoreError>>) -> RefusalKind {
    match answer {
        Err(Denied::Refused(refusal)) => refusal.kind,
        _ => panic!("not refused"),
    }
}

#[test]
fn a_created_store_is_the_one_that_is_opened() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    let settings =
        Creation { network: "mainnet".to_owned(), genesis_validators_root: Some(digest(5)) };
    let mut store = Store::create(&path, settings.clone()).unwrap();
    store.admit(&[fresh(1)]).unwrap();
    assert!(ask(&mut store, 1, proposal(5, 1)).is_ok());
    drop(store);
    let names: Vec<_> = std::fs::read_dir(directory.path()).unwrap().collect();
    assert_eq!(names.len(), 1, "{names:?}");
    let error = Store::create(&path, settings).unwrap_err();
    assert_eq!(error.code(), "store-exists");
    let mut store = Store::open(&path).unwrap();
    assert_eq!((store.network(), store.genesis_validators_root()), ("mainnet", Some(digest(5))));
    assert!(forbids_twin(&mut store, &key(1), &proposal(5, 1)));
}

#[test]
fn an_interrupted_creation_leaves_no_store_and_does_not_block_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    std::fs::write(path.with_extension("unfinished"), b"half a header").unwrap();
    assert_eq!(Store::open(&path).unwrap_err().code(), "store-missing");
    Store::create(&path, creation()).unwrap();
}

#[test]
fn the_genesis_root_is_pinned_once_and_for_good() {
    let (disk, mut store) = empty_store();
    assert_eq!(store.genesis_validators_root(), None);
    store.pin_genesis_validators_root(digest(1)).unwrap();
    store.pin_genesis_validators_root(digest(1)).unwrap();
    let mut store = reopen(&disk, store);
    assert_eq!(store.genesis_validators_root(), Some(digest(1)));
    let error = store.pin_genesis_validators_root(digest(2)).unwrap_err();
    assert_eq!(error.code(), "wrong-genesis-validators-root");
    assert!(store.is_writable(), "a wrong root is no failure of the store");
}

#[test]
fn a_key_without_a_record_does_not_sign() {
    let (_disk, mut store) = empty_store();
    let answer = ask(&mut store, 1, proposal(5, 1));
    assert!(matches!(answer, Err(Denied::UnknownKey(unknown)) if unknown == key(1)));
    assert_eq!(store.missing_records(&[key(1), key(2)]).unwrap(), 2);
}

#[test]
fn a_key_that_comes_back_finds_its_past() {
    let (disk, mut store) = empty_store();
    assert_eq!(store.admit(&[fresh(1)]).unwrap(), [Admitted::New]);
    assert!(ask(&mut store, 1, proposal(5, 1)).is_ok());
    store.retire(&[key(1), key(1)]).unwrap();
    store.retire(&[key(1)]).unwrap();
    assert!(matches!(ask(&mut store, 1, proposal(6, 1)), Err(Denied::UnknownKey(_))));
    let mut store = reopen(&disk, store);
    assert_eq!(store.missing_records(&[key(1)]).unwrap(), 1);
    assert!(store.key_infos().unwrap()[0].is_retired());
    assert_eq!(store.admit(&[fresh(1)]).unwrap(), [Admitted::Unchanged]);
    assert_eq!(kind(&ask(&mut store, 1, proposal(5, 2))), RefusalKind::DoubleProposal);
    assert!(ask(&mut store, 1, proposal(6, 1)).is_ok());
    store.verify_journal().unwrap();
}

#[test]
fn admitting_again_only_makes_stricter() {
    let (_disk, mut store) = empty_store();
    let twice = [fresh(1), admission(1, from_now(10, 2)), admission(1, from_now(7, 1))];
    let outcomes = store.admit(&twice).unwrap();
    assert_eq!(outcomes, [Admitted::New, Admitted::Raised, Admitted::Unchanged]);
    assert_eq!(store.record(&key(1)), Some(from_now(10, 2)));
    assert_eq!(store.admit(&[fresh(1)]).unwrap(), [Admitted::Unchanged]);
    assert_eq!(store.record(&key(1)), Some(from_now(10, 2)));
    assert_eq!(store.journal_head().unwrap().0, 1, "what changes nothing is not written");
    store.verify_journal().unwrap();
}

#[test]
fn a_history_may_come_before_its_key() {
    let (disk, mut store) = empty_store();
    assert_eq!(store.raise(&[admission(4, from_now(10, 2))]).unwrap(), [Admitted::New]);
    assert!(matches!(ask(&mut store, 4, proposal(11, 1)), Err(Denied::UnknownKey(_))));
    let mut store = reopen(&disk, store);
    assert_eq!(store.records().next().unwrap().2, Standing::Retired);
    assert_eq!(store.admit(&[fresh(4)]).unwrap(), [Admitted::Unchanged]);
    assert_eq!(kind(&ask(&mut store, 4, proposal(10, 1))), RefusalKind::DoubleProposal);
    assert!(ask(&mut store, 4, proposal(11, 1)).is_ok());
    assert_eq!(store.raise(&[admission(4, from_now(20, 2))]).unwrap(), [Admitted::Raised]);
    assert!(ask(&mut store, 4, proposal(21, 1)).is_ok(), "a raise does not retire");
    store.verify_journal().unwrap();
}

#[test]
fn one_bad_admission_admits_none() {
    let (_disk, mut store) = empty_store();
    store.admit(&[fresh(1)]).unwrap();
    let mut other = fresh(1);
    other.public_key = vec![9; 48];
    let error = store.admit(&[fresh(2), other]).unwrap_err();
    assert_eq!(error.code(), "internal-error");
    assert_eq!(store.record(&key(2)), None);
    assert_eq!(store.retire(&[key(1), key(3)]).unwrap_err().code(), "unknown-key");
    assert_eq!(store.missing_records(&[key(1)]).unwrap(), 0);
    assert!(store.is_writable());
}

#[test]
fn a_stop_line_stops_moves_and_goes() {
    let (disk, mut store) = empty_store();
    store.admit(&[fresh(1), fresh(2)]).unwrap();
    let bound = Bound { slot: Slot(64), epoch: Epoch(2) };
    let line = StopLine { at_or_above: Some(bound), below: None };
    store.set_stop_line(&[key(1)], line).unwrap();
    let mut store = reopen(&disk, store);
    assert_eq!(kind(&ask(&mut store, 1, proposal(64, 1))), RefusalKind::AtOrAboveStopLine);
    assert!(ask(&mut store, 1, proposal(63, 1)).is_ok());
    assert!(ask(&mut store, 2, proposal(64, 1)).is_ok());
    store.set_stop_line(&[key(1)], StopLine::default()).unwrap();
    assert!(ask(&mut store, 1, proposal(64, 1)).is_ok());
    assert_eq!(store.set_stop_line(&[key(9)], line).unwrap_err().code(), "unknown-key");
    store.verify_journal().unwrap();
}

static CLOCK: AtomicU64 = AtomicU64::new(0);

#[test]
fn a_clock_that_jumps_changes_no_decision() {
    let (disk, store) = empty_store();
    let mut store = store.with_clock(|| CLOCK.load(Ordering::SeqCst));
    let times = [1_800_000_000_000, 5, u64::MAX, 0];
    for (slot, time) in (1..).zip(times) {
        CLOCK.store(time, Ordering::SeqCst);
        if slot == 1 {
            store.admit(&[fresh(1)]).unwrap();
        }
        assert!(ask(&mut store, 1, proposal(slot, 1)).is_ok());
        assert!(ask(&mut store, 1, proposal(slot, 2)).is_err());
    }
    store.checkpoint().unwrap();
    let events = store.recent_events(100).unwrap();
    let permits = events.iter().filter(|(_, event)| matches!(event, Event::Permitted { .. }));
    assert_eq!(permits.map(|(time, _)| *time).collect::<Vec<_>>(), [0, u64::MAX, 5, times[0]]);
    let refused = events.iter().filter(|(_, event)| matches!(event, Event::Refused { .. }));
    assert_eq!(refused.count(), 4);
    let mut store = reopen(&disk, store);
    assert_eq!(store.verify_journal().unwrap().first_time_unix_ms, Some(times[0]));
}

#[test]
fn a_batch_is_one_entry_in_which_repeats_and_twins_stand_right() {
    let (disk, mut store) = empty_store();
    store.admit(&[fresh(1), fresh(2)]).unwrap();
    let batch = [
        (key(1), proposal(5, 1)),
        (key(2), attestation(0, 0, 1)),
        (key(1), proposal(5, 2)),
        (key(1), proposal(5, 1)),
        (key(3), proposal(5, 1)),
        (key(2), attestation(0, 0, 2)),
        (key(1), proposal(4, 1)),
        (key(1), irrevocable(1)),
        (key(2), attestation(0, 1, 3)),
    ];
    let allowed: Vec<bool> = authorise(&mut store, &batch).iter().map(Result::is_ok).collect();
    assert_eq!(allowed, [true, true, false, true, false, false, false, true, true]);
    assert_eq!(store.journal_head().unwrap().0, 2);
    let mut store = reopen(&disk, store);
    let events = store.recent_events(7).unwrap();
    let permitted = events.iter().filter(|(_, event)| matches!(event, Event::Permitted { .. }));
    assert_eq!(permitted.count(), 4);
    assert_eq!(store.verify_journal().unwrap().entries, 2);
}

#[test]
fn a_snapshot_stays_as_it_was() {
    let (_disk, mut store) = empty_store();
    store.admit(&[fresh(1)]).unwrap();
    let snapshot = store.snapshot().unwrap();
    assert!(ask(&mut store, 1, proposal(5, 1)).is_ok());
    let verify = std::thread::spawn(move || snapshot.verify_journal().unwrap().entries);
    assert_eq!(verify.join().unwrap(), 1);
    assert_eq!(store.verify_journal().unwrap().entries, 2);
}

#[test]
fn a_full_disk_is_named_and_the_store_is_dead_until_reopened() {
    let disk = FaultyDisk::new();
    let mut store = Store::create_with_backend(disk.clone(), creation(), SMALL_LOG_BYTES).unwrap();
    store.admit(&[fresh(1)]).unwrap();
    disk.fail_at(1, Fault::DiskFull);
    let Err(Denied::Failed(error)) = ask(&mut store, 1, proposal(5, 1)) else {
        panic!("nothing failed")
    };
    assert_eq!(error.code(), "store-unavailable");
    assert!(error.to_string().contains("make room on the disk"), "{error}");
    assert!(!store.is_writable());
    // The disk has room again; the store still does not know what it wrote.
    disk.fail_at(u64::MAX, Fault::DiskFull);
    let Err(Denied::Failed(error)) = ask(&mut store, 1, proposal(6, 1)) else {
        panic!("a dead store answered")
    };
    assert_eq!(error.code(), "store-dead");
    assert!(error.to_string().contains("restart the guard"), "{error}");
    assert_eq!(store.journal_head().unwrap_err().code(), "store-dead");
    drop(store);
    let mut store = Store::open_with_backend(FaultyDisk::from_image(disk.image())).unwrap();
    assert!(ask(&mut store, 1, proposal(6, 1)).is_ok());
}

#[test]
fn a_read_only_disk_is_named() {
    let disk = FaultyDisk::new();
    let mut store = Store::create_with_backend(disk.clone(), creation(), SMALL_LOG_BYTES).unwrap();
    store.admit(&[fresh(1)]).unwrap();
    disk.fail_at(1, Fault::ReadOnly);
    let Err(Denied::Failed(error)) = ask(&mut store, 1, proposal(5, 1)) else {
        panic!("nothing failed")
    };
    assert!(error.to_string().contains("mount the home's file system for writing"), "{error}");
}
