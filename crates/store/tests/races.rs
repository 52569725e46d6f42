//! Many threads on one ledger: one winner for each duty, bounded queues, every batch answered
//! exactly once.
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

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};

use common::{attestation, creation, digest, forbids_twin, fresh, key, proposal};
use palisade_protect::journal::Event;
use palisade_protect::{Denied, Evidence, Intent, KeyId, RefusalKind};
use palisade_store::testing::{Fault, FaultyDisk, SMALL_LOG_BYTES};
use palisade_store::{Answers, LedgerHandle, LedgerThread, Limits, Store, StoreError};

fn new_store(disk: &FaultyDisk) -> Store {
    let mut store = Store::create_with_backend(disk.clone(), creation(), SMALL_LOG_BYTES).unwrap();
    store.admit(&[fresh(1), fresh(2)]).unwrap();
    store
}

fn wait_for(handle: &LedgerHandle, batch: Vec<(KeyId, Intent)>) -> Answers {
    let (sender, receiver) = mpsc::channel();
    handle.authorise(batch, move |answers| sender.send(answers).unwrap()).unwrap();
    receiver.recv().unwrap()
}

/// On this thread when the ledger is free, as a lone request does; else through the queue.
fn ask(handle: &LedgerHandle, batch: Vec<(KeyId, Intent)>) -> Answers {
    handle.authorise_here(&batch).unwrap_or_else(|| wait_for(handle, batch))
}

/// Each thread asks for its own message at the same time.
fn race(threads: u64, intent: impl Fn(u64) -> Intent) -> (Vec<(Intent, Answers)>, Store) {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Store::create(&directory.path().join("store.redb"), creation()).unwrap();
    store.admit(&[fresh(1)]).unwrap();
    let (handle, thread) = LedgerThread::spawn(store, Limits::default());
    let barrier = Arc::new(Barrier::new(usize::try_from(threads).unwrap()));
    let racers: Vec<_> = (0..threads)
        .map(|number| {
            let (handle, barrier, intent) = (handle.clone(), barrier.clone(), intent(number));
            std::thread::spawn(move || {
                barrier.wait();
                (intent, ask(&handle, vec![(key(1), intent)]))
            })
        })
        .collect();
    let answers = racers.into_iter().map(|racer| racer.join().unwrap()).collect();
    (answers, thread.stop().unwrap())
}

#[test]
fn of_64_threads_with_different_blocks_one_wins() {
    for round in 0..20_u64 {
        let (answers, mut store) = race(64, |number| proposal(9, round * 64 + number));
        let winners: Vec<_> = answers.iter().filter(|(_, answer)| answer[0].is_ok()).collect();
        assert_eq!(winners.len(), 1, "exactly one block of a slot is signed");
        let winner = winners[0].0;
        for (asked, answer) in answers.iter().filter(|(_, answer)| answer[0].is_err()) {
            let Err(Denied::Refused(refusal)) = &answer[0] else { panic!("{answer:?}") };
            assert_eq!(refusal.kind, RefusalKind::DoubleProposal);
            assert_eq!(refusal.asked, *asked);
            let Evidence::Proposal(evidence) = refusal.evidence else { panic!("{refusal:?}") };
            assert_eq!(evidence.root, Some(winner.digest), "the evidence names the winner");
        }
        assert!(forbids_twin(&mut store, &key(1), &winner));
        store.verify_journal().unwrap();
    }
}

#[test]
fn of_64_threads_with_one_block_all_win_by_one_write() {
    let (answers, store) = race(64, |_| proposal(9, 1));
    assert!(answers.iter().all(|(_, answer)| answer[0].is_ok()));
    // One admission and one permit.
    assert_eq!(store.journal_head().unwrap().0, 2);
}

#[test]
fn threads_with_votes_around_each_other_never_sign_a_slashable_pair() {
    let vote = |number: u64| attestation(number % 8, number % 8 + number / 8, number);
    let (answers, mut store) = race(64, vote);
    let signed: Vec<_> =
        answers.iter().filter(|(_, answer)| answer[0].is_ok()).map(|(vote, _)| *vote).collect();
    assert!(!signed.is_empty());
    for one in &signed {
        assert!(signed.iter().all(|other| !common::is_slashable(one, other)), "{signed:?}");
    }
    store.verify_journal().unwrap();
}

#[test]
fn a_lone_request_is_decided_where_it_is_asked_and_reaches_the_database_by_itself() {
    let disk = FaultyDisk::new();
    let (handle, thread) = LedgerThread::spawn(new_store(&disk), Limits::default());
    let commits = handle.statistics().commits;
    let answers = handle.authorise_here(&[(key(1), proposal(5, 1))]).unwrap();
    assert!(answers[0].is_ok());
    assert!(handle.authorise_here(&[(key(1), proposal(5, 2))]).unwrap()[0].is_err());
    assert_eq!(handle.statistics().commits, commits + 1);
    while handle.call(|store| store.is_checkpoint_due()).unwrap() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(thread.stop().unwrap().verify_journal().unwrap().entries, 3);
    assert!(handle.authorise_here(&[(key(1), proposal(6, 1))]).is_none(), "the ledger has stopped");
}

#[test]
fn a_request_beside_others_is_left_to_the_thread() {
    let (handle, thread) = LedgerThread::spawn(new_store(&FaultyDisk::new()), Limits::default());
    let held = hold(&handle);
    assert!(handle.authorise_here(&[(key(1), proposal(5, 1))]).is_none(), "the store is in use");
    let (sender, receiver) = mpsc::channel();
    let batch = vec![(key(2), proposal(5, 1))];
    handle.authorise(batch, move |answers| sender.send(answers).unwrap()).unwrap();
    assert!(handle.authorise_here(&[(key(1), proposal(5, 1))]).is_none(), "another waits");
    drop(held);
    assert!(receiver.recv().unwrap()[0].is_ok());
    thread.stop().unwrap();
}

#[test]
fn interleaved_batches_get_their_own_answers() {
    let store = new_store(&FaultyDisk::new());
    let (handle, thread) = LedgerThread::spawn(store, Limits::default());
    let held = hold(&handle);
    let (sender, receiver) = mpsc::channel();
    for number in 0..100_u64 {
        // Each batch: a new slot, the same again, and a twin that must be refused.
        let own = proposal(number + 1, number);
        let batch = vec![(key(1), own), (key(7), own), (key(1), own), (key(1), common::twin(&own))];
        let sender = sender.clone();
        handle.authorise(batch, move |answers| sender.send((number, answers)).unwrap()).unwrap();
    }
    assert_eq!(handle.queue_depth(), 100);
    drop(held);
    for expected in 0..100_u64 {
        let (number, answers) = receiver.recv().unwrap();
        assert_eq!((number, answers.len()), (expected, 4));
        let digests = [&answers[0], &answers[2]].map(|answer| answer.as_ref().unwrap().digest());
        assert_eq!(digests, [digest(number); 2]);
        assert!(matches!(&answers[1], Err(Denied::UnknownKey(unknown)) if *unknown == key(7)));
        assert!(matches!(&answers[3], Err(Denied::Refused(_))));
    }
    let statistics = handle.statistics();
    assert_eq!((statistics.commits, statistics.intents), (1, 400), "one commit for all");
    thread.stop().unwrap();
}

/// Keeps the ledger thread busy until the result is dropped.
fn hold(handle: &LedgerHandle) -> mpsc::Sender<()> {
    let (release, released) = mpsc::channel::<()>();
    let (entered, enter) = mpsc::channel();
    let handle = handle.clone();
    std::thread::spawn(move || {
        handle.call(move |_| {
            entered.send(()).unwrap();
            // The holder lets go by dropping the other end.
            assert!(released.recv().is_err());
        })
    });
    enter.recv().unwrap();
    release
}

#[test]
fn a_full_queue_is_answered_at_once_and_decides_nothing() {
    let store = new_store(&FaultyDisk::new());
    let limits = Limits { queue_batches: 3, max_intents_per_commit: 10 };
    let (handle, thread) = LedgerThread::spawn(store, limits);
    let held = hold(&handle);
    let answered = Arc::new(AtomicUsize::new(0));
    let mut taken = 0;
    for slot in 1..=10 {
        let answered = answered.clone();
        let count = move |_| {
            answered.fetch_add(1, Ordering::SeqCst);
        };
        taken += usize::from(handle.authorise(vec![(key(1), proposal(slot, 1))], count).is_ok());
    }
    assert_eq!((taken, handle.queue_depth()), (3, 3));
    drop(held);
    let mut store = thread.stop().unwrap();
    assert_eq!(answered.load(Ordering::SeqCst), 3);
    assert!(forbids_twin(&mut store, &key(1), &proposal(3, 1)));
    assert_eq!(store.journal_head().unwrap().0, 2, "the three of the queue were one commit");
}

#[test]
fn groups_are_bounded_and_a_large_batch_stands_alone() {
    let store = new_store(&FaultyDisk::new());
    let limits = Limits { queue_batches: 100, max_intents_per_commit: 4 };
    let (handle, thread) = LedgerThread::spawn(store, limits);
    let held = hold(&handle);
    for (first, size) in [(1, 2), (3, 2), (5, 1), (6, 9), (15, 3)] {
        let batch = (first..first + size).map(|slot| (key(1), proposal(slot, 1))).collect();
        handle.authorise(batch, |answers| assert!(answers.iter().all(Result::is_ok))).unwrap();
    }
    drop(held);
    thread.stop().unwrap();
    // [2 + 2], [1], [9], [3]
    assert_eq!(handle.statistics().commits, 4);
    assert_eq!(handle.statistics().intents, 17);
}

#[test]
fn stopping_answers_what_has_queued_and_then_says_stopped() {
    let disk = FaultyDisk::new();
    let limits = Limits { queue_batches: 9, max_intents_per_commit: 2 };
    let (handle, thread) = LedgerThread::spawn(new_store(&disk), limits);
    let held = hold(&handle);
    let (sender, receiver) = mpsc::channel();
    let queued = sender.clone();
    let batch = vec![(key(1), proposal(1, 1)), (key(1), proposal(1, 2))];
    handle.authorise(batch, move |answers| queued.send(answers).unwrap()).unwrap();
    // Its group has nothing to commit: the refusal waits.
    let refused = vec![(key(1), proposal(0, 1))];
    handle.authorise(refused, |answers| assert!(answers[0].is_err())).unwrap();
    drop(held);
    drop(thread.stop().unwrap());
    let answers = receiver.recv().unwrap();
    assert!(answers[0].is_ok() && answers[1].is_err());
    assert!(!handle.is_writable());
    let late = vec![(key(1), proposal(2, 1))];
    handle.authorise(late, move |answers| sender.send(answers).unwrap()).unwrap();
    let answers = receiver.recv().unwrap();
    assert!(matches!(&answers[0], Err(Denied::Failed(StoreError::Stopped))), "{answers:?}");
    assert!(matches!(handle.call(|_| ()), Err(StoreError::Stopped)));
    // The refusal was journaled when the thread stopped.
    let store = Store::open_with_backend(FaultyDisk::from_image(disk.image())).unwrap();
    let newest = store.recent_events(1).unwrap();
    assert!(matches!(newest[0].1, Event::Refused { kind: RefusalKind::ProposalBehind, .. }));
}

#[test]
fn a_broken_ledger_thread_answers_failed_and_is_not_writable() {
    let (handle, thread) = LedgerThread::spawn(new_store(&FaultyDisk::new()), Limits::default());
    let held = hold(&handle);
    let (sender, receiver) = mpsc::channel();
    let breaking = handle.clone();
    let breaker = std::thread::spawn(move || breaking.call(|_| panic!("a bug, for this test")));
    let batch = vec![(key(1), proposal(1, 1))];
    handle.authorise(batch, move |answers| sender.send(answers).unwrap()).unwrap();
    drop(held);
    assert!(matches!(breaker.join().unwrap(), Err(StoreError::Stopped)));
    assert_eq!(receiver.recv().unwrap().len(), 1, "answered, whichever came first");
    assert!(handle.authorise_here(&[(key(1), proposal(2, 1))]).is_none());
    assert!(matches!(thread.stop(), Err(StoreError::Bug(_))));
    assert!(!handle.is_writable());
}

#[test]
fn a_thread_that_breaks_beside_the_store_ends_the_way_past_it_too() {
    let (handle, thread) = LedgerThread::spawn(new_store(&FaultyDisk::new()), Limits::default());
    let batch = vec![(key(1), proposal(1, 1))];
    handle.authorise(batch, |_| panic!("a bug, for this test")).unwrap();
    assert!(matches!(thread.stop(), Err(StoreError::Bug(_))));
    assert!(handle.authorise_here(&[(key(1), proposal(2, 1))]).is_none());
    assert!(!handle.is_writable());
}

#[test]
fn refusals_reach_the_journal_without_any_permit() {
    let disk = FaultyDisk::new();
    let (handle, thread) = LedgerThread::spawn(new_store(&disk), Limits::default());
    wait_for(&handle, vec![(key(1), proposal(5, 1))]);
    for slot in [1, 2, 3] {
        wait_for(&handle, vec![(key(1), proposal(slot, 1))]);
    }
    loop {
        let events = handle.call(|store| store.recent_events(3)).unwrap().unwrap();
        if events.iter().all(|(_, event)| matches!(event, Event::Refused { .. })) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    thread.stop().unwrap().verify_journal().unwrap();
}

#[test]
fn a_failed_write_denies_the_whole_group_and_shows_on_the_handle() {
    let disk = FaultyDisk::new();
    let (handle, thread) = LedgerThread::spawn(new_store(&disk), Limits::default());
    assert!(wait_for(&handle, vec![(key(1), proposal(5, 1))])[0].is_ok());
    disk.fail_at(1, Fault::ErrorOnce);
    let batch = vec![(key(1), proposal(6, 1)), (key(1), proposal(5, 2)), (key(2), proposal(6, 1))];
    let answers = wait_for(&handle, batch);
    let failed = |answer: &Result<_, _>| matches!(answer, Err(Denied::Failed(_)));
    assert!(failed(&answers[0]) && failed(&answers[2]));
    assert!(matches!(&answers[1], Err(Denied::Refused(_))), "a refusal needs no write");
    let answers = wait_for(&handle, vec![(key(1), proposal(7, 1))]);
    let Err(Denied::Failed(error)) = &answers[0] else { panic!("{answers:?}") };
    assert_eq!(error.code(), "store-dead");
    assert!(!handle.call(|store| store.is_writable()).unwrap());
    assert!(!handle.is_writable());
    thread.stop().unwrap();
}
