//! JSON-RPC messages: none may crash the reader, whatever is answered is JSON-RPC 2.0, and no
//! message gets more answers, or longer ones, than its calls are worth.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use palisade_server::core::rpc_instead;
use palisade_server::link::message::Reply;
use serde_json::value::RawValue;

/// The most calls of a batch, and more than the longest id and our own words have.
const MAX_BATCH: usize = 64;
const MAX_ANSWER_BYTES: usize = 512;

/// An id is repeated as it came, also if no value here could hold it: it stays text.
type Answer<'a> = BTreeMap<String, &'a RawValue>;

fn check(answer: &Answer<'_>) {
    assert_eq!(answer["jsonrpc"].get(), "\"2.0\"");
    assert!(!answer["id"].get().starts_with(['{', '[', 't', 'f']));
    let error: serde_json::Value = serde_json::from_str(answer["error"].get()).unwrap();
    assert!(error["code"].is_i64() && error["data"]["code"].is_string());
    assert_eq!(answer.len(), 3);
}

fuzz_target!(|message: &[u8]| {
    let reply = Reply::error(503, "overloaded", "too much is under way");
    let Some(answer) = rpc_instead(message, &reply) else { return };
    if answer.starts_with('[') {
        let answers: Vec<Answer<'_>> = serde_json::from_str(&answer).unwrap();
        assert!((1..=MAX_BATCH).contains(&answers.len()));
        assert!(answer.len() <= answers.len() * MAX_ANSWER_BYTES);
        answers.iter().for_each(check);
    } else {
        assert!(answer.len() <= MAX_ANSWER_BYTES);
        check(&serde_json::from_str(&answer).unwrap());
    }
});
