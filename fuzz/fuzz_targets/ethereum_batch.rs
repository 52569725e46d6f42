//! Bodies of batch requests: bounded, never empty, and never of a type that may not be batched.
#![no_main]

use libfuzzer_sys::fuzz_target;
use palisade_ethereum::{MAX_IDENTIFIERS, Network, parse_batch};

fuzz_target!(|body: &[u8]| {
    let Some(network) = Network::built_in("minimal") else { panic!("minimal is built in") };
    match parse_batch(body, &network) {
        Ok(batch) => {
            assert!((1..=MAX_IDENTIFIERS).contains(&batch.identifiers.len()));
            assert!(batch.request.kind.is_for_batch());
        }
        Err(error) => assert!(error.to_string().len() < 1024, "an error repeats too much"),
    }
});
