//! The keystore against a guard that answers, and one that fails in every way that it can.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod announce;
mod duties;
mod faults;
mod finality;
mod guard;
mod reverse;

use std::sync::Arc;
use std::time::{Duration, Instant};

use palisade_node_keystore::{Guard as Target, GuardConfig, RemoteKeystore};

use guard::Guard;

/// How long a block duty may take in these tests, and how much later a loaded machine may notice.
const BLOCK: Duration = Duration::from_millis(1500);
const LATE: Duration = Duration::from_millis(1500);

/// Bounds that a test can wait for.
fn quick(guards: Vec<Target>) -> GuardConfig {
    GuardConfig {
        block_timeout: BLOCK,
        announce_timeout: Duration::from_secs(2),
        grandpa_timeout: Duration::from_secs(5),
        other_timeout: Duration::from_secs(3),
        attempt_timeout: Duration::from_secs(1),
        refresh_interval: Duration::from_secs(60),
        reconnect_limit: Duration::from_millis(200),
        grandpa_hide: Duration::from_millis(800),
        ..GuardConfig::dial(guards)
    }
}

/// A node of these guards that knows its keys.
fn node(guards: &[&Guard]) -> Arc<RemoteKeystore> {
    let targets = guards.iter().map(|guard| Target::new(guard.url())).collect();
    started(quick(targets))
}

fn started(config: GuardConfig) -> Arc<RemoteKeystore> {
    let keystore = RemoteKeystore::start(config).unwrap();
    assert!(keystore.wait_ready(Duration::from_secs(5)), "no guard listed its keys");
    keystore
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(10), "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A GRANDPA vote of 53 bytes.
fn vote(round: u64) -> Vec<u8> {
    let mut vote = vec![1; 37];
    vote.extend(round.to_le_bytes());
    vote.extend(0_u64.to_le_bytes());
    vote
}
