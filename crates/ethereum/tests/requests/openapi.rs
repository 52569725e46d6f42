//! The examples that Web3Signer publishes, each with the signing root that it says.

use crate::samples::openapi;

/// The published root of two examples (Electra and Fulu aggregates) is not the one of their
/// content on any preset: not for 64 or 4 committee bits, nor for any aggregate limit. The
/// executable specification gives this root for both.
const ROOT_OF_ELECTRA_AGGREGATES: &str =
    "0x1180bcb41bda522b3420274c6e4931c37ecf4eef99a57e4d04fc81e82b2ced40";

#[test]
fn every_published_example_has_its_published_root() {
    let examples = openapi();
    assert_eq!(examples.len(), 25);
    let mut differing = Vec::new();
    for sample in examples {
        let published = sample.body["signingRoot"].as_str().unwrap().to_owned();
        let request = sample
            .clone()
            .without_root()
            .parse()
            .unwrap_or_else(|error| panic!("{}: {error}", sample.name));
        let computed = request.intent.digest.to_string();
        if computed != published {
            assert_eq!(computed, ROOT_OF_ELECTRA_AGGREGATES, "{}", sample.name);
            differing.push(sample.name);
        }
    }
    assert_eq!(differing, ["AGGREGATE_AND_PROOF_V2 (FULU)", "AGGREGATE_AND_PROOF_V2 (ELECTRA)"]);
}
