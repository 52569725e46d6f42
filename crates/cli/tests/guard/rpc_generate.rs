//! New session keys by JSON-RPC: for clients that may manage every key, sealed before the answer.

use serde_json::{Value, json};

use super::session_keys::{ED25519_ALICE, OWNER_HEX, bytes, call, home, listed, verify};
use crate::support::Guard;
use crate::support::home::TestHome;

fn rpc_generate(home: &TestHome, guard: &Guard, params: Value) -> Value {
    let method = "palisade_generateSessionKeys";
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let bearer = format!("Bearer {}", home.token());
    guard.request("POST", "/rpc", &[("Authorization", &bearer)], &body.to_string()).json()
}

#[test]
fn a_client_that_may_manage_keys_lets_the_guard_make_them() {
    let home = home();
    let guard = home.start();
    let params = json!({ "keyTypes": ["babe", "gran"], "chain": "mini", "owner": OWNER_HEX });
    let anonymous = call(&guard, "palisade_generateSessionKeys", params.clone());
    assert_eq!(anonymous["error"]["data"]["code"], "policy-denied", "{anonymous}");
    assert!(listed(&home).is_empty());
    let made = rpc_generate(&home, &guard, params)["result"].take();
    let keys = made["keys"].as_array().unwrap();
    for (key, key_type) in keys.iter().zip(["babe", "gran"]) {
        assert_eq!(key["keyType"], key_type);
        let statement = [b"POP_".as_slice(), &bytes(&json!(OWNER_HEX))].concat();
        assert!(verify(key_type, &bytes(&key["publicKey"]), &statement, &bytes(&key["proof"])));
        let known = call(&guard, "palisade_publicKeys", json!({ "keyType": key_type }));
        assert_eq!(known["result"], json!([key["publicKey"]]));
    }
    let part = |name: &str| keys.iter().flat_map(|key| bytes(&key[name])).collect::<Vec<_>>();
    assert_eq!(bytes(&made["sessionKeys"]), part("publicKey"));
    assert_eq!(bytes(&made["proof"]), part("proof"));
    let unproven = json!({ "keyTypes": ["audi"], "chain": "mini" });
    let unproven = rpc_generate(&home, &guard, unproven)["result"].take();
    assert!(unproven.get("proof").is_none() && unproven["keys"][0].get("proof").is_none());
    guard.kill();
    assert_eq!(listed(&home).len(), 3);
}

/// Both kinds have 32 bytes: which one it is, the proof tells.
#[test]
fn aura_keys_are_of_the_kind_that_is_named() {
    let home = home();
    let guard = home.start();
    let statement = [b"POP_".as_slice(), &bytes(&json!(OWNER_HEX))].concat();
    for (named, like) in [("aura:ed25519", "gran"), ("aura:sr25519", "babe"), ("aura", "babe")] {
        let params = json!({ "keyTypes": [named], "chain": "mini", "owner": OWNER_HEX });
        let made = rpc_generate(&home, &guard, params)["result"].take();
        let key = &made["keys"][0];
        assert_eq!(key["keyType"], "aura");
        let (public_key, proof) = (bytes(&key["publicKey"]), bytes(&key["proof"]));
        assert!(verify(like, &public_key, &statement, &proof), "{named}: {made}");
    }
    assert_eq!(listed(&home).len(), 3);
}

#[test]
fn requests_for_new_keys_that_are_none_make_none() {
    let home = home();
    let token = r#"token_file = "api-token.txt""#;
    home.configure(token, &format!("{token}\nkeys = [\"few\"]"));
    home.add_config(&format!("[key_sets]\nfew = [{ED25519_ALICE:?}]"));
    let guard = home.start();
    let bound = rpc_generate(&home, &guard, json!({ "keyTypes": ["gran"], "chain": "mini" }));
    assert_eq!(bound["error"]["data"]["code"], "policy-denied", "{bound}");
    home.configure("\nkeys = [\"few\"]", "");
    guard.kill();
    let guard = home.start();
    let of_28 = format!("0x{}", "07".repeat(28));
    for (params, code) in [
        (json!({ "keyTypes": ["gran"] }), "invalid-parameters"),
        (json!({ "keyTypes": ["gran"], "chain": "absent" }), "invalid-parameters"),
        (json!({ "keyTypes": ["gran"], "chain": "mini", "seed": "//Alice" }), "invalid-parameters"),
        (json!({ "chain": "mini" }), "invalid-parameters"),
        (json!({ "keyTypes": [], "chain": "mini" }), "invalid-request"),
        (json!({ "keyTypes": vec!["gran"; 65], "chain": "mini" }), "invalid-request"),
        (json!({ "keyTypes": ["gran", "gran"], "chain": "mini" }), "invalid-request"),
        (json!({ "keyTypes": ["imon"], "chain": "mini" }), "unsupported-key-type"),
        (json!({ "keyTypes": ["gran:sr25519"], "chain": "mini" }), "unsupported-crypto"),
        (json!({ "keyTypes": ["aura:"], "chain": "mini" }), "unsupported-crypto"),
        (json!({ "keyTypes": ["aura:ed25519", "aura"], "chain": "mini" }), "invalid-request"),
        (json!({ "keyTypes": ["gran"], "chain": "mini", "owner": "0x" }), "bad-owner"),
        (json!({ "keyTypes": ["gran"], "chain": "mini", "owner": of_28 }), "bad-owner"),
    ] {
        let refused = rpc_generate(&home, &guard, params.clone());
        assert_eq!(refused["error"]["code"], -32602, "{params}: {refused}");
        assert_eq!(refused["error"]["data"]["code"], code, "{params}: {refused}");
    }
    assert!(listed(&home).is_empty());
}
