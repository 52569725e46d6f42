//! Files of raw secret keys: read whole or refused, and no error repeats a line.
#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use palisade_keys::import::raw_hex;

fuzz_target!(|text: &[u8]| {
    match raw_hex(text) {
        Ok(secrets) => {
            let keys: HashSet<_> = secrets.iter().map(|secret| secret.public_key().0).collect();
            assert_eq!(keys.len(), secrets.len(), "a key was read twice");
        }
        Err(error) => assert!(error.to_string().len() < 256, "an error repeats a line"),
    }
});
