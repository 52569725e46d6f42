//! Stored journal entries: whatever decodes has exactly one encoding, and a replay answers to it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use palisade_protect::journal::{Entry, GENESIS, Replay, chain};

fuzz_target!(|bytes: &[u8]| {
    let mut replay = Replay::new();
    let replayed = replay.apply(bytes, &chain(&GENESIS, bytes));
    match Entry::decode(bytes) {
        Ok(entry) => assert_eq!(entry.encode(), bytes),
        Err(_) => assert!(replayed.is_err()),
    }
});
