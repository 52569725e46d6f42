//! Signing: the same bytes as blst's own signing, for each key and digest, cached or not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

use std::collections::HashSet;

use blst::BLST_ERROR;
use blst::min_pk::{PublicKey, SecretKey, Signature as BlstSignature};
use palisade_keys::{BlsSecretKey, KeyRing, Scheme, SignError, key_id};
use palisade_protect::journal::Event;
use palisade_protect::{
    Changes, Digest, Duty, Intent, KeyId, Ledger, Permit, Record, Stance, Subject, authorise,
};
use proptest::prelude::*;

const CIPHERSUITE: &[u8] = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";

/// A ledger without a disk, that knows every key: what is under test comes after the permit.
struct MemoryLedger;

impl Ledger for MemoryLedger {
    type Error = String;

    fn load(&mut self, _: &KeyId) -> Result<Option<Record>, String> {
        Ok(Some(Record::fresh_ethereum()))
    }

    fn stance(&mut self, _: &KeyId, _: &Subject) -> Result<Stance, String> {
        Ok(Stance::NONE)
    }

    fn persist(&mut self, _: &Changes, _: Vec<Event>) -> Result<(), String> {
        Ok(())
    }

    fn defer(&mut self, _: Event) {}
}

fn permit(key: KeyId, digest: Digest) -> Permit {
    let intent = Intent { duty: Duty::Harmless, digest };
    authorise(&mut MemoryLedger, &[(key, intent)]).remove(0).unwrap()
}

fn secret(number: u8) -> BlsSecretKey {
    BlsSecretKey::from_bytes(&[number; 32]).unwrap()
}

fn blst_signs(secret: &[u8; 32], digest: &Digest) -> [u8; 96] {
    SecretKey::from_bytes(secret).unwrap().sign(&digest.0, CIPHERSUITE, &[]).compress()
}

/// `sign` cases of the Ethereum BLS test suite (github.com/ethereum/bls12-381-tests).
#[test]
fn known_signatures_of_the_ethereum_suite() {
    let cases = [
        (
            "263dbd792f5b1be47ed85f8938c0f29586af0d3ac7b977f21c278fe1462040e3",
            [0; 32],
            "0xb6ed936746e01f8ecf281f020953fbf1f01debd5657c4a383940b020b26507f6076334f91e2366c96e9a\
             b279fb5158090352ea1c5b0c9274504f4f0e7053af24802e51e4568d164fe986834f41e55c8e850ce1f984\
             58c0cfc9ab380b55285a55",
        ),
        (
            "47b8192d77bf871b62e87859d653922725724a5c031afeabc60bcef5ff665138",
            [0x56; 32],
            "0xaf1390c3c47acdb37131a51216da683c509fce0e954328a59f93aebda7e4ff974ba208d9a4a2a2389f89\
             2a9d418d618418dd7f7a6bc7aa0da999a9d3a5b815bc085e14fd001f6a1948768a3f4afefc8b8240dda329\
             f984cb345c6363272ba4fe",
        ),
    ];
    for (secret, message, expected) in cases {
        let secret = BlsSecretKey::from_hex(secret).unwrap();
        let id = secret.public_key().id();
        let ring = KeyRing::new([secret]).unwrap();
        let signature = ring.sign(permit(id, Digest(message))).unwrap();
        assert_eq!(signature.to_string(), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn signatures_are_those_of_blst_and_verify(secret: [u8; 32], digest: [u8; 32]) {
        let mut bytes = secret;
        bytes[0] &= 0x3f;
        bytes[31] |= 1;
        let secret = BlsSecretKey::from_bytes(&bytes).unwrap();
        let (public_key, digest) = (secret.public_key(), Digest(digest));
        let ring = KeyRing::new([secret]).unwrap();
        let first = ring.sign(permit(public_key.id(), digest)).unwrap();
        let cached = ring.sign(permit(public_key.id(), digest)).unwrap();
        prop_assert_eq!(first.0, blst_signs(&bytes, &digest));
        prop_assert_eq!(first, cached);
        let point = BlstSignature::from_bytes(&first.0).unwrap();
        let key = PublicKey::from_bytes(&public_key.0).unwrap();
        let verdict = point.verify(true, &digest.0, CIPHERSUITE, &[], &key, true);
        prop_assert_eq!(verdict, BLST_ERROR::BLST_SUCCESS);
    }
}

#[test]
fn many_threads_keys_and_digests_at_once_sign_as_blst_does() {
    let ring = KeyRing::new((1..=8).map(secret)).unwrap();
    let sign_all = |thread: u8| {
        for round in 0..40 {
            let number = 1 + (thread + round) % 8;
            // More digests than are kept, and one that all share.
            let digest = Digest([if round % 2 == 0 { 0 } else { thread * 40 + round }; 32]);
            let id = secret(number).public_key().id();
            let signature = ring.sign(permit(id, digest)).unwrap();
            assert_eq!(signature.0, blst_signs(&[number; 32], &digest));
        }
    };
    std::thread::scope(|scope| {
        for thread in 0..6 {
            scope.spawn(move || sign_all(thread));
        }
    });
}

#[test]
fn a_key_that_is_not_in_the_ring_does_not_sign() {
    let ring = KeyRing::new([secret(1)]).unwrap();
    let absent = secret(2).public_key().id();
    let result = ring.sign(permit(absent, Digest([0; 32])));
    assert_eq!(result, Err(SignError::UnknownKey(absent)));
    assert!(!ring.contains(&absent));
}

#[test]
fn a_ring_lists_its_keys_once() {
    let ring = KeyRing::new([secret(1), secret(2), secret(1)]).unwrap();
    let expected: HashSet<_> = [1, 2].map(|number| secret(number).public_key()).into();
    assert_eq!(ring.public_keys().collect::<HashSet<_>>(), expected);
    assert_eq!((ring.len(), ring.is_empty()), (2, false));
    assert!(KeyRing::default().is_empty());
}

#[test]
fn a_key_is_named_by_scheme_and_public_key() {
    // SHA-256 of "palisade/key/v1", 01 and 48 times aa, by another tool.
    let id = key_id(Scheme::Bls12381, &[0xaa; 48]);
    assert_eq!(id.to_string(), KEY_ID_OF_AA);
}

const KEY_ID_OF_AA: &str = "0xf10f3053f9b12ad1b8c812f0d41b16b00083ec7a187c7a764eb7b23eb9fe04c1";

#[test]
fn secret_keys_outside_their_range_are_refused() {
    let order =
        hex::decode("73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001").unwrap();
    let mut below: [u8; 32] = order.clone().try_into().unwrap();
    assert!(BlsSecretKey::from_bytes(&below).is_err(), "the order itself");
    below[31] = 0;
    assert!(BlsSecretKey::from_bytes(&below).is_ok(), "the largest secret key");
    assert!(BlsSecretKey::from_bytes(&[0; 32]).is_err());
    assert!(BlsSecretKey::from_bytes(&[0xff; 32]).is_err());
}

#[test]
fn hex_goes_round_and_keys_compare_by_value() {
    let key = secret(7);
    assert!(BlsSecretKey::from_hex(&key.to_hex()).unwrap() == key);
    assert!(key != secret(8));
    let public_key = key.public_key();
    assert_eq!(public_key.to_string().parse(), Ok(public_key));
    assert_eq!(public_key.to_string()[2..].to_uppercase().parse(), Ok(public_key));
    assert!("0x00".parse::<palisade_keys::BlsPublicKey>().is_err());
}
