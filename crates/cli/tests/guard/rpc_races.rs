//! Many nodes at once with the same session keys: of what contradicts itself, one is signed.

use std::collections::BTreeSet;
use std::sync::{Arc, Barrier};

use serde_json::{Value, json};

use super::substrate::{SR25519_ALICE, header, home, present_slot, refused, vote_parameters};
use crate::support::Guard;
use crate::support::socket::Socket;

const NODES: u8 = 32;

/// Every node opens its own socket, waits for all others, and asks.
fn all_at_once(guard: &Guard, ask: impl Fn(u8) -> (&'static str, Value)) -> Vec<Value> {
    let barrier = Arc::new(Barrier::new(usize::from(NODES)));
    let nodes: Vec<_> = (0..NODES)
        .map(|node| {
            let (barrier, address, (method, params)) =
                (Arc::clone(&barrier), guard.listen, ask(node));
            std::thread::spawn(move || {
                let mut socket = Socket::open(address);
                barrier.wait();
                socket.ask(node, method, &params);
                socket.answer().unwrap()
            })
        })
        .collect();
    nodes.into_iter().map(|node| node.join().unwrap()).collect()
}

#[track_caller]
fn one_is_signed(answers: &[Value], code: &str) {
    let (signed, others): (Vec<&Value>, Vec<&Value>) =
        answers.iter().partition(|answer| answer["result"]["signature"].is_string());
    assert_eq!(signed.len(), 1, "{answers:?}");
    others.into_iter().for_each(|answer| refused(answer, -32010, code));
}

#[test]
fn of_32_votes_of_one_stage_of_one_round_exactly_one_is_signed() {
    let home = home("--fresh");
    let guard = home.start();
    for round in 1..=10 {
        let answers = all_at_once(&guard, |node| {
            ("palisade_grandpaVote", vote_parameters(1, node + 1, 4, round))
        });
        one_is_signed(&answers, "double-grandpa-vote");
    }
}

#[test]
fn of_32_blocks_of_one_slot_exactly_one_is_sealed() {
    let home = home("--fresh");
    let guard = home.start();
    let slot = present_slot();
    // Sixteen announcements of one key are kept: each pair of nodes has one block.
    let announced = all_at_once(&guard, |node| {
        let header = header(slot, node / 2);
        ("palisade_announceBlock", json!({ "publicKey": SR25519_ALICE, "header": header }))
    });
    let pre_hash = |node: u8| &announced[usize::from(node)]["result"]["preHash"];
    let blocks: BTreeSet<&str> = (0..NODES).map(|node| pre_hash(node).as_str().unwrap()).collect();
    assert_eq!(blocks.len(), usize::from(NODES) / 2);
    let answers = all_at_once(&guard, |node| {
        let params = json!({ "publicKey": SR25519_ALICE, "preHash": pre_hash(node) });
        ("palisade_sealBlock", params)
    });
    let sealed = |node: &u8| answers[usize::from(*node)]["result"]["signature"].is_string();
    let sealed: BTreeSet<&str> =
        (0..NODES).filter(sealed).map(|node| pre_hash(node).as_str().unwrap()).collect();
    assert_eq!(sealed.len(), 1, "{answers:?}");
    for answer in answers.iter().filter(|answer| answer["result"].is_null()) {
        refused(answer, -32010, "double-seal");
    }
}
