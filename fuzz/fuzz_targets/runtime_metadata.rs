//! Metadata of runtimes: none may crash the reader, and what it finds is bounded.
#![no_main]

use libfuzzer_sys::fuzz_target;
use palisade_substrate::metadata::set_keys;

fuzz_target!(|metadata: &[u8]| {
    let Ok(found) = set_keys(metadata) else { return };
    assert!((1..=64).contains(&found.keys.len()));
    assert!(found.keys.iter().all(|key| key.name.len() < metadata.len()));
});
