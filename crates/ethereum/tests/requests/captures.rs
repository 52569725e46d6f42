//! Requests that a real client sent: each is read, and its root is the client's.

use std::collections::BTreeSet;

use crate::samples::captures;

#[test]
fn every_recorded_request_has_the_root_that_the_client_computed() {
    let samples = captures();
    assert_eq!(samples.len(), 22);
    for sample in &samples {
        let request = sample.parse().unwrap_or_else(|error| panic!("{}: {error}", sample.name));
        let sent = sample.body["signingRoot"].as_str().unwrap();
        assert_eq!(request.intent.digest.to_string(), sent, "{}", sample.name);
    }
    let kinds: BTreeSet<_> = samples.iter().map(|sample| sample.kind().to_owned()).collect();
    assert_eq!(kinds.len(), 11);
}

#[test]
fn the_key_in_a_registration_is_named() {
    let registration =
        captures().into_iter().find(|sample| sample.kind() == "VALIDATOR_REGISTRATION").unwrap();
    let request = registration.parse().unwrap();
    let named = registration.body["validator_registration"]["pubkey"].as_str().unwrap();
    assert_eq!(request.named_key.unwrap().to_string(), named);
    assert_eq!(request.check_key(&named.parse().unwrap()), Ok(()));
    let other = palisade_ethereum::PublicKey([7; 48]);
    assert_eq!(request.check_key(&other).unwrap_err().code(), "public-key-mismatch");
}
