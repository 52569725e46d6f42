//! Each duty goes to its own method, and what has none goes nowhere.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use palisade_node_keystore::config::{AURA, AUTHORITY_DISCOVERY, BABE, BEEFY, GRANDPA, PARACHAIN};
use palisade_node_keystore::{CommitmentSource, EpochSource, GuardError, RemoteKeystore};
use serde_json::json;
use sp_consensus_babe::{
    AllowedSlots, BabeEpochConfiguration, Epoch, make_vrf_sign_data, make_vrf_transcript,
};
use sp_core::crypto::{KeyTypeId, Pair, VrfPublic};
use sp_core::{ByteArray, ecdsa, ed25519, sr25519};
use sp_keystore::{Error, Keystore};

use crate::guard::{Fault, Guard, REFUSED, hex_of, keys};
use crate::{node, quick, started, vote};

/// Slots of one second.
struct Epochs;

impl EpochSource for Epochs {
    fn slot_duration(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn epochs(&self) -> Vec<Epoch> {
        vec![Epoch {
            epoch_index: 12,
            start_slot: (now() - 5).into(),
            duration: 100,
            authorities: Vec::new(),
            randomness: [6; 32],
            config: BabeEpochConfiguration {
                c: (1, 4),
                allowed_slots: AllowedSlots::PrimaryAndSecondaryVRFSlots,
            },
        }]
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn validator() -> (Guard, Arc<RemoteKeystore>) {
    let guard = Guard::start();
    let keystore = node(&[&guard]);
    keystore.provide_epochs(Arc::new(Epochs));
    (guard, keystore)
}

#[test]
fn keys_are_listed_by_type_and_cryptography() {
    let (_guard, keystore) = validator();
    let keys = keys();
    assert_eq!(keystore.sr25519_public_keys(BABE), [keys.sr25519.public()]);
    assert_eq!(keystore.ed25519_public_keys(GRANDPA), [keys.ed25519.public()]);
    assert_eq!(keystore.ecdsa_public_keys(BEEFY), [keys.ecdsa.public()]);
    assert!(keystore.ed25519_public_keys(BABE).is_empty());
    assert!(keystore.sr25519_public_keys(GRANDPA).is_empty());
    assert_eq!(keystore.keys(GRANDPA).unwrap(), [keys.ed25519.public().to_vec()]);
    assert!(keystore.has_keys(&[
        (keys.sr25519.public().to_vec(), BABE),
        (keys.ed25519.public().to_vec(), GRANDPA)
    ]));
    assert!(!keystore.has_keys(&[(keys.sr25519.public().to_vec(), GRANDPA)]));
}

#[test]
fn a_thousand_authorities_cost_no_round_trip() {
    let (guard, keystore) = validator();
    let before = keystore.metrics().requests;
    let began = Instant::now();
    for index in 0..1000_u32 {
        let mut key = [0; 32];
        key[..4].copy_from_slice(&index.to_le_bytes());
        let key = sr25519::Public::from_raw(key);
        let data = make_vrf_sign_data(&[6; 32], now().into(), 12);
        assert!(keystore.sr25519_vrf_sign(BABE, &key, &data).unwrap().is_none());
        assert!(!keystore.has_keys(&[(key.to_raw_vec(), BABE)]));
        assert!(keystore.sr25519_sign(PARACHAIN, &key, b"BKNG").unwrap().is_none());
    }
    assert_eq!(keystore.metrics().requests, before);
    assert_eq!(guard.asked("babeVrf"), 0);
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_vrf_input_is_sent_as_slot_epoch_and_randomness() {
    let (guard, keystore) = validator();
    let public = keys().sr25519.public();
    let slot = now() + 1;
    let data = make_vrf_sign_data(&[6; 32], slot.into(), 12);
    let signed = keystore.sr25519_vrf_sign(BABE, &public, &data).unwrap().unwrap();
    assert!(public.vrf_verify(&data, &signed));
    let expected = json!({
        "publicKey": hex_of(&public), "slot": slot, "epoch": 12, "randomness": hex_of(&[6; 32])
    });
    assert_eq!(guard.last("babeVrf"), expected);
}

#[test]
fn a_vrf_input_that_is_not_found_is_not_sent() {
    let (guard, keystore) = validator();
    let public = keys().sr25519.public();
    for (slot, epoch) in [(now() + 60, 12), (now(), 13)] {
        let data = make_vrf_sign_data(&[6; 32], slot.into(), epoch);
        let error = keystore.sr25519_vrf_sign(BABE, &public, &data).unwrap_err();
        assert!(matches!(error, Error::ValidationError(_)), "{error}");
    }
    assert_eq!(guard.asked("babeVrf"), 0);
    assert_eq!(keystore.metrics().vrf_misses, 2);
}

#[test]
fn without_epochs_no_vrf_input_is_found() {
    let guard = Guard::start();
    let keystore = node(&[&guard]);
    let data = make_vrf_sign_data(&[6; 32], now().into(), 12);
    assert!(keystore.sr25519_vrf_sign(BABE, &keys().sr25519.public(), &data).is_err());
}

#[test]
fn a_bare_vrf_output_is_never_asked_for() {
    let (_guard, keystore) = validator();
    let before = keystore.metrics().requests;
    let input = make_vrf_transcript(&[6; 32], now().into(), 12);
    let own = keys().sr25519.public();
    assert!(keystore.sr25519_vrf_pre_output(BABE, &own, &input).is_err());
    let foreign = sr25519::Public::from_raw([7; 32]);
    assert!(keystore.sr25519_vrf_pre_output(BABE, &foreign, &input).unwrap().is_none());
    assert_eq!(keystore.metrics().requests, before);
}

#[test]
fn a_grandpa_vote_is_signed_by_its_payload() {
    let (guard, keystore) = validator();
    let public = keys().ed25519.public();
    let vote = vote(3);
    let signed = keystore.ed25519_sign(GRANDPA, &public, &vote).unwrap().unwrap();
    assert!(ed25519::Pair::verify(&signed, &vote, &public));
    let expected = json!({"publicKey": hex_of(&public), "payload": hex_of(&vote)});
    assert_eq!(guard.last("grandpaVote"), expected);
}

#[test]
fn the_generic_entry_reaches_the_same_methods() {
    let (guard, keystore) = validator();
    let public = keys().ed25519.public();
    let kind = ed25519::CRYPTO_ID;
    assert!(keystore.sign_with(GRANDPA, kind, &public, &vote(4)).unwrap().is_some());
    assert_eq!(guard.asked("grandpaVote"), 1);
}

#[test]
fn records_and_statements_have_their_methods() {
    let (guard, keystore) = validator();
    let public = keys().sr25519.public();
    let record = keystore.sr25519_sign(AUTHORITY_DISCOVERY, &public, b"record").unwrap().unwrap();
    assert!(sr25519::Pair::verify(&record, b"record", &public));
    assert_eq!(guard.last("authorityRecord")["payload"], hex_of(b"record"));
    assert!(keystore.sr25519_sign(PARACHAIN, &public, b"BKNG...").unwrap().is_some());
    assert_eq!(guard.last("paraStatement")["payload"], hex_of(b"BKNG..."));
}

#[test]
fn an_ownership_proof_sends_the_owner() {
    let (guard, keystore) = validator();
    let payload = [b"POP_".as_slice(), &[5; 32]].concat();
    let keys = keys();
    assert!(keystore.sr25519_sign(BABE, &keys.sr25519.public(), &payload).unwrap().is_some());
    assert!(keystore.ed25519_sign(GRANDPA, &keys.ed25519.public(), &payload).unwrap().is_some());
    assert!(keystore.ecdsa_sign(BEEFY, &keys.ecdsa.public(), &payload).unwrap().is_some());
    assert_eq!(guard.asked("provePossession"), 3);
    assert_eq!(guard.last("provePossession")["owner"], hex_of(&[5; 32]));
}

#[test]
fn an_unknown_payload_is_refused_here() {
    let (_guard, keystore) = validator();
    let before = keystore.metrics().requests;
    let keys = keys();
    let (sr25519, ed25519) = (keys.sr25519.public(), keys.ed25519.public());
    for payload in [b"".as_slice(), b"anything", &[0; 33]] {
        assert!(keystore.sr25519_sign(BABE, &sr25519, payload).is_err());
        assert!(keystore.sr25519_sign(AURA, &sr25519, payload).is_err());
        assert!(keystore.ed25519_sign(GRANDPA, &ed25519, payload).is_err());
        assert!(keystore.ecdsa_sign(BEEFY, &keys.ecdsa.public(), payload).is_err());
    }
    assert_eq!(keystore.metrics().requests, before);
    assert_eq!(keystore.metrics().unknown_payloads, 12);
}

#[test]
fn a_key_type_that_no_guard_has_is_not_here() {
    let (_guard, keystore) = validator();
    let online = KeyTypeId(*b"imon");
    let public = keys().sr25519.public();
    assert!(keystore.sr25519_sign(online, &public, b"heartbeat").unwrap().is_none());
    assert!(keystore.sr25519_generate_new(online, None).is_err());
}

struct Commitment(Vec<u8>);

impl CommitmentSource for Commitment {
    fn commitment(&self, _hash: &[u8; 32]) -> Option<Vec<u8>> {
        Some(self.0.clone())
    }
}

#[test]
fn a_beefy_hash_is_sent_as_its_commitment() {
    let (guard, keystore) = validator();
    let public = keys().ecdsa.public();
    let commitment = vec![4, b'm', b'h'];
    let hash = sp_crypto_hashing::keccak_256(&commitment);
    assert!(keystore.ecdsa_sign_prehashed(BEEFY, &public, &hash).is_err(), "without a source");
    keystore.provide_commitments(Arc::new(Commitment(commitment.clone())));
    let signed = keystore.ecdsa_sign_prehashed(BEEFY, &public, &hash).unwrap().unwrap();
    assert!(ecdsa::Pair::verify_prehashed(&signed, &hash, &public));
    assert_eq!(guard.last("beefyCommitment")["commitment"], hex_of(&commitment));
}

#[test]
fn a_commitment_with_another_hash_is_not_sent() {
    let (guard, keystore) = validator();
    keystore.provide_commitments(Arc::new(Commitment(vec![1])));
    let public = keys().ecdsa.public();
    assert!(keystore.ecdsa_sign_prehashed(BEEFY, &public, &[8; 32]).is_err());
    assert_eq!(guard.asked("beefyCommitment"), 0);
    assert_eq!(keystore.metrics().commitment_misses, 2 - 1);
}

#[test]
fn the_guard_makes_new_keys_and_the_node_knows_them_at_once() {
    let (guard, keystore) = validator();
    let made = keystore.sr25519_generate_new(BABE, None).unwrap();
    assert_eq!(made, sr25519::Public::from_raw([0x40; 32]));
    assert!(keystore.has_keys(&[(made.to_raw_vec(), BABE)]));
    let set = keystore.generate_session_keys(&[BABE, GRANDPA], Some("chain"), Some(&[1; 32]));
    let set = set.unwrap();
    assert_eq!(set.session_keys, [[0x40; 32], [0x41; 32]].concat());
    assert_eq!(set.keys[1], (GRANDPA, vec![0x41; 32], Some(vec![7; 64])));
    let asked = guard.last("generateSessionKeys");
    let owner = hex_of(&[1; 32]);
    assert_eq!(asked, json!({"keyTypes": ["babe", "gran"], "chain": "chain", "owner": owner}));
}

#[test]
fn making_keys_is_not_repeated_after_a_lost_connection() {
    let (guard, keystore) = validator();
    guard.script("generateSessionKeys", &[Fault::Drop]);
    let error = keystore.generate_session_keys(&[BABE], None, None).unwrap_err();
    assert_eq!(error, GuardError::Interrupted);
    assert_eq!(guard.asked("generateSessionKeys"), 1);
}

#[test]
fn no_secret_passes_through_the_node() {
    let (_guard, keystore) = validator();
    let before = keystore.metrics().requests;
    assert!(keystore.sr25519_generate_new(BABE, Some("//Alice")).is_err());
    assert!(keystore.insert(BABE, "//Alice", &[1; 32]).is_err());
    assert_eq!(keystore.metrics().requests, before);
}

#[test]
fn a_key_type_that_is_refused_does_not_hold_up_the_others() {
    let guard = Guard::start();
    guard.always("publicKeys", Some(REFUSED));
    let keystore = node(&[&guard]);
    assert!(keystore.sr25519_public_keys(BABE).is_empty());
}

#[test]
fn the_list_of_keys_is_asked_again_at_the_interval() {
    let guard = Guard::start();
    guard.state.lock().unwrap().no_keys = true;
    let mut config = quick(vec![palisade_node_keystore::Guard::new(guard.url())]);
    config.refresh_interval = Duration::from_millis(100);
    let keystore = started(config);
    assert!(keystore.sr25519_public_keys(BABE).is_empty());
    guard.state.lock().unwrap().no_keys = false;
    crate::eventually("the new keys", || !keystore.sr25519_public_keys(BABE).is_empty());
}
