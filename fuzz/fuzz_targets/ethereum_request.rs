//! Bodies of requests to sign: none may crash the parser, and one body has one meaning.
#![no_main]

use libfuzzer_sys::fuzz_target;
use palisade_ethereum::{Network, parse_request};

fuzz_target!(|body: &[u8]| {
    for name in ["mainnet", "minimal"] {
        let Some(network) = Network::built_in(name) else { panic!("{name} is built in") };
        let read = parse_request(body, &network);
        assert_eq!(read, parse_request(body, &network));
        if let Err(error) = read {
            assert!(error.to_string().len() < 1024, "an error repeats too much of the request");
        }
    }
});
