//! Requests and their full answers as text, in `tests/http`: what a client developer would look up.
//!
//! Keys and messages are fixed, so that signatures are. `UPDATE_SNAPSHOTS=1` writes the files anew.
//! Left out of an answer: its date and its length.

use std::fmt::Write;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::Guard;
use crate::support::duty::{attestation, batch, block, exit, randao, root};
use crate::support::home::{KEYS, TestHome};
use crate::support::http::Answer;

/// Requests of one guard, in order, and their answers.
struct Transcript<'a> {
    guard: &'a Guard,
    text: String,
}

impl<'a> Transcript<'a> {
    fn new(guard: &'a Guard) -> Self {
        Self { guard, text: String::new() }
    }

    fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> &mut Self {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.guard.request(method, path, headers, &body);
        let separator = if self.text.is_empty() { "" } else { "\n" };
        writeln!(self.text, "{separator}> {method} {path}").unwrap();
        for (name, value) in headers {
            writeln!(self.text, "> {name}: {value}").unwrap();
        }
        if !body.is_empty() {
            writeln!(self.text, ">\n> {body}").unwrap();
        }
        self.answered(&answer);
        self
    }

    fn answered(&mut self, answer: &Answer) {
        writeln!(self.text, "< {} {}", answer.status, answer.reason).unwrap();
        for (name, value) in &answer.headers {
            if name != "date" && name != "content-length" {
                writeln!(self.text, "< {name}: {value}").unwrap();
            }
        }
        writeln!(self.text, "<\n< {}", answer.body).unwrap();
    }

    fn get(&mut self, path: &str) -> &mut Self {
        self.ask("GET", path, &[], &Value::Null)
    }

    fn sign(&mut self, body: &Value) -> &mut Self {
        self.ask("POST", &format!("/api/v1/eth2/sign/{}", KEYS[0]), &[], body)
    }

    #[track_caller]
    fn is(&self, name: &str) {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/http").join(name);
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            std::fs::write(&path, &self.text).unwrap();
            return;
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            expected == self.text,
            "{} differs; UPDATE_SNAPSHOTS=1 writes it anew. Now it is:\n{}",
            path.display(),
            self.text
        );
    }
}

#[test]
fn signing() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    let path = format!("/api/v1/eth2/sign/{}", KEYS[0]);
    let mut transcript = Transcript::new(&guard);
    transcript.sign(&block(5, 1)).sign(&attestation(1, 2, 1)).sign(&randao(3));
    transcript.ask("POST", &path, &[("Accept", "text/plain")], &randao(3));
    transcript.is("signing.txt");
}

#[test]
fn refusals() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    guard.sign(KEYS[0], &block(5, 1)).signature();
    guard.sign(KEYS[0], &attestation(2, 6, 1)).signature();
    let mut transcript = Transcript::new(&guard);
    transcript.sign(&block(5, 2)).sign(&block(4, 2)).sign(&attestation(2, 6, 2));
    transcript.sign(&attestation(1, 7, 2)).sign(&attestation(3, 5, 2)).sign(&attestation(9, 8, 2));
    transcript.sign(&exit(1));
    let mut elsewhere = randao(1);
    elsewhere["fork_info"]["genesis_validators_root"] = json!(root(9));
    transcript.sign(&elsewhere);
    home.succeeds(&["stop-line", "--at-or-above", "10"]);
    transcript.sign(&block(80, 1)).get("/api/v1/eth2/highWatermark").is("refusals.txt");
}

#[test]
fn mistakes() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    let mut transcript = Transcript::new(&guard);
    let mut short = block(5, 1);
    short["beacon_block"]["block_header"]["body_root"] = json!("0x00");
    let mut other_root = randao(1);
    other_root["signingRoot"] = json!(root(9));
    transcript.sign(&json!({})).sign(&json!("text")).sign(&json!({ "type": "TAX" }));
    transcript.sign(&json!({ "type": "ATTESTATION" })).sign(&short).sign(&other_root);
    transcript.ask("POST", &format!("/api/v1/eth2/sign/{}", KEYS[3]), &[], &randao(1));
    transcript.get("/nowhere").ask("PUT", "/reload", &[], &Value::Null);
    transcript.ask("GET", "/upcheck", &[("Authorization", "Bearer of-nobody")], &Value::Null);
    transcript.get("/eth/v1/keystores");
    let wrong = [("Authorization", "Bearer 0123456789abcdef0123456789abcdef")];
    transcript.ask("GET", "/eth/v1/keystores", &wrong, &Value::Null);
    transcript.ask("GET", "/upcheck", &[("Origin", "https://page.example")], &Value::Null);
    transcript.is("mistakes.txt");
}

#[test]
fn a_batch() {
    let home = TestHome::with_keys(2);
    let guard = home.start();
    guard.sign(KEYS[1], &attestation(1, 2, 1)).signature();
    let mut transcript = Transcript::new(&guard);
    let keys = [KEYS[0], KEYS[1], KEYS[2]];
    transcript.ask("POST", "/api/v1/eth2/sign", &[], &batch(&keys, &attestation(1, 2, 2)));
    transcript.ask("POST", "/api/v1/eth2/sign", &[], &batch(&keys[..1], &block(5, 1)));
    transcript.is("batch.txt");
}

#[test]
fn status() {
    let home = TestHome::with_keys(2);
    let guard = home.start();
    let mut transcript = Transcript::new(&guard);
    transcript.get("/upcheck").get("/healthcheck").get("/api/v1/eth2/publicKeys").get("/reload");
    transcript.get("/api/v1/eth2/highWatermark");
    transcript.ask("POST", "/reload", &[], &Value::Null);
    transcript.is("status.txt");
}
