//! Bodies that are announced and not sent, and imports that bring nothing but a network: neither
//! takes anything from the clients that are served.

use std::net::TcpStream;
use std::process::Output;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use serde_json::{Value, json};

use super::key_manager::keystore;
use crate::support::duty::{GENESIS, attestation, block, root};
use crate::support::home::{KEYS, SECRETS, TestHome, text};
use crate::support::http::{Connection, head};
use crate::support::{Guard, eventually};

const BATCH: &str = "/api/v1/eth2/sign";

/// A home that is still to learn its network.
fn unlearned_home() -> TestHome {
    let home = TestHome::made_with(&["--network", "minimal"]);
    home.import_raw(&SECRETS[..1], &["--fresh"]);
    home
}

fn history(root: &str, blocks: &[(&str, u64)]) -> String {
    let row = |(key, slot): &(&str, u64)| {
        json!({
            "pubkey": key, "signed_blocks": [{ "slot": slot.to_string() }],
            "signed_attestations": [],
        })
    };
    let data: Vec<Value> = blocks.iter().map(row).collect();
    let metadata = json!({
        "interchange_format_version": "5", "genesis_validators_root": root,
    });
    json!({ "metadata": metadata, "data": data }).to_string()
}

fn import_history(home: &TestHome, text: &str) -> Output {
    let file = home.beside("history.json");
    std::fs::write(&file, text).unwrap();
    home.run(&["history", "import", file.to_str().unwrap()])
}

/// Posts these key stores with a wrong password, and a history of another network.
#[track_caller]
fn teaches_nothing(keystores: &[String]) {
    let home = unlearned_home();
    let guard = home.start();
    let body = json!({
        "keystores": keystores, "passwords": vec!["wrong"; keystores.len()],
        "slashing_protection": history(&root(9), &[]),
    });
    let bearer = format!("Bearer {}", home.token());
    let headers = [("Authorization", bearer.as_str())];
    guard.request("POST", "/eth/v1/keystores", &headers, &body.to_string());
    guard.sign(KEYS[0], &attestation(1, 2, 1)).signature();
}

#[test]
fn an_import_of_no_keystores_teaches_nothing() {
    teaches_nothing(&[]);
}

#[test]
fn an_import_of_which_no_keystore_opens_teaches_nothing() {
    teaches_nothing(&[keystore(SECRETS[1], "right")]);
}

/// The first history teaches the running home its network; the second is for another one.
#[test]
fn a_refused_history_of_another_network_raises_no_record() {
    let home = unlearned_home();
    let guard = home.start();
    assert!(import_history(&home, &history(GENESIS, &[(KEYS[1], 7)])).status.success());
    let other = import_history(&home, &history(&root(9), &[(KEYS[0], 1_000_000)]));
    assert!(!other.status.success(), "{}", text(&other.stdout));
    guard.sign(KEYS[0], &block(1, 1)).signature();
}

/// Each has announced 8 MiB, was told to go on, and sends nothing.
fn holders(guard: &Guard, count: usize) -> Vec<Connection<TcpStream>> {
    let hold = |_| {
        let mut connection = Connection::open(guard.listen);
        let head = head("POST", BATCH, &[("Expect", "100-continue")], 8 << 20);
        connection.send(head.as_bytes()).unwrap();
        assert!([100, 503].contains(&connection.answer().unwrap().status));
        connection
    };
    (0..count).map(hold).collect()
}

/// Also a client that may do nothing but manage keys can announce bodies.
#[test]
fn announced_long_bodies_do_not_keep_short_requests_out() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    let holding = holders(&guard, 20);
    guard.sign(KEYS[0], &attestation(1, 2, 1)).signature();
    drop(holding);
}

/// A client that sends its whole body before it reads must find the answer.
#[test]
fn a_long_body_for_which_there_is_no_room_gets_its_answer_and_short_ones_are_served() {
    let home = TestHome::with_keys(1);
    home.add_config("[limits]\nbody_timeout_ms = 600000");
    let guard = home.start();
    // All of each, but for the last byte.
    let almost = vec![b'x'; (8 << 20) - 1];
    // As many as there is room for of one of two clients.
    let hold = |count| {
        let mut holding = holders(&guard, count);
        holding.iter_mut().for_each(|holder| holder.send(&almost).unwrap());
        holding
    };
    let mut holding = hold(14);
    let long = "x".repeat(7_000_000);
    let is_refused = || {
        let answer = guard.request("POST", BATCH, &[], &long);
        assert!([400, 503].contains(&answer.status), "{answer:?}");
        answer.status == 503 && answer.code() == "overloaded"
    };
    eventually("there is no room", || {
        // One that found no room, because others were not whole yet, is out for good.
        std::thread::sleep(Duration::from_millis(500));
        let refused = is_refused();
        holding.extend(hold(usize::from(!refused)));
        refused
    });
    guard.sign(KEYS[0], &attestation(1, 2, 1)).signature();
    drop(holding);
    eventually("there is room again", || !is_refused());
}

#[test]
fn short_bodies_in_chunks_are_all_served_at_once() {
    const CLIENTS: usize = 32;
    let home = TestHome::with_keys(1);
    let guard = home.start();
    let start = Arc::new(Barrier::new(CLIENTS));
    let address = guard.listen;
    let body = attestation(1, 2, 1).to_string();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (body, start) = (body.clone(), Arc::clone(&start));
            std::thread::spawn(move || {
                let mut connection = Connection::open(address);
                let (first, rest) = body.split_at(100);
                let head = format!("POST {BATCH}/{} HTTP/1.1\r\nHost: a\r\n", KEYS[0]);
                let chunked = "Transfer-Encoding: chunked\r\n\r\n";
                let begin = format!("{head}{chunked}64\r\n{first}\r\n");
                connection.send(begin.as_bytes()).unwrap();
                start.wait();
                let rest = format!("{:x}\r\n{rest}\r\n0\r\n\r\n", rest.len());
                connection.send(rest.as_bytes()).unwrap();
                connection.answer().unwrap().status
            })
        })
        .collect();
    let statuses: Vec<u16> = clients.into_iter().map(|client| client.join().unwrap()).collect();
    assert_eq!(statuses, [200; CLIENTS]);
}
