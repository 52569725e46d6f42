//! The OpenAPI document is what the guard does: each path, method, status and body of the one is in
//! the other.

use std::collections::BTreeSet;

use palisade_ethereum::SigningType;
use palisade_server::http::OPENAPI;
use serde_json::{Value, json};

use crate::support::Guard;
use crate::support::duty::{attestation, batch, block, exit, randao, root};
use crate::support::home::{KEYS, TestHome};
use crate::support::http::{Answer, request};
use crate::support::schema::check;

const METHODS: [&str; 7] = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"];

const NO_SUCH_PATH: &str = "\"code\":\"no-such-path\"";

fn document() -> Value {
    serde_json::from_str(OPENAPI).unwrap()
}

/// Each documented path with the listener that serves it.
fn paths(guard: &Guard, document: &Value) -> Vec<(String, std::net::SocketAddr)> {
    let paths = document["paths"].as_object().unwrap();
    let listener =
        |item: &Value| if item["servers"].is_null() { guard.listen } else { guard.metrics };
    paths.iter().map(|(path, item)| (path.clone(), listener(item))).collect()
}

fn concrete(path: &str) -> String {
    path.replace("{public_key}", KEYS[0])
}

/// Documented statuses of an answer, with the schema of its body.
fn schema_of(document: &Value, path: &str, method: &str, answer: &Answer) -> Value {
    let responses = &document["paths"][path][method.to_lowercase()]["responses"];
    let mut response = &responses[answer.status.to_string()];
    if let Some(pointer) = response["$ref"].as_str() {
        response = document.pointer(&pointer[1..]).unwrap();
    }
    assert!(response.is_object(), "{method} {path} does not document {answer:?}");
    let kind = answer.header("content-type").unwrap().split(';').next().unwrap();
    let content = &response["content"][kind];
    assert!(content.is_object(), "{method} {path} does not document {kind} for {answer:?}");
    content["schema"].clone()
}

#[track_caller]
fn is_documented(document: &Value, path: &str, method: &str, answer: &Answer) {
    let schema = schema_of(document, path, method, answer);
    let kind = answer.header("content-type").unwrap();
    let body = match serde_json::from_str(&answer.body) {
        Ok(body) if kind.starts_with("application/json") => body,
        _ => json!(answer.body),
    };
    let faults = check(document, &schema, &body);
    assert!(faults.is_empty(), "{method} {path} {answer:?}: {faults:?}");
}

#[test]
fn the_document_is_served_as_it_stands_here() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    let served = guard.get("/openapi.json");
    assert_eq!(served.header("content-type"), Some("application/json"));
    assert_eq!(served.json(), document());
    assert_eq!(served.json()["openapi"], "3.1.0");
    assert_eq!(served.json()["info"]["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn every_documented_path_and_method_is_served_and_no_other_method_is() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    let document = document();
    for (path, listener) in paths(&guard, &document) {
        for method in METHODS {
            let answer = request(listener, method, &concrete(&path), &[], "{}");
            let item = &document["paths"][&path][method.to_lowercase()];
            if item.is_object() {
                assert_ne!(answer.status, 405, "{method} {path}");
                assert!(!answer.body.contains(NO_SUCH_PATH), "{method} {path}");
                is_documented(&document, &path, method, &answer);
            } else {
                answer.is_error(405, "no-such-method", "/openapi.json");
            }
        }
    }
}

/// The routers' own source, so that a new route without documentation fails here.
#[test]
fn every_route_in_the_source_is_documented() {
    let source = include_str!("../../../server/src/http/mod.rs");
    let routes: BTreeSet<&str> =
        source.split(".route(").skip(1).map(|rest| rest.split('"').nth(1).unwrap()).collect();
    let document = document();
    let documented: BTreeSet<&str> =
        document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(routes, documented);
    assert!(10 < routes.len());
}

#[test]
fn every_kind_of_answer_is_documented() {
    let home = TestHome::with_keys(2);
    home.add_config("[limits]\nmax_body_bytes = 20000\nbody_timeout_ms = 200");
    let guard = home.start();
    let document = document();
    let one = "/api/v1/eth2/sign/{public_key}";
    let seen = |path: &str, method: &str, headers: &[(&str, &str)], body: &str, status: u16| {
        let answer = guard.request(method, &concrete(path), headers, body);
        assert_eq!(answer.status, status, "{answer:?}");
        is_documented(&document, path, method, &answer);
    };
    let sign = |body: &Value, status| seen(one, "POST", &[], &body.to_string(), status);
    sign(&block(5, 1), 200);
    sign(&attestation(1, 2, 1), 200);
    seen(one, "POST", &[("Accept", "text/plain")], &randao(1).to_string(), 200);
    for refused in [block(5, 2), block(1, 1), attestation(1, 2, 2), attestation(3, 1, 1), exit(1)] {
        sign(&refused, 412);
    }
    let mut elsewhere = randao(1);
    elsewhere["fork_info"]["genesis_validators_root"] = json!(root(8));
    sign(&elsewhere, 412);
    let mut other_root = randao(1);
    other_root["signingRoot"] = json!(root(8));
    sign(&other_root, 400);
    seen(one, "POST", &[], "{", 400);
    seen(one, "POST", &[], &"x".repeat(30_000), 413);
    seen(one, "POST", &[("Authorization", "Bearer wrong")], "{}", 401);
    seen(one, "POST", &[("Origin", "https://a.example")], "{}", 403);
    let unknown = guard.sign(KEYS[3], &randao(1));
    assert_eq!(unknown.status, 404);
    is_documented(&document, one, "POST", &unknown);
    let many = batch(&[KEYS[0], KEYS[3], KEYS[1]], &attestation(1, 2, 2)).to_string();
    seen("/api/v1/eth2/sign", "POST", &[], &many, 200);
    home.succeeds(&["stop-line", "--at-or-above", "10"]);
    sign(&block(90, 2), 412);
    seen("/api/v1/eth2/highWatermark", "GET", &[], "", 200);
    let bearer = format!("Bearer {}", home.token());
    let manager = [("Authorization", bearer.as_str())];
    seen("/eth/v1/keystores", "GET", &manager, "", 200);
    let import = json!({ "keystores": ["{}"], "passwords": ["x"], "slashing_protection": "" });
    seen("/eth/v1/keystores", "POST", &manager, &import.to_string(), 200);
    let delete = json!({ "pubkeys": [KEYS[1], KEYS[3]] }).to_string();
    seen("/eth/v1/keystores", "DELETE", &manager, &delete, 200);
    seen("/reload", "POST", &[], "", 202);
}

#[test]
fn the_schemas_name_every_signing_type() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    let codes: Vec<&str> = SigningType::ALL.iter().map(|kind| kind.code()).collect();
    assert_eq!(schemas["SigningType"]["enum"], json!(codes));
    let mapping = schemas["SigningRequest"]["discriminator"]["mapping"].as_object().unwrap();
    assert_eq!(mapping.len(), codes.len());
    for code in codes {
        let schema = document.pointer(&mapping[code].as_str().unwrap()[1..]).unwrap();
        assert_eq!(schema["properties"]["type"]["const"], code);
    }
    let batch: Vec<&str> = SigningType::ALL
        .iter()
        .filter(|kind| kind.is_for_batch())
        .map(|kind| mapping[kind.code()].as_str().unwrap())
        .collect();
    let documented = &schemas["Batch"]["properties"]["signing_request"]["oneOf"];
    let documented: BTreeSet<&str> =
        documented.as_array().unwrap().iter().map(|one| one["$ref"].as_str().unwrap()).collect();
    assert_eq!(documented, batch.into_iter().collect());
}

#[test]
fn the_schemas_hold_for_real_requests_and_not_for_broken_ones() {
    let document = document();
    let schema = json!({ "$ref": "#/components/schemas/SigningRequest" });
    let text = include_str!("../../../ethereum/tests/vectors/specification.json");
    let samples: Value = serde_json::from_str(text).unwrap();
    let mut kinds = BTreeSet::new();
    for sample in samples["requests"].as_array().unwrap() {
        let body = &sample["body"];
        let faults = check(&document, &schema, body);
        assert!(faults.is_empty(), "{}: {faults:?}", sample["name"]);
        let kind = body["type"].as_str().unwrap();
        kinds.insert(kind.to_owned());
        let mut broken = body.clone();
        broken["type"] = json!("TAX");
        assert!(!check(&document, &schema, &broken).is_empty());
        if !body["fork_info"].is_null() {
            let mut broken = body.clone();
            broken["fork_info"]["fork"]["epoch"] = json!(5);
            assert!(!check(&document, &schema, &broken).is_empty(), "{kind}");
        }
    }
    assert_eq!(kinds.len(), SigningType::ALL.len());
}
