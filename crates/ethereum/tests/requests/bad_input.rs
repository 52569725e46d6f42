//! Requests that must be refused, each with the code that says why.

use palisade_ethereum::{RequestError, parse_request};
use serde_json::{Value, json};

use crate::samples::{network, one_of};

fn refused(body: &[u8]) -> RequestError {
    parse_request(body, &network("mainnet")).unwrap_err()
}

/// A well-formed request of a type with one value replaced.
fn with(kind: &str, path: &str, value: Value) -> Vec<u8> {
    let mut body = one_of(kind).body;
    let (parent, name) = path.rsplit_once('/').unwrap();
    let parent = if parent.is_empty() { &mut body } else { body.pointer_mut(parent).unwrap() };
    match parent {
        Value::Array(elements) => elements[name.parse::<usize>().unwrap()] = value,
        other => other[name] = value,
    }
    body.to_string().into_bytes()
}

fn assert_bad(kind: &str, path: &str, value: Value) {
    let error = refused(&with(kind, path, value.clone()));
    assert_eq!(error.code(), "bad-field", "{kind} {path} {value}: {error}");
    // The message names the field that is wrong, from the top of the request.
    let last = path.rsplit('/').find(|name| name.parse::<usize>().is_err()).unwrap();
    assert!(error.to_string().contains(last), "{kind} {path}: {error}");
}

#[test]
fn what_is_not_json() {
    for body in ["", " ", "{", "{]", "nonsense", "{\"type\":\"BLOCK\"", "{} {}", "\u{feff}{}"] {
        let error = refused(body.as_bytes());
        assert_eq!(error.code(), "malformed-json", "{body:?}: {error}");
    }
    assert_eq!(refused(&[0xff, 0xfe]).code(), "malformed-json");
    assert_eq!(refused(b"{\"type\":\"\xff\"}").code(), "malformed-json");
    let whole = with("ATTESTATION", "/later", json!(1));
    for length in 0..whole.len() {
        assert_eq!(refused(&whole[..length]).code(), "malformed-json", "cut at {length}");
    }
    assert_eq!(refused(&whole[1..]).code(), "bad-field");
}

#[test]
fn ten_megabytes_of_junk() {
    let junk = vec![b'x'; 10 << 20];
    let error = refused(&junk);
    assert_eq!(error.code(), "malformed-json");
    let text = format!("{{\"type\":\"{}\"}}", "x".repeat(10 << 20));
    let error = refused(text.as_bytes());
    assert_eq!(error.code(), "unknown-type");
    assert!(error.to_string().len() < 1000, "the error repeats the request");
    let text = format!("0x{}", "ab".repeat(5 << 20));
    let error = refused(&with("ATTESTATION", "/attestation/beacon_block_root", json!(text)));
    assert_eq!(error.code(), "bad-field");
    assert!(error.to_string().len() < 1000, "the error repeats the request");
}

#[test]
fn deep_nesting() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = format!("{}1{}", open.repeat(500_000), close.repeat(500_000));
        let error = refused(deep.as_bytes());
        assert!(["bad-field", "missing-field"].contains(&error.code()), "{error}");
        let inside = format!("{{\"type\":\"ATTESTATION\",\"attestation\":{deep}}}");
        assert!(["bad-field", "missing-field"].contains(&refused(inside.as_bytes()).code()));
        // Where nothing is read, nesting costs nothing and is not looked at.
        let mut body = one_of("ATTESTATION").body.to_string();
        body.pop();
        let ignored = format!("{body},\"unknown\":{deep}}}");
        assert!(parse_request(ignored.as_bytes(), &network("mainnet")).is_ok());
    }
}

#[test]
fn what_is_not_an_object() {
    for body in ["[]", "1", "\"ATTESTATION\"", "null", "true", "{\"type\":[]}", "{\"type\":5}"] {
        let error = refused(body.as_bytes());
        assert_eq!(error.code(), "bad-field", "{body}: {error}");
    }
}

#[test]
fn unknown_types() {
    for kind in ["", "attestation", "ATTESTATION ", "BLOCK_V3", "GENERIC", "PROOF_OF_VALIDATION"] {
        let error = refused(json!({ "type": kind }).to_string().as_bytes());
        assert_eq!(error.code(), "unknown-type", "{kind}");
        assert!(error.to_string().contains("AGGREGATION_SLOT"), "{error}");
    }
}

#[test]
fn missing_fields() {
    let missing = |body: &[u8], field: &str| {
        let error = refused(body);
        assert_eq!(error, RequestError::MissingField { field: field.to_owned() });
    };
    missing(b"{}", "type");
    missing(b"{\"type\":null}", "type");
    missing(b"{\"type\":\"ATTESTATION\"}", "attestation");
    missing(
        b"{\"type\":\"BLOCK_V2\",\"beacon_block\":{\"version\":\"FULU\"}}",
        "beacon_block.block_header",
    );
    missing(
        b"{\"type\":\"BLOCK_V2\",\"beacon_block\":{\"version\":\"ALTAIR\"}}",
        "beacon_block.block",
    );
    missing(
        &with("ATTESTATION", "/attestation/source", json!({"epoch": "1"})),
        "attestation.source.root",
    );
    missing(
        &with("PROPOSER_PREFERENCES", "/proposer_preferences/data", json!({})),
        "proposer_preferences.data.dependent_root",
    );
}

#[test]
fn missing_fork_info() {
    let unforked = ["DEPOSIT", "VALIDATOR_REGISTRATION", "BUILDER_REQUEST_AUTH"];
    for kind in palisade_ethereum::SigningType::ALL {
        let body = with(kind.code(), "/fork_info", Value::Null);
        let result = parse_request(&body, &network("mainnet"));
        if unforked.contains(&kind.code()) {
            assert!(result.is_ok(), "{kind}");
        } else {
            let expected = RequestError::MissingField { field: "fork_info".to_owned() };
            assert_eq!(result, Err(expected), "{kind}");
        }
    }
}

#[test]
fn numbers_that_are_not_canonical_decimal_strings() {
    let numbers = [
        json!(5),
        json!(-1),
        json!(1.5),
        json!("-1"),
        json!("+1"),
        json!("01"),
        json!("00"),
        json!(""),
        json!(" 1"),
        json!("1 "),
        json!("0x1"),
        json!("1e3"),
        json!("1_000"),
        json!("١"),
        json!("18446744073709551616"),
        json!("99999999999999999999999999"),
        json!(null),
        json!(["1"]),
        json!(true),
    ];
    for number in numbers {
        assert_bad("ATTESTATION", "/attestation/slot", number.clone());
        assert_bad("ATTESTATION", "/attestation/target/epoch", number.clone());
        assert_bad("VOLUNTARY_EXIT", "/voluntary_exit/validator_index", number.clone());
        assert_bad("ATTESTATION", "/fork_info/fork/epoch", number);
    }
    let huge = format!("1{}", "0".repeat(78));
    let path = "/execution_payload_envelope/data/payload/base_fee_per_gas";
    assert_bad("EXECUTION_PAYLOAD_ENVELOPE", path, json!(huge));
}

#[test]
fn the_highest_number_is_read() {
    for (kind, path) in [
        ("ATTESTATION", "/attestation/target/epoch"),
        ("ATTESTATION", "/attestation/slot"),
        ("ATTESTATION", "/fork_info/fork/epoch"),
        ("BLOCK_V2", "/beacon_block/block/slot"),
        ("AGGREGATION_SLOT", "/aggregation_slot/slot"),
        ("VOLUNTARY_EXIT", "/voluntary_exit/epoch"),
        ("PROPOSER_PREFERENCES", "/proposer_preferences/data/proposal_slot"),
    ] {
        let body = with(kind, path, json!(u64::MAX.to_string()));
        assert!(parse_request(&body, &network("mainnet")).is_ok(), "{kind}");
    }
}

#[test]
fn bytes_of_the_wrong_length_or_spelling() {
    let roots = [
        json!(format!("0x{}", "ab".repeat(31))),
        json!(format!("0x{}", "ab".repeat(33))),
        json!(format!("0x{}a", "ab".repeat(31))),
        json!(format!("0x{}zz", "ab".repeat(31))),
        json!(format!("0X{}", "ab".repeat(32))),
        json!("ab".repeat(32)),
        json!("ab".repeat(33)),
        json!("0x"),
        json!(""),
        json!(0),
        json!(null),
    ];
    for root in roots {
        assert_bad("ATTESTATION", "/attestation/beacon_block_root", root.clone());
        assert_bad("ATTESTATION", "/fork_info/genesis_validators_root", root.clone());
        assert_bad("BLOCK_V2", "/beacon_block/block/body/deposits/0/proof/3", root.clone());
        assert_bad("ATTESTATION", "/fork_info/fork/current_version", root);
    }
    for wrong in ["0x1234", "nothing"] {
        assert_bad("ATTESTATION", "/signing_root", json!(wrong));
    }
}

#[test]
fn lists_and_bits_beyond_their_limits() {
    let repeat = |kind: &str, path: &str, count: usize| {
        let all = crate::samples::specification();
        let sample = all.iter().filter(|sample| sample.kind() == kind);
        let mut found = sample.filter_map(|sample| sample.body.pointer(path)?.get(0));
        let element = found.next().expect("an element to repeat").clone();
        assert_bad(kind, path, json!(vec![element; count]));
    };
    let body = "/beacon_block/block/body";
    repeat("BLOCK_V2", &format!("{body}/voluntary_exits"), 17);
    repeat("BLOCK_V2", &format!("{body}/proposer_slashings"), 17);
    repeat("BLOCK_V2", &format!("{body}/attester_slashings"), 3);
    repeat("BLOCK_V2", &format!("{body}/attestations"), 129);
    repeat("BLOCK_V2", &format!("{body}/deposits"), 17);
    repeat("BLOCK_V2", &format!("{body}/deposits/0/proof"), 34);
    repeat("BLOCK_V2", &format!("{body}/deposits/0/proof"), 32);
    let aggregate = "/aggregate_and_proof/data/aggregate/aggregation_bits";
    for bits in [format!("0x{}01", "ff".repeat(257)), "0x".to_owned(), "0x00".to_owned()] {
        assert_bad("AGGREGATE_AND_PROOF_V2", aggregate, json!(bits));
    }
    let contribution = "/contribution_and_proof/contribution/aggregation_bits";
    for bits in ["0xff".to_owned(), format!("0x{}", "ff".repeat(17))] {
        assert_bad("SYNC_COMMITTEE_CONTRIBUTION_AND_PROOF", contribution, json!(bits));
    }
    let payload = "/execution_payload_envelope/data/payload";
    let withdrawal = json!({"index": "1", "validator_index": "1", "amount": "1",
        "address": format!("0x{}", "ab".repeat(20))});
    assert_bad(
        "EXECUTION_PAYLOAD_ENVELOPE",
        &format!("{payload}/withdrawals"),
        json!(vec![withdrawal; 17]),
    );
    assert_bad(
        "EXECUTION_PAYLOAD_ENVELOPE",
        &format!("{payload}/extra_data"),
        json!(format!("0x{}", "ab".repeat(33))),
    );
    let commitment = format!("0x{}", "ab".repeat(48));
    assert_bad(
        "EXECUTION_PAYLOAD_BID",
        "/execution_payload_bid/data/blob_kzg_commitments",
        json!(vec![commitment; 4097]),
    );
    assert_bad(
        "BUILDER_REQUEST_AUTH",
        "/builder_request_auth/data/data",
        json!(format!("0x{}", "ab".repeat(4097))),
    );
}

#[test]
fn a_field_given_twice() {
    let mut body = one_of("ATTESTATION").body.to_string();
    body.pop();
    for field in ["\"type\":\"BLOCK\"", "\"attestation\":{}", "\"fork_info\":{}"] {
        let error = refused(format!("{body},{field}}}").as_bytes());
        assert_eq!(error.code(), "bad-field", "{error}");
        assert!(error.to_string().contains("duplicate field"), "{error}");
    }
    let twice = body.replace("\"epoch\":", "\"epoch\":\"1\",\"epoch\":") + "}";
    assert!(refused(twice.as_bytes()).to_string().contains("duplicate field `epoch`"));
}

#[test]
fn signing_roots_that_do_not_fit() {
    let sample = one_of("ATTESTATION");
    let computed = sample.parse().unwrap().intent.digest;
    let other = palisade_protect::Digest([7; 32]);
    for name in ["/signingRoot", "/signing_root"] {
        let error = refused(&with("ATTESTATION", name, json!(other.to_string())));
        assert_eq!(error, RequestError::SigningRootMismatch { given: other, computed });
        assert_eq!(error.code(), "signing-root-mismatch");
        let body = with("ATTESTATION", name, json!(computed.to_string()));
        assert!(parse_request(&body, &network("mainnet")).is_ok());
    }
    let mut both = sample.body;
    both["signingRoot"] = json!(computed.to_string());
    both["signing_root"] = json!(computed.to_string().to_uppercase().replace("0X", "0x"));
    assert!(parse_request(both.to_string().as_bytes(), &network("mainnet")).is_ok());
    both["signing_root"] = json!(other.to_string());
    assert_eq!(refused(both.to_string().as_bytes()).code(), "bad-field");
}

#[test]
fn versions_that_do_not_fit() {
    for version in ["HEZE", "fulu", "", "0"] {
        assert_bad("BLOCK_V2", "/beacon_block/version", json!(version));
        assert_bad("AGGREGATE_AND_PROOF_V2", "/aggregate_and_proof/version", json!(version));
    }
    for version in ["FULU", "HEZE", "PHASE0"] {
        assert_bad("PROPOSER_PREFERENCES", "/proposer_preferences/version", json!(version));
    }
    // A whole block where only the header is read, and both at once.
    assert_bad("BLOCK_V2", "/beacon_block/version", json!("CAPELLA"));
    let header = json!({"slot": "1"});
    let error = refused(&with("BLOCK_V2", "/beacon_block/block_header", header));
    assert_eq!(error.code(), "bad-field");
}

#[test]
fn a_deposit_for_another_chain() {
    assert_bad("DEPOSIT", "/deposit/genesis_fork_version", json!("0x00000001"));
}

#[test]
fn what_is_unknown_or_for_another_type_is_not_looked_at() {
    let before = one_of("ATTESTATION").parse().unwrap();
    for (field, value) in [("/later", json!({"a": [1]})), ("/block", json!(5))] {
        let body = with("ATTESTATION", field, value);
        assert_eq!(parse_request(&body, &network("mainnet")).unwrap(), before);
    }
    let body = with("ATTESTATION", "/attestation/later", json!(1));
    assert_eq!(parse_request(&body, &network("mainnet")).unwrap(), before);
}

#[test]
fn errors_do_not_print_control_characters() {
    let error = refused(json!({ "type": "\u{1b}[2J\n" }).to_string().as_bytes());
    assert!(!error.to_string().contains(char::is_control), "{error:?}");
}
