//! GRANDPA: a vote waits for a guard that is away, and a refusal does not take the node with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use palisade_node_keystore::config::{GRANDPA, PARACHAIN};
use palisade_node_keystore::{Guard as Target, LostVote, RemoteKeystore, shield_voter};
use sp_core::{Pair, ed25519};
use sp_keystore::{Error, Keystore};

use crate::guard::{Fault, Guard, NOT_READY, REFUSED, STORE_FAILURE, UNKNOWN_KEY, keys};
use crate::{LATE, eventually, node, quick, started, vote};

fn sign(keystore: &RemoteKeystore, round: u64) -> Result<Option<ed25519::Signature>, Error> {
    keystore.ed25519_sign(GRANDPA, &keys().ed25519.public(), &vote(round))
}

fn signed(keystore: &RemoteKeystore, round: u64) {
    let signature = sign(keystore, round).unwrap().unwrap();
    assert!(ed25519::Pair::verify(&signature, vote(round), &keys().ed25519.public()));
}

fn is_voter(keystore: &RemoteKeystore) -> bool {
    keystore.has_keys(&[(keys().ed25519.public().to_vec(), GRANDPA)])
}

#[test]
fn a_vote_waits_through_a_restart_of_the_guard() {
    let guard = Guard::start();
    let keystore = node(&[&guard]);
    guard.stop();
    let address = guard.address;
    let restart = thread::spawn(move || {
        thread::sleep(Duration::from_millis(1500));
        Guard::start_at(address)
    });
    let began = Instant::now();
    signed(&keystore, 1);
    assert!(began.elapsed() >= Duration::from_millis(1400));
    assert_eq!(keystore.lost_vote(), None);
    assert!(is_voter(&keystore));
    drop(restart.join().unwrap());
}

#[test]
fn a_vote_survives_a_guard_that_dies_with_the_request_in_hand() {
    let guard = Guard::start();
    let keystore = node(&[&guard]);
    guard.script("grandpaVote", &[Fault::Drop, Fault::Drop, Fault::Silence, NOT_READY]);
    signed(&keystore, 1);
    assert_eq!(guard.asked("grandpaVote"), 5);
}

#[test]
fn a_vote_survives_a_store_that_fails_and_is_put_right() {
    let guard = Guard::start();
    let keystore = node(&[&guard]);
    guard.script("grandpaVote", &[STORE_FAILURE, STORE_FAILURE]);
    signed(&keystore, 1);
}

#[test]
fn an_outage_beyond_the_bound_loses_the_vote_and_hides_nothing() {
    let guard = Guard::start();
    let keystore = node(&[&guard]);
    guard.stop();
    let began = Instant::now();
    assert!(sign(&keystore, 1).is_err());
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(5) && took < Duration::from_secs(5) + LATE, "{took:?}");
    assert_eq!(keystore.lost_vote(), Some(LostVote::Outage));
    assert!(is_voter(&keystore));
}

#[test]
fn a_refusal_holds_the_voter_and_hides_the_key_for_a_while() {
    let guard = Guard::start();
    let keystore = node(&[&guard]);
    guard.script("grandpaVote", &[REFUSED]);
    let began = Instant::now();
    thread::scope(|scope| {
        let voter = scope.spawn(|| sign(&keystore, 1));
        eventually("the refusal", || keystore.lost_vote() == Some(LostVote::Refused));
        assert!(!is_voter(&keystore));
        assert!(keystore.ed25519_public_keys(GRANDPA).is_empty());
        assert!(keystore.keys(GRANDPA).unwrap().is_empty());
        let statement = keystore.sr25519_sign(PARACHAIN, &keys().sr25519.public(), b"BKNG");
        assert!(statement.unwrap().is_some(), "other duties go on");
        let error = voter.join().unwrap().unwrap_err();
        assert!(error.to_string().contains("slashable"), "{error}");
    });
    assert!(began.elapsed() >= Duration::from_millis(800));
    assert!(is_voter(&keystore));
    signed(&keystore, 2);
    assert_eq!(keystore.lost_vote(), None);
}

#[test]
fn each_further_refusal_holds_for_longer() {
    let guard = Guard::start();
    let keystore = node(&[&guard]);
    guard.script("grandpaVote", &[REFUSED; 2]);
    assert!(sign(&keystore, 1).is_err());
    let began = Instant::now();
    assert!(sign(&keystore, 1).is_err());
    assert!(began.elapsed() >= Duration::from_millis(1600));
}

#[test]
fn a_key_that_left_the_guard_counts_as_a_refusal() {
    let guard = Guard::start();
    let keystore = node(&[&guard]);
    guard.script("grandpaVote", &[UNKNOWN_KEY]);
    assert!(sign(&keystore, 1).is_err());
    assert_eq!(keystore.lost_vote(), Some(LostVote::Refused));
}

#[test]
fn after_a_restart_the_node_observes_before_it_votes() {
    let guard = Guard::start();
    let folder = tempfile::tempdir().unwrap();
    let mut config = quick(vec![Target::new(guard.url())]);
    config.grandpa_memory = Some(folder.path().join("grandpa.json"));
    let keystore = started(config.clone());
    guard.script("grandpaVote", &[REFUSED]);
    assert!(sign(&keystore, 1).is_err());
    drop(keystore);
    let restarted = started(config.clone());
    assert!(!is_voter(&restarted), "the same vote would be refused again");
    eventually("the key shows again", || is_voter(&restarted));
    signed(&restarted, 2);
    drop(restarted);
    assert!(is_voter(&started(config)), "a vote that succeeded ends it");
}

/// A voter as upstream: it ends with the first vote that is not signed.
async fn voter(keystore: Arc<RemoteKeystore>) {
    for round in 1.. {
        if sign(&keystore, round).is_err() {
            return;
        }
    }
}

/// A node's runtime, with a shielded voter on a blocking thread as a service has it.
struct Service {
    runtime: tokio::runtime::Runtime,
    ended: Arc<AtomicBool>,
}

fn service(keystore: &Arc<RemoteKeystore>) -> Service {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let ended = Arc::new(AtomicBool::new(false));
    let (keystore, flag, handle) = (keystore.clone(), ended.clone(), runtime.handle().clone());
    runtime.spawn_blocking(move || {
        handle.block_on(shield_voter(keystore.clone(), voter(keystore)));
        flag.store(true, Ordering::Release);
    });
    Service { runtime, ended }
}

#[test]
fn the_node_lives_through_a_refusal_and_ends_after_the_hiding_time() {
    let guard = Guard::start();
    let mut config = quick(vec![Target::new(guard.url())]);
    config.grandpa_hide = Duration::from_secs(2);
    let keystore = started(config);
    guard.always("grandpaVote", Some(REFUSED));
    let began = Instant::now();
    let service = service(&keystore);
    eventually("the refusal", || keystore.lost_vote() == Some(LostVote::Refused));
    thread::sleep(Duration::from_millis(1000));
    assert!(!service.ended.load(Ordering::Acquire), "the voter, and with it the node, must go on");
    eventually("the end", || service.ended.load(Ordering::Acquire));
    assert!(began.elapsed() >= Duration::from_secs(2));
    assert_eq!(guard.asked("grandpaVote"), 1);
}

#[test]
fn a_node_that_is_told_to_stop_does_not_wait_for_a_refused_voter() {
    let guard = Guard::start();
    let mut config = quick(vec![Target::new(guard.url())]);
    config.grandpa_hide = Duration::from_secs(600);
    let keystore = started(config);
    guard.always("grandpaVote", Some(REFUSED));
    let service = service(&keystore);
    eventually("the refusal", || keystore.lost_vote() == Some(LostVote::Refused));
    let began = Instant::now();
    drop(service.runtime);
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_node_that_is_told_to_stop_does_not_wait_for_a_guard_that_is_away() {
    let guard = Guard::start();
    let mut config = quick(vec![Target::new(guard.url())]);
    config.grandpa_timeout = Duration::from_secs(600);
    let keystore = started(config);
    guard.stop();
    eventually("the loss", || !keystore.is_connected());
    let service = service(&keystore);
    thread::sleep(Duration::from_millis(200));
    let began = Instant::now();
    drop(service.runtime);
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_voter_that_ends_for_another_reason_ends_the_task_at_once() {
    let guard = Guard::start();
    let keystore = node(&[&guard]);
    signed(&keystore, 1);
    futures::executor::block_on(shield_voter(keystore, async {}));
}
