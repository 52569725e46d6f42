//! What a hostile reader of the server tried: pasts that are not what they are said to be, homes
//! that strangers would teach, and work that is meant to stand in everybody's way.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Output;
use std::sync::{Arc, Barrier};

use palisade_protect::{Bound, Epoch, Slot, StopLine};
use palisade_store::Store;
use serde_json::{Value, json};

use super::key_manager::keystore;
use crate::support::duty::{GENESIS, attestation, batch, block, randao, root};
use crate::support::home::{KEYS, SECRETS, TestHome, text};
use crate::support::http::{Answer, Connection, head};
use crate::support::{Guard, PATIENCE, eventually};

const CLIENT: &str = "client-0123456789abcdef0123";
const MANAGER: &str = "manager-0123456789abcdef0123";
const PASSWORD: &str = "correct horse battery staple";

/// Far above every epoch that the tests sign in, and below what any honest clock says of a network
/// that began in 2020.
const LONG_AGO: u64 = 3_000_000;

/// `keys import-raw` of one secret, whatever comes of it.
fn import(home: &TestHome, secret: &str, past: &[&str]) -> Output {
    let file = home.beside("secret.txt");
    std::fs::write(&file, secret).unwrap();
    let mut command = home.command(&["keys", "import-raw", "--chain", "ethereum", "--type", "bls"]);
    command.args(past).arg(file).output().unwrap()
}

/// A file in which the key signed up to this slot and these epochs.
fn history_file(home: &TestHome, key: &str, root: &str, last: (u64, u64, u64)) -> PathBuf {
    let (slot, source, target) = last;
    let history = json!({
        "metadata": {
            "interchange_format_version": "5", "genesis_validators_root": root,
        },
        "data": [{
            "pubkey": key,
            "signed_blocks": [{ "slot": slot.to_string() }],
            "signed_attestations": [{
                "source_epoch": source.to_string(), "target_epoch": target.to_string(),
            }],
        }],
    });
    let file = home.beside(&format!("history-{}.json", &key[..10]));
    std::fs::write(&file, history.to_string()).unwrap();
    file
}

/// Posts key stores of these secrets as the home's key manager, without a history.
fn post_keystores(home: &TestHome, guard: &Guard, secrets: &[&str]) -> Answer {
    let keystores: Vec<_> = secrets.iter().map(|secret| keystore(secret, PASSWORD)).collect();
    let body = json!({ "keystores": keystores, "passwords": vec![PASSWORD; secrets.len()] });
    let bearer = format!("Bearer {}", home.token());
    let headers = [("Authorization", bearer.as_str())];
    guard.request("POST", "/eth/v1/keystores", &headers, &body.to_string())
}

fn post_as(guard: &Guard, token: &str, path: &str, body: &Value) -> Answer {
    let bearer = format!("Bearer {token}");
    guard.request("POST", path, &[("Authorization", &bearer)], &body.to_string())
}

fn sign_path(key: &str) -> String {
    format!("/api/v1/eth2/sign/{key}")
}

fn elsewhere(mut duty: Value) -> Value {
    duty["fork_info"]["genesis_validators_root"] = json!(root(9));
    duty
}

fn status(home: &TestHome) -> Value {
    serde_json::from_str(&home.succeeds(&["status", "--json"])).unwrap()
}

fn listed(home: &TestHome) -> Value {
    serde_json::from_str(&home.succeeds(&["keys", "list", "--json"])).unwrap()
}

/// A home that is still to learn its network, with one key, a validator client, and a client that
/// may manage keys and nothing else.
fn unlearned_home() -> TestHome {
    let home = TestHome::made_with(&["--network", "minimal"]);
    home.import_raw(&SECRETS[..1], &["--fresh"]);
    let digest = |token| hex::encode(<sha2::Sha256 as sha2::Digest>::digest(token));
    home.write_config(&format!(
        r#"network = "minimal"
[[client]]
name = "validator"
token_sha256 = "{}"
allow = ["attestations"]
[[client]]
name = "manager"
token_sha256 = "{}"
allow = ["key-management"]
"#,
        digest(CLIENT),
        digest(MANAGER),
    ));
    home
}

#[test]
fn a_key_that_signed_here_and_left_does_not_come_back_as_fresh() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    guard.sign(KEYS[0], &attestation(1, 2, 1)).signature();
    home.succeeds(&["keys", "remove", KEYS[0]]);
    let output = import(&home, SECRETS[0], &["--fresh"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    assert!(said.contains("Not fresh, because this home knows messages of theirs: 1 key"));
    let row = listed(&home)[0].clone();
    let present = row["last_target_epoch"].as_u64().unwrap();
    assert!(LONG_AGO < present, "{row}");
    assert!(said.contains(&format!("clock says epoch {present}")), "{said}");
    // It may have signed this somewhere else meanwhile.
    guard.sign(KEYS[0], &attestation(2, 3, 1)).is_error(412, "target-behind", "");
    guard.sign(KEYS[0], &block(1, 1)).is_error(412, "proposal-behind", "");
    guard.sign(KEYS[0], &attestation(present, present + 1, 1)).signature();
}

#[test]
fn a_key_whose_history_was_brought_is_not_fresh_but_comes_with_that_history() {
    let home = TestHome::empty();
    let history_of_third = history_file(&home, KEYS[2], GENESIS, (100, 10, 11));
    let file = history_file(&home, KEYS[1], GENESIS, (100, 10, 11));
    let output = import(&home, SECRETS[1], &["--history", file.to_str().unwrap()]);
    assert_eq!(text(&output.stdout), "Imported 1 key.\n", "{}", text(&output.stderr));
    home.succeeds(&["history", "import", history_of_third.to_str().unwrap()]);
    let output = import(&home, SECRETS[2], &["--fresh"]);
    assert!(text(&output.stdout).contains("Not fresh"), "{}", text(&output.stdout));
    let guard = home.start();
    guard.sign(KEYS[2], &block(101, 1)).is_error(412, "proposal-behind", "");
    guard.sign(KEYS[1], &block(100, 1)).is_error(412, "double-proposal", "");
    guard.sign(KEYS[1], &attestation(10, 11, 1)).is_error(412, "double-vote", "");
    guard.sign(KEYS[1], &block(101, 1)).signature();
    guard.sign(KEYS[1], &attestation(10, 12, 1)).signature();
}

#[test]
fn posting_the_keystore_of_a_key_in_service_again_does_not_silence_it() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    guard.sign(KEYS[0], &attestation(1, 2, 1)).signature();
    // As a program does that posts all its key stores at each start; one of them is new.
    let answer = post_keystores(&home, &guard, &[SECRETS[0], SECRETS[1]]);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["data"][0]["status"], "duplicate");
    assert_eq!(answer.json()["data"][1]["status"], "imported");
    guard.sign(KEYS[0], &attestation(2, 3, 1)).signature();
    guard.sign(KEYS[0], &attestation(2, 3, 2)).is_error(412, "double-vote", "");
    guard.sign(KEYS[1], &attestation(2, 3, 1)).is_error(412, "target-behind", "");
}

#[test]
fn a_client_that_may_not_sign_does_not_teach_a_home_its_network() {
    let home = unlearned_home();
    let guard = home.start();
    for (key, status) in [(KEYS[0], 412), (KEYS[3], 404)] {
        for duty in [elsewhere(attestation(1, 2, 1)), elsewhere(randao(1))] {
            let single = post_as(&guard, MANAGER, &sign_path(key), &duty);
            assert_eq!(single.status, status, "{single:?}");
            let many = post_as(&guard, MANAGER, "/api/v1/eth2/sign", &batch(&[key], &duty));
            assert_eq!(many.json()[0]["error"]["status"], status, "{many:?}");
        }
    }
    // Allowed to sign, but not this.
    let duty = elsewhere(randao(1));
    let path = sign_path(KEYS[0]);
    post_as(&guard, CLIENT, &path, &duty).is_error(412, "policy-denied", "randao");
    assert_eq!(status(&home)["genesis_validators_root"], Value::Null);
    post_as(&guard, CLIENT, &path, &attestation(1, 2, 1)).signature();
    assert_eq!(status(&home)["genesis_validators_root"], GENESIS);
    let late = post_as(&guard, CLIENT, &path, &elsewhere(attestation(2, 3, 1)));
    late.is_error(412, "wrong-genesis-validators-root", "");
}

#[test]
fn a_refused_import_does_not_teach_a_home_its_network() {
    let home = TestHome::made_with(&["--network", "minimal"]);
    let wrong = history_file(&home, KEYS[1], &root(9), (100, 10, 11));
    let refused = || {
        let output = import(&home, SECRETS[0], &["--history", wrong.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
        let said = text(&output.stderr);
        assert!(said.contains(KEYS[0]) && said.contains("nothing was imported"), "{said}");
        assert_eq!(listed(&home), json!([]));
        assert_eq!(status(&home)["genesis_validators_root"], Value::Null);
    };
    refused();
    let guard = home.start();
    refused();
    home.import_raw(&SECRETS[..1], &["--fresh"]);
    guard.sign(KEYS[0], &attestation(1, 2, 1)).signature();
    assert_eq!(status(&home)["genesis_validators_root"], GENESIS);
}

#[test]
fn a_stranger_gets_its_answer_and_the_connection_ends() {
    let home = unlearned_home();
    home.add_config("[limits]\nbody_timeout_ms = 2000");
    let guard = home.start();
    let ends = |mut connection: Connection<_>| {
        let answer = connection.answer().unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, "OK"));
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(connection.is_closed());
    };
    let ask = |headers: &[(&str, &str)], announced, body: &[u8]| {
        let mut connection = Connection::open(guard.listen);
        connection.send(head("GET", "/upcheck", headers, announced).as_bytes()).unwrap();
        connection.send(body).unwrap();
        connection
    };
    let long = vec![b'x'; 6_000_000];
    ends(ask(&[], 0, b""));
    ends(ask(&[], long.len(), &long));
    // It never sends what it announced.
    ends(ask(&[], long.len(), &long[..100]));
    ends(ask(&[("Expect", "100-continue")], long.len(), b""));
    // Another request on the same connection is not served.
    let mut pipelined = Connection::open(guard.listen);
    pipelined.send(head("GET", "/upcheck", &[], 0).repeat(2).as_bytes()).unwrap();
    ends(pipelined);
    // Whoever is known keeps the connection.
    let bearer = format!("Bearer {CLIENT}");
    let mut known = Connection::open(guard.listen);
    for _ in 0..2 {
        let headers = [("Authorization", bearer.as_str())];
        assert_eq!(known.exchange("GET", "/upcheck", &headers, "").unwrap().status, 200);
    }
}

#[test]
fn a_clock_behind_the_journal_does_not_tell_the_present() {
    const YEAR_2096: u64 = 4_000_000_000_000;
    let home = TestHome::with_keys(1);
    let mut store = Store::open(&home.path().join("store.redb")).unwrap().with_clock(|| YEAR_2096);
    let (key, ..) = store.records().next().unwrap();
    let below = Some(Bound { epoch: Epoch(1), slot: Slot(8) });
    store.set_stop_line(&[key], StopLine { below, ..StopLine::default() }).unwrap();
    drop(store);
    let refused = || {
        let output = import(&home, SECRETS[1], &["--from-now"]);
        assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
        let said = text(&output.stderr);
        assert!(said.contains("clock is behind"), "{said}");
        assert!(said.contains("nothing was changed"), "{said}");
        assert_eq!(listed(&home).as_array().unwrap().len(), 1);
    };
    refused();
    let guard = home.start();
    refused();
    let posted = post_keystores(&home, &guard, &[SECRETS[1]]);
    posted.is_error(503, "clock-behind", "Set the clock");
    guard.sign(KEYS[1], &attestation(1, 2, 1)).is_error(404, "unknown-key", "");
    // What needs no clock goes on.
    let duplicate = post_keystores(&home, &guard, &[SECRETS[0]]).json();
    assert_eq!(duplicate["data"][0]["status"], "duplicate");
    guard.sign(KEYS[0], &attestation(1, 2, 1)).signature();
}

/// One line to the admin socket, one line back.
fn ask_admin_socket(home: &TestHome, request: &Value) -> Value {
    let mut stream = UnixStream::connect(home.path().join("admin.sock")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(format!("{request}\n").as_bytes()).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap()
}

/// The command line takes a key out of service, writes its history, and removes it. Here it ends
/// after the first of these.
#[test]
fn a_removal_that_ends_half_way_leaves_a_key_that_does_not_sign_and_can_be_finished() {
    let home = TestHome::with_keys(2);
    let guard = home.start();
    guard.sign(KEYS[0], &attestation(1, 2, 1)).signature();
    guard.sign(KEYS[0], &block(20, 1)).signature();
    assert_eq!(guard.watch("/readyz").status, 200);
    let request = json!({ "command": "keys-retire", "public_keys": [KEYS[0]] });
    let answer = ask_admin_socket(&home, &request);
    assert_eq!(answer["Ok"]["answer"], "history", "{answer}");
    guard.sign(KEYS[0], &attestation(2, 3, 1)).is_error(404, "unknown-key", "");
    guard.sign(KEYS[1], &attestation(2, 3, 1)).signature();
    eventually("it is told", || guard.watch("/readyz").status == 503);
    guard.watch("/readyz").is_error(503, "not-ready", "1 keys have no record in the ledger");
    let removed = home.succeeds(&["keys", "remove", "--json", KEYS[0]]);
    let removed: Value = serde_json::from_str(&removed).unwrap();
    assert_eq!(removed["removed"], json!([KEYS[0]]));
    let file = std::fs::read_to_string(removed["history"].as_str().unwrap()).unwrap();
    let history: Value = serde_json::from_str(&file).unwrap();
    assert_eq!(history["data"].as_array().unwrap().len(), 1);
    assert_eq!(history["data"][0]["pubkey"], KEYS[0]);
    assert_eq!(history["data"][0]["signed_blocks"][0]["slot"], "20");
    assert_eq!(history["data"][0]["signed_attestations"][0]["target_epoch"], "2");
    assert_eq!(listed(&home).as_array().unwrap().len(), 1);
    eventually("it is ready again", || guard.watch("/readyz").status == 200);
}

/// Whether an answer to a batch says of the whole, or of every key, that there is too much to do.
fn is_overloaded(answer: &Answer) -> bool {
    if answer.status == 503 {
        return answer.code() == "overloaded";
    }
    let results = answer.json();
    let results = results.as_array().unwrap();
    let refused = |result: &Value| result["error"]["code"] == "overloaded";
    let refused = results.iter().filter(|result| refused(result)).count();
    let signed = results.iter().filter(|result| result["signature"].is_string()).count();
    assert_eq!(results.len(), 16_384);
    assert_eq!(refused + signed, results.len(), "{:?}", results.first());
    refused == results.len()
}

#[test]
fn long_batches_are_bounded_and_an_honest_vote_is_signed_meanwhile() {
    const CLIENTS: usize = 8;
    let home = TestHome::with_keys(2);
    let guard = home.start();
    let body: Arc<str> = batch(&[KEYS[0]; 16_384], &randao(1)).to_string().into();
    let start = Arc::new(Barrier::new(CLIENTS + 1));
    let address = guard.listen;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (body, start) = (Arc::clone(&body), Arc::clone(&start));
            std::thread::spawn(move || {
                let mut connection = Connection::open(address);
                start.wait();
                connection.exchange("POST", "/api/v1/eth2/sign", &[], &body).unwrap()
            })
        })
        .collect();
    start.wait();
    let mut target = 2;
    while !clients.iter().all(std::thread::JoinHandle::is_finished) {
        guard.sign(KEYS[1], &attestation(1, target, 1)).signature();
        target += 1;
    }
    let answers: Vec<Answer> = clients.into_iter().map(|client| client.join().unwrap()).collect();
    let overloaded = answers.iter().filter(|answer| is_overloaded(answer)).count();
    assert!(0 < overloaded && overloaded < CLIENTS, "{overloaded} of {CLIENTS}");
    // What was taken for them is given back.
    let after = guard.request("POST", "/api/v1/eth2/sign", &[], &body);
    assert!(!is_overloaded(&after), "{:?}", &after.body[..200]);
}

#[test]
fn long_bodies_that_are_malformed_are_400_and_short_ones_are_served_meanwhile() {
    const LONG: usize = 1_500_000;
    let home = TestHome::with_keys(1);
    let guard = home.start();
    let (one, many) = (sign_path(KEYS[0]), "/api/v1/eth2/sign");
    let cut = format!("{{\"type\": \"RANDAO_REVEAL\", \"filler\": \"{}", "a".repeat(LONG));
    let opened = "[".repeat(LONG);
    let deep = format!("{{\"filler\": {}", "[".repeat(LONG));
    let open_end = format!("{}]", batch(&[KEYS[0]; 8_000], &randao(1)));
    for (path, body, code) in [
        (one.as_str(), &cut, "malformed-json"),
        (&one, &deep, "malformed-json"),
        (&one, &opened, "bad-field"),
        (many, &opened, "bad-field"),
        (many, &open_end, "malformed-json"),
    ] {
        guard.request("POST", path, &[], body).is_error(400, code, "");
    }
    let address = guard.listen;
    let senders: Vec<_> = (0..3)
        .map(|_| {
            let (path, body) = (one.clone(), cut.clone());
            std::thread::spawn(move || {
                let mut connection = Connection::open(address);
                let mut ask = || connection.exchange("POST", &path, &[], &body).unwrap();
                (0..20).map(|_| ask()).collect::<Vec<Answer>>()
            })
        })
        .collect();
    let mut target = 2;
    while !senders.iter().all(std::thread::JoinHandle::is_finished) {
        guard.sign(KEYS[0], &attestation(1, target, 1)).signature();
        target += 1;
    }
    let answers = senders.into_iter().flat_map(|sender| sender.join().unwrap());
    for answer in answers {
        match answer.status {
            503 => answer.is_error(503, "overloaded", ""),
            _ => answer.is_error(400, "malformed-json", ""),
        };
    }
}
