//! Batches: which types may have one, and what their list of keys may hold.

use palisade_ethereum::{BatchRequest, MAX_IDENTIFIERS, PublicKey, RequestError, SigningType};
use palisade_ethereum::{parse_batch, parse_request};
use serde_json::{Value, json};

use crate::samples::{network, one_of};

fn batch(identifiers: &Value, request: &Value) -> Result<BatchRequest, RequestError> {
    let body = json!({ "identifiers": identifiers, "signing_request": request });
    parse_batch(body.to_string().as_bytes(), &network("mainnet"))
}

fn key(number: u64) -> PublicKey {
    let mut bytes = [0xab; 48];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    PublicKey(bytes)
}

#[test]
fn a_batch_is_its_request_for_each_key_in_order() {
    let sample = one_of("ATTESTATION");
    let keys = [key(2), key(1), key(2)];
    let bare = key(1).to_string()[2..].to_uppercase();
    let read = batch(&json!([key(2), bare, key(2)]), &sample.body).unwrap();
    assert_eq!(read.identifiers, keys);
    let alone = parse_request(sample.body.to_string().as_bytes(), &network("mainnet")).unwrap();
    assert_eq!(read.request, alone);
}

#[test]
fn types_that_belong_to_one_key_have_no_batch() {
    let allowed = [
        "ATTESTATION",
        "AGGREGATION_SLOT",
        "RANDAO_REVEAL",
        "SYNC_COMMITTEE_MESSAGE",
        "SYNC_COMMITTEE_SELECTION_PROOF",
        "SYNC_COMMITTEE_CONTRIBUTION_AND_PROOF",
        "PAYLOAD_ATTESTATION_MESSAGE",
    ];
    for kind in SigningType::ALL {
        let result = batch(&json!([key(1)]), &one_of(kind.code()).body);
        match result {
            Ok(_) => assert!(allowed.contains(&kind.code()), "{kind}"),
            Err(error) => {
                assert_eq!(error, RequestError::NotForBatch { kind });
                assert!(!allowed.contains(&kind.code()), "{kind}");
            }
        }
    }
}

#[test]
fn the_list_of_keys_is_bounded() {
    let request = one_of("RANDAO_REVEAL").body;
    let keys = |count: usize| json!((0..count as u64).map(key).collect::<Vec<_>>());
    let most = batch(&keys(MAX_IDENTIFIERS), &request).unwrap();
    assert_eq!(most.identifiers.len(), MAX_IDENTIFIERS);
    let error = batch(&keys(MAX_IDENTIFIERS + 5), &request).unwrap_err();
    assert_eq!(error, RequestError::TooManyIdentifiers);
    assert!(error.to_string().contains("16384"));
}

#[test]
fn a_bad_batch_says_which_part_is_bad() {
    let request = one_of("RANDAO_REVEAL").body;
    let code = |identifiers: Value, request: &Value| {
        let error = batch(&identifiers, request).unwrap_err();
        (error.code(), error.to_string())
    };
    assert_eq!(code(json!([]), &request).0, "bad-field");
    assert_eq!(code(json!(null), &request).0, "missing-field");
    assert_eq!(code(json!([key(1)]), &json!(null)).0, "missing-field");
    let (kind, text) = code(json!([key(1)]), &json!({}));
    assert_eq!(kind, "missing-field");
    assert!(text.contains("signing_request.type"), "{text}");
    assert_eq!(code(json!([key(1)]), &json!("RANDAO_REVEAL")).0, "bad-field");
    let (kind, text) = code(json!([key(1), "0x1234"]), &request);
    assert_eq!(kind, "bad-field");
    assert!(text.contains("identifiers[1]"), "{text}");
    assert_eq!(code(json!({"a": 1}), &request).0, "bad-field");
}
