//! A node that listens, and the real guard that dials it: votes, seals, new keys, and whatever
//! breaks on either side.
//!
//! The guard's front needs no network name and no open port here: whatever is signed came over the
//! connection that the guard opened.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod block;
mod guard;
mod over_tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use palisade_node_keystore::config::{BABE, GRANDPA, PARACHAIN};
use palisade_node_keystore::{GuardConfig, Listen, LostVote, RemoteKeystore, Token};
use sp_core::crypto::Pair;
use sp_core::{ed25519, sr25519};
use sp_keystore::{Error, Keystore};

use guard::{Home, TOKEN};

/// How long a guard may take to come (again).
const PATIENCE: Duration = Duration::from_secs(30);

fn listening(token: Option<&str>) -> GuardConfig {
    let token = token.map(|token| Token::new(token).unwrap());
    let address = "127.0.0.1:0".parse().unwrap();
    let listen = Listen { address, token, tls: None };
    GuardConfig { grandpa_timeout: PATIENCE, ..GuardConfig::listen(listen) }
}

fn node() -> (Arc<RemoteKeystore>, SocketAddr) {
    let keystore = RemoteKeystore::start(listening(Some(TOKEN))).unwrap();
    let address = keystore.listening().unwrap();
    (keystore, address)
}

fn alice<P: Pair>() -> P {
    P::from_string("//Alice", None).unwrap()
}

/// A GRANDPA vote of 53 bytes for a block that is all of this byte.
fn vote(target: u8, round: u64) -> Vec<u8> {
    let mut vote = vec![0];
    vote.extend([target; 32]);
    vote.extend(5_u32.to_le_bytes());
    vote.extend(round.to_le_bytes());
    vote.extend(7_u64.to_le_bytes());
    vote
}

fn votes(
    keystore: &RemoteKeystore,
    target: u8,
    round: u64,
) -> Result<Option<ed25519::Signature>, Error> {
    keystore.ed25519_sign(GRANDPA, &alice::<ed25519::Pair>().public(), &vote(target, round))
}

#[track_caller]
fn signs(keystore: &RemoteKeystore, round: u64) {
    let signature = votes(keystore, 1, round).unwrap().unwrap();
    let public = alice::<ed25519::Pair>().public();
    assert!(ed25519::Pair::verify(&signature, vote(1, round), &public));
}

#[test]
fn a_node_votes_and_seals_over_the_connection_that_the_guard_opened() {
    let (keystore, address) = node();
    let home = Home::new();
    home.dial("validator", address);
    assert!(!keystore.wait_ready(Duration::from_millis(300)));
    let _guard = home.start();
    assert!(keystore.wait_ready(PATIENCE), "{}", home.log());
    assert_eq!(keystore.sr25519_public_keys(BABE), [alice::<sr25519::Pair>().public()]);
    signs(&keystore, 1);
    let block = block::propose(&keystore);
    assert!(block::is_sealed(&keystore, &block), "{}", home.log());
    // The twin of the slot.
    let twin = block::propose(&keystore);
    let same_slot = block::slot(&twin) == block::slot(&block);
    assert!(!same_slot || twin == block || !block::is_sealed(&keystore, &twin));
    // Not a statement that any relay chain knows.
    let statement =
        keystore.sr25519_sign(PARACHAIN, &alice::<sr25519::Pair>().public(), b"nonsense");
    assert!(statement.is_err());
    assert_eq!(keystore.metrics().connections, 1);
}

#[test]
fn a_vote_waits_for_a_guard_that_was_killed_and_no_second_one_is_signed() {
    let (keystore, address) = node();
    let home = Home::new();
    home.dial("validator", address);
    let guard = home.start();
    assert!(keystore.wait_ready(PATIENCE), "{}", home.log());
    signs(&keystore, 1);
    drop(guard);
    let began = Instant::now();
    let guard = thread::scope(|scope| {
        let voting = scope.spawn(|| signs(&keystore, 2));
        thread::sleep(Duration::from_secs(1));
        let guard = home.start();
        voting.join().unwrap();
        guard
    });
    assert!(Duration::from_secs(1) <= began.elapsed(), "a vote without a guard");
    assert_eq!(keystore.lost_vote(), None);
    drop(guard);
    let _guard = home.start();
    signs(&keystore, 2);
    // The voter is held; the node would be started anew.
    thread::scope(|scope| {
        let refused = scope.spawn(|| votes(&keystore, 2, 2));
        let began = Instant::now();
        while keystore.lost_vote() != Some(LostVote::Refused) {
            assert!(began.elapsed() < PATIENCE, "the guard's record is not asked");
            thread::sleep(Duration::from_millis(10));
        }
        keystore.release();
        assert!(refused.join().unwrap().is_err());
    });
}

#[test]
fn a_node_that_starts_again_is_found_by_its_guard() {
    let (keystore, address) = node();
    let home = Home::new();
    home.dial("validator", address);
    let _guard = home.start();
    assert!(keystore.wait_ready(PATIENCE), "{}", home.log());
    signs(&keystore, 1);
    drop(keystore);
    home.says("the connection to a node has ended");
    let mut config = listening(Some(TOKEN));
    config.listen.as_mut().unwrap().address = address;
    let began = Instant::now();
    let keystore = loop {
        match RemoteKeystore::start(config.clone()) {
            Ok(keystore) => break keystore,
            // The port may be held for a moment.
            Err(error) => assert!(began.elapsed() < PATIENCE, "{error}"),
        }
        thread::sleep(Duration::from_millis(50));
    };
    assert!(keystore.wait_ready(Duration::from_secs(10)), "{}", home.log());
    signs(&keystore, 2);
}

#[test]
fn one_guard_serves_two_nodes_and_one_of_them_may_leave() {
    let (first, first_address) = node();
    let (second, second_address) = node();
    let home = Home::new();
    home.dial("first", first_address);
    home.dial("second", second_address);
    let _guard = home.start();
    assert!(first.wait_ready(PATIENCE) && second.wait_ready(PATIENCE), "{}", home.log());
    signs(&first, 1);
    signs(&second, 1);
    drop(first);
    home.says("the connection to a node has ended");
    (2..12).for_each(|round| signs(&second, round));
    assert_eq!(second.metrics().connections, 1);
}

#[test]
fn a_guard_with_another_token_is_turned_away_by_the_node() {
    let home = Home::new();
    let stranger = RemoteKeystore::start(listening(Some("another-token-0123456789"))).unwrap();
    home.dial("stranger", stranger.listening().unwrap());
    let _guard = home.start();
    home.says("the node turns this guard away (401 Unauthorized)");
    assert!(!stranger.is_connected());
}

#[test]
fn many_threads_vote_at_once() {
    let (keystore, address) = node();
    let home = Home::new();
    home.dial("validator", address);
    let _guard = home.start();
    assert!(keystore.wait_ready(PATIENCE), "{}", home.log());
    signs(&keystore, 1);
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| (0..50).for_each(|_| signs(&keystore, 1)));
        }
    });
    let metrics = keystore.metrics();
    assert_eq!((metrics.connections, metrics.timeouts, metrics.garbage), (1, 0, 0));
    assert!(800 <= metrics.answered, "{metrics:?}");
}
