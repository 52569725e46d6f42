//! JSON-RPC of strangers and of broken nodes: each mistake has its code, none makes much work.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::substrate::{
    ED25519_ALICE, SR25519_ALICE, call, header, home, present_slot, refused, vote_parameters,
};
use crate::support::Guard;

fn rpc(guard: &Guard, body: &str) -> Value {
    let answer = guard.request("POST", "/rpc", &[], body);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert!(answer.body.len() < 1_500, "{}", answer.body.len());
    answer.json()
}

/// A header's bytes, with this many logs, which are these.
fn header_with(logs: u8, digest: &[u8]) -> Value {
    let parts: [&[u8]; 5] = [&[1; 32], &[40], &[2; 64], &[logs << 2], digest];
    json!(format!("0x{}", hex::encode(parts.concat())))
}

fn pre_digest(engine: &[u8; 4], claim: &[u8]) -> Vec<u8> {
    let length = u8::try_from(claim.len()).unwrap() << 2;
    [&[6], engine.as_slice(), &[length], claim].concat()
}

/// A secondary claim of authority `index`.
fn claim(index: u32, slot: u64) -> Vec<u8> {
    [&[2], index.to_le_bytes().as_slice(), &slot.to_le_bytes()].concat()
}

#[test]
fn headers_that_are_none_are_not_announced() {
    let home = home("--fresh");
    let guard = home.start();
    let slot = present_slot();
    let one = pre_digest(b"BABE", &claim(0, slot));
    let with = |header: Value| {
        let params = json!({ "publicKey": SR25519_ALICE, "header": header });
        call(&guard, "palisade_announceBlock", params)
    };
    assert!(with(header_with(1, &one))["result"]["preHash"].is_string());
    let cut = &header(slot, 1)[..80];
    let bad = [
        json!("0x"),
        json!(cut),
        json!(format!("{}00", header(slot, 1))),
        // No pre-digest, two of them, one of an engine that is not ours, a claim that is none.
        header_with(0, &[]),
        header_with(2, &[one.clone(), one.clone()].concat()),
        header_with(1, &pre_digest(b"POWW", &claim(0, slot))),
        header_with(1, &pre_digest(b"BABE", &[9; 13])),
        header_with(1, &pre_digest(b"BABE", &claim(0, slot)[..12])),
        // More logs than there are.
        header_with(63, &one),
    ];
    for header in bad {
        let answer = with(header.clone());
        assert_eq!(answer["error"]["code"], -32602, "{header}: {answer}");
    }
    // An Aura claim in a header of a BABE key.
    let aura = header_with(1, &pre_digest(b"aura", &slot.to_le_bytes()));
    refused(&with(aura), -32011, "unknown-key");
}

/// The guard does not know the set of authorities: another index is another block, no more.
#[test]
fn another_authority_index_is_another_block_of_the_slot() {
    let home = home("--fresh");
    let guard = home.start();
    let slot = present_slot();
    let announce = |index: u32| {
        let header = header_with(1, &pre_digest(b"BABE", &claim(index, slot)));
        let params = json!({ "publicKey": SR25519_ALICE, "header": header });
        call(&guard, "palisade_announceBlock", params)["result"]["preHash"].clone()
    };
    let seal = |pre_hash: Value| {
        let params = json!({ "publicKey": SR25519_ALICE, "preHash": pre_hash });
        call(&guard, "palisade_sealBlock", params)
    };
    let (mine, wrong) = (announce(0), announce(u32::MAX));
    assert!(seal(mine)["result"]["signature"].is_string());
    refused(&seal(wrong), -32010, "double-seal");
}

#[test]
fn sets_that_go_back_and_rounds_that_jump_are_refused() {
    let home = home("--fresh");
    let guard = home.start();
    let vote =
        |set_id, round| call(&guard, "palisade_grandpaVote", vote_parameters(0, 1, set_id, round));
    assert!(vote(10, 100)["result"]["signature"].is_string());
    refused(&vote(9, 500), -32010, "grandpa-vote-behind");
    let jump = vote(10, u64::MAX);
    refused(&jump, -32010, "too-far-ahead");
    let why = jump["error"]["message"].as_str().unwrap();
    assert!(why.contains("a node on another chain"), "{why}");
    assert!(vote(10, 101)["result"]["signature"].is_string(), "a refusal moves nothing");
}

#[test]
fn only_a_call_without_an_id_is_a_notification() {
    let home = home("--fresh");
    let guard = home.start();
    let with = |id: &str| {
        let params = json!({ "keyType": "babe" });
        format!(r#"{{"jsonrpc":"2.0",{id}"method":"palisade_publicKeys","params":{params}}}"#)
    };
    assert_eq!(guard.request("POST", "/rpc", &[], &with("")).status, 204);
    let of_null = rpc(&guard, &with("\"id\":null,"));
    assert!(of_null["id"].is_null() && of_null["result"].is_array(), "{of_null}");
    assert_eq!(rpc(&guard, &with("\"id\":\"ü\","))["id"], "ü");
    for id in ["{}", "[1]", "true", &format!("\"{}\"", "x".repeat(1_000))] {
        let answer = rpc(&guard, &with(&format!("\"id\":{id},")));
        refused(&answer, -32600, "invalid-request");
        assert!(answer["id"].is_null(), "{answer}");
    }
    let tuple = rpc(&guard, r#"[["2.0","palisade_publicKeys",{},1]]"#);
    refused(&tuple[0], -32600, "invalid-request");
}

#[test]
fn depth_length_and_number_make_no_work() {
    let home = home("--fresh");
    let guard = home.start();
    let near_the_limit = 8_000_000;
    let deep = "[".repeat(near_the_limit / 2) + &"]".repeat(near_the_limit / 2);
    let before = memory_kibibytes(&guard);
    let started = Instant::now();
    let as_parameters = |params: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"palisade_grandpaVote","params":{params}}}"#)
    };
    refused(&rpc(&guard, &as_parameters(&deep)), -32602, "invalid-parameters");
    refused(&rpc(&guard, &format!("[{}0]", "0,".repeat(4_000_000))), -32600, "invalid-request");
    let member = format!(r#"{{"publicKey":{}}}"#, "[".repeat(1_000) + &"]".repeat(1_000));
    refused(&rpc(&guard, &as_parameters(&member)), -32602, "invalid-parameters");
    let unknown = format!(r#"{{"{}":1}}"#, "k".repeat(7_000_000));
    refused(&rpc(&guard, &as_parameters(&unknown)), -32602, "invalid-parameters");
    let key = format!(r#"{{"publicKey":"0x{}","payload":"0x00"}}"#, "00".repeat(3_000_000));
    refused(&rpc(&guard, &as_parameters(&key)), -32011, "unknown-key");
    let method = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{}"}}"#, "m".repeat(7_000_000));
    refused(&rpc(&guard, &method), -32601, "no-such-method");
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    let grown = memory_kibibytes(&guard).saturating_sub(before);
    assert!(grown < 64 << 10, "{grown} KiB more at its highest");
    let alice = json!({ "publicKey": ED25519_ALICE, "payload": "0x00" });
    refused(&call(&guard, "palisade_grandpaVote", alice), -32602, "malformed-payload");
}

/// The most that the process ever held.
fn memory_kibibytes(guard: &Guard) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", guard.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn a_proof_of_ten_megabytes_is_too_long() {
    let home = home("--fresh");
    let guard = home.start();
    let params = json!({
        "publicKey": SR25519_ALICE, "header": header(present_slot(), 1),
        "storageProof": format!("0x{}", "00".repeat(10 << 20)),
    });
    let body = json!({
        "jsonrpc": "2.0", "id": 1, "method": "palisade_announceBlock", "params": params,
    });
    guard.post("/rpc", &body).is_error(413, "body-too-large", "max_body_bytes");
}
