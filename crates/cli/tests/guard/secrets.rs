//! What is secret is in no log, however loud, and in no answer.

use serde_json::json;

use super::key_manager::keystore;
use crate::support::duty::{attestation, block, root};
use crate::support::home::{KEYS, SECRETS, TestHome};
use crate::support::{Guard, eventually};

const PASSWORD: &str = "swordfish-of-the-seven-seas";
const WRONG_PASSWORD: &str = "marlin-of-the-eighth-sea";
const WRONG_TOKEN: &str = "token-of-nobody-0123456789";

/// Imports with right and wrong passwords, signs, is refused, sends what cannot be read.
fn a_busy_hour(home: &TestHome, guard: &Guard) -> String {
    let bearer = format!("Bearer {}", home.token());
    let wrong = format!("Bearer {WRONG_TOKEN}");
    let stores = [keystore(SECRETS[0], PASSWORD), keystore(SECRETS[1], WRONG_PASSWORD)];
    let good = json!({ "keystores": stores, "passwords": [PASSWORD, "x"] }).to_string();
    let broken = &good[..good.len() - 5];
    let short = json!({ "keystores": stores, "passwords": [PASSWORD] }).to_string();
    let mut answers = String::new();
    for (token, body) in
        [(&bearer, good.as_str()), (&bearer, broken), (&bearer, &short), (&wrong, &good)]
    {
        let headers = [("Authorization", token.as_str())];
        answers += &guard.request("POST", "/eth/v1/keystores", &headers, body).body;
    }
    home.import_raw(&SECRETS[2..3], &["--fresh"]);
    let path = format!("/api/v1/eth2/sign/{}", KEYS[2]);
    for body in [block(5, 0xdead_beef), block(5, 0xfeed_face), attestation(3, 2, 0xdead_beef)] {
        answers += &guard.sign(KEYS[2], &body).body;
        answers += &guard.request("POST", &path, &[], &body.to_string()[..200]).body;
        answers += &guard.request("POST", &path, &[("Authorization", &wrong)], "{}").body;
    }
    answers
}

/// Everything that must not be seen, in each form that it could take.
fn secrets(home: &TestHome) -> Vec<String> {
    let unlock = std::fs::read_to_string(home.path().join("unlock.secret")).unwrap();
    let mut secrets: Vec<String> =
        [PASSWORD, WRONG_PASSWORD, WRONG_TOKEN, &home.token(), unlock.trim()]
            .map(str::to_owned)
            .into();
    for secret in SECRETS {
        let digits = &secret[2..];
        secrets.push(digits.to_owned());
        secrets.push(digits.to_uppercase());
        let bytes = hex::decode(digits).unwrap();
        secrets.push(format!("{bytes:?}").trim_matches(['[', ']']).to_owned());
    }
    secrets
}

#[track_caller]
fn holds_none(text: &str, secrets: &[String]) {
    for secret in secrets {
        assert!(!text.contains(secret.as_str()), "{secret} is in: {text}");
    }
}

fn loud(home: &TestHome, filter: &str, format: &str) -> Guard {
    let mut command = home.run_command();
    command.env("RUST_LOG", filter).args(["--log-format", format]);
    Guard::start(command)
}

/// At trace level of everything. The HTTP and TLS libraries are built without logging of their own,
/// so that a level cannot make them print what they carry; this notices if that changes.
#[test]
fn no_secret_and_no_body_is_in_the_loudest_log() {
    for format in ["text", "json"] {
        let home = TestHome::empty();
        let guard = loud(&home, "trace", format);
        let answers = a_busy_hour(&home, &guard);
        eventually("the refusal is logged", || guard.log().contains("double-proposal"));
        let (_, log) = guard.stop();
        let secrets = secrets(&home);
        holds_none(&log, &secrets);
        holds_none(&answers, &secrets);
        // Of a body: a value that nothing derives from it, and the shape of its JSON.
        for body in [root(0xdead_beef), root(0xfeed_face), "body_root".to_owned()] {
            assert!(!log.contains(&body), "{body} is in: {log}");
        }
        assert!(!log.contains("\"ciphertext\"") && !log.contains("checksum"), "{log}");
    }
}

#[test]
fn each_refusal_is_one_line_and_a_flood_of_them_is_cut() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    guard.sign(KEYS[0], &block(5, 1)).signature();
    for salt in 2..=500 {
        guard.sign(KEYS[0], &block(5, salt)).is_error(412, "double-proposal", "");
    }
    let (_, log) = guard.stop();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("not signed")).collect();
    assert!(!lines.is_empty() && lines.len() < 400, "{} lines", lines.len());
    assert!(lines.iter().all(|line| line.len() < 600), "{lines:?}");
    let first = lines[0];
    for part in ["client=\"local\"", KEYS[0], "BLOCK_V2", "double-proposal"] {
        assert!(first.contains(part), "{part} in {first}");
    }
}

/// The console, the metrics and the status show keys and refusals, and no secret either.
#[test]
fn nothing_that_is_shown_holds_a_secret() {
    let home = TestHome::empty();
    let guard = loud(&home, "info", "text");
    a_busy_hour(&home, &guard);
    let mut shown = String::new();
    for path in ["/", "/metrics", "/readyz", "/healthz"] {
        shown += &guard.watch(path).body;
    }
    shown += &guard.get("/reload").body;
    shown += &home.succeeds(&["status", "--json"]);
    shown += &home.succeeds(&["keys", "list", "--json"]);
    shown += &serde_json::to_string(&home.history()).unwrap();
    assert!(shown.contains(KEYS[2]));
    holds_none(&shown, &secrets(&home));
}
