//! Who may ask session keys, and what the operator sees of it: metrics, log, console.

use serde_json::{Value, json};

use super::substrate::{
    ED25519_ALICE, SR25519_ALICE, call, header, home, present_slot, refused, vote_parameters,
};
use crate::support::Guard;
use crate::support::home::KEYS;

fn keys(guard: &Guard, key_type: &str) -> Value {
    call(guard, "palisade_publicKeys", json!({ "keyType": key_type }))["result"].clone()
}

#[test]
fn a_key_set_names_session_keys() {
    let home = home("--fresh");
    home.configure("anonymous = true", "anonymous = true\nkeys = [\"node\"]");
    home.add_config(&format!("[key_sets]\nnode = [{SR25519_ALICE:?}]"));
    let guard = home.start();
    assert_eq!(keys(&guard, "babe"), json!([SR25519_ALICE]));
    assert_eq!(keys(&guard, "gran"), json!([]));
    let slot = present_slot();
    let block = json!({ "publicKey": SR25519_ALICE, "header": header(slot, 1) });
    let pre_hash = call(&guard, "palisade_announceBlock", block)["result"]["preHash"].clone();
    let seal = json!({ "publicKey": SR25519_ALICE, "preHash": pre_hash });
    assert!(call(&guard, "palisade_sealBlock", seal)["result"]["signature"].is_string());
    let vote = call(&guard, "palisade_grandpaVote", vote_parameters(0, 1, 4, 9));
    refused(&vote, -32010, "policy-denied");
    assert!(vote["error"]["message"].as_str().unwrap().contains("add the key to its key set"));
    // A set of session keys holds no validator's.
    assert_eq!(guard.get("/api/v1/eth2/publicKeys").json(), json!([]));
}

#[test]
fn a_key_set_of_validators_holds_no_session_key() {
    let home = home("--fresh");
    home.configure("anonymous = true", "anonymous = true\nkeys = [\"validators\"]");
    home.add_config(&format!("[key_sets]\nvalidators = [{:?}]", KEYS[0]));
    let guard = home.start();
    assert_eq!(guard.get("/api/v1/eth2/publicKeys").json(), json!([KEYS[0]]));
    assert_eq!(keys(&guard, "babe"), json!([]));
    let vote = call(&guard, "palisade_grandpaVote", vote_parameters(0, 1, 4, 9));
    refused(&vote, -32010, "policy-denied");
}

#[test]
fn what_session_keys_sign_and_refuse_is_counted_logged_and_shown() {
    let home = home("--fresh");
    let guard = home.start();
    let vote = |content| call(&guard, "palisade_grandpaVote", vote_parameters(1, content, 4, 9));
    assert!(vote(1)["result"].is_object());
    refused(&vote(2), -32010, "double-grandpa-vote");
    let block = json!({ "publicKey": SR25519_ALICE, "header": header(0, 1) });
    refused(&call(&guard, "palisade_announceBlock", block), -32010, "slot-not-near-now");
    let metrics = guard.watch("/metrics").body;
    for labels in [
        "kind=\"grandpa-vote\",outcome=\"signed\"",
        "kind=\"grandpa-vote\",outcome=\"double-grandpa-vote\"",
        "kind=\"announcement\",outcome=\"slot-not-near-now\"",
    ] {
        let series = format!("palisade_signing_requests_total{{{labels}}} 1");
        assert!(metrics.contains(&series), "{series} is not in {metrics}");
    }
    let console = guard.watch("/").body;
    for shown in [
        "id=\"key-count\">4<",
        &format!("{ED25519_ALICE} gran"),
        &format!("{SR25519_ALICE} audi"),
        "grandpa-vote precommit, set 4, round 9",
        "double-grandpa-vote",
        "announcement",
    ] {
        assert!(console.contains(shown), "{shown} is not in {console}");
    }
    let (_, log) = guard.stop();
    let told = log.lines().filter(|line| line.contains("not signed")).collect::<Vec<_>>();
    assert_eq!(told.len(), 2, "{log}");
    assert!(told[0].contains("double-grandpa-vote") && told[0].contains(ED25519_ALICE), "{log}");
}
