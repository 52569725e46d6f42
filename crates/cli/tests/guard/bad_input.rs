//! Requests that no correct client sends: each gets an answer that says what to do.

use serde_json::{Value, json};

use crate::support::duty::{attestation, batch, block, randao, root};
use crate::support::home::{KEYS, TestHome};
use crate::support::http::{Connection, head};

fn path(key: &str) -> String {
    format!("/api/v1/eth2/sign/{key}")
}

#[test]
fn malformed_json_is_400_and_names_the_place() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    for body in ["", "{", "nonsense", "{\"type\": \"BLOCK_V2\"", "\u{feff}{}"] {
        let answer = guard.request("POST", &path(KEYS[0]), &[], body);
        answer.is_error(400, "malformed-json", "send one JSON object");
    }
}

#[test]
fn wrong_types_are_400_and_name_the_field() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    let mut number = block(5, 1);
    number["beacon_block"]["block_header"]["slot"] = json!(true);
    guard.sign(KEYS[0], &number).is_error(400, "bad-field", "slot");
    let mut list = attestation(1, 2, 1);
    list["attestation"]["source"] = json!([1, 2]);
    guard.sign(KEYS[0], &list).is_error(400, "bad-field", "source");
    guard.sign(KEYS[0], &json!({ "type": 7 })).is_error(400, "bad-field", "type");
    guard.sign(KEYS[0], &json!({ "type": "TAX" })).is_error(400, "unknown-type", "BLOCK_V2");
    guard.sign(KEYS[0], &json!({})).is_error(400, "missing-field", "type");
    guard.sign(KEYS[0], &json!([])).is_error(400, "bad-field", "");
    let mut no_fork = randao(3);
    no_fork.as_object_mut().unwrap().remove("fork_info");
    guard.sign(KEYS[0], &no_fork).is_error(400, "missing-field", "fork_info");
}

#[test]
fn wrong_hex_length_is_400_and_names_the_field() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    for bad in ["0x", "0x00", &root(1)[..65], &format!("{}0", root(1)), "zz", &"0".repeat(70_000)] {
        let mut request = block(5, 1);
        request["beacon_block"]["block_header"]["body_root"] = json!(bad);
        guard.sign(KEYS[0], &request).is_error(400, "bad-field", "body_root");
    }
    let short = &KEYS[0][..90];
    guard.sign(short, &block(5, 1)).is_error(404, "unknown-key", "palisade keys list");
}

#[test]
fn a_body_of_10_mb_is_413_also_for_a_client_that_sends_it_all_first() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    let body = "x".repeat(10_000_000);
    let answer = guard.request("POST", &path(KEYS[0]), &[], &body);
    answer.is_error(413, "body-too-large", "max_body_bytes");
    // Without a length, so that only counting helps.
    let mut chunked = Connection::open(guard.listen);
    chunked
        .send(b"POST /api/v1/eth2/sign HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        .unwrap();
    for _ in 0..10 {
        chunked.send(format!("f4240\r\n{}\r\n", "y".repeat(1_000_000)).as_bytes()).unwrap();
    }
    chunked.send(b"0\r\n\r\n").unwrap();
    chunked.answer().unwrap().is_error(413, "body-too-large", "max_body_bytes");
}

#[test]
fn a_client_that_asks_before_it_sends_10_mb_is_told_at_once() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    let mut connection = Connection::open(guard.listen);
    let head = head("POST", &path(KEYS[0]), &[("Expect", "100-continue")], 10_000_000);
    connection.send(head.as_bytes()).unwrap();
    connection.answer().unwrap().is_error(413, "body-too-large", "max_body_bytes");
    assert!(connection.is_closed());
}

#[test]
fn a_path_of_5_kb_is_404_and_is_not_repeated_whole() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    // A public key of 2,592 bytes, as post-quantum schemes have.
    let answer = guard.sign(&format!("0x{}", "ab".repeat(2_592)), &block(5, 1));
    answer.is_error(404, "unknown-key", "palisade keys import");
    let answer = guard.get(&format!("/{}", "long/".repeat(1_000)));
    answer.is_error(404, "no-such-path", "/openapi.json");
    let answer = guard.request("POST", "/api/v1/eth2/sign/%ff%fe", &[], "{}");
    answer.is_error(404, "unknown-key", "palisade keys list");
}

#[test]
fn an_endless_head_is_refused() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    let mut connection = Connection::open(guard.listen);
    connection.send(b"GET /upcheck HTTP/1.1\r\nHost: a\r\n").unwrap();
    let line = format!("X-Long: {}\r\n", "z".repeat(1_000));
    // The guard may stop reading, and reset, before all is sent.
    let sent = (0..200).try_for_each(|_| connection.send(line.as_bytes()));
    match connection.answer() {
        Ok(answer) => assert_eq!(answer.status, 431),
        Err(_) => assert!(sent.is_err() || connection.is_closed()),
    }
    assert_eq!(guard.get("/upcheck").status, 200);
}

#[test]
fn an_ambiguous_length_never_makes_two_requests_of_one() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    let smuggled = "GET /api/v1/eth2/publicKeys HTTP/1.1\r\nHost: a\r\n\r\n";
    for lengths in [
        format!("Content-Length: 0\r\nContent-Length: {}\r\n", smuggled.len()),
        "Content-Length: +5\r\n".to_owned(),
        "Transfer-Encoding: gzip\r\n".to_owned(),
        "Transfer-Encoding: chunked, identity\r\n".to_owned(),
    ] {
        let mut connection = Connection::open(guard.listen);
        let text = format!("POST /reload HTTP/1.1\r\nHost: a\r\n{lengths}\r\n{smuggled}");
        connection.send(text.as_bytes()).unwrap();
        assert_eq!(connection.answer().unwrap().status, 400, "{lengths}");
        assert!(connection.is_closed(), "{lengths}");
    }
}

#[test]
fn a_slow_body_is_408_within_the_configured_time_and_nothing_is_recorded() {
    let home = TestHome::with_keys(1);
    home.add_config("[limits]\nbody_timeout_ms = 300");
    let guard = home.start();
    let body = block(5, 1).to_string();
    let mut slow = Connection::open(guard.listen);
    slow.send(head("POST", &path(KEYS[0]), &[], body.len()).as_bytes()).unwrap();
    for byte in body.as_bytes()[..20].chunks(1) {
        slow.send(byte).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    // Nothing more comes: only the time-out can end this.
    slow.answer().unwrap().is_error(408, "body-too-slow", "body_timeout_ms");
    assert!(slow.is_closed());
    assert_eq!(guard.sign(KEYS[0], &block(5, 2)).status, 200, "slot 5 is still free");
}

/// One sends nothing at all, the other a header that never ends, byte by byte.
#[test]
fn a_connection_without_a_request_is_closed_and_makes_room() {
    let home = TestHome::with_keys(1);
    home.add_config("[limits]\nbody_timeout_ms = 300\nmax_connections = 2");
    let guard = home.start();
    let mut silent = Connection::open(guard.listen);
    let mut dribbling = Connection::open(guard.listen);
    dribbling.send(b"POST /api/v1/eth2/sign HTTP/1.1\r\nX-Slow: ").unwrap();
    let waiting = std::thread::spawn({
        let address = guard.listen;
        move || crate::support::http::request(address, "GET", "/upcheck", &[], "")
    });
    // Each byte comes soon after the one before it; what ends this is the whole head's time.
    while dribbling.send(b"a").is_ok() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(silent.is_closed());
    assert_eq!(waiting.join().unwrap().status, 200, "the third came in when there was room");
}

#[test]
fn a_half_closed_connection_still_gets_its_answer() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    let body = block(5, 1).to_string();
    let mut connection = Connection::open(guard.listen);
    connection.send(head("POST", &path(KEYS[0]), &[], body.len()).as_bytes()).unwrap();
    connection.send(body.as_bytes()).unwrap();
    connection.finish_sending();
    assert!(connection.answer().unwrap().signature().starts_with("0x"));
}

#[test]
fn half_a_body_is_400_and_nothing_is_recorded() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    let body = block(5, 1).to_string();
    let mut connection = Connection::open(guard.listen);
    connection.send(head("POST", &path(KEYS[0]), &[], body.len()).as_bytes()).unwrap();
    connection.send(&body.as_bytes()[..body.len() / 2]).unwrap();
    connection.finish_sending();
    connection.answer().unwrap().is_error(400, "body-incomplete", "send the request again");
    assert_eq!(guard.sign(KEYS[0], &block(5, 2)).status, 200, "slot 5 is still free");
}

#[test]
fn an_unknown_key_is_404() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    for key in [KEYS[1], "0x", "nonsense", "0xzz"] {
        guard.sign(key, &block(5, 1)).is_error(404, "unknown-key", "palisade keys import");
    }
}

#[test]
fn a_wrong_genesis_root_is_412_with_both_roots() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    for mut request in [block(5, 1), attestation(1, 2, 1), randao(1)] {
        request["fork_info"]["genesis_validators_root"] = json!(root(9));
        let answer = guard.sign(KEYS[0], &request);
        answer.is_error(
            412,
            "wrong-genesis-validators-root",
            "point the client at the right guard",
        );
        let evidence = &answer.json()["evidence"];
        assert_eq!(evidence["asked"]["genesis_validators_root"], root(9));
        assert_eq!(
            evidence["forbidden_by"]["genesis_validators_root"],
            crate::support::duty::GENESIS
        );
    }
}

#[test]
fn a_signing_root_that_differs_is_400_and_nothing_is_recorded() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    for name in ["signingRoot", "signing_root"] {
        let mut request = block(5, 1);
        request[name] = json!(root(9));
        let answer = guard.sign(KEYS[0], &request);
        answer.is_error(400, "signing-root-mismatch", "same network and preset");
        let computed = answer.json()["evidence"]["computed"].clone();
        request[name] = computed;
        assert_eq!(guard.sign(KEYS[0], &request).status, 200, "{name}");
    }
    assert_eq!(guard.sign(KEYS[0], &block(6, 2)).status, 200);
}

#[test]
fn a_source_after_its_target_is_412() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    let answer = guard.sign(KEYS[0], &attestation(3, 2, 1));
    answer.is_error(412, "source-after-target", "the source epoch is after the target epoch");
    assert_eq!(answer.json()["evidence"]["asked"]["source_epoch"], "3");
    assert_eq!(guard.sign(KEYS[0], &attestation(1, 2, 1)).status, 200, "nothing was recorded");
}

#[test]
fn the_largest_numbers_are_neither_a_panic_nor_a_way_around() {
    let home = TestHome::with_keys(4);
    let guard = home.start();
    let max = u64::MAX;
    assert_eq!(guard.sign(KEYS[0], &block(max, 1)).status, 200);
    guard.sign(KEYS[0], &block(max, 2)).is_error(412, "double-proposal", "");
    guard.sign(KEYS[0], &block(0, 1)).is_error(412, "proposal-behind", "");
    let mut vote = attestation(max, max, 1);
    vote["attestation"]["slot"] = json!(max.to_string());
    vote["attestation"]["index"] = json!(max.to_string());
    assert_eq!(guard.sign(KEYS[1], &vote).status, 200);
    guard.sign(KEYS[1], &attestation(max - 1, max, 2)).is_error(412, "double-vote", "");
    guard.sign(KEYS[1], &attestation(0, 1, 2)).is_error(412, "target-behind", "");
    guard.sign(KEYS[2], &attestation(max, 0, 1)).is_error(412, "source-after-target", "");
    assert_eq!(guard.sign(KEYS[2], &randao(max)).status, 200);
    for beyond in ["18446744073709551616", "-1", "1e3", "0x10", " 5", ""] {
        let mut request = block(5, 1);
        request["beacon_block"]["block_header"]["slot"] = json!(beyond);
        guard.sign(KEYS[3], &request).is_error(400, "bad-field", "slot");
    }
    let (status, _) = guard.stop();
    assert!(status.success());
    home.succeeds(&["journal", "verify"]);
}

#[test]
fn a_batch_that_cannot_be_meant_is_refused_whole() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    let post = |body: Value| guard.post("/api/v1/eth2/sign", &body);
    post(json!({})).is_error(400, "missing-field", "identifiers");
    post(batch(&[], &randao(1))).is_error(400, "bad-field", "at least one key");
    post(batch(&["0x12"], &randao(1))).is_error(400, "bad-field", "identifiers");
    post(batch(&KEYS[..1], &block(5, 1))).is_error(400, "not-for-batch", "path of that key");
    post(batch(&KEYS[..1], &json!({}))).is_error(400, "missing-field", "signing_request.type");
    let many = vec![KEYS[0]; 16_385];
    post(batch(&many, &randao(1))).is_error(400, "too-many-identifiers", "split it");
}
