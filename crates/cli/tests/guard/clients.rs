//! Who may ask for what: tokens, key sets, reload.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::duty::{batch, block, randao};
use crate::support::home::{KEYS, TestHome};
use crate::support::http::Answer;
use crate::support::{Guard, eventually};

pub(super) const TOKEN_A: &str = "client-a-0123456789abcdef";
pub(super) const TOKEN_B: &str = "client-b-0123456789abcdef";

/// Two clients with a token each: one has the first key and all duties, the other has all keys and
/// no proposals. Nobody is anonymous.
pub(super) fn two_clients() -> TestHome {
    let home = TestHome::with_keys(2);
    std::fs::write(home.path().join("a.txt"), format!("{TOKEN_A}\n")).unwrap();
    let digest = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(TOKEN_B));
    home.write_config(&format!(
        r#"network = "minimal"
[key_sets]
first = ["{}"]
[[client]]
name = "a"
token_file = "a.txt"
keys = ["first"]
allow = ["proposals", "randao", "key-management"]
[[client]]
name = "b"
token_sha256 = "{digest}"
allow = ["randao"]
"#,
        KEYS[0]
    ));
    home
}

fn ask(guard: &Guard, token: &str, method: &str, path: &str, body: &Value) -> Answer {
    let bearer = format!("Bearer {token}");
    let body = if body.is_null() { String::new() } else { body.to_string() };
    guard.request(method, path, &[("Authorization", &bearer)], &body)
}

fn sign(guard: &Guard, token: &str, key: &str, body: &Value) -> Answer {
    ask(guard, token, "POST", &format!("/api/v1/eth2/sign/{key}"), body)
}

#[test]
fn each_client_has_its_own_keys_and_operations() {
    let home = two_clients();
    let guard = home.start();
    assert_eq!(sign(&guard, TOKEN_A, KEYS[0], &block(1, 1)).status, 200);
    let key = sign(&guard, TOKEN_A, KEYS[1], &block(1, 1));
    key.is_error(412, "policy-denied", "add the key to its key set");
    let operation = sign(&guard, TOKEN_B, KEYS[0], &block(2, 1));
    operation.is_error(412, "policy-denied", "add the operation");
    assert_eq!(
        operation.json()["evidence"],
        json!({
            "asked": { "operation": "proposals" },
            "forbidden_by": { "policy_of_client": "b" },
        })
    );
    assert_eq!(sign(&guard, TOKEN_B, KEYS[1], &randao(1)).status, 200);
    let seen = |token| ask(&guard, token, "GET", "/api/v1/eth2/publicKeys", &Value::Null).json();
    assert_eq!(seen(TOKEN_A), json!([KEYS[0]]));
    assert_eq!(seen(TOKEN_B).as_array().unwrap().len(), 2);
    let batched = ask(&guard, TOKEN_A, "POST", "/api/v1/eth2/sign", &batch(&KEYS[..2], &randao(1)));
    assert!(batched.json()[0]["signature"].is_string());
    assert_eq!(batched.json()[1]["error"]["code"], "policy-denied");
}

#[test]
fn a_wrong_credential_is_401_and_never_the_anonymous_client() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    assert_eq!(guard.sign(KEYS[0], &randao(1)).status, 200, "anonymous is served here");
    let wrong = sign(&guard, "not-a-token-of-anybody", KEYS[0], &randao(1));
    wrong.is_error(401, "credential-wrong", "palisade.toml");
    assert_eq!(wrong.header("www-authenticate"), Some("Bearer"));
    assert_eq!(wrong.header("connection"), Some("close"));
    for header in ["Basic dXNlcjpwYXNz", "Bearer", "", &home.token()] {
        let path = format!("/api/v1/eth2/sign/{}", KEYS[0]);
        let headers = [("Authorization", header)];
        let answer = guard.request("POST", &path, &headers, &randao(1).to_string());
        answer.is_error(401, "credential-wrong", "");
    }
}

#[test]
fn without_an_anonymous_client_only_upcheck_is_open() {
    let home = two_clients();
    let guard = home.start();
    for path in ["/api/v1/eth2/publicKeys", "/healthcheck", "/reload", "/eth/v1/keystores"] {
        guard.get(path).is_error(401, "credential-missing", "bearer token");
    }
    guard.sign(KEYS[0], &randao(1)).is_error(401, "credential-missing", "");
    assert_eq!(guard.get("/upcheck").status, 200);
    assert_eq!(guard.get("/openapi.json").status, 200);
}

#[test]
fn a_key_manager_reaches_only_the_keys_of_its_sets() {
    let home = two_clients();
    let guard = home.start();
    let path = "/eth/v1/keystores";
    ask(&guard, TOKEN_B, "GET", path, &Value::Null).is_error(403, "policy-denied", "`allow`");
    let listed = ask(&guard, TOKEN_A, "GET", path, &Value::Null).json();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
    let body = json!({ "pubkeys": [KEYS[1]] });
    ask(&guard, TOKEN_A, "DELETE", path, &body).is_error(403, "policy-denied", "key set");
    let both = json!({ "pubkeys": [KEYS[1], KEYS[0]] });
    let answer = ask(&guard, TOKEN_A, "DELETE", path, &both).json();
    assert_eq!(answer["data"][0]["status"], "not_found");
    assert_eq!(answer["data"][1]["status"], "deleted");
    assert!(!answer["slashing_protection"].as_str().unwrap().contains(KEYS[1]));
}

#[test]
fn a_reload_that_fails_keeps_the_old_policy() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    assert_eq!(guard.get("/reload").json()["status"], "idle");
    let good = home.config();
    for bad in ["nonsense", "network = \"minimal\"\nunknown_field = 1"] {
        home.write_config(bad);
        let answer = guard.request("POST", "/reload", &[], "");
        assert_eq!((answer.status, answer.json()), (202, json!({ "status": "accepted" })));
        eventually("the reload fails", || guard.get("/reload").json()["status"] == "failed");
        let error = guard.get("/reload").json()["lastError"].clone();
        assert!(error.as_str().unwrap().contains("palisade.toml"), "{error}");
        assert_eq!(guard.sign(KEYS[0], &randao(1)).status, 200);
    }
    home.write_config(&good);
    guard.signal("HUP");
    eventually("the reload", || guard.get("/reload").json()["status"] == "completed");
    assert!(guard.get("/reload").json()["lastOperationTime"].is_u64());
}

/// The configuration is a pipe here, so that a reload takes until the test writes it.
#[test]
fn a_second_reload_meanwhile_is_409() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    let config = home.config();
    let path = home.path().join("palisade.toml");
    std::fs::remove_file(&path).unwrap();
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    assert_eq!(guard.request("POST", "/reload", &[], "").status, 202);
    let second = guard.request("POST", "/reload", &[], "");
    second.is_error(409, "reload-running", "GET /reload");
    assert_eq!(guard.get("/reload").json()["status"], "running");
    assert_eq!(guard.sign(KEYS[0], &randao(1)).status, 200, "signing goes on");
    home.write_config(&config);
    eventually("the reload", || guard.get("/reload").json()["status"] == "completed");
}

#[test]
fn a_reload_cannot_open_a_listener_that_others_reach() {
    let home = two_clients();
    let mut command = home.command(&["run", "--listen", "0.0.0.0:0", "--metrics", "127.0.0.1:0"]);
    command.env("RUST_LOG", "info");
    let mut guard = Guard::start(command);
    guard.listen.set_ip([127, 0, 0, 1].into());
    // The file itself names a loopback address; what counts is the listener that is open.
    home.add_config("[[client]]\nname = \"all\"\nanonymous = true\nallow = [\"proposals\"]");
    let started = ask(&guard, TOKEN_A, "POST", "/reload", &Value::Null);
    assert_eq!(started.status, 202);
    let status = || ask(&guard, TOKEN_A, "GET", "/reload", &Value::Null).json();
    eventually("the reload fails", || status()["status"] == "failed");
    assert!(status()["lastError"].as_str().unwrap().contains("anonymous"));
    guard.sign(KEYS[0], &block(1, 1)).is_error(401, "credential-missing", "");
}

/// A reload that runs may have read what was there before; with this many keys it takes a while.
#[test]
fn a_hang_up_while_a_reload_runs_takes_force_after_it() {
    let home = TestHome::with_keys(1);
    let keys: Vec<String> = (0..20_000_u32).map(|key| format!("\"0x{key:096x}\"")).collect();
    home.configure("[metrics]", &format!("[key_sets]\nmany = [{}]\n[metrics]", keys.join(",")));
    let guard = home.start();
    guard.sign(KEYS[0], &block(1, 1)).signature();
    for slot in 2..6 {
        let anonymous = "name = \"local\"\nanonymous = true";
        let gone = format!("name = \"local\"\ntoken_sha256 = {:?}", "07".repeat(32));
        guard.signal("HUP");
        // Time to have read the file, and too little to have understood it.
        std::thread::sleep(std::time::Duration::from_millis(30));
        home.configure(anonymous, &gone);
        guard.signal("HUP");
        eventually("the client is gone", || guard.sign(KEYS[0], &block(1, 1)).status == 401);
        home.configure(&gone, anonymous);
        guard.signal("HUP");
        eventually("the client is back", || guard.sign(KEYS[0], &block(slot, 1)).status == 200);
    }
}
