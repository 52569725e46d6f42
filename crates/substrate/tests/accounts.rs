//! Owners of session keys as people write them: known addresses, and any that were mistyped.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests fail by panicking"
)]

use blake2::{Blake2b512, Digest as _};
use palisade_substrate::{AccountError, account};
use proptest::prelude::*;

const ALICE: &str = "d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d";

/// The same account on three chains, as `subkey inspect //Alice --network …` prints it.
#[test]
fn known_addresses_name_their_account() {
    let alice = hex::decode(ALICE).unwrap();
    for address in [
        "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY",
        "15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5",
        "HNZata7iMYWmk5RvZRTiAsSDhV8366zq2YGb3tLH5Upf74F",
        &format!("0x{ALICE}"),
        &format!("0x{}", ALICE.to_uppercase()),
    ] {
        assert_eq!(account(address).as_ref(), Ok(&alice), "{address}");
    }
    let ethereum = "0xf24FF3a9CF04c71Dbc94D0b566f7A27B94566cac";
    assert_eq!(account(ethereum).unwrap().len(), 20);
}

#[test]
fn what_names_no_account_is_told_apart() {
    let stake_of_33 = encoded(&[42], &[7; 33]);
    for (text, error) in [
        ("", AccountError::OtherLength),
        ("0x", AccountError::NotHex),
        ("0x00", AccountError::NotHex),
        (&format!("0x{}zz", &ALICE[2..]), AccountError::NotHex),
        (ALICE, AccountError::NotBase58),
        ("//Alice", AccountError::NotBase58),
        ("5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQZ", AccountError::Checksum),
        ("5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKut", AccountError::OtherLength),
        (&stake_of_33, AccountError::OtherLength),
        (&encoded(&[128], &[7; 32]), AccountError::OtherLength),
        (&"1".repeat(100_000), AccountError::OtherLength),
    ] {
        assert_eq!(account(text), Err(error), "{text:.60}");
    }
}

/// The address as its format describes it.
fn encoded(prefix: &[u8], account: &[u8]) -> String {
    let body = [prefix, account].concat();
    let hash = Blake2b512::new().chain_update(b"SS58PRE").chain_update(&body).finalize();
    bs58::encode([body.as_slice(), &hash[..2]].concat()).into_string()
}

proptest! {
    #[test]
    fn every_prefix_is_read(prefix in 0_u8..128, second: u8, bytes: [u8; 32]) {
        let prefix = if prefix < 64 { vec![prefix] } else { vec![prefix, second] };
        prop_assert_eq!(account(&encoded(&prefix, &bytes)), Ok(bytes.to_vec()));
    }

    /// A checksum of two bytes lets one in 65,536 through: of twenty letters, never all.
    #[test]
    fn mistyped_addresses_are_refused(bytes: [u8; 32], letter in "[2-9a-km-z]") {
        let right = encoded(&[42], &bytes);
        let mut passed = 0;
        for place in 10..30 {
            let mut typed = right.clone();
            typed.replace_range(place..=place, &letter);
            passed += usize::from(typed != right && account(&typed).is_ok());
        }
        prop_assert!(passed <= 1, "{} of 20 typing errors were not seen", passed);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,80}") {
        drop(account(&text));
    }
}
