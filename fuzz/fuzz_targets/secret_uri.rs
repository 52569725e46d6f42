//! Secret URIs of session keys: read or refused, the same key each time, and no error repeats one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use palisade_keys::{Scheme, SessionSecretKey};

fuzz_target!(|text: &str| {
    for scheme in [Scheme::Sr25519, Scheme::Ed25519, Scheme::Ecdsa] {
        match SessionSecretKey::from_uri(scheme, text) {
            Ok(secret) => {
                let again = SessionSecretKey::from_uri(scheme, &secret.to_uri());
                let again = again.map(|again| again.public_key());
                assert_eq!(again, Ok(secret.public_key()), "what is handed on is another key");
            }
            Err(error) => assert!(error.to_string().len() < 256, "an error repeats the text"),
        }
    }
});
