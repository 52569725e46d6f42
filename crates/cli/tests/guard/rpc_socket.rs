//! The WebSocket at `/rpc` of the real process: answers, bounds, and how it ends.
//!
//! Decides: every request of a socket is answered once, whatever else is under way; sockets are
//! counted as connections and bounded; a stop gives the answers under way and says farewell.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tungstenite::Message;
use tungstenite::protocol::frame::coding::CloseCode;

use super::substrate::{SR25519_ALICE, header, home, present_slot, refused, vote_parameters};
use crate::support::socket::Socket;
use crate::support::{Guard, eventually};

const VOTE: &str = "palisade_grandpaVote";
const KEYS: &str = "palisade_publicKeys";

fn babe() -> Value {
    json!({ "keyType": "babe" })
}

#[test]
fn requests_that_are_sent_before_any_answer_are_answered_once_each() {
    let home = home("--fresh");
    let guard = home.start();
    let mut socket = Socket::open(guard.listen);
    let count = 1_000_u64;
    for id in 0..count {
        match id % 2 {
            0 => socket.ask(id, VOTE, &vote_parameters(0, 1, 4, 9)),
            _ => socket.ask(id, KEYS, &babe()),
        }
    }
    let (mut seen, mut signatures) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..count {
        let answer = socket.answer().unwrap();
        let id = answer["id"].as_u64().unwrap();
        assert!(seen.insert(id), "{id} is answered twice");
        match (id % 2, &answer["result"]) {
            // More than 128 may be under way; those are told to try again.
            (_, Value::Null) => refused(&answer, -32012, "overloaded"),
            (0, vote) => drop(signatures.insert(vote["signature"].as_str().unwrap().to_owned())),
            (_, keys) => assert_eq!(*keys, json!([SR25519_ALICE])),
        }
    }
    assert_eq!(signatures.len(), 1, "the same vote has the same signature");
    assert_eq!(seen.len() as u64, count);
}

#[test]
fn a_batch_is_answered_in_order_and_a_notification_not_at_all() {
    let home = home("--fresh");
    let guard = home.start();
    let mut socket = Socket::open(guard.listen);
    let call = |id: Value, set_id| {
        let params = vote_parameters(0, 1, set_id, 1);
        json!({ "jsonrpc": "2.0", "id": id, "method": VOTE, "params": params })
    };
    let mut silent = call(json!(0), 7);
    silent.as_object_mut().unwrap().remove("id");
    socket.send(&silent);
    socket.send(json!([call(json!("a"), 8), silent, call(Value::Null, 8), 5]));
    let answer = socket.answer().unwrap();
    let [first, of_null, of_five] = answer.as_array().unwrap().as_slice() else {
        panic!("{answer}")
    };
    assert_eq!(first["id"], "a");
    assert!(of_null["id"].is_null() && of_null["result"] == first["result"], "{answer}");
    refused(of_five, -32600, "invalid-request");
    // The notification was carried out: its place is taken.
    socket.ask(1, VOTE, &vote_parameters(0, 2, 8, 1));
    refused(&socket.answer().unwrap(), -32010, "double-grandpa-vote");
}

/// Each is refused if a later one is decided before it.
#[test]
fn the_calls_of_a_batch_are_decided_in_their_order_and_together() {
    let home = home("--fresh");
    let guard = home.start();
    let mut socket = Socket::open(guard.listen);
    let commits = || {
        let text = guard.watch("/metrics").body;
        let line =
            text.lines().find_map(|line| line.strip_prefix("palisade_ledger_commits_total "));
        line.unwrap().parse::<u64>().unwrap()
    };
    let before = commits();
    let votes = (1..=64_u64).map(|round| {
        let params = vote_parameters(0, 1, 4, round);
        json!({ "jsonrpc": "2.0", "id": round, "method": VOTE, "params": params })
    });
    socket.send(json!(votes.collect::<Vec<_>>()));
    let answer = socket.answer().unwrap();
    for (answer, round) in answer.as_array().unwrap().iter().zip(1_u64..) {
        assert_eq!(answer["id"], round);
        assert!(answer["result"]["signature"].is_string(), "{answer}");
    }
    assert!(commits() - before < 32, "{} commits for 64 votes", commits() - before);
}

#[test]
fn a_stop_gives_the_answers_under_way_and_says_farewell() {
    let home = home("--fresh");
    let guard = home.start();
    let mut idle = Socket::open(guard.listen);
    let mut busy = Socket::open(guard.listen);
    for round in 1..=100_u64 {
        busy.ask(round, VOTE, &vote_parameters(0, 1, 4, round));
    }
    assert!(busy.answer().is_some(), "some are under way");
    let started = Instant::now();
    guard.signal("TERM");
    let (code, why) = busy.farewell().unwrap();
    assert_eq!((code, why.as_str()), (CloseCode::Away, "the guard stops"));
    assert_eq!(idle.farewell().unwrap().0, CloseCode::Away);
    let (status, log) = guard.wait();
    assert!(status.success() && log.contains("stopped cleanly"), "{log}");
    assert!(!log.contains("are cut"), "{log}");
    assert!(started.elapsed() < Duration::from_secs(9), "the drain waited for its limit");
}

#[test]
fn a_socket_counts_as_a_connection_until_it_ends() {
    let home = home("--fresh");
    home.add_config("[limits]\nmax_connections = 2");
    let guard = home.start();
    let connections = || {
        let text = guard.watch("/metrics").body;
        let line = text.lines().find_map(|line| line.strip_prefix("palisade_connections "));
        line.unwrap().to_owned()
    };
    let (mut first, second) = (Socket::open(guard.listen), Socket::open(guard.listen));
    first.ask(1, KEYS, &babe());
    assert!(first.answer().is_some());
    assert_eq!(connections(), "2");
    // There is no room for a third before one of them ends.
    let address = guard.listen;
    let third = std::thread::spawn(move || {
        let opened = Socket::open(address);
        (opened, Instant::now())
    });
    std::thread::sleep(Duration::from_millis(300));
    assert!(!third.is_finished());
    let closed = Instant::now();
    drop(second);
    let (_third, opened) = third.join().unwrap();
    assert!(closed < opened);
}

#[test]
fn a_long_message_is_served_and_one_that_is_too_long_ends_the_socket() {
    let home = home("--fresh");
    let guard = home.start();
    let mut socket = Socket::open(guard.listen);
    let announcement = |length: u32| {
        // One node of this length, in compact form.
        let node = hex::encode((length << 2 | 2).to_le_bytes()) + &"00".repeat(length as usize);
        json!({
            "publicKey": SR25519_ALICE, "header": header(present_slot(), 1),
            "storageProof": format!("0x04{node}"),
        })
    };
    socket.ask(1, "palisade_announceBlock", &announcement(3 << 20));
    assert!(socket.answer().unwrap()["result"]["preHash"].is_string());
    let long = json!({
        "jsonrpc": "2.0", "id": 2, "method": "palisade_announceBlock",
        "params": announcement(5 << 20),
    });
    // The guard may close before all of it is sent.
    drop(socket.0.send(Message::text(long.to_string())));
    assert!(socket.answer().is_none());
    let posted = guard.post("/rpc", &long);
    posted.is_error(413, "body-too-large", "max_body_bytes");
}

/// Every client may have the policy read anew, and must not cut others off by it.
#[test]
fn a_new_policy_ends_the_sockets_of_clients_that_are_gone_and_no_others() {
    let home = home("--fresh");
    let guard = home.start();
    let token = home.token();
    let mut stays = Socket::open(guard.listen);
    let mut goes = Socket::try_open_as(guard.listen, Some(&token)).unwrap();
    let asked = |socket: &mut Socket| {
        assert_eq!(guard.request("POST", "/reload", &[], "").status, 202);
        reloaded(&guard);
        socket.ask(1, KEYS, &babe());
    };
    asked(&mut stays);
    assert_eq!(stays.answer().unwrap()["result"], json!([SR25519_ALICE]));
    asked(&mut goes);
    assert!(goes.answer().unwrap()["result"].is_array());
    home.configure(
        r#"token_file = "api-token.txt""#,
        &format!("token_sha256 = {:?}", "07".repeat(32)),
    );
    asked(&mut goes);
    let (code, why) = goes.farewell().unwrap();
    assert_eq!((code, why.as_str()), (CloseCode::Away, "the policy no longer has this client"));
    assert_eq!(Socket::try_open_as(guard.listen, Some(&token)).err(), Some(401));
    // What the client may ask is judged each time, on a socket that stays too.
    asked(&mut stays);
    assert_eq!(stays.answer().unwrap()["result"], json!([SR25519_ALICE]));
    home.configure("anonymous = true", "anonymous = true\nkeys = []");
    asked(&mut stays);
    assert_eq!(stays.answer().unwrap()["result"], json!([]));
}

fn reloaded(guard: &Guard) {
    eventually("the policy is read", || guard.get("/reload").json()["status"] == "completed");
}

/// Pings answer themselves when the socket is read.
#[test]
fn a_socket_that_answers_pings_stays_and_a_silent_one_ends() {
    let home = home("--fresh");
    home.add_config("[limits]\nidle_timeout_ms = 1000");
    let guard = home.start();
    let (mut alive, mut silent) = (Socket::open(guard.listen), Socket::open(guard.listen));
    let a_moment = Some(Duration::from_millis(100));
    alive.0.get_mut().set_read_timeout(a_moment).unwrap();
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(4) {
        match alive.0.read() {
            Ok(Message::Ping(_)) => alive.0.flush().unwrap(),
            Ok(other) => panic!("{other:?}"),
            Err(tungstenite::Error::Io(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    let (_, why) = silent.farewell().unwrap();
    assert_eq!(why, "nothing was heard for the idle time");
    alive.ask(1, KEYS, &babe());
    alive.0.get_mut().set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert!(alive.answer().is_some());
}
