//! Stored journal entries: whatever decodes is written in one encoding, and a replay answers to it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use palisade_protect::journal::{Entry, GENESIS, Replay, chain};

fuzz_target!(|bytes: &[u8]| {
    let mut replay = Replay::new();
    let replayed = replay.apply(bytes, &chain(&GENESIS, bytes));
    match Entry::decode(bytes) {
        Ok(entry) => {
            // Byte for byte, but for session keys' records of version 1, which are read alone.
            let encoded = entry.encode();
            assert_eq!(encoded.len(), bytes.len());
            assert_eq!(Entry::decode(&encoded), Ok(entry));
        }
        Err(_) => assert!(replayed.is_err()),
    }
});
