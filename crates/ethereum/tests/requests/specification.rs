//! One test for each type and fork: the request is read, its duty is right, and its signing root
//! is the one that the executable specification computed for the same content.

use palisade_ethereum::SigningType;
use palisade_protect::{Duty, Epoch, Slot};

use crate::samples::{Sample, specification};

fn duty(text: &str) -> Duty {
    let numbers: Vec<u64> = text.split(':').skip(1).map(|number| number.parse().unwrap()).collect();
    match (text.split(':').next().unwrap(), numbers.as_slice()) {
        ("proposal", [slot]) => Duty::Proposal { slot: Slot(*slot) },
        ("attestation", [source, target]) => {
            Duty::Attestation { source: Epoch(*source), target: Epoch(*target) }
        }
        ("irrevocable", []) => Duty::Irrevocable,
        ("harmless", []) => Duty::Harmless,
        _ => panic!("unknown duty {text}"),
    }
}

fn check(sample: &Sample) {
    let request = sample.parse().unwrap_or_else(|error| panic!("{}: {error}", sample.name));
    assert_eq!(request.kind.code(), sample.kind());
    assert_eq!(request.intent.duty, duty(&sample.duty), "{}", sample.name);
    let expected = sample.body["signingRoot"].as_str().unwrap();
    assert_eq!(request.intent.digest.to_string(), expected, "{}", sample.name);
    // The parser compared the roots already; without one to compare, it must come to the same.
    let alone = sample.clone().without_root().parse().unwrap();
    assert_eq!(alone, request, "{}", sample.name);
    let chain = sample.body["fork_info"]["genesis_validators_root"].as_str();
    assert_eq!(request.genesis_validators_root.map(|root| root.to_string()).as_deref(), chain);
}

macro_rules! vectors {
    ($($test:ident: $name:literal,)*) => {
        const NAMES: &[&str] = &[$($name),*];
        $(
            #[test]
            fn $test() {
                let all = specification();
                let named: Vec<_> = all.iter().filter(|sample| sample.name == $name).collect();
                let networks: Vec<_> = named.iter().map(|sample| &*sample.network).collect();
                assert_eq!(networks, ["mainnet", "minimal"]);
                named.into_iter().for_each(check);
            }
        )*
    };
}

vectors! {
    deprecated_block: "deprecated block",
    block_phase0: "block phase0",
    block_altair: "block altair",
    header_phase0: "header phase0",
    header_altair: "header altair",
    header_bellatrix: "header bellatrix",
    header_capella: "header capella",
    header_deneb: "header deneb",
    header_electra: "header electra",
    header_fulu: "header fulu",
    header_gloas: "header gloas",
    attestation_phase0: "attestation phase0",
    attestation_altair: "attestation altair",
    attestation_bellatrix: "attestation bellatrix",
    attestation_capella: "attestation capella",
    attestation_deneb: "attestation deneb",
    attestation_electra: "attestation electra",
    attestation_fulu: "attestation fulu",
    attestation_gloas: "attestation gloas",
    aggregate_phase0: "aggregate phase0",
    aggregate_altair: "aggregate altair",
    aggregate_bellatrix: "aggregate bellatrix",
    aggregate_capella: "aggregate capella",
    aggregate_deneb: "aggregate deneb",
    aggregate_electra: "aggregate electra",
    aggregate_fulu: "aggregate fulu",
    aggregate_gloas: "aggregate gloas",
    deprecated_aggregate_phase0: "deprecated aggregate phase0",
    deprecated_aggregate_deneb: "deprecated aggregate deneb",
    deprecated_aggregate_electra: "deprecated aggregate electra",
    deprecated_aggregate_fulu: "deprecated aggregate fulu",
    unversioned_aggregate_phase0: "unversioned aggregate phase0",
    unversioned_aggregate_deneb: "unversioned aggregate deneb",
    unversioned_aggregate_electra: "unversioned aggregate electra",
    unversioned_aggregate_fulu: "unversioned aggregate fulu",
    aggregation_slot: "aggregation slot",
    randao_reveal: "randao",
    exit_of_phase0: "exit claimed phase0",
    exit_of_capella: "exit claimed capella",
    exit_of_deneb_is_signed_with_capella: "exit claimed deneb",
    exit_of_electra_is_signed_with_capella: "exit claimed electra",
    exit_of_fulu_is_signed_with_capella: "exit claimed fulu",
    deposit: "deposit",
    sync_committee_message: "sync message",
    sync_committee_selection_proof: "sync selection",
    sync_committee_contribution: "contribution",
    validator_registration: "registration",
    bls_to_execution_change: "withdrawal credentials",
    payload_bid_without_blobs: "bid 0",
    payload_bid: "bid 7",
    payload_envelope_empty: "envelope 0",
    payload_envelope: "envelope 7",
    payload_present: "payload attestation True False",
    payload_absent: "payload attestation False True",
    proposer_preferences: "preferences",
    request_auth_empty: "request auth 0",
    request_auth: "request auth 27",
    request_auth_long: "request auth 200",
}

#[test]
fn every_vector_has_a_test_and_every_type_a_vector() {
    let all = specification();
    for sample in &all {
        assert!(NAMES.contains(&sample.name.as_str()), "no test named for {}", sample.name);
    }
    for kind in SigningType::ALL {
        assert!(all.iter().any(|sample| sample.kind() == kind.code()), "no vector for {kind}");
    }
}

#[test]
fn the_preset_decides_the_root() {
    let all = specification();
    let bits: Vec<_> = all.iter().filter(|sample| sample.name == "contribution").collect();
    for sample in bits {
        let other = if sample.network == "mainnet" { "minimal" } else { "mainnet" };
        let error = crate::samples::parse(&sample.body, other).unwrap_err();
        assert_eq!(error.code(), "bad-field", "{error}");
    }
}
