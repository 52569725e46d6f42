//! New session keys through the real process, and the proofs of their owner.
//!
//! Decides: what is generated is sealed before it is printed, serves at once, and proves its owner
//! as a chain checks it; a crash loses no key; a mistake makes none.

use std::collections::BTreeSet;
use std::fs;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::home::TestHome;
use crate::support::{Guard, eventually};

const GENESIS: &str = "0xabababababababababababababababababababababababababababababababab";
const OTHER_GENESIS: &str = "0xcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd";
/// //Alice on a chain with the usual prefix.
const OWNER: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
pub(super) const OWNER_HEX: &str =
    "0xd43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d";
pub(super) const ED25519_ALICE: &str =
    "0x88dc3417d5058ec4b4503e0c12ea1a0a89be200fe98922423d4334014fa6b0ee";

pub(super) fn home() -> TestHome {
    let home = TestHome::empty();
    home.succeeds(&["chain", "add", "mini", "--genesis", GENESIS, "--slot-ms", "6000"]);
    home.succeeds(&["chain", "add", "other", "--genesis", OTHER_GENESIS, "--slot-ms", "6000"]);
    home
}

pub(super) fn json_of(home: &TestHome, arguments: &[&str]) -> Value {
    let output = home.succeeds(&[arguments, &["--json"]].concat());
    serde_json::from_str(&output).unwrap()
}

fn generate(home: &TestHome, types: &str) -> Value {
    json_of(home, &["keys", "generate", "--chain", "substrate:mini", "--keys", types])
}

pub(super) fn call(guard: &Guard, method: &str, params: Value) -> Value {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    guard.request("POST", "/rpc", &[], &body.to_string()).json()
}

pub(super) fn vote(guard: &Guard, public_key: &str, content: u8, round: u64) -> Value {
    let (round, set_id) = (round.to_le_bytes(), 4_u64.to_le_bytes());
    let parts: [&[u8]; 5] = [&[0], &[content; 32], &[5, 0, 0, 0], &round, &set_id];
    let payload = format!("0x{}", hex::encode(parts.concat()));
    call(guard, "palisade_grandpaVote", json!({ "publicKey": public_key, "payload": payload }))
}

pub(super) fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap().strip_prefix("0x").unwrap()).unwrap()
}

pub(super) fn listed(home: &TestHome) -> BTreeSet<String> {
    let rows = json_of(home, &["keys", "list"]);
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| format!("{}={}", row["type"], row["public_key"]).replace('"', "")).collect()
}

/// As `sp_runtime::traits::OpaqueKeys::ownership_proof_is_valid` does.
pub(super) fn verify(key_type: &str, public_key: &[u8], statement: &[u8], proof: &[u8]) -> bool {
    match key_type {
        "gran" => {
            let key = ed25519_dalek::VerifyingKey::from_bytes(public_key.try_into().unwrap());
            let proof = ed25519_dalek::Signature::from_slice(proof).unwrap();
            key.unwrap().verify_strict(statement, &proof).is_ok()
        }
        "beef" => {
            use blake2::Digest as _;
            let hash = blake2::Blake2b::<blake2::digest::consts::U32>::digest(statement);
            let signature = k256::ecdsa::Signature::from_slice(&proof[..64]).unwrap();
            let recovery = k256::ecdsa::RecoveryId::from_byte(proof[64]).unwrap();
            let key = k256::ecdsa::VerifyingKey::recover_from_prehash(&hash, &signature, recovery);
            key.unwrap().to_encoded_point(true).as_bytes() == public_key
        }
        _ => {
            let key = schnorrkel::PublicKey::from_bytes(public_key).unwrap();
            let proof = schnorrkel::Signature::from_bytes(proof).unwrap();
            key.verify_simple(b"substrate", statement, &proof).is_ok()
        }
    }
}

fn check_announcement(made: &Value, types: &[&str]) {
    let keys = made["keys"].as_array().unwrap();
    let named: Vec<_> = keys.iter().map(|key| key["key_type"].as_str().unwrap()).collect();
    assert_eq!(named, types);
    let part = |name: &str| keys.iter().flat_map(|key| bytes(&key[name])).collect::<Vec<_>>();
    assert_eq!(bytes(&made["session_keys"]), part("public_key"));
    assert_eq!(bytes(&made["proof"]), part("proof"));
    assert_eq!(made["owner"], OWNER_HEX);
    let owner = bytes(&made["owner"]);
    for key in keys {
        let (name, public_key) = (key["key_type"].as_str().unwrap(), bytes(&key["public_key"]));
        let proof = bytes(&key["proof"]);
        let statement = [b"POP_".as_slice(), &owner].concat();
        assert!(verify(name, &public_key, &statement, &proof), "{key}");
        let of_another = [b"POP_".as_slice(), &[7; 32]].concat();
        assert!(!verify(name, &public_key, &of_another, &proof), "{key}");
    }
    // Pallet 6, call 0, the keys as they are, and the proof behind its compact length.
    let length = u16::try_from(part("proof").len()).unwrap() << 2 | 1;
    let parts: [&[u8]; 4] = [&[6, 0], &part("public_key"), &length.to_le_bytes(), &part("proof")];
    assert_eq!(bytes(&made["call"]), parts.concat());
}

const ANNOUNCED: [&str; 8] = [
    "--chain",
    "substrate:mini",
    "--owner",
    OWNER,
    "--call-index",
    "6.0",
    "--keys",
    "gran,babe,audi,beef",
];

#[test]
fn generated_keys_prove_their_owner_and_serve_at_once() {
    let home = home();
    let guard = home.start();
    let made = json_of(&home, &[&["keys", "generate"], ANNOUNCED.as_slice()].concat());
    check_announcement(&made, &["gran", "babe", "audi", "beef"]);
    for key in made["keys"].as_array().unwrap() {
        let known = call(&guard, "palisade_publicKeys", json!({ "keyType": key["key_type"] }));
        assert_eq!(known["result"], json!([key["public_key"]]));
    }
    let gran = made["keys"][0]["public_key"].as_str().unwrap();
    let first = vote(&guard, gran, 1, 9);
    assert!(first["result"]["signature"].is_string(), "{first}");
    guard.kill();
    let guard = home.start();
    assert_eq!(vote(&guard, gran, 1, 9), first);
    assert_eq!(vote(&guard, gran, 2, 9)["error"]["data"]["code"], "double-grandpa-vote");
    home.succeeds(&["journal", "verify"]);
}

#[test]
fn a_stopped_home_makes_the_same_announcement() {
    let home = home();
    let made = json_of(&home, &[&["keys", "rotate"], ANNOUNCED.as_slice()].concat());
    check_announcement(&made, &["gran", "babe", "audi", "beef"]);
    let name = |key: &Value| {
        format!("{}={}", key["key_type"].as_str().unwrap(), key["public_key"].as_str().unwrap())
    };
    let names: Vec<_> = made["keys"].as_array().unwrap().iter().map(name).collect();
    let mut arguments = vec!["keys", "prove", "--chain", "substrate:mini", "--owner", OWNER_HEX];
    arguments.extend(["--call-index", "0x0600"]);
    arguments.extend(names.iter().map(String::as_str));
    let mut again = json_of(&home, &arguments);
    assert_eq!(again["older_keys"].take(), json!([]));
    let mut made = made;
    made["older_keys"].take();
    assert_eq!(again["keys"], made["keys"], "the same proof, byte for byte");
    assert_eq!(again["call"], made["call"]);
}

#[test]
fn without_an_owner_there_is_no_proof_and_the_call_says_so() {
    let home = home();
    let arguments = ["--chain", "substrate:mini", "--keys", "aura:ed25519", "--call-index", "9.0"];
    let made = json_of(&home, &[&["keys", "generate"], arguments.as_slice()].concat());
    assert_eq!((&made["proof"], &made["owner"]), (&Value::Null, &Value::Null));
    let call = [[9, 0].as_slice(), &bytes(&made["session_keys"]), &[0]].concat();
    assert_eq!(bytes(&made["call"]), call);
    let text = home.run(&["keys", "generate", "--chain", "substrate:mini", "--keys", "gran"]);
    assert!(String::from_utf8_lossy(&text.stderr).contains("no proof"), "{text:?}");
}

#[test]
fn older_keys_are_named_and_go_on_to_serve() {
    let home = home();
    let guard = home.start();
    let old = generate(&home, "gran,babe");
    assert_eq!(old["older_keys"], json!([]));
    let new = generate(&home, "gran");
    let (old, new) = (&old["keys"][0], &new);
    let expected = json!([{ "key_type": "gran", "public_key": old["public_key"] }]);
    assert_eq!(new["older_keys"], expected);
    for key in [&old["public_key"], &new["keys"][0]["public_key"]] {
        assert!(vote(&guard, key.as_str().unwrap(), 1, 1)["result"].is_object(), "{key}");
    }
}

/// The reader of the command's output is gone before it writes: as bad as a crash.
#[test]
fn a_key_whose_announcement_was_lost_is_listed_and_proven_later() {
    let home = home();
    let mut command = home.command(&["keys", "generate", "--chain", "substrate:mini"]);
    command.args(["--keys", "gran", "--owner", OWNER]).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(3));
    let keys = listed(&home);
    assert_eq!(keys.len(), 1);
    let key = keys.first().unwrap();
    let proven =
        json_of(&home, &["keys", "prove", "--chain", "substrate:mini", "--owner", OWNER, key]);
    assert!(proven["proof"].is_string(), "{proven}");
}

#[test]
fn a_kill_leaves_whole_keys_and_no_others() {
    let home = home();
    let mut keys = BTreeSet::new();
    for after_ms in [Some(0), Some(10), Some(20), Some(40), Some(80), None, None, None] {
        let sealed = || fs::read(home.path().join("keys/keys.sealed")).unwrap();
        let before = sealed();
        let mut command = home.command(&["keys", "generate", "--chain", "substrate:mini"]);
        command.args(["--keys", "gran,babe,beef", "--owner", OWNER]).stdout(Stdio::null());
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        match after_ms {
            Some(after_ms) => std::thread::sleep(Duration::from_millis(after_ms)),
            // The moment at which the keys are sealed, before the proofs are made.
            None => eventually("the keys are sealed", || sealed() != before),
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let now = listed(&home);
        assert!(now.is_superset(&keys), "a key was lost");
        let new = now.len() - keys.len();
        assert!(new == 3 || (new == 0 && after_ms.is_some()), "{new} of 3 keys came in");
        keys = now;
    }
    home.succeeds(&["journal", "verify"]);
    let guard = home.start();
    assert_eq!(guard.watch("/readyz").status, 200);
}

#[test]
fn mistakes_are_told_before_anything_is_made() {
    let home = home();
    let of_28 = format!("0x{}", "07".repeat(28));
    let cases: [(&[&str], i32, &str); 11] = [
        (&["--chain", "substrate:absent", "--keys", "gran"], 2, "no chain"),
        (&["--chain", "ethereum", "--keys", "gran"], 2, "substrate:NAME"),
        (&["--chain", "substrate:mini", "--keys", "imon"], 2, "imon"),
        (&["--chain", "substrate:mini", "--keys", "gran,gran"], 2, "twice"),
        (&["--chain", "substrate:mini", "--keys", "gran:sr25519"], 2, "ed25519"),
        (&["--chain", "substrate:mini", "--keys", ""], 2, "type"),
        (&["--chain", "substrate:mini", "--keys", "gran", "--owner", "5Grw"], 2, "account"),
        (&["--chain", "substrate:mini", "--keys", "gran", "--owner", &of_28], 2, "account"),
        (&["--chain", "substrate:mini", "--keys", "gran", "--call-index", "6"], 2, "6.0"),
        (&["--chain", "substrate:mini", "--keys", "gran", "--call-index", "256.0"], 2, "6.0"),
        (&["--chain", "substrate:mini", "--keys", "gran", "--call-index", "0x+1-1"], 2, "6.0"),
    ];
    for (arguments, status, said) in cases {
        let output = home.run(&[&["keys", "generate"], arguments].concat());
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {error}");
        assert!(error.contains(said), "{arguments:?}: {error}");
    }
    assert!(listed(&home).is_empty());
    let key = format!("gran={ED25519_ALICE}");
    let unknown = home.run(&["keys", "prove", "--chain", "substrate:mini", &key]);
    assert_eq!(unknown.status.code(), Some(1), "{unknown:?}");
    let made = generate(&home, "gran");
    let key = format!("gran={}", made["keys"][0]["public_key"].as_str().unwrap());
    let elsewhere = home.run(&["keys", "prove", "--chain", "substrate:other", &key]);
    assert_eq!(elsewhere.status.code(), Some(1), "{elsewhere:?}");
}

#[test]
fn every_type_of_a_relay_chain_is_made_and_what_cannot_serve_is_told() {
    let home = home();
    let types = ["gran", "babe", "para", "asgn", "audi", "beef"];
    let keys = types.join(",");
    let arguments = ["--chain", "substrate:mini", "--keys", &keys, "--call-index", "6.0"];
    let mut command = home.command(&[["keys", "generate"].as_slice(), &arguments].concat());
    let made = command.args(["--owner", OWNER, "--json"]).output().unwrap();
    assert!(String::from_utf8_lossy(&made.stderr).contains("asgn=PUBKEY:PROOF"), "{made:?}");
    check_announcement(&serde_json::from_slice(&made.stdout).unwrap(), &types);
    assert_eq!(listed(&home).len(), 6);
}

/// A validator whose node must hold one of its keys itself.
#[test]
fn a_key_of_the_node_stands_in_its_place_with_its_proof() {
    let (home, node) = (home(), home());
    let announced = |home: &TestHome, keys: &str| {
        let arguments = ["--chain", "substrate:mini", "--owner", OWNER, "--call-index", "6.0"];
        let command = ["keys", "generate", "--keys", keys];
        json_of(home, &[command.as_slice(), &arguments].concat())
    };
    let of_node = announced(&node, "audi")["keys"][0].take();
    let text = |name: &str| of_node[name].as_str().unwrap();
    let (public_key, proof) = (text("public_key"), text("proof"));
    let made = announced(&home, &format!("gran,audi={public_key}:{proof},babe"));
    check_announcement(&made, &["gran", "audi", "babe"]);
    assert_eq!(made["keys"][1], of_node);
    assert_eq!(listed(&home).len(), 2, "the node's key is not here");
    let unproven = announced(&home, &format!("gran,audi={public_key}"));
    assert_eq!(unproven["proof"], Value::Null);
    assert_eq!(bytes(&unproven["call"]).last(), Some(&0), "no proof");
    let forged = format!("{}00", &proof[..proof.len() - 2]);
    for (keys, said) in [
        (format!("gran,audi={public_key}:{forged}"), "is not its signature"),
        (format!("gran,audi={}:{proof}", OWNER_HEX), "is not its signature"),
        (format!("gran,audi=0x00:{proof}"), "another length"),
        (format!("gran,audi={public_key}:xyz"), "not hex"),
        (format!("audi,audi={public_key}:{proof}"), "twice"),
        (format!("gran,audi2={public_key}:{proof}"), "four letters"),
    ] {
        let arguments = ["--chain", "substrate:mini", "--owner", OWNER, "--keys", &keys];
        let output = home.run(&[["keys", "generate"].as_slice(), &arguments].concat());
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{keys}: {error}");
        assert!(error.contains(said), "{keys}: {error}");
    }
    assert_eq!(listed(&home).len(), 3);
}
