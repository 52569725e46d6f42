//! The OpenRPC document is what the guard does: each method, parameter, result and error of the one
//! is in the other.

use std::collections::BTreeSet;

use palisade_protect::RefusalKind;
use palisade_server::core::OPENRPC;
use palisade_substrate::mmr_commitment;
use serde_json::{Map, Value, json};

use super::substrate::{
    self, ED25519_ALICE, SR25519_ALICE, call, present_slot, vote_parameters, whole_block,
};
use super::validators::{PEER, address, allow_addresses};
use crate::support::Guard;
use crate::support::home::TestHome;
use crate::support::schema::check;

pub(super) const ECDSA_ALICE: &str =
    "0x020a1091341fe5664bfa1782d5e04779689068c916b04cb365ec3153755684d9a1";

/// The router's own source.
const ROUTER: &str = include_str!("../../../server/src/core/rpc.rs");

/// With a key for each method.
fn home() -> TestHome {
    let home = substrate::home("--fresh");
    let uris = home.path().join("uri");
    let uris = uris.to_str().unwrap();
    let to = ["--chain", "substrate:mini", "--type", "para", "--fresh", uris];
    home.succeeds(&[&["keys", "import-raw"], to.as_slice()].concat());
    allow_addresses(&home, r#"["/ip4/192.0.2.7/tcp/30333"]"#);
    home
}

fn document() -> Value {
    serde_json::from_str(OPENRPC).unwrap()
}

fn methods(document: &Value) -> &Vec<Value> {
    document["methods"].as_array().unwrap()
}

fn ask(home: &TestHome, guard: &Guard, method: &str, params: &Value) -> Value {
    let bearer = format!("Bearer {}", home.token());
    let manager = [("Authorization", bearer.as_str())];
    let managing = ["palisade_provePossession", "palisade_generateSessionKeys"];
    let headers = if managing.contains(&method) { manager.as_slice() } else { &[] };
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    guard.request("POST", "/rpc", headers, &body.to_string()).json()
}

/// Parameters with which each method succeeds, optional ones too.
fn sample(guard: &Guard, method: &str) -> Value {
    match method {
        "palisade_publicKeys" => json!({ "keyType": "beef" }),
        "palisade_announceBlock" => whole_block(present_slot(), b"\x04\x10body"),
        "palisade_sealBlock" => {
            let block = whole_block(present_slot(), b"\x04\x10body");
            let announced = call(guard, "palisade_announceBlock", block);
            json!({ "publicKey": SR25519_ALICE, "preHash": announced["result"]["preHash"] })
        }
        "palisade_grandpaVote" => vote_parameters(0, 1, 4, 9),
        "palisade_babeVrf" => json!({
            "publicKey": SR25519_ALICE, "slot": present_slot(), "epoch": 1,
            "randomness": format!("0x{}", "07".repeat(32)),
        }),
        "palisade_beefyCommitment" => {
            let commitment = format!("0x{}", hex::encode(mmr_commitment([1; 32], 5, 1)));
            json!({ "publicKey": ECDSA_ALICE, "commitment": commitment })
        }
        "palisade_paraStatement" => {
            let parts: [&[u8]; 4] = [b"DISP", &[1], &[7; 32], &[100, 0, 0, 0]];
            let payload = format!("0x{}", hex::encode(parts.concat()));
            json!({ "publicKey": SR25519_ALICE, "payload": payload })
        }
        "palisade_authorityRecord" => {
            let payload = format!("0x{}", hex::encode(address([192, 0, 2, 7], &PEER)));
            json!({ "publicKey": SR25519_ALICE, "payload": payload })
        }
        "palisade_provePossession" => {
            json!({ "publicKey": ED25519_ALICE, "owner": SR25519_ALICE })
        }
        "palisade_generateSessionKeys" => {
            json!({ "keyTypes": ["babe", "beef"], "chain": "mini", "owner": SR25519_ALICE })
        }
        "rpc.discover" => json!({}),
        other => panic!("no sample of {other}"),
    }
}

/// The error's number and data are among those that the document has for the method.
#[track_caller]
fn is_documented(document: &Value, method: &str, answer: &Value) {
    let method = methods(document).iter().find(|known| known["name"] == method).unwrap();
    let of_method = method["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| document.pointer(&error["$ref"].as_str().unwrap()[1..]).unwrap());
    let everywhere = ["NotJson", "InvalidRequest", "NoSuchMethod"];
    let everywhere = everywhere.iter().map(|name| &document["components"]["errors"][name]);
    let number = &answer["error"]["code"];
    let known = of_method.chain(everywhere).find(|error| error["code"] == *number);
    let known = known.unwrap_or_else(|| panic!("{number} is not documented: {answer}"));
    let faults = check(document, &known["x-data"], &answer["error"]["data"]);
    assert!(faults.is_empty(), "{answer}: {faults:?}");
    assert!(!answer["error"]["message"].as_str().unwrap().is_empty());
}

#[test]
fn the_document_is_given_as_it_stands_here() {
    let home = home();
    let guard = home.start();
    for params in [json!({}), json!([])] {
        assert_eq!(ask(&home, &guard, "rpc.discover", &params)["result"], document());
    }
    assert_eq!(document()["info"]["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn every_method_of_the_router_is_documented_and_no_other() {
    let arms = ROUTER.split("async fn dispatch(").nth(1).unwrap();
    let arms = arms.split("no-such-method").next().unwrap().lines().map(str::trim);
    let arms = arms.filter_map(|line| line.strip_prefix('"')?.split_once("\" =>"));
    let routed: BTreeSet<&str> = arms.map(|(name, _)| name).collect();
    let document = document();
    let documented: BTreeSet<&str> =
        methods(&document).iter().map(|method| method["name"].as_str().unwrap()).collect();
    assert_eq!(routed, documented);
    assert!(8 <= routed.len(), "{routed:?}");
}

/// What the parser itself says of an unknown and of a missing parameter.
#[test]
fn every_parameter_is_documented_and_no_other() {
    let home = home();
    let guard = home.start();
    let document = document();
    for method in methods(&document) {
        let name = method["name"].as_str().unwrap();
        let parameters = method["params"].as_array().unwrap();
        assert_eq!(method["paramStructure"], "by-name");
        if parameters.is_empty() {
            continue;
        }
        let documented: BTreeSet<&str> =
            parameters.iter().map(|parameter| parameter["name"].as_str().unwrap()).collect();
        let unknown = ask(&home, &guard, name, &json!({ "?": 0 }));
        let said = unknown["error"]["message"].as_str().unwrap();
        let (_, expected) = said.split_once("expected ").unwrap_or_else(|| panic!("{said}"));
        assert_eq!(expected.split('`').skip(1).step_by(2).collect::<BTreeSet<_>>(), documented);
        let sample = sample(&guard, name);
        for parameter in parameters {
            let member = parameter["name"].as_str().unwrap();
            let faults = check(&document, &parameter["schema"], &sample[member]);
            assert!(faults.is_empty(), "{name} {member}: {faults:?}");
            let mut without: Map<String, Value> = sample.as_object().unwrap().clone();
            without.remove(member);
            let answer = ask(&home, &guard, name, &json!(without));
            let missing = format!("missing field `{member}`");
            let is_missed = answer["error"]["message"].as_str().unwrap_or("").contains(&missing);
            assert_eq!(json!(is_missed), parameter["required"], "{name} {member}: {answer}");
        }
    }
}

#[test]
fn real_answers_are_as_documented() {
    let home = home();
    let guard = home.start();
    let document = document();
    for method in methods(&document) {
        let name = method["name"].as_str().unwrap();
        let answer = ask(&home, &guard, name, &sample(&guard, name));
        let faults = check(&document, &method["result"]["schema"], &answer["result"]);
        assert!(faults.is_empty(), "{name} {answer}: {faults:?}");
    }
}

#[test]
fn real_errors_are_as_documented() {
    let home = home();
    let guard = home.start();
    let document = document();
    let mut seen = BTreeSet::new();
    let mut fails = |name: &str, change: &dyn Fn(&mut Value)| {
        let mut params = sample(&guard, name);
        change(&mut params);
        let answer = ask(&home, &guard, name, &params);
        is_documented(&document, name, &answer);
        seen.insert(answer["error"]["code"].as_i64().unwrap());
    };
    for method in methods(&document).iter().filter(|method| method["params"][1].is_object()) {
        let name = method["name"].as_str().unwrap();
        fails(name, &|params| params["publicKey"] = json!("0x00"));
        fails(name, &|params| params["publicKey"] = json!(7));
        fails(name, &|params| *params = json!([]));
    }
    fails("palisade_grandpaVote", &|params| params["payload"] = json!("0x"));
    ask(&home, &guard, "palisade_grandpaVote", &sample(&guard, "palisade_grandpaVote"));
    fails("palisade_grandpaVote", &|params| *params = vote_parameters(0, 2, 4, 9));
    fails("palisade_sealBlock", &|params| params["preHash"] = json!(params["publicKey"]));
    fails("palisade_announceBlock", &|params| params["extrinsics"] = json!("0x00"));
    fails("palisade_announceBlock", &|params| params["storageProof"] = json!("0x04"));
    fails("palisade_announceBlock", &|params| params["parentHeader"] = json!(params["header"]));
    fails("palisade_babeVrf", &|params| params["slot"] = json!(0));
    fails("palisade_beefyCommitment", &|params| {
        params["commitment"] = json!(format!("0x{}", "00".repeat(1 << 20)));
    });
    // Anonymous: it may not manage keys.
    let owner = json!({ "publicKey": ED25519_ALICE, "owner": SR25519_ALICE });
    let forbidden = call(&guard, "palisade_provePossession", owner);
    is_documented(&document, "palisade_provePossession", &forbidden);
    assert_eq!(seen, BTreeSet::from([-32602, -32010, -32011]));
}

#[test]
fn every_number_and_every_code_of_a_rule_is_documented() {
    let document = document();
    let errors = document["components"]["errors"].as_object().unwrap();
    let documented: BTreeSet<i64> =
        errors.values().map(|error| error["code"].as_i64().unwrap()).collect();
    let numbers = ROUTER.split("-32").skip(1).filter_map(|rest| rest.get(..3)?.parse().ok());
    let used: BTreeSet<i64> = numbers.map(|rest: i64| -32_000 - rest).collect();
    assert_eq!(documented, used);
    let mut codes = BTreeSet::from([
        "policy-denied",
        "slot-not-near-now",
        "time-not-near-now",
        "address-not-allowed",
        "peer-not-allowed",
        "no-discovery-policy",
        "block-not-announced",
        "extrinsics-of-another-block",
        "parent-of-another-block",
        "too-many-draws",
    ]);
    let of_validators = [
        RefusalKind::DoubleProposal,
        RefusalKind::ProposalBehind,
        RefusalKind::DoubleVote,
        RefusalKind::SurroundingVote,
        RefusalKind::SurroundedVote,
        RefusalKind::TargetBehind,
        RefusalKind::SourceAfterTarget,
        RefusalKind::AtOrAboveStopLine,
        RefusalKind::BelowStopLine,
    ];
    let of_sessions = RefusalKind::ALL.into_iter().filter(|kind| !of_validators.contains(kind));
    codes.extend(of_sessions.map(RefusalKind::code));
    let refused = &document["components"]["schemas"]["RefusedData"]["properties"]["code"]["enum"];
    let refused: BTreeSet<&str> =
        refused.as_array().unwrap().iter().map(|code| code.as_str().unwrap()).collect();
    assert_eq!(refused, codes);
}
