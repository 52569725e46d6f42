//! What clients of Web3Signer rely on, as the contract lists it.

use serde_json::json;

use crate::support::duty::{attestation, batch, block, exit, randao, root};
use crate::support::home::{KEYS, SECRETS, TestHome};
use crate::support::http::Answer;

fn sign_as(guard: &crate::support::Guard, accept: Option<&str>) -> Answer {
    let headers: Vec<_> = accept.map(|accept| ("Accept", accept)).into_iter().collect();
    let path = format!("/api/v1/eth2/sign/{}", KEYS[0]);
    guard.request("POST", &path, &headers, &randao(1).to_string())
}

#[test]
fn the_answer_is_json_unless_the_client_asks_for_text_alone() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    let signature = sign_as(&guard, None).signature();
    assert_eq!(signature.len(), 2 + 192);
    let json = [
        None,
        Some("*/*"),
        Some("application/json"),
        Some("text/plain, application/json"),
        Some("application/json;q=0.9, text/plain"),
        Some("text/html, */*;q=0.1"),
    ];
    for accept in json {
        let answer = sign_as(&guard, accept);
        assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
        assert_eq!(answer.signature(), signature, "{accept:?}");
    }
    for accept in ["text/plain", "text/plain; charset=utf-8"] {
        let answer = sign_as(&guard, Some(accept));
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!((answer.status, answer.body), (200, signature.clone()));
    }
}

#[test]
fn a_key_may_be_written_with_or_without_0x_and_in_any_case() {
    let home = TestHome::with_keys(2);
    let guard = home.start();
    let digits = &KEYS[0][2..];
    let expected = guard.sign(KEYS[0], &randao(1)).signature();
    for written in
        [digits.to_owned(), digits.to_uppercase(), format!("0x{}", digits.to_uppercase())]
    {
        assert_eq!(guard.sign(&written, &randao(1)).signature(), expected, "{written}");
    }
    assert_ne!(guard.sign(KEYS[1], &randao(1)).signature(), expected);
}

#[test]
fn public_keys_are_listed_in_order() {
    let home = TestHome::with_keys(4);
    let guard = home.start();
    let mut expected = KEYS;
    expected.sort_unstable();
    let answer = guard.get("/api/v1/eth2/publicKeys");
    assert_eq!((answer.status, answer.json()), (200, json!(expected)));
}

#[test]
fn upcheck_and_healthcheck_answer_as_web3signer_does() {
    let home = TestHome::with_keys(2);
    let guard = home.start();
    let up = guard.get("/upcheck");
    assert_eq!((up.status, up.body.as_str()), (200, "OK"));
    let health = guard.get("/healthcheck");
    assert_eq!(health.status, 200);
    let health = health.json();
    assert_eq!(health["status"], "UP");
    assert_eq!(health["checks"][1]["id"], "slashing-protection-db-health-check");
    assert_eq!(health["checks"][2]["data"], json!({ "keys-loaded": 2, "error-count": 0 }));
}

#[test]
fn a_batch_answers_in_order_and_one_failure_does_not_touch_the_others() {
    let home = TestHome::with_keys(3);
    let guard = home.start();
    guard.sign(KEYS[1], &attestation(1, 2, 1)).signature();
    let asked = [KEYS[2], KEYS[1], KEYS[3], KEYS[0]];
    let answer = guard.post("/api/v1/eth2/sign", &batch(&asked, &attestation(1, 2, 2)));
    assert_eq!(answer.status, 200);
    let results = answer.json();
    let order: Vec<_> =
        results.as_array().unwrap().iter().map(|r| r["identifier"].clone()).collect();
    assert_eq!(json!(order), json!(asked));
    for index in [0, 3] {
        let single = guard.sign(asked[index], &attestation(1, 2, 2)).signature();
        assert_eq!(results[index]["signature"], single);
        assert!(results[index].get("error").is_none());
    }
    let refused = &results[1]["error"];
    assert_eq!((&refused["status"], &refused["code"]), (&json!(412), &json!("double-vote")));
    assert_eq!(refused["evidence"]["forbidden_by"]["last_attestation"]["target_epoch"], "2");
    let unknown = &results[2]["error"];
    assert_eq!((&unknown["status"], &unknown["code"]), (&json!(404), &json!("unknown-key")));
}

#[test]
fn a_batch_that_names_a_key_twice_gets_one_signature_twice() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    let answer =
        guard.post("/api/v1/eth2/sign", &batch(&[KEYS[0], KEYS[0]], &attestation(1, 2, 1))).json();
    assert!(answer[0]["signature"].is_string());
    assert_eq!(answer[0], answer[1]);
}

#[test]
fn a_refusal_shows_what_was_asked_and_the_record_that_forbids_it() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    let sign = |body| guard.sign(KEYS[0], &body);
    assert_eq!(sign(block(5, 1)).status, 200);
    assert_eq!(sign(attestation(2, 6, 1)).status, 200);
    let cases = [
        (block(5, 2), "double-proposal"),
        (block(4, 2), "proposal-behind"),
        (attestation(2, 6, 2), "double-vote"),
        (attestation(1, 7, 2), "surrounding-vote"),
        (attestation(3, 5, 2), "surrounded-vote"),
        (attestation(2, 5, 2), "target-behind"),
    ];
    for (body, code) in cases {
        let answer = sign(body.clone());
        answer.is_error(412, code, "nothing was signed");
        let evidence = &answer.json()["evidence"];
        let (asked, by) = (&evidence["asked"], &evidence["forbidden_by"]);
        assert!(asked["signing_root"].as_str().unwrap().starts_with("0x"), "{answer:?}");
        if body["type"] == "BLOCK_V2" {
            assert_eq!(asked["slot"], body["beacon_block"]["block_header"]["slot"]);
            assert_eq!(by["last_proposal"]["slot"], "5");
        } else {
            assert_eq!(asked["target_epoch"], body["attestation"]["target"]["epoch"]);
            assert_eq!(by["last_attestation"]["source_epoch"], "2");
            assert_eq!(by["last_attestation"]["target_epoch"], "6");
        }
        assert_ne!(asked["signing_root"], by["last_proposal"]["signing_root"]);
    }
    assert_eq!(sign(block(5, 1)).status, 200, "the same block may be signed again");
    assert_eq!(sign(attestation(2, 6, 1)).status, 200, "and so may the same vote");
}

#[test]
fn an_exit_is_denied_unless_palisade_toml_allows_it() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    let denied = guard.sign(KEYS[0], &exit(1));
    denied.is_error(412, "policy-denied", "`allow`");
    assert_eq!(denied.json()["evidence"]["asked"]["operation"], "exits");
    home.configure("\"deposits\"]", "\"deposits\", \"exits\"]");
    assert_eq!(guard.request("POST", "/reload", &[], "").status, 202);
    crate::support::eventually("the reload", || {
        guard.get("/reload").json()["status"] == "completed"
    });
    let first = guard.sign(KEYS[0], &exit(1)).signature();
    assert_eq!(guard.sign(KEYS[0], &exit(1)).signature(), first);
    let (_, _) = guard.stop();
    home.succeeds(&["journal", "verify"]);
}

#[test]
fn the_stop_line_is_the_high_watermark() {
    let home = TestHome::with_keys(2);
    let guard = home.start();
    assert_eq!(guard.get("/api/v1/eth2/highWatermark").json(), json!({}));
    home.succeeds(&["stop-line", "--at-or-above", "10"]);
    let line = guard.get("/api/v1/eth2/highWatermark");
    assert_eq!(line.json(), json!({ "epoch": "10", "slot": "80" }));
    guard.sign(KEYS[0], &block(80, 1)).is_error(412, "at-or-above-stop-line", "stop-line");
    let vote = guard.sign(KEYS[1], &attestation(9, 10, 1));
    vote.is_error(412, "at-or-above-stop-line", "stop-line");
    assert_eq!(vote.json()["evidence"]["forbidden_by"]["stop_line"]["epoch"], "10");
    assert_eq!(guard.sign(KEYS[0], &block(79, 1)).status, 200);
}

#[test]
fn a_home_that_learns_its_network_pins_the_first_root() {
    let home = TestHome::made_with(&["--network", "minimal"]);
    home.import_raw(&SECRETS[..1], &["--fresh"]);
    let guard = home.start();
    let mut first = block(1, 1);
    first["fork_info"]["genesis_validators_root"] = json!(root(7));
    assert_eq!(guard.sign(KEYS[0], &first).status, 200);
    guard.sign(KEYS[0], &block(2, 1)).is_error(412, "wrong-genesis-validators-root", "pinned");
    guard.kill();
    let guard = home.start();
    guard.sign(KEYS[0], &block(2, 1)).is_error(412, "wrong-genesis-validators-root", "pinned");
}

#[test]
fn a_web_page_is_not_served() {
    let home = TestHome::with_keys(1);
    home.configure("[metrics]", "allowed_hosts = [\"127.0.0.1\", \"guard.example\"]\n\n[metrics]");
    let guard = home.start();
    let page = guard.request("GET", "/upcheck", &[("Origin", "https://attacker.example")], "");
    page.is_error(403, "origin-not-allowed", "validator client");
    assert_eq!(page.header("connection"), Some("close"));
    // The first of two Host headers is the client's own, so this is sent by hand.
    for (address, path) in [(guard.listen, "/upcheck"), (guard.metrics, "/healthz")] {
        for (host, status) in [("attacker.example", 403), ("GUARD.example:9000", 200)] {
            let mut connection = crate::support::http::Connection::open(address);
            let text = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
            connection.send(text.as_bytes()).unwrap();
            let answer = connection.answer().unwrap();
            assert_eq!(answer.status, status, "{host} {answer:?}");
        }
    }
}

#[test]
fn the_metrics_listener_has_its_own_paths() {
    let home = TestHome::with_keys(2);
    let guard = home.start();
    guard.sign(KEYS[0], &block(1, 1)).signature();
    guard.sign(KEYS[0], &block(1, 2)).is_error(412, "double-proposal", "");
    assert_eq!(guard.watch("/healthz").json(), json!({ "alive": true }));
    assert_eq!(guard.watch("/readyz").json(), json!({ "ready": true }));
    let metrics = guard.watch("/metrics");
    assert!(metrics.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    for line in [
        "palisade_signing_requests_total{kind=\"BLOCK_V2\",outcome=\"signed\"} 1",
        "palisade_signing_requests_total{kind=\"BLOCK_V2\",outcome=\"double-proposal\"} 1",
        "palisade_http_responses_total{status=\"200\"} 1",
        "palisade_http_responses_total{status=\"412\"} 1",
        "palisade_keys 2",
        "palisade_ready 1",
        "# EOF",
    ] {
        assert!(metrics.body.contains(line), "{line} in {}", metrics.body);
    }
    let page = guard.watch("/");
    assert!(page.body.contains("double-proposal") && page.body.contains(KEYS[1]));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(guard.watch("/console.css").status, 200);
    guard.watch("/api/v1/eth2/publicKeys").is_error(404, "no-such-path", "");
    guard.get("/metrics").is_error(404, "no-such-path", "");
}
