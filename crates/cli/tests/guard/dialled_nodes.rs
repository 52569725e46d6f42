//! The guard dials its nodes: the real process, and nodes that listen.
//!
//! Decides: a dialled node is served as an accepted client is, by the rights of its own client; a
//! guard needs no port for it; whatever breaks is dialled again, and nothing is signed twice
//! meanwhile; what stands in the way of one node does not stand in another's.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tungstenite::Message;
use tungstenite::protocol::frame::coding::CloseCode;

use super::substrate::{
    ED25519_ALICE, SR25519_ALICE, header, home, present_slot, refused, vote_parameters,
};
use crate::support::duty::block;
use crate::support::home::{KEYS, TestHome, text};
use crate::support::node::{Node, dial};
use crate::support::socket::Socket;
use crate::support::{Guard, NOWHERE, eventually};

const NOWHERE_BUT_A_PORT: &str = "127.0.0.1:9";
const VOTE: &str = "palisade_grandpaVote";
const LIST: &str = "palisade_publicKeys";

fn without_listener(home: &TestHome) -> Guard {
    Guard::start(home.command(&["run", "--listen", "none", "--metrics", "127.0.0.1:0"]))
}

#[track_caller]
fn ask(node: &mut Socket, method: &str, params: &Value) -> Value {
    node.ask(1, method, params);
    node.answer().expect("the guard hung up")
}

#[track_caller]
fn vote(node: &mut Socket, content: u8, round: u64) -> Value {
    ask(node, VOTE, &vote_parameters(0, content, 4, round))
}

/// What `/readyz` says is missing.
fn not_ready_because(guard: &Guard) -> String {
    guard.watch("/readyz").json()["message"].as_str().unwrap_or_default().to_owned()
}

fn series(guard: &Guard, name: &str, node: &str) -> u64 {
    let line = format!("palisade_{name}{{node=\"{node}\"}} ");
    let text = guard.watch("/metrics").body;
    let value = text.lines().find_map(|found| found.strip_prefix(&line));
    value.unwrap_or_else(|| panic!("no {line} in {text}")).parse().unwrap()
}

#[test]
fn a_guard_without_a_listener_serves_the_node_that_it_dials() {
    let (home, listening) = (home("--fresh"), Node::listen());
    dial(&home, "validator", listening.address());
    let guard = without_listener(&home);
    assert_eq!(guard.listen, NOWHERE);
    let mut node = listening.welcome();
    assert_eq!(ask(&mut node, LIST, &json!({ "keyType": "gran" }))["result"][0], ED25519_ALICE);
    let signature = vote(&mut node, 1, 9)["result"]["signature"].clone();
    assert!(signature.is_string());
    assert_eq!(vote(&mut node, 1, 9)["result"]["signature"], signature);
    refused(&vote(&mut node, 2, 9), -32010, "double-grandpa-vote");
    let announcement = json!({ "publicKey": SR25519_ALICE, "header": header(present_slot(), 1) });
    let announced = ask(&mut node, "palisade_announceBlock", &announcement);
    let sealing = json!({ "publicKey": SR25519_ALICE, "preHash": announced["result"]["preHash"] });
    let seal = ask(&mut node, "palisade_sealBlock", &sealing);
    assert!(seal["result"]["signature"].is_string(), "{seal}");
    // Only what a node asks for, and only what its client may ask.
    let ownership = json!({ "publicKey": SR25519_ALICE, "owner": SR25519_ALICE });
    refused(&ask(&mut node, "palisade_provePossession", &ownership), -32010, "policy-denied");
    eventually("it is ready", || guard.watch("/readyz").status == 200);
    assert_eq!(series(&guard, "node_connected", "validator"), 1);
    assert!(guard.watch("/").body.contains("Dialled nodes"));
    assert!(guard.log().contains("connected to a node"), "{}", guard.log());
}

/// `docs/substrate.md` as an operator would follow it, but for the port.
#[test]
fn the_lines_of_the_document_for_one_machine_serve_as_they_stand() {
    let document = include_str!("../../../../docs/substrate.md");
    let section = document.split("## The guard dials the node").nth(1).unwrap();
    let lines = section.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let (home, listening) = (home("--fresh"), Node::listen());
    let port = listening.address().port().to_string();
    home.add_config(&lines.replace("9955", &port));
    std::fs::write(home.path().join("node-token.txt"), crate::support::node::TOKEN).unwrap();
    let _guard = without_listener(&home);
    assert!(vote(&mut listening.welcome(), 1, 1)["result"]["signature"].is_string());
}

#[test]
fn a_stop_gives_the_answers_under_way_and_says_farewell() {
    let (home, listening) = (home("--fresh"), Node::listen());
    dial(&home, "validator", listening.address());
    let guard = without_listener(&home);
    let mut node = listening.welcome();
    for round in 1..=100_u64 {
        node.ask(round, VOTE, &vote_parameters(0, 1, 4, round));
    }
    assert!(node.answer().is_some());
    guard.signal("TERM");
    let (code, why) = node.farewell().unwrap();
    assert_eq!((code, why.as_str()), (CloseCode::Away, "the guard stops"));
    let (status, log) = guard.wait();
    assert!(status.success() && !log.contains("are cut"), "{log}");
    assert!(listening.stream_within(Duration::from_millis(300)).is_none(), "it dialled again");
}

#[test]
fn a_killed_guard_dials_again_and_the_record_judges() {
    let (home, listening) = (home("--fresh"), Node::listen());
    dial(&home, "validator", listening.address());
    for round in 1..4_u64 {
        let guard = without_listener(&home);
        let mut node = listening.welcome();
        let first = vote(&mut node, 1, round)["result"]["signature"].clone();
        node.ask(2, VOTE, &vote_parameters(0, 2, 4, round));
        guard.kill();
        let guard = without_listener(&home);
        let mut node = listening.welcome();
        assert_eq!(vote(&mut node, 1, round)["result"]["signature"], first);
        refused(&vote(&mut node, 2, round), -32010, "double-grandpa-vote");
        guard.stop();
    }
}

#[test]
fn a_node_that_restarts_is_found_again_and_its_absence_is_told() {
    let (home, listening) = (home("--fresh"), Node::listen());
    let address = listening.address();
    dial(&home, "validator", address);
    let guard = without_listener(&home);
    let mut node = listening.welcome();
    vote(&mut node, 1, 1);
    drop((node, listening));
    eventually("its absence is told", || not_ready_because(&guard).contains("refused"));
    let answer = guard.watch("/readyz");
    answer.is_error(503, "not-ready", "node validator is not connected");
    assert_eq!(series(&guard, "node_connected", "validator"), 0);
    assert!(1 <= series(&guard, "node_failures_total", "validator"));
    let listening = Node::listen_at(address);
    let gone = Instant::now();
    let mut node = listening.welcome();
    assert!(gone.elapsed() < Duration::from_secs(7), "{:?}", gone.elapsed());
    refused(&vote(&mut node, 2, 1), -32010, "double-grandpa-vote");
    eventually("it is ready again", || guard.watch("/readyz").status == 200);
    assert_eq!(series(&guard, "node_connections_total", "validator"), 2);
}

#[test]
fn two_nodes_have_a_connection_and_rights_of_their_own() {
    let (home, nodes) = (home("--fresh"), [Node::listen(), Node::listen()]);
    dial(&home, "first", nodes[0].address());
    dial(&home, "second", nodes[1].address());
    let voters = format!("[key_sets]\nvoters = [\"{ED25519_ALICE}\"]\n");
    home.configure("[metrics]", &format!("{voters}[metrics]"));
    home.configure("node = \"second\"\n", "node = \"second\"\nkeys = [\"voters\"]\n");
    let guard = without_listener(&home);
    let [mut first, mut second] = nodes.each_ref().map(Node::welcome);
    let babe = json!({ "keyType": "babe" });
    assert_eq!(ask(&mut first, LIST, &babe)["result"], json!([SR25519_ALICE]));
    assert_eq!(ask(&mut second, LIST, &babe)["result"], json!([]));
    // One record, whoever asks.
    vote(&mut first, 1, 1);
    refused(&vote(&mut second, 2, 1), -32010, "double-grandpa-vote");
    drop(first);
    assert!(vote(&mut second, 1, 2)["result"]["signature"].is_string());
    drop(nodes[0].welcome());
    assert_eq!(series(&guard, "node_connections_total", "second"), 1);
}

#[test]
fn a_node_that_shakes_no_hand_and_one_that_turns_the_guard_away_are_told_and_tried_again() {
    let (home, nodes) = (home("--fresh"), [Node::listen(), Node::listen(), Node::listen()]);
    for (name, node) in ["silent", "strict", "served"].iter().zip(&nodes) {
        dial(&home, name, node.address());
    }
    std::fs::write(home.path().join("other-token.txt"), "another-token-0123456789").unwrap();
    let url = format!("url = \"ws://{}\"\ntoken_file = ", nodes[1].address());
    home.configure(&format!("{url}\"node-token.txt\""), &format!("{url}\"other-token.txt\""));
    let guard = without_listener(&home);
    let [silent, strict, served] = &nodes;
    let mut held = silent.stream();
    assert!(crate::support::node::shake_hands(strict.stream()).is_none());
    eventually("the refusal is told", || {
        not_ready_because(&guard).contains("node strict is not connected: the node turns this")
    });
    let mut node = served.welcome();
    assert!(vote(&mut node, 1, 1)["result"]["signature"].is_string());
    eventually("the silence is told", || {
        // It keeps what it was asked and says nothing.
        drop(held.read(&mut [0; 512]));
        not_ready_because(&guard).contains("node silent is not connected: no connection within")
    });
    // A web server is no node.
    let mut again = silent.stream();
    drop(again.read(&mut [0; 512]));
    again.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
    eventually("the wrong answer is told", || not_ready_because(&guard).contains("no WebSocket"));
    drop(Socket(crate::support::node::shake_hands(silent.stream()).unwrap()));
    assert_eq!(series(&guard, "node_connections_total", "served"), 1);
}

/// A cable that is pulled: nothing arrives, and nothing says so.
#[test]
fn a_node_of_which_no_byte_comes_is_given_up_and_dialled_again() {
    let (home, listening) = (home("--fresh"), Node::listen());
    dial(&home, "validator", listening.address());
    let guard = without_listener(&home);
    let lost = listening.welcome();
    let since = Instant::now();
    let mut node = listening.welcome();
    assert!(since.elapsed() < Duration::from_secs(25), "{:?}", since.elapsed());
    assert!(vote(&mut node, 1, 1)["result"]["signature"].is_string());
    drop(lost);
    // Pings are answered whenever the socket is read.
    let quiet = Some(Duration::from_secs(1));
    node.0.get_mut().set_read_timeout(quiet).unwrap();
    while since.elapsed() < Duration::from_secs(30) {
        drop(node.0.read());
        drop(node.0.flush());
    }
    node.0.get_mut().set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
    assert!(vote(&mut node, 1, 2)["result"]["signature"].is_string());
    assert_eq!(series(&guard, "node_connections_total", "validator"), 2);
}

#[test]
fn a_node_that_floods_is_answered_once_each_and_is_in_nobodys_way() {
    let (home, nodes) = (home("--fresh"), [Node::listen(), Node::listen()]);
    dial(&home, "loud", nodes[0].address());
    dial(&home, "calm", nodes[1].address());
    let guard = home.start();
    // All places of accepted WebSockets that strangers get.
    let accepted = std::iter::from_fn(|| Socket::try_open(guard.listen).ok());
    let accepted: Vec<Socket> = accepted.collect();
    assert!(32 <= accepted.len(), "{}", accepted.len());
    let [mut loud, mut calm] = nodes.each_ref().map(Node::welcome);
    for id in 0..1_000_u64 {
        loud.ask(id, VOTE, &vote_parameters(0, 1, 4, 1));
    }
    assert!(vote(&mut calm, 1, 1)["result"]["signature"].is_string());
    let mut seen = BTreeSet::new();
    for _ in 0..1_000 {
        let answer = loud.answer().unwrap();
        assert!(seen.insert(answer["id"].as_u64().unwrap()), "answered twice: {answer}");
        if answer["result"].is_null() {
            assert_eq!(answer["error"]["code"], -32012, "{answer}");
        }
    }
    // The guard may close before all of it is sent.
    drop(loud.0.send(Message::text("x".repeat(9 << 20))));
    assert!(loud.answer().is_none(), "longer than max_body_bytes");
    nodes[0].welcome();
    assert_eq!(guard.sign(KEYS[0], &block(1, 1)).status, 200);
}

#[test]
fn a_node_whose_client_leaves_the_policy_is_cut_off_until_it_comes_back() {
    let (home, listening) = (home("--fresh"), Node::listen());
    dial(&home, "validator", listening.address());
    let guard = without_listener(&home);
    let mut node = listening.welcome();
    vote(&mut node, 1, 1);
    let with_client = home.config();
    home.configure("node = \"validator\"\n", "token_sha256 = \"77\"\n");
    home.configure("\"77\"", &format!("{:?}", "77".repeat(32)));
    guard.signal("HUP");
    assert_eq!(node.farewell().unwrap().1, "the policy no longer has this client");
    drop(node);
    eventually("it is told", || not_ready_because(&guard).contains("no [[client]]"));
    assert!(listening.stream_within(Duration::from_secs(1)).is_none(), "it is dialled");
    home.write_config(&with_client);
    guard.signal("HUP");
    let mut node = listening.welcome();
    assert!(vote(&mut node, 1, 2)["result"]["signature"].is_string());
    // Nodes are read at the start.
    home.write_config(&with_client.replace("node = \"validator\"", "node = \"other\""));
    guard.signal("HUP");
    eventually("a wrong file is told", || guard.log().contains("was added since the start"));
    assert!(vote(&mut node, 1, 3)["result"]["signature"].is_string());
}

#[test]
fn one_process_dials_too_and_a_guard_can_be_without_any_listener() {
    let version_6: SocketAddr = "[::1]:0".parse().unwrap();
    let has_version_6 = std::net::TcpListener::bind(version_6).is_ok();
    let listening = if has_version_6 { Node::listen_at(version_6) } else { Node::listen() };
    let home = home("--fresh");
    dial(&home, "validator", listening.address());
    home.configure("127.0.0.1:9000", "none");
    home.configure("127.0.0.1:9001", "none");
    for more in [&["run"][..], &["run", "--allow-unhardened=two-processes"]] {
        let guard = Guard::start(home.command(more));
        assert_eq!((guard.listen, guard.metrics), (NOWHERE, NOWHERE));
        let mut node = listening.welcome();
        assert!(vote(&mut node, 1, 1)["result"]["signature"].is_string());
        let (status, log) = guard.stop();
        assert!(status.success(), "{log}");
    }
}

#[test]
fn the_table_of_measures_says_that_the_front_may_connect() {
    let home = home("--fresh");
    let rows = |home: &TestHome| {
        let output = home.run(&["secure", "check", "--json"]);
        let checked: Value = serde_json::from_slice(&output.stdout).unwrap();
        let rows = checked["measures"].as_array().unwrap().clone();
        rows.into_iter().filter(|row| row["state"] == "on").collect::<Vec<_>>()
    };
    let before = rows(&home);
    dial(&home, "validator", NOWHERE_BUT_A_PORT.parse().unwrap());
    let after = rows(&home);
    let says = |row: &&Value| row["reason"].as_str().unwrap().contains("but the front's");
    assert_eq!(before.iter().filter(says).count(), 0);
    let changed: Vec<_> = after.iter().filter(says).map(|row| row["measure"].clone()).collect();
    let is_on = |measure: &&str| before.iter().any(|row| row["measure"] == **measure);
    let expected: Vec<_> = ["landlock-tcp", "seccomp"].into_iter().filter(is_on).collect();
    assert_eq!(changed, expected);
}

#[test]
fn what_cannot_be_dialled_is_refused_at_the_start_with_what_would_be_right() {
    let client = "[[client]]\nname = \"c\"\nnode = \"n\"\nallow = [\"session-duties\"]\n";
    let node = |lines: &str| format!("[[node]]\nname = \"n\"\n{lines}\n{client}");
    let token = "token_file = \"t.txt\"";
    let cases = [
        (node(&format!("url = \"ws://localhost:1\"\n{token}")), "looks up no names"),
        (node(&format!("url = \"ws://node.example:1\"\n{token}")), "server_name"),
        (node(&format!("url = \"ws://10.0.0.1:1\"\n{token}")), "danger_allow_plain_text"),
        (node(&format!("url = \"ws://127.0.0.1\"\n{token}")), "names no port"),
        (node(&format!("url = \"ws://127.0.0.1:0\"\n{token}")), "names no port"),
        (node(&format!("url = \"http://127.0.0.1:1\"\n{token}")), "ws://ADDRESS:PORT"),
        (node(&format!("url = \"ws://u:p@127.0.0.1:1\"\n{token}")), "use token_file"),
        (node(&format!("url = \"wss://127.0.0.1:1\"\n{token}")), "[node.tls]"),
        (node("url = \"ws://127.0.0.1:1\""), "who it is"),
        (node("url = \"ws://127.0.0.1:1\"\ntoken_file = \"none.txt\""), "none.txt"),
        (node("url = \"ws://127.0.0.1:1\"\ntls = { authorities = \"a\" }"), "wss://"),
        (
            node("url = \"wss://127.0.0.1:1\"\ntls = { authorities = \"a\", key = \"k\" }"),
            "come together",
        ),
        (
            node(&format!("url = \"wss://127.0.0.1:1\"\n{token}\ntls = {{ authorities = \"a\" }}")),
            "cannot be used as a PEM certificate",
        ),
        (client.replace("\"n\"", "\"m\""), "there is no [[node]] \"m\""),
        (
            node(&format!("url = \"ws://127.0.0.1:1\"\n{token}"))
                .replace("session-duties", "proposals"),
            "asks over /rpc only",
        ),
        (
            node(&format!("url = \"ws://127.0.0.1:1\"\n{token}"))
                .replace("session-duties", "key-management"),
            "cannot do key-management",
        ),
        (node(&format!("url = \"ws://127.0.0.1:1\"\n{token}")).repeat(2), "stands twice"),
    ];
    for (lines, why) in cases {
        let home = TestHome::empty();
        std::fs::write(home.path().join("t.txt"), "0123456789abcdef").unwrap();
        home.add_config(&lines);
        let output = home.run_command().output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{lines}: {said}");
        assert!(said.contains(why), "{lines}: {said}");
    }
    let home = TestHome::empty();
    let output = home.run(&["run", "--listen", "none"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("no [[node]] to dial"), "{}", text(&output.stderr));
}
