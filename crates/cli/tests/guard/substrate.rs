//! Session keys through the real process: JSON-RPC over HTTP, restarts, bad input.
//!
//! Decides: what is signed is refused for anything else at its place, also after SIGKILL; a seal
//! needs an announced header; every mistake has its own code.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::support::Guard;
use crate::support::home::TestHome;

pub(crate) const GENESIS: &str =
    "0xabababababababababababababababababababababababababababababababab";
const SLOT_MS: u64 = 60_000;
pub(crate) const SR25519_ALICE: &str =
    "0xd43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d";
pub(crate) const ED25519_ALICE: &str =
    "0x88dc3417d5058ec4b4503e0c12ea1a0a89be200fe98922423d4334014fa6b0ee";

/// A home with a chain and the development keys of each type.
pub(super) fn home(past: &str) -> TestHome {
    let home = TestHome::with_keys(1);
    let slot_ms = SLOT_MS.to_string();
    home.succeeds(&["chain", "add", "mini", "--genesis", GENESIS, "--slot-ms", &slot_ms]);
    let file = home.path().join("uri");
    fs::write(&file, "# development\n//Alice\n").unwrap();
    let file = file.to_str().unwrap();
    for key_type in ["babe", "gran", "beef", "audi"] {
        home.succeeds(&[
            "keys",
            "import-raw",
            "--chain",
            "substrate:mini",
            "--type",
            key_type,
            past,
            file,
        ]);
    }
    home
}

pub(crate) fn call(guard: &Guard, method: &str, params: Value) -> Value {
    let body = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
    let answer = guard.request("POST", "/rpc", &[], &body.to_string());
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer = answer.json();
    assert_eq!((&answer["jsonrpc"], &answer["id"]), (&json!("2.0"), &json!(7)));
    answer
}

#[track_caller]
pub(crate) fn refused(answer: &Value, number: i64, code: &str) {
    assert_eq!(answer["error"]["code"], number, "{answer}");
    assert_eq!(answer["error"]["data"]["code"], code, "{answer}");
}

pub(super) fn present_slot() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    u64::try_from(now).unwrap() / SLOT_MS
}

/// A header of block 10, or 11, with these roots of state and extrinsics.
fn header_bytes(parent: &[u8; 32], number: u8, roots: [[u8; 32]; 2], slot: u64) -> Vec<u8> {
    let claim = [b"\x06BABE\x34\x02\0\0\0\0".as_slice(), &slot.to_le_bytes()].concat();
    let parts: [&[u8]; 5] = [parent, &[number << 2], roots.as_flattened(), &[4], &claim];
    parts.concat()
}

fn hex_of(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

pub(super) fn header(slot: u64, content: u8) -> String {
    hex_of(&header_bytes(&[1; 32], 10, [[content; 32]; 2], slot))
}

fn blake2_256(bytes: &[u8]) -> [u8; 32] {
    use blake2::digest::Digest as _;
    blake2::Blake2b::<blake2::digest::consts::U32>::digest(bytes).into()
}

/// An announcement with the parent, a proof of one node, and these extrinsics: the SCALE of one
/// that is short enough for the trie's only node to be a leaf.
pub(super) fn whole_block(slot: u64, extrinsics: &[u8]) -> Value {
    let parent = header_bytes(&[1; 32], 10, [[2; 32]; 2], slot - 1);
    let (length, extrinsic) = extrinsics[1..].split_first().unwrap();
    // A leaf with two nibbles, those of the place 0.
    let leaf = [&[0x42, 0, length + 4, *length], extrinsic].concat();
    let header = header_bytes(&blake2_256(&parent), 11, [[3; 32], blake2_256(&leaf)], slot);
    json!({
        "publicKey": SR25519_ALICE, "header": hex_of(&header), "extrinsics": hex_of(extrinsics),
        "storageProof": "0x040c6e6f64", "parentHeader": hex_of(&parent),
    })
}

pub(super) fn announce(guard: &Guard, slot: u64, content: u8) -> Value {
    let params = json!({ "publicKey": SR25519_ALICE, "header": header(slot, content) });
    call(guard, "palisade_announceBlock", params)
}

pub(super) fn seal(guard: &Guard, announced: &Value) -> Value {
    let pre_hash = &announced["result"]["preHash"];
    call(guard, "palisade_sealBlock", json!({ "publicKey": SR25519_ALICE, "preHash": pre_hash }))
}

/// The parameters of a vote of Alice's.
pub(super) fn vote_parameters(stage: u8, content: u8, set_id: u64, round: u64) -> Value {
    let (round, set_id) = (round.to_le_bytes(), set_id.to_le_bytes());
    let parts: [&[u8]; 5] = [&[stage], &[content; 32], &[5, 0, 0, 0], &round, &set_id];
    let payload = format!("0x{}", hex::encode(parts.concat()));
    json!({ "publicKey": ED25519_ALICE, "payload": payload })
}

pub(super) fn vote(guard: &Guard, stage: u8, content: u8, set_id: u64, round: u64) -> Value {
    call(guard, "palisade_grandpaVote", vote_parameters(stage, content, set_id, round))
}

pub(super) fn draw(guard: &Guard, slot: u64) -> Value {
    let randomness = format!("0x{}", "07".repeat(32));
    let params = json!({
        "publicKey": SR25519_ALICE, "slot": slot, "epoch": 3, "randomness": randomness,
    });
    call(guard, "palisade_babeVrf", params)
}

#[test]
fn keys_are_listed_by_their_type() {
    let guard = home("--fresh").start();
    let keys = |key_type: &str| {
        call(&guard, "palisade_publicKeys", json!({ "keyType": key_type }))["result"].clone()
    };
    assert_eq!(keys("babe"), json!([SR25519_ALICE]));
    assert_eq!(keys("audi"), json!([SR25519_ALICE]));
    assert_eq!(keys("gran"), json!([ED25519_ALICE]));
    assert_eq!(keys("para"), json!([]));
    assert_eq!(crate::support::http::request(guard.metrics, "GET", "/readyz", &[], "").status, 200);
}

#[test]
fn one_slot_has_one_seal_and_it_survives_a_kill() {
    let home = home("--fresh");
    let guard = home.start();
    let slot = present_slot();
    let (first, twin) = (announce(&guard, slot, 1), announce(&guard, slot, 2));
    let signature = seal(&guard, &first)["result"]["signature"].clone();
    assert_eq!(signature.as_str().unwrap().len(), 2 + 128);
    assert_eq!(seal(&guard, &first)["result"]["signature"], signature, "the same bytes again");
    let refusal = seal(&guard, &twin);
    refused(&refusal, -32010, "double-seal");
    let forbidden_by = &refusal["error"]["data"]["evidence"]["forbidden_by"];
    assert_eq!(forbidden_by["last_seal"]["slot"], slot.to_string());
    guard.kill();
    let guard = home.start();
    // Announcements live in memory: the node announces anew.
    refused(&seal(&guard, &first), -32010, "block-not-announced");
    announce(&guard, slot, 1);
    announce(&guard, slot, 2);
    assert_eq!(seal(&guard, &first)["result"]["signature"], signature);
    refused(&seal(&guard, &twin), -32010, "double-seal");
}

#[test]
fn what_comes_with_a_header_is_that_blocks_and_is_held() {
    let guard = home("--fresh").start();
    let slot = present_slot();
    let metric = |name: &str| {
        let text = crate::support::http::request(guard.metrics, "GET", "/metrics", &[], "").body;
        let line = text.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
        line.split(' ').nth(1).unwrap().parse::<u64>().unwrap()
    };
    let other = |member: &str, value: Value| {
        let mut block = whole_block(slot, b"\x04\x10body");
        block[member] = value;
        call(&guard, "palisade_announceBlock", block)
    };
    let answer = other("extrinsics", json!("0x0410626f6479"));
    assert!(answer["result"]["preHash"].is_string(), "{answer}");
    let refusal = other("extrinsics", json!("0x0410424f4459"));
    refused(&refusal, -32010, "extrinsics-of-another-block");
    let evidence = &refusal["error"]["data"]["evidence"];
    assert_ne!(
        evidence["asked"]["extrinsics_root"],
        evidence["forbidden_by"]["header"]["extrinsics_root"]
    );
    let refusal = other("parentHeader", json!(header(slot, 1)));
    refused(&refusal, -32010, "parent-of-another-block");
    let forbidden_by = &refusal["error"]["data"]["evidence"]["forbidden_by"];
    assert_eq!(forbidden_by["header"]["block"], "11");
    for malformed in ["0x", "0x04", "0x0410", "0x040c6e6f6400"] {
        refused(&other("storageProof", json!(malformed)), -32602, "malformed-payload");
    }
    assert_eq!(metric("palisade_announced_headers "), 1);
    let parent = whole_block(slot, b"\x04\x10body")["parentHeader"].as_str().unwrap().len() / 2 - 1;
    assert_eq!(metric("palisade_announced_body_bytes "), 6 + 5 + parent as u64);
    assert!(seal(&guard, &answer)["result"]["signature"].is_string());
}

#[test]
fn votes_are_refused_at_the_same_or_an_older_place() {
    let home = home("--fresh");
    let guard = home.start();
    let first = vote(&guard, 0, 1, 4, 9);
    assert_eq!(vote(&guard, 0, 1, 4, 9), first, "the same vote again");
    assert!(vote(&guard, 1, 1, 4, 8)["result"]["signature"].is_string(), "{first}");
    refused(&vote(&guard, 0, 2, 4, 9), -32010, "double-grandpa-vote");
    refused(&vote(&guard, 0, 1, 4, 8), -32010, "grandpa-vote-behind");
    refused(&vote(&guard, 0, 1, 3, 99), -32010, "grandpa-vote-behind");
    refused(&vote(&guard, 0, 1, u64::MAX, 1), -32010, "too-far-ahead");
    guard.kill();
    let guard = home.start();
    refused(&vote(&guard, 0, 2, 4, 9), -32010, "double-grandpa-vote");
    assert_eq!(vote(&guard, 0, 1, 4, 9), first);
}

#[test]
fn a_draw_is_for_slots_near_now_and_not_ten_thousand_times() {
    let guard = home("--fresh").start();
    let slot = present_slot();
    assert!(draw(&guard, slot)["result"]["preOutput"].is_string());
    for far in [0, slot - 4, slot + 4, u64::MAX] {
        refused(&draw(&guard, far), -32010, "slot-not-near-now");
    }
    let answers: Vec<Value> = (0..10_000).map(|_| draw(&guard, slot)).collect();
    let drawn = answers.iter().filter(|answer| answer["result"].is_object()).count();
    // A slot of a minute may begin anew while this runs.
    assert!(drawn <= 32 * 5, "{drawn}");
    let refusals = answers.iter().filter(|a| a["error"]["data"]["code"] == "too-many-draws");
    assert_eq!(refusals.count() + drawn, 10_000);
}

#[test]
fn a_seal_is_for_a_slot_near_now() {
    let guard = home("--fresh").start();
    let slot = present_slot();
    for far in [0, slot - 20, slot + 4, u64::MAX] {
        refused(&announce(&guard, far, 1), -32010, "slot-not-near-now");
    }
    let unannounced = json!({ "result": { "preHash": format!("0x{}", "00".repeat(32)) } });
    refused(&seal(&guard, &unannounced), -32010, "block-not-announced");
}

#[test]
fn a_key_of_unknown_past_waits_for_its_floor() {
    let home = home("--from-now");
    let guard = home.start();
    refused(&vote(&guard, 0, 1, 4, 9), -32010, "awaits-floor");
    // The guard runs: the command asks it.
    home.succeeds(&["keys", "floor", ED25519_ALICE, "--set-id", "4", "--number", "9"]);
    refused(&vote(&guard, 0, 1, 4, 9), -32010, "double-grandpa-vote");
    assert!(vote(&guard, 0, 1, 4, 10)["result"]["signature"].is_string());
    let slot = present_slot();
    let now = announce(&guard, slot.saturating_sub(1), 1);
    refused(&seal(&guard, &now), -32010, "seal-behind");
}

#[test]
fn requests_that_are_none_have_their_own_codes() {
    let guard = home("--fresh").start();
    let rpc = |body: &str| guard.request("POST", "/rpc", &[], body).json();
    refused(&rpc("{"), -32700, "parse-error");
    refused(&rpc("[]"), -32600, "invalid-request");
    refused(&rpc("{\"id\":1}"), -32600, "invalid-request");
    refused(&rpc("{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"x\"}"), -32600, "invalid-request");
    refused(&call(&guard, "palisade_sign", json!({})), -32601, "no-such-method");
    for params in [
        json!([ED25519_ALICE, "0x00"]),
        json!({ "publicKey": ED25519_ALICE }),
        json!({ "publicKey": ED25519_ALICE, "payload": "00" }),
        json!({ "publicKey": ED25519_ALICE, "payload": "0x0" }),
        json!({ "publicKey": ED25519_ALICE, "payload": "0x00", "raw": true }),
    ] {
        refused(&call(&guard, "palisade_grandpaVote", params), -32602, "invalid-parameters");
    }
    let payload = json!({ "publicKey": ED25519_ALICE, "payload": "0x00" });
    refused(&call(&guard, "palisade_grandpaVote", payload), -32602, "malformed-payload");
    let wrong_key = json!({ "publicKey": SR25519_ALICE, "payload": "0x00" });
    refused(&call(&guard, "palisade_grandpaVote", wrong_key), -32011, "unknown-key");
    let owner = json!({ "publicKey": SR25519_ALICE, "owner": SR25519_ALICE });
    refused(&call(&guard, "palisade_provePossession", owner), -32010, "policy-denied");
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "palisade_publicKeys",
        "params": { "keyType": "babe" } });
    let batch = guard.request("POST", "/rpc", &[], &json!([call, call]).to_string()).json();
    assert_eq!(batch.as_array().unwrap().len(), 2);
    let notification = "{\"jsonrpc\":\"2.0\",\"method\":\"palisade_publicKeys\"}";
    assert_eq!(guard.request("POST", "/rpc", &[], notification).status, 204);
}

#[test]
fn of_chains_that_are_added_at_once_none_is_lost() {
    let home = TestHome::empty();
    let adding: Vec<_> = (0..16_u8)
        .map(|number| {
            let (name, genesis) = (format!("chain-{number}"), hex::encode([number; 32]));
            let arguments = ["chain", "add", &name, "--genesis", &genesis, "--slot-ms", "6000"];
            home.command(&arguments).spawn().unwrap()
        })
        .collect();
    for mut child in adding {
        assert!(child.wait().unwrap().success());
    }
    let listed = home.succeeds(&["chain", "list", "--json"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 16);
    assert!(!home.path().join("palisade.toml.new").exists());
}

#[test]
fn one_key_does_not_serve_two_chains() {
    let home = home("--fresh");
    let other = GENESIS.replace("ab", "cd");
    home.succeeds(&["chain", "add", "other", "--genesis", &other, "--slot-ms", "6000"]);
    let file = home.path().join("uri");
    let file = file.to_str().unwrap();
    for key_type in ["gran", "aura"] {
        let output = home.run(&[
            "keys",
            "import-raw",
            "--chain",
            "substrate:other",
            "--type",
            key_type,
            "--fresh",
            file,
        ]);
        assert_eq!(output.status.code(), Some(2));
        let why = String::from_utf8(output.stderr).unwrap();
        assert!(why.contains("belongs to another chain"), "{why}");
    }
    for twice in [["mini", &other], ["third", GENESIS]] {
        let [name, genesis] = twice;
        let output = home.run(&["chain", "add", name, "--genesis", genesis, "--slot-ms", "6000"]);
        assert_eq!(output.status.code(), Some(2), "{name}");
    }
}
