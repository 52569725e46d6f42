//! Many clients at once.

use std::collections::HashSet;
use std::sync::{Arc, Barrier};

use serde_json::Value;

use crate::support::Guard;
use crate::support::duty::{attestation, block};
use crate::support::home::{KEYS, SECRETS, TestHome};
use crate::support::http::{Answer, Connection};

const CLIENTS: u64 = 64;

/// Every client connects, waits for all others, and sends.
fn all_at_once(guard: &Guard, request: impl Fn(u64) -> Value) -> Vec<Answer> {
    let barrier = Arc::new(Barrier::new(CLIENTS as usize));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (barrier, address) = (Arc::clone(&barrier), guard.listen);
            let body = request(client).to_string();
            std::thread::spawn(move || {
                let mut connection = Connection::open(address);
                barrier.wait();
                let path = format!("/api/v1/eth2/sign/{}", KEYS[0]);
                connection.exchange("POST", &path, &[], &body).unwrap()
            })
        })
        .collect();
    clients.into_iter().map(|client| client.join().unwrap()).collect()
}

#[test]
fn of_64_conflicting_blocks_exactly_one_is_signed() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    for slot in 1..=5 {
        let answers = all_at_once(&guard, |client| block(slot, client + 100));
        let signed = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(signed, 1, "slot {slot}");
        for refused in answers.iter().filter(|answer| answer.status != 200) {
            refused.is_error(412, "double-proposal", "");
        }
    }
}

#[test]
fn of_64_conflicting_votes_exactly_one_is_signed() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    let answers = all_at_once(&guard, |client| attestation(1, 2, client + 100));
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
}

#[test]
fn the_same_block_64_times_is_signed_64_times_alike() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    let answers = all_at_once(&guard, |_| block(9, 1));
    let signatures: HashSet<String> = answers.iter().map(Answer::signature).collect();
    assert_eq!(signatures.len(), 1);
}

/// The history that a removal hands out is the whole history: nothing is signed after it was read.
#[test]
fn a_key_that_is_removed_while_it_signs_takes_all_its_history_along() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    let address = guard.listen;
    for round in 0..10_u64 {
        let signing: Vec<_> = (0..4_u64)
            .map(|client| std::thread::spawn(move || sign_until_gone(address, round, client)))
            .collect();
        // Some are signed before the removal.
        crate::support::eventually("some are signed", || {
            let history = home.history();
            let slot = history["data"][0]["signed_blocks"][0]["slot"].as_str();
            slot.is_some_and(|slot| round * 1_000_000 < slot.parse().unwrap())
        });
        let bearer = format!("Bearer {}", home.token());
        let body = serde_json::json!({ "pubkeys": [KEYS[0]] }).to_string();
        let headers = [("Authorization", bearer.as_str())];
        let removed = guard.request("DELETE", "/eth/v1/keystores", &headers, &body).json();
        assert_eq!(removed["data"][0]["status"], "deleted");
        let text = removed["slashing_protection"].as_str().unwrap();
        let history: Value = serde_json::from_str(text).unwrap();
        let exported = history["data"][0]["signed_blocks"][0]["slot"].as_str().unwrap();
        let exported: u64 = exported.parse().unwrap();
        for client in signing {
            assert!(client.join().unwrap() <= exported);
        }
        home.import_raw(&SECRETS[..1], &["--fresh"]);
    }
}

/// Signs growing slots until the key is gone; gives the last that was signed.
fn sign_until_gone(address: std::net::SocketAddr, round: u64, client: u64) -> u64 {
    let mut connection = Connection::open(address);
    let path = format!("/api/v1/eth2/sign/{}", KEYS[0]);
    let mut last = 0;
    for slot in 1.. {
        let slot = round * 1_000_000 + slot;
        let body = block(slot, client).to_string();
        let answer = connection.exchange("POST", &path, &[], &body).unwrap();
        match answer.status {
            200 => last = slot,
            412 => {}
            404 => break,
            _ => panic!("{answer:?}"),
        }
    }
    last
}

/// The queue has room for one batch: requests are signed or told to try again, and none waits for
/// another's answer. What was told to try again can be asked again.
#[test]
fn an_overloaded_guard_answers_everybody_and_loses_nothing() {
    let home = TestHome::with_keys(1);
    home.add_config("[limits]\nmax_queued_requests = 1");
    let guard = home.start();
    for slot in 1..=5 {
        let answers = all_at_once(&guard, |_| block(slot, 1));
        for answer in answers.iter().filter(|answer| answer.status != 200) {
            answer.is_error(503, "overloaded", "try again");
        }
        guard.sign(KEYS[0], &block(slot, 1)).signature();
        guard.sign(KEYS[0], &block(slot, 2)).is_error(412, "double-proposal", "");
    }
}
