//! GRANDPA: a vote waits for a guard that is away, and a refusal does not take the node with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use palisade_node_keystore::config::GRANDPA;
use palisade_node_keystore::{Guard as Target, LostVote, RemoteKeystore, shield_voter};
use sp_core::{Pair, ed25519};
use sp_keystore::{Error, Keystore};

use crate::guard::{Fault, Guard, NOT_READY, REFUSED, STORE_FAILURE, UNKNOWN_KEY, keys};
use crate::{eventually, node, quick, started, vote};

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
    assert!(took >= Duration::from_secs(3) && took < Duration::from_secs(4), "{took:?}");
    assert_eq!(keystore.lost_vote(), Some(LostVote::Outage));
    assert!(is_voter(&keystore));
}

#[test]
fn a_refusal_fails_at_once_and_hides_the_key_for_a_while() {
    let guard = Guard::start();
    let keystore = node(&[&guard]);
    guard.script("grandpaVote", &[REFUSED]);
    let began = Instant::now();
    assert!(sign(&keystore, 1).unwrap_err().to_string().contains("slashable"));
    assert!(began.elapsed() < Duration::from_millis(300));
    assert_eq!(keystore.lost_vote(), Some(LostVote::Refused));
    assert!(!is_voter(&keystore));
    assert!(keystore.ed25519_public_keys(GRANDPA).is_empty());
    assert!(keystore.keys(GRANDPA).unwrap().is_empty());
    eventually("the key shows again", || is_voter(&keystore));
    signed(&keystore, 2);
    assert_eq!(keystore.lost_vote(), None);
}

#[test]
fn a_key_that_left_the_guard_counts_as_a_refusal() {
    let guard = Guard::start();
    let keystore = node(&[&guard]);
    guard.script("grandpaVote", &[UNKNOWN_KEY]);
    assert!(sign(&keystore, 1).is_err());
    assert!(!is_voter(&keystore));
}

#[test]
fn a_hidden_key_still_signs_what_its_round_asks() {
    let guard = Guard::start();
    let keystore = node(&[&guard]);
    guard.script("grandpaVote", &[REFUSED]);
    assert!(sign(&keystore, 1).is_err());
    assert!(!is_voter(&keystore));
    signed(&keystore, 2);
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
async fn voter(keystore: Arc<RemoteKeystore>, first_round: u64) {
    for round in first_round.. {
        if sign(&keystore, round).is_err() {
            return;
        }
    }
}

/// Runs a shielded voter as a node does, on a thread of its own; says when it has ended.
fn spawn_shielded(keystore: &Arc<RemoteKeystore>) -> Arc<AtomicBool> {
    let ended = Arc::new(AtomicBool::new(false));
    let (keystore, flag) = (keystore.clone(), ended.clone());
    thread::spawn(move || {
        futures::executor::block_on(shield_voter(keystore.clone(), voter(keystore, 1)));
        flag.store(true, Ordering::Release);
    });
    ended
}

#[test]
fn the_node_lives_through_a_refusal_and_ends_when_a_vote_has_a_chance() {
    let guard = Guard::start();
    let mut config = quick(vec![Target::new(guard.url())]);
    config.grandpa_hide = Duration::from_secs(2);
    let keystore = started(config);
    guard.always("grandpaVote", Some(REFUSED));
    let began = Instant::now();
    let ended = spawn_shielded(&keystore);
    eventually("the refusal", || keystore.lost_vote() == Some(LostVote::Refused));
    thread::sleep(Duration::from_millis(1000));
    assert!(!ended.load(Ordering::Acquire), "the task, and with it the node, must go on");
    eventually("the end", || ended.load(Ordering::Acquire));
    assert!(began.elapsed() >= Duration::from_secs(2));
}

#[test]
fn the_node_lives_through_an_outage_of_any_length_and_ends_when_a_guard_is_back() {
    let guard = Guard::start();
    let keystore = node(&[&guard]);
    let ended = spawn_shielded(&keystore);
    eventually("some votes", || guard.asked("grandpaVote") > 3);
    guard.stop();
    eventually("the loss", || keystore.lost_vote() == Some(LostVote::Outage));
    thread::sleep(Duration::from_millis(1500));
    assert!(!ended.load(Ordering::Acquire), "no guard, so no restart");
    let _again = Guard::start_at(guard.address);
    eventually("the end", || ended.load(Ordering::Acquire));
}

#[test]
fn a_voter_that_ends_for_another_reason_ends_the_task_at_once() {
    let guard = Guard::start();
    let keystore = node(&[&guard]);
    signed(&keystore, 1);
    futures::executor::block_on(shield_voter(keystore, async {}));
}
