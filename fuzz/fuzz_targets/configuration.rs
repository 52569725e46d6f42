//! `palisade.toml`: read or refused, and whatever is read gives a policy or says why not.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use palisade_server::config::Config;

fuzz_target!(|text: &str| {
    let Ok(config) = Config::parse(text) else { return };
    assert!((1..=1 << 30).contains(&config.limits.max_body_bytes), "a limit that bounds nothing");
    // A policy reads the files that the text names; the fuzzer must not choose which.
    if !text.contains("file") {
        drop(config.policy(Path::new("/nonexistent")));
    }
});
