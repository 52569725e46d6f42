//! The key manager API.

use palisade_keys::keystore::{self, Kdf};
use palisade_keys::{BlsSecretKey, Password};
use serde_json::{Value, json};

use crate::support::Guard;
use crate::support::duty::{GENESIS, attestation, block};
use crate::support::home::{KEYS, SECRETS, TestHome};
use crate::support::http::Answer;

const PATH: &str = "/eth/v1/keystores";
const PASSWORD: &str = "correct horse battery staple";

/// A key store that is cheap to open.
pub fn keystore(secret: &str, password: &str) -> String {
    let secret = BlsSecretKey::from_hex(secret).unwrap();
    let kdf = Kdf::Pbkdf2 { rounds: 2 };
    keystore::encrypt(&secret, &Password::new(password.to_owned()), kdf).unwrap()
}

fn manage(home: &TestHome, guard: &Guard, method: &str, body: &Value) -> Answer {
    let bearer = format!("Bearer {}", home.token());
    let body = if body.is_null() { String::new() } else { body.to_string() };
    guard.request(method, PATH, &[("Authorization", &bearer)], &body)
}

/// A history in which the key signed up to this slot and these epochs.
fn history(key: &str, slot: u64, source: u64, target: u64) -> String {
    json!({
        "metadata": {
            "interchange_format_version": "5", "genesis_validators_root": GENESIS,
        },
        "data": [{
            "pubkey": key,
            "signed_blocks": [{ "slot": slot.to_string() }],
            "signed_attestations": [{
                "source_epoch": source.to_string(), "target_epoch": target.to_string(),
            }],
        }],
    })
    .to_string()
}

#[test]
fn the_token_is_required() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    for method in ["GET", "POST", "DELETE"] {
        let none = guard.request(method, PATH, &[], "{}");
        none.is_error(401, "credential-missing", "bearer token");
        let wrong = [("Authorization", "Bearer 00000000000000000000000000000000")];
        guard.request(method, PATH, &wrong, "{}").is_error(401, "credential-wrong", "");
    }
    // And the key manager is no validator client.
    let bearer = format!("Bearer {}", home.token());
    let path = format!("/api/v1/eth2/sign/{}", KEYS[0]);
    let headers = [("Authorization", bearer.as_str())];
    let signing = guard.request("POST", &path, &headers, &block(1, 1).to_string());
    signing.is_error(412, "policy-denied", "proposals");
}

#[test]
fn keys_are_imported_listed_used_and_deleted_with_their_history() {
    let home = TestHome::empty();
    let guard = home.start();
    let body = json!({
        "keystores": [keystore(SECRETS[0], PASSWORD), keystore(SECRETS[1], PASSWORD), "{}"],
        "passwords": [PASSWORD, "wrong", "none"],
        "slashing_protection": history(KEYS[0], 100, 10, 11),
    });
    let answer = manage(&home, &guard, "POST", &body);
    assert_eq!(answer.status, 200, "{answer:?}");
    let data = answer.json()["data"].clone();
    assert_eq!(data[0]["status"], "imported");
    assert_eq!(data[1]["status"], "error");
    assert!(data[1]["message"].as_str().unwrap().contains("password"), "{data}");
    assert_eq!(data[2]["status"], "error");
    let again = manage(&home, &guard, "POST", &body).json();
    assert_eq!(again["data"][0]["status"], "duplicate");
    let listed = manage(&home, &guard, "GET", &Value::Null).json();
    assert_eq!(listed["data"][0]["validating_pubkey"], KEYS[0]);
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
    assert_eq!(guard.watch("/readyz").status, 200);

    guard.sign(KEYS[0], &block(100, 1)).is_error(412, "double-proposal", "");
    assert_eq!(guard.sign(KEYS[0], &block(101, 1)).status, 200);
    assert_eq!(guard.sign(KEYS[0], &attestation(10, 12, 1)).status, 200);

    let body = json!({ "pubkeys": [KEYS[0], KEYS[3]] });
    let deleted = manage(&home, &guard, "DELETE", &body).json();
    assert_eq!(deleted["data"][0]["status"], "deleted");
    assert_eq!(deleted["data"][1]["status"], "not_found");
    let exported: Value =
        serde_json::from_str(deleted["slashing_protection"].as_str().unwrap()).unwrap();
    assert_eq!(exported["metadata"]["genesis_validators_root"], GENESIS);
    assert_eq!(exported["data"][0]["signed_blocks"][0]["slot"], "101");
    assert_eq!(exported["data"][0]["signed_attestations"][0]["target_epoch"], "12");
    guard.sign(KEYS[0], &block(102, 1)).is_error(404, "unknown-key", "");
    let again = manage(&home, &guard, "DELETE", &body).json();
    assert_eq!(again["data"][0]["status"], "not_active");
    assert_eq!(guard.watch("/readyz").status, 200);
}

#[test]
fn a_key_that_comes_back_finds_its_past() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    guard.sign(KEYS[0], &block(500, 1)).signature();
    manage(&home, &guard, "DELETE", &json!({ "pubkeys": [KEYS[0]] }));
    let body = json!({
        "keystores": [keystore(SECRETS[0], PASSWORD)],
        "passwords": [PASSWORD],
        "slashing_protection": history(KEYS[0], 3, 1, 2),
    });
    let back = manage(&home, &guard, "POST", &body).json();
    assert_eq!(back["data"][0]["status"], "imported");
    guard.sign(KEYS[0], &block(500, 2)).is_error(412, "double-proposal", "");
    guard.sign(KEYS[0], &block(400, 1)).is_error(412, "proposal-behind", "");
    guard.kill();
    let guard = home.start();
    guard.sign(KEYS[0], &block(500, 2)).is_error(412, "double-proposal", "");
}

#[test]
fn a_body_that_cannot_be_meant_is_400_and_imports_nothing() {
    let home = TestHome::empty();
    let guard = home.start();
    let one = keystore(SECRETS[0], PASSWORD);
    let mut wrong_network: Value = serde_json::from_str(&history(KEYS[0], 1, 1, 2)).unwrap();
    wrong_network["metadata"]["genesis_validators_root"] = json!(format!("0x{}", "77".repeat(32)));
    let cases = [
        (json!({ "keystores": [one], "passwords": [] }), "malformed-request", "exactly one"),
        (json!({ "keystores": one, "passwords": [] }), "malformed-request", "keystores"),
        (json!({}), "malformed-request", "keystores"),
        (
            json!({
                "keystores": [one], "passwords": [PASSWORD],
                "slashing_protection": wrong_network.to_string(),
            }),
            "wrong-genesis-validators-root",
            "nothing was imported",
        ),
    ];
    for (body, code, advice) in cases {
        manage(&home, &guard, "POST", &body).is_error(400, code, advice);
    }
    assert_eq!(guard.get("/api/v1/eth2/publicKeys").json(), json!([]));
    manage(&home, &guard, "DELETE", &json!({ "pubkeys": [] })).is_error(
        400,
        "malformed-request",
        "at least one",
    );
    manage(&home, &guard, "DELETE", &json!({ "pubkeys": ["0x1"] })).is_error(
        400,
        "malformed-request",
        "96 hex digits",
    );
}

#[test]
fn a_key_without_a_history_does_not_sign_what_it_may_have_signed() {
    let home = TestHome::made_with(&["--network", "mainnet"]);
    let guard = home.start();
    let body = json!({ "keystores": [keystore(SECRETS[0], PASSWORD)], "passwords": [PASSWORD] });
    assert_eq!(manage(&home, &guard, "POST", &body).json()["data"][0]["status"], "imported");
    let mut old = block(1_000, 1);
    old["fork_info"]["genesis_validators_root"] =
        json!("0x4b363db94e286120d76eb905340fdd4e54bfe9f06bf33ff6cf5ad27f511bfe95");
    guard.sign(KEYS[0], &old).is_error(412, "proposal-behind", "");
}
