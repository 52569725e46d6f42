//! What a relay chain's validator says, through the real process: parachain statements and records
//! of authority discovery.
//!
//! Decides: what was said of a candidate is refused in its opposite, also after SIGKILL; a record
//! names only what the operator allows; each refusal comes with its evidence.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::substrate::{GENESIS, SR25519_ALICE, call, refused};
use crate::support::Guard;
use crate::support::home::TestHome;

/// [`PEER`] as a node prints it.
const PEER_ID: &str = "12D3KooWAHoEkEqnKzM5PXFygh2movVBCSX3k8tDsT2cneU68Gyt";
/// Of the public key of 32 times 7, and of 32 times 8.
pub(crate) const PEER: [u8; 38] = peer(7);
const STRANGER: [u8; 38] = peer(8);

/// The identity multihash of an ed25519 public key in protobuf.
const fn peer(byte: u8) -> [u8; 38] {
    let mut id = [byte; 38];
    let head = [0, 36, 8, 1, 18, 32];
    let mut place = 0;
    while place < head.len() {
        id[place] = head[place];
        place += 1;
    }
    id
}

fn home(past: &str) -> TestHome {
    let home = TestHome::with_keys(1);
    home.succeeds(&["chain", "add", "relay", "--genesis", GENESIS, "--slot-ms", "6000"]);
    for key_type in ["para", "asgn", "audi"] {
        import(&home, "relay", key_type, past);
    }
    home
}

/// Brings Alice's key of this type in.
pub(crate) fn import(home: &TestHome, chain: &str, key_type: &str, past: &str) {
    let file = home.path().join("alice");
    fs::write(&file, "//Alice\n").unwrap();
    let (file, chain) = (file.to_str().unwrap(), format!("substrate:{chain}"));
    let kind = ["--chain", &chain, "--type", key_type];
    home.succeeds(&[&["keys", "import-raw"], &kind[..], &[past, file]].concat());
}

pub(crate) fn allow_addresses(home: &TestHome, addresses: &str) {
    let path = home.path().join("palisade.toml");
    let text = fs::read_to_string(&path).unwrap();
    let policy = format!(
        "{text}\n[chain.authority_discovery]\npeer_ids = [{PEER_ID:?}]\naddresses = {addresses}\n"
    );
    fs::write(&path, policy).unwrap();
}

fn ask(guard: &Guard, method: &str, payload: &[u8]) -> Value {
    let payload = format!("0x{}", hex::encode(payload));
    call(guard, method, json!({ "publicKey": SR25519_ALICE, "payload": payload }))
}

fn say(guard: &Guard, parts: &[&[u8]]) -> Value {
    ask(guard, "palisade_paraStatement", &parts.concat())
}

fn backing(guard: &Guard, kind: u8, candidate: u8, session: u32) -> Value {
    say(guard, &[b"BKNG", &[kind], &[candidate; 32], &session.to_le_bytes(), &[9; 32]])
}

fn dispute(guard: &Guard, valid: u8, candidate: u8, session: u32) -> Value {
    say(guard, &[b"DISP", &[valid], &[candidate; 32], &session.to_le_bytes()])
}

fn approvals(guard: &Guard, candidates: &[u8], session: u32) -> Value {
    let list: Vec<u8> = candidates.iter().flat_map(|candidate| [*candidate; 32]).collect();
    let number = [u8::try_from(candidates.len() << 2).unwrap()];
    say(guard, &[b"APPR", &number, &list, &session.to_le_bytes()])
}

#[track_caller]
fn signed(answer: &Value) {
    assert_eq!(answer["result"]["signature"].as_str().map(str::len), Some(2 + 128), "{answer}");
}

#[test]
fn nobody_is_made_to_say_that_a_candidate_is_valid_and_that_it_is_not() {
    let home = home("--fresh");
    let guard = home.start();
    let first = backing(&guard, 1, 7, 100);
    signed(&first);
    signed(&dispute(&guard, 0, 8, 100));
    guard.kill();
    let guard = home.start();
    assert_eq!(backing(&guard, 1, 7, 100), first, "the same bytes again");
    let refusal = dispute(&guard, 0, 7, 100);
    refused(&refusal, -32010, "contradictory-statement");
    let evidence = &refusal["error"]["data"]["evidence"];
    assert_eq!(evidence["forbidden_by"], json!({ "already_said": ["seconded"] }));
    assert_eq!(evidence["asked"]["statement"], "disputed-invalid");
    assert_eq!(evidence["asked"]["session"], "100");
    assert_eq!(evidence["asked"]["candidate"], format!("0x{}", "07".repeat(32)));
    refused(&backing(&guard, 2, 7, 100), -32010, "double-backing");
    refused(&backing(&guard, 1, 8, 100), -32010, "contradictory-statement");
    signed(&dispute(&guard, 1, 7, 100));
}

#[test]
fn an_approval_of_several_candidates_is_refused_for_one_of_them() {
    let home = home("--fresh");
    let guard = home.start();
    signed(&dispute(&guard, 0, 3, 100));
    refused(&approvals(&guard, &[1, 2, 3], 100), -32010, "contradictory-statement");
    signed(&approvals(&guard, &[1, 2], 100));
    for candidate in [1, 2] {
        refused(&dispute(&guard, 0, candidate, 100), -32010, "contradictory-statement");
    }
    refused(&approvals(&guard, &[4, 4], 100), -32602, "malformed-payload");
}

#[test]
fn sessions_only_go_on_and_by_no_great_leaps() {
    let home = home("--fresh");
    let guard = home.start();
    signed(&backing(&guard, 1, 7, 100));
    refused(&backing(&guard, 1, 7, 93), -32010, "session-behind");
    let far = backing(&guard, 1, 7, u32::MAX);
    refused(&far, -32010, "too-far-ahead");
    let forbidden_by = &far["error"]["data"]["evidence"]["forbidden_by"];
    assert_eq!(forbidden_by, &json!({ "first_session": "94" }));
    let listed = home.succeeds(&["keys", "list"]);
    assert!(listed.contains("sessions from 94"), "{listed}");
    home.succeeds(&["journal", "verify"]);
}

#[test]
fn bitfields_and_votes_on_code_are_signed_and_other_bytes_are_not() {
    let home = home("--fresh");
    let guard = home.start();
    signed(&say(&guard, &[&[3 << 2, 5], &[100, 0, 0, 0], &[9; 32]]));
    let vote =
        |accept| say(&guard, &[b"VCPC", &[accept], &[7; 32], &[100, 0, 0, 0], &[1, 0, 0, 0]]);
    signed(&vote(1));
    refused(&vote(0), -32010, "contradictory-statement");
    for payload in [b"".as_slice(), &[7; 32], b"POP_12345678901234567890123456789012", &[0; 10_000]]
    {
        refused(&say(&guard, &[payload]), -32602, "malformed-payload");
    }
    // A key of type `asgn` serves no method but the proof that it is here.
    let assignments = call(&guard, "palisade_publicKeys", json!({ "keyType": "asgn" }));
    assert_eq!(assignments["result"], json!([SR25519_ALICE]));
}

#[test]
fn a_key_of_unknown_past_says_nothing_before_its_first_session_is_named() {
    let home = home("--from-now");
    let guard = home.start();
    refused(&backing(&guard, 1, 7, 100), -32010, "awaits-floor");
    let wrong = home.run(&["keys", "floor", SR25519_ALICE, "--set-id", "90", "--number", "1"]);
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
    home.succeeds(&["keys", "floor", SR25519_ALICE, "--set-id", "90", "--number", "0"]);
    refused(&backing(&guard, 1, 7, 89), -32010, "session-behind");
    signed(&backing(&guard, 1, 7, 90));
}

fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()
}

/// `/ip4/IP/tcp/30333/p2p/PEER` in binary, behind its length in protobuf.
pub(crate) fn address(ip: [u8; 4], peer: &[u8; 38]) -> Vec<u8> {
    let address: [&[u8]; 6] = [&[4], &ip, &[6, 0x76, 0x7d], &[0xa5, 0x03], &[38], peer];
    let address = address.concat();
    [&[0x0a, u8::try_from(address.len()).unwrap()], address.as_slice()].concat()
}

fn record(guard: &Guard, addresses: &[Vec<u8>], time: u128) -> Value {
    let time = [&[0x12, 18, 0x0a, 16], time.to_le_bytes().as_slice()].concat();
    ask(guard, "palisade_authorityRecord", &[addresses.concat(), time].concat())
}

#[test]
fn a_record_names_what_the_operator_allows_and_nothing_else() {
    let home = home("--fresh");
    let ours = || address([192, 0, 2, 7], &PEER);
    let guard = home.start();
    refused(&record(&guard, &[ours()], now()), -32010, "no-discovery-policy");
    drop(guard);
    allow_addresses(&home, r#"["/ip4/192.0.2.7/tcp/30333", "/ip4/10.1.0.0/ipcidr/16"]"#);
    let guard = home.start();
    signed(&record(&guard, &[ours(), address([10, 1, 255, 3], &PEER)], now()));
    signed(&ask(&guard, "palisade_authorityRecord", &ours()));
    let elsewhere = record(&guard, &[ours(), address([198, 51, 100, 1], &PEER)], now());
    refused(&elsewhere, -32010, "address-not-allowed");
    let evidence = &elsewhere["error"]["data"]["evidence"];
    let asked = evidence["asked"]["address"].as_str().unwrap();
    assert!(asked.starts_with("/ip4/198.51.100.1/tcp/30333/p2p/12D3KooW"), "{asked}");
    assert_eq!(evidence["forbidden_by"], "authority_discovery.addresses");
    let strange = record(&guard, &[address([192, 0, 2, 7], &STRANGER)], now());
    refused(&strange, -32010, "peer-not-allowed");
    let hour = 3_600 * 1_000_000_000;
    for time in [0, now() - hour, now() + hour, u128::MAX] {
        refused(&record(&guard, &[ours()], time), -32010, "time-not-near-now");
    }
    refused(&record(&guard, &[], now()), -32602, "malformed-payload");
}

#[test]
fn a_policy_that_cannot_be_used_stops_the_start() {
    let home = home("--fresh");
    allow_addresses(&home, r#"["192.0.2.7:30333"]"#);
    let output = home.run(&["run"]);
    assert!(!output.status.success());
    let why = String::from_utf8(output.stderr).unwrap();
    assert!(why.contains("192.0.2.7:30333") && why.contains("/ip4/"), "{why}");
}
