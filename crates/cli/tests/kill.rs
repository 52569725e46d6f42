//! 200 times SIGKILL under load on one home: no conflict is ever signed, and nothing that was
//! signed is forgotten.
//!
//! Several connections ask several keys for blocks and votes that grow, repeat and conflict; the
//! process is killed at a moment that depends on what it has granted. A model in the test remembers
//! every signature that was received, over all rounds, and knows the slashing conditions.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod support;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use support::duty::{attestation, block};
use support::eventually;
use support::home::TestHome;
use support::http::{Answer, Connection};

const ROUNDS: u64 = 200;
const CLIENTS: u64 = 6;
const KEYS: u64 = 6;

/// What one client asks of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Block { slot: u64, salt: u64 },
    Vote { source: u64, target: u64, salt: u64 },
}

impl Asked {
    fn body(self) -> Value {
        match self {
            Self::Block { slot, salt } => block(slot, salt),
            Self::Vote { source, target, salt } => attestation(source, target, salt),
        }
    }

    /// Another message for the same slot or target.
    fn twin(self) -> Self {
        match self {
            Self::Block { slot, salt } => Self::Block { slot, salt: salt + 1_000 },
            Self::Vote { source, target, salt } => {
                Self::Vote { source, target, salt: salt + 1_000 }
            }
        }
    }

    /// Whether a validator that signed both can be slashed (phase0 `is_slashable_attestation_data`
    /// and `process_proposer_slashing`).
    fn conflicts_with(self, other: Self) -> bool {
        match (self, other) {
            (Self::Block { slot, salt }, Self::Block { slot: slot_2, salt: salt_2 }) => {
                slot == slot_2 && salt != salt_2
            }
            (
                Self::Vote { source, target, .. },
                Self::Vote { source: source_2, target: target_2, .. },
            ) => {
                (target == target_2 && self != other)
                    || (source < source_2 && target_2 < target)
                    || (source_2 < source && target < target_2)
            }
            _ => false,
        }
    }
}

/// Every signature that was ever received.
#[derive(Default)]
struct Model {
    granted: HashMap<usize, Vec<Asked>>,
    this_round: Vec<(usize, Asked)>,
}

impl Model {
    fn grant(&mut self, key: usize, asked: Asked) -> Result<(), (Asked, Asked)> {
        self.this_round.push((key, asked));
        let granted = self.granted.entry(key).or_default();
        if granted.contains(&asked) {
            return Ok(());
        }
        if let Some(earlier) = granted.iter().find(|earlier| earlier.conflicts_with(asked)) {
            return Err((*earlier, asked));
        }
        granted.push(asked);
        Ok(())
    }

    /// The highest slot and target that were granted.
    fn highest(&self, key: usize) -> (u64, u64) {
        let granted = self.granted.get(&key).map_or(&[][..], Vec::as_slice);
        granted.iter().fold((0, 0), |(slots, targets), asked| match *asked {
            Asked::Block { slot, .. } => (slots.max(slot), targets),
            Asked::Vote { target, .. } => (slots, targets.max(target)),
        })
    }
}

/// A small generator, so that a round can be told apart from another without a dependency.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        // xorshift64*, Vigna 2014.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}

/// What all clients share.
struct Load {
    public_keys: Vec<String>,
    model: Mutex<Model>,
    granted: AtomicU64,
    refused: AtomicU64,
}

impl Load {
    /// Something near what was granted last: new, old, repeated or conflicting.
    fn next(&self, random: &mut Random) -> (usize, Asked) {
        let key = random.below(KEYS) as usize;
        let (slot, target) = self.model.lock().unwrap().highest(key);
        let salt = random.below(3);
        let near =
            |highest: u64, random: &mut Random| (highest + random.below(4)).saturating_sub(1);
        let asked = if random.below(2) == 0 {
            Asked::Block { slot: near(slot, random), salt }
        } else {
            let target = near(target, random);
            Asked::Vote { source: target.saturating_sub(1 + random.below(4)), target, salt }
        };
        (key, asked)
    }

    /// Asks until the guard is gone.
    fn run(&self, address: SocketAddr, mut random: Random) {
        let Ok(mut connection) = Connection::try_open(address) else { return };
        loop {
            let (key, asked) = self.next(&mut random);
            let Ok(answer) = self.ask(&mut connection, key, asked) else { return };
            match answer.status {
                200 => {
                    let granted = self.model.lock().unwrap().grant(key, asked);
                    granted.unwrap_or_else(|both| panic!("key {key} can be slashed: {both:?}"));
                    self.granted.fetch_add(1, Ordering::Relaxed);
                }
                412 => {
                    self.refused.fetch_add(1, Ordering::Relaxed);
                }
                // The front's last answer, after the core was killed.
                503 if answer.body.contains("core-gone") => return,
                _ => panic!("{asked:?}: {answer:?}"),
            }
        }
    }

    fn ask(
        &self,
        connection: &mut Connection<std::net::TcpStream>,
        key: usize,
        asked: Asked,
    ) -> std::io::Result<Answer> {
        let path = format!("/api/v1/eth2/sign/{}", self.public_keys[key]);
        connection.exchange("POST", &path, &[], &asked.body().to_string())
    }

    /// Every duty of the round that a kill ended must be remembered: its twin is refused.
    fn expect_all_recorded(&self, address: SocketAddr) {
        let granted = std::mem::take(&mut self.model.lock().unwrap().this_round);
        let mut connection = Connection::open(address);
        for (key, asked) in granted {
            let answer = self.ask(&mut connection, key, asked.twin()).unwrap();
            assert_eq!(answer.status, 412, "{asked:?} was forgotten: {answer:?}");
        }
    }
}

fn home_with_keys() -> TestHome {
    let home = TestHome::empty();
    let secrets: Vec<String> = (1..=KEYS).map(|secret| format!("{secret:064x}")).collect();
    let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
    home.import_raw(&secrets, &["--fresh"]);
    home
}

#[test]
fn killed_200_times_under_load_without_a_conflict_or_a_loss() {
    let home = home_with_keys();
    let guard = home.start();
    let keys = guard.get("/api/v1/eth2/publicKeys").json();
    let public_keys = keys.as_array().unwrap().iter().map(|key| key.as_str().unwrap().to_owned());
    let load = Arc::new(Load {
        public_keys: public_keys.collect(),
        model: Mutex::default(),
        granted: AtomicU64::new(0),
        refused: AtomicU64::new(0),
    });
    guard.kill();
    for round in 1..=ROUNDS {
        let guard = home.start();
        load.expect_all_recorded(guard.listen);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (load, address) = (Arc::clone(&load), guard.listen);
                let random = Random(round << 8 | client << 1 | 1);
                std::thread::spawn(move || load.run(address, random))
            })
            .collect();
        let enough = load.granted.load(Ordering::Relaxed) + 1 + Random(round).below(40);
        eventually("enough is granted", || {
            enough <= load.granted.load(Ordering::Relaxed)
                || clients.iter().any(std::thread::JoinHandle::is_finished)
        });
        guard.kill();
        for client in clients {
            client.join().unwrap();
        }
    }
    expect_whole_history(&home, &load);
}

/// At the end, by what an operator has: the exported history, and the journal.
fn expect_whole_history(home: &TestHome, load: &Load) {
    let guard = home.start();
    load.expect_all_recorded(guard.listen);
    let (status, log) = guard.stop();
    assert!(status.success(), "{log}");
    let history = home.history();
    let number =
        |value: &Value| -> u64 { value.as_str().map_or(0, |number| number.parse().unwrap()) };
    let model = load.model.lock().unwrap();
    for (key, public_key) in load.public_keys.iter().enumerate() {
        let row = history["data"].as_array().unwrap().iter().find(|r| r["pubkey"] == *public_key);
        let row = row.unwrap();
        let (slot, target) = model.highest(key);
        assert!(slot <= number(&row["signed_blocks"][0]["slot"]), "{row}");
        assert!(target <= number(&row["signed_attestations"][0]["target_epoch"]), "{row}");
    }
    home.succeeds(&["journal", "verify"]);
    let (granted, refused) =
        (load.granted.load(Ordering::Relaxed), load.refused.load(Ordering::Relaxed));
    assert!(ROUNDS * 10 < granted && ROUNDS < refused, "{granted} granted, {refused} refused");
}

/// The model itself: it must see each kind of conflict, or the test above shows nothing.
#[test]
fn the_model_sees_what_can_be_slashed() {
    let vote = |source, target, salt| Asked::Vote { source, target, salt };
    let pairs = [
        (Asked::Block { slot: 5, salt: 1 }, Asked::Block { slot: 5, salt: 2 }),
        (vote(1, 2, 1), vote(1, 2, 2)),
        (vote(0, 2, 1), vote(1, 2, 1)),
        (vote(2, 3, 1), vote(1, 4, 1)),
        (vote(1, 4, 1), vote(2, 3, 1)),
    ];
    for (one, other) in pairs {
        let mut model = Model::default();
        assert_eq!(model.grant(0, one), Ok(()));
        assert_eq!(model.grant(0, one), Ok(()), "a repeat is no conflict");
        assert_eq!(model.grant(1, other), Ok(()), "another key is no conflict");
        assert_eq!(model.grant(0, other), Err((one, other)));
    }
    let mut model = Model::default();
    for harmless in [vote(1, 2, 1), vote(1, 3, 1), vote(2, 4, 1), vote(0, 1, 1)] {
        assert_eq!(model.grant(0, harmless), Ok(()));
    }
}
