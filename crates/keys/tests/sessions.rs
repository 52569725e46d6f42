//! Session keys: the texts that they come from, and what each scheme signs.
//!
//! Decides: well-known development keys come out of their texts; signatures are those that a chain
//! verifies, and the same bytes each time; a permit buys the one message that was judged.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

use palisade_keys::{
    KeyRing, NewKey, PublicKey, Scheme, SecretUriError, SessionPublicKey, SessionSecretKey,
    SessionSignature, SignError, UnlockSecret, Vault,
};
use palisade_protect::journal::Event;
use palisade_protect::{
    BabeVrf, Changes, Digest, Duty, Intent, KeyId, KeyType, Ledger, Message, Permit, Record, Slot,
    Stance, Subject, SubstrateRecord, authorise,
};
use schnorrkel::vrf::{VRFPreOut, VRFProof};

/// Holds one record and believes that all is durable.
struct Memory(Record);

impl Ledger for Memory {
    type Error = ();

    fn load(&mut self, _: &KeyId) -> Result<Option<Record>, ()> {
        Ok(Some(self.0))
    }

    fn stance(&mut self, _: &KeyId, _: &Subject) -> Result<Stance, ()> {
        Ok(Stance::NONE)
    }

    fn persist(&mut self, _: &Changes, _: Vec<Event>) -> Result<(), ()> {
        Ok(())
    }

    fn defer(&mut self, _: Event) {}
}

fn key(scheme: Scheme, uri: &str) -> SessionSecretKey {
    SessionSecretKey::from_uri(scheme, uri).unwrap()
}

fn hex_of(scheme: Scheme, uri: &str) -> String {
    hex::encode(key(scheme, uri).public_key().as_bytes())
}

fn permit(key: SessionPublicKey, message: &Message<'_>) -> Permit {
    let duty = match message {
        Message::PreHash(_) => Duty::Seal { slot: Slot(1) },
        _ => Duty::Harmless,
    };
    let record = SubstrateRecord::fresh(Digest([1; 32]), KeyType::BABE).unwrap();
    let intent = Intent { duty, digest: message.digest() };
    authorise(&mut Memory(Record::Substrate(record)), &[(key.ledger_id(KeyType::BABE), intent)])
        .remove(0)
        .unwrap()
}

fn id_of(key: SessionPublicKey) -> KeyId {
    key.ledger_id(KeyType::BABE)
}

/// A ring as a guard has it: through the sealed file.
fn ring(keys: Vec<SessionSecretKey>) -> (tempfile::TempDir, KeyRing) {
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("unlock");
    Vault::generate_unlock_file(&secret).unwrap();
    let unlock = UnlockSecret::from_file(&secret).unwrap();
    let home = directory.path().join("keys");
    let mut vault = Vault::create(&home, &unlock).unwrap();
    vault.add(keys.into_iter().map(NewKey::session).collect()).unwrap();
    drop(vault);
    let ring = Vault::open(&home, &unlock).unwrap().load_ring().unwrap();
    (directory, ring)
}

fn sign(
    ring: &KeyRing,
    key: SessionPublicKey,
    message: &Message<'_>,
) -> Result<SessionSignature, SignError> {
    ring.sign_message(permit(key, message), &key, KeyType::BABE, message)
}

/// Sources: the development accounts of `sp-keyring`, printed by `subkey inspect`.
#[test]
fn development_keys_come_out_of_their_names() {
    for (scheme, uri, expected) in [
        (
            Scheme::Sr25519,
            "//Alice",
            "d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d",
        ),
        (
            Scheme::Sr25519,
            "//Bob",
            "8eaf04151687736326c9fea17e25fc5287613693c912909cb226aa4794f26a48",
        ),
        (
            Scheme::Ed25519,
            "//Alice",
            "88dc3417d5058ec4b4503e0c12ea1a0a89be200fe98922423d4334014fa6b0ee",
        ),
        (
            Scheme::Ed25519,
            "//Bob",
            "d17c2d7823ebf260fd138f2d7e27d114c0145d968b5ff5006125f2414fadae69",
        ),
        (
            Scheme::Ecdsa,
            "//Alice",
            "020a1091341fe5664bfa1782d5e04779689068c916b04cb365ec3153755684d9a1",
        ),
        (
            Scheme::Sr25519,
            "bottom drive obey lake curtain smoke basket hold race lonely fit walk",
            "46ebddef8cd9bb167dc30878d7113b7e168e6f0646beffd77d69d39bad76b47a",
        ),
    ] {
        assert_eq!(hex_of(scheme, uri), expected, "{scheme:?} {uri}");
    }
}

/// Passwords, several junctions, numbers, names that are hashed; computed with `sp_core` 43.
#[test]
fn secret_uris_mean_what_they_mean_to_a_node() {
    let vectors = include_str!("data/secret-uris.tsv").lines().map(|line| {
        let mut fields = line.split('\t');
        [(); 3].map(|()| fields.next().unwrap())
    });
    for [scheme, uri, expected] in vectors {
        let scheme = match scheme {
            "sr25519" => Scheme::Sr25519,
            "ed25519" => Scheme::Ed25519,
            _ => Scheme::Ecdsa,
        };
        assert_eq!(hex_of(scheme, uri), expected, "{scheme:?} {uri}");
    }
}

#[test]
fn a_phrase_and_its_development_name_are_one_key() {
    let phrase = "bottom drive obey lake curtain smoke basket hold race lonely fit walk//Alice";
    for scheme in [Scheme::Sr25519, Scheme::Ed25519, Scheme::Ecdsa] {
        assert_eq!(hex_of(scheme, phrase), hex_of(scheme, "//Alice"));
        assert_ne!(hex_of(scheme, "//Alice"), hex_of(scheme, "//Alice///password"));
        assert_ne!(hex_of(scheme, "//Alice"), hex_of(scheme, "//Alice//stash"));
        assert_ne!(hex_of(scheme, "//1"), hex_of(scheme, "//2"));
    }
}

#[test]
fn what_is_no_secret_uri_is_refused_and_not_repeated() {
    for (uri, error) in [
        ("0x12", SecretUriError::NotASeed),
        ("0xzz", SecretUriError::NotASeed),
        ("hunter2", SecretUriError::NotAPhrase),
        (
            "bottom drive obey lake curtain smoke basket hold race lonely fit fit",
            SecretUriError::NotAPhrase,
        ),
        ("/soft", SecretUriError::SoftJunction),
        ("//Alice/soft", SecretUriError::SoftJunction),
        ("//Alice//", SecretUriError::EmptyJunction),
    ] {
        let refused = SessionSecretKey::from_uri(Scheme::Sr25519, uri).err().unwrap();
        assert_eq!(refused, error, "{uri}");
        assert!(!refused.to_string().contains("hunter2"));
    }
    let zero = format!("0x{}", "00".repeat(32));
    assert!(SessionSecretKey::from_uri(Scheme::Ecdsa, &zero).is_err());
    assert!(SessionSecretKey::from_uri(Scheme::Bls12381, "//Alice").is_err());
}

/// Two different seals of one block would be an equivocation: the bytes are frozen.
#[test]
fn one_block_has_one_seal() {
    let message = Message::PreHash([7; 32]);
    let alice = key(Scheme::Sr25519, "//Alice").public_key();
    let seals = [0, 1].map(|_| {
        let (_home, ring) = ring(vec![key(Scheme::Sr25519, "//Alice")]);
        let first = sign(&ring, alice, &message).unwrap();
        assert_eq!(sign(&ring, alice, &message).unwrap(), first);
        first
    });
    assert_eq!(seals[0], seals[1], "a key that was loaded anew makes the same seal");
    assert_eq!(seals[0].to_string(), FROZEN_SEAL);
    let other =
        sign(&ring(vec![key(Scheme::Sr25519, "//Alice")]).1, alice, &Message::PreHash([8; 32]));
    assert_ne!(other.unwrap().as_bytes()[..32], seals[0].as_bytes()[..32], "a nonce of its own");
}

const FROZEN_SEAL: &str = concat!(
    "0x40472567288a51fc9e42a7a0d6468078752661c96706b0c5f224381e8dd2086e",
    "9fa83979305eb97165c750c5805c27adc0e0da2c8d363e175ccb7b1276f42b82"
);

#[test]
fn seals_verify_as_a_chain_verifies_them() {
    let alice = key(Scheme::Sr25519, "//Alice").public_key();
    let (_home, ring) = ring(vec![key(Scheme::Sr25519, "//Alice")]);
    let public = schnorrkel::PublicKey::from_bytes(alice.as_bytes()).unwrap();
    let hash = [9; 32];
    let made = sign(&ring, alice, &Message::PreHash(hash)).unwrap();
    let signature = schnorrkel::Signature::from_bytes(made.as_bytes()).unwrap();
    public.verify_simple(b"substrate", &hash, &signature).unwrap();
    public.verify_simple(b"substrate", &[8; 32], &signature).unwrap_err();
}

#[test]
fn draws_verify_as_a_chain_verifies_them() {
    let alice = key(Scheme::Sr25519, "//Alice").public_key();
    let (_home, ring) = ring(vec![key(Scheme::Sr25519, "//Alice")]);
    let input = BabeVrf { slot: 1_000, epoch: 3, randomness: [5; 32] };
    let made = sign(&ring, alice, &Message::BabeVrf(input)).unwrap();
    let (output, proof) = made.as_bytes().split_at(32);
    let output = VRFPreOut::from_bytes(output).unwrap();
    let proof = VRFProof::from_bytes(proof).unwrap();
    let public = schnorrkel::PublicKey::from_bytes(alice.as_bytes()).unwrap();
    let transcript = |slot: u64| {
        let mut transcript = merlin::Transcript::new(b"BABE");
        transcript.append_message(b"slot number", &slot.to_le_bytes());
        transcript.append_message(b"current epoch", &3_u64.to_le_bytes());
        transcript.append_message(b"chain randomness", &[5; 32]);
        transcript
    };
    let check = |slot| {
        let inout = output.attach_input_hash(&public, transcript(slot)).unwrap();
        public.dleq_verify(merlin::Transcript::new(b"VRF"), &inout, &proof, true).is_ok()
    };
    assert!(check(1_000) && !check(1_001));
}

/// The pre-output is that of `sp_core` 43; the proof, whose nonce is our own, is frozen beside it.
#[test]
fn one_slot_has_one_draw() {
    let alice = key(Scheme::Sr25519, "//Alice").public_key();
    let input = BabeVrf { slot: 1_000, epoch: 0, randomness: FROZEN_RANDOMNESS };
    let draws = [0, 1].map(|_| {
        let (_home, ring) = ring(vec![key(Scheme::Sr25519, "//Alice")]);
        sign(&ring, alice, &Message::BabeVrf(input)).unwrap()
    });
    assert_eq!(draws[0], draws[1]);
    assert_eq!(draws[0].to_string(), FROZEN_DRAW);
}

/// BLAKE2b-256 of one zero byte.
const FROZEN_RANDOMNESS: [u8; 32] = [
    0x03, 0x17, 0x0a, 0x2e, 0x75, 0x97, 0xb7, 0xb7, 0xe3, 0xd8, 0x4c, 0x05, 0x39, 0x1d, 0x13, 0x9a,
    0x62, 0xb1, 0x57, 0xe7, 0x87, 0x86, 0xd8, 0xc0, 0x82, 0xf2, 0x9d, 0xcf, 0x4c, 0x11, 0x13, 0x14,
];

const FROZEN_DRAW: &str = concat!(
    "0x4a7844e1d5607bd50f5092315f69de196183c7d20307c5c2a287bfe1c927b225",
    "84c72640e8077b3f0fe90ac16a66e8bb6ae594131fdcd4a63fcc26d7e723e400",
    "37e3957c5009d0d9f7a866cdc6ed70238295924f358bff5742ff37c0ce398902"
);

#[test]
fn votes_verify_and_repeat() {
    let bob = key(Scheme::Ed25519, "//Bob").public_key();
    let (_home, ring) = ring(vec![key(Scheme::Ed25519, "//Bob")]);
    let message = Message::Payload(&[3; 53]);
    let made = sign(&ring, bob, &message).unwrap();
    assert_eq!(made, sign(&ring, bob, &message).unwrap());
    let public = ed25519_dalek::VerifyingKey::from_bytes(bob.as_bytes().try_into().unwrap());
    let signature = ed25519_dalek::Signature::from_slice(made.as_bytes()).unwrap();
    public.unwrap().verify_strict(&[3; 53], &signature).unwrap();
}

#[test]
fn commitments_recover_to_their_signer() {
    use sha3::Digest as _;
    let alice = key(Scheme::Ecdsa, "//Alice").public_key();
    let (_home, ring) = ring(vec![key(Scheme::Ecdsa, "//Alice")]);
    let made = sign(&ring, alice, &Message::Keccak(&[3; 48])).unwrap();
    assert_eq!(made.as_bytes().len(), 65);
    let signature = k256::ecdsa::Signature::from_slice(&made.as_bytes()[..64]).unwrap();
    let recovery = k256::ecdsa::RecoveryId::from_byte(made.as_bytes()[64]).unwrap();
    let hash = sha3::Keccak256::digest([3; 48]);
    let signer = k256::ecdsa::VerifyingKey::recover_from_prehash(&hash, &signature, recovery);
    assert_eq!(signer.unwrap().to_encoded_point(true).as_bytes(), alice.as_bytes());
}

#[test]
fn a_permit_buys_the_message_that_was_judged_and_no_other() {
    let alice = key(Scheme::Sr25519, "//Alice").public_key();
    let (_home, ring) = ring(vec![key(Scheme::Sr25519, "//Alice")]);
    let bytes = [7; 32];
    let judged = Message::Payload(&bytes);
    for other in [
        Message::PreHash(bytes),
        Message::Keccak(&bytes),
        Message::Payload(&[8; 32]),
        Message::BabeVrf(BabeVrf { slot: 0, epoch: 0, randomness: bytes }),
    ] {
        let refused = ring.sign_message(permit(alice, &judged), &alice, KeyType::BABE, &other);
        assert_eq!(refused, Err(SignError::OtherMessage(id_of(alice))), "{other:?}");
    }
    let other_type = ring.sign_message(permit(alice, &judged), &alice, KeyType::AURA, &judged);
    assert_eq!(other_type, Err(SignError::OtherMessage(id_of(alice))));
    let keccak = Message::Keccak(&bytes);
    assert_eq!(sign(&ring, alice, &keccak), Err(SignError::OtherScheme(id_of(alice))));
    let absent = key(Scheme::Sr25519, "//Bob").public_key();
    assert_eq!(sign(&ring, absent, &judged), Err(SignError::UnknownKey(id_of(absent))));
}

#[test]
fn a_signature_of_a_payload_verifies_for_its_key_and_bytes_alone() {
    for scheme in [Scheme::Sr25519, Scheme::Ed25519, Scheme::Ecdsa] {
        let [alice, bob] = ["//Alice", "//Bob"].map(|uri| key(scheme, uri));
        let [alice_public, bob_public] = [&alice, &bob].map(|key| key.public_key());
        let (_home, ring) = ring(vec![alice]);
        let signature = sign(&ring, alice_public, &Message::Payload(b"POP_owner")).unwrap();
        let signature = signature.as_bytes();
        assert!(alice_public.verifies(b"POP_owner", signature), "{scheme:?}");
        assert!(!bob_public.verifies(b"POP_owner", signature), "{scheme:?}");
        assert!(!alice_public.verifies(b"POP_other", signature), "{scheme:?}");
        for wrong in [&signature[1..], &[], &[signature, &[0]].concat(), &[0xff; 65], &[0; 64]] {
            assert!(!alice_public.verifies(b"POP_owner", wrong), "{scheme:?} {wrong:?}");
        }
    }
}

/// A payload of a pre-hash's length is a seal to the chain, whatever it was meant to be.
#[test]
fn a_payload_that_would_be_a_seal_is_not_signed() {
    let names = [(Scheme::Sr25519, "//Alice"), (Scheme::Ed25519, "//Alice")];
    let keys = names.map(|(scheme, uri)| key(scheme, uri));
    let public_keys = keys.each_ref().map(SessionSecretKey::public_key);
    let (_home, ring) = ring(keys.into());
    let bytes = [b"POP_".as_slice(), &[7; 29]].concat();
    for public_key in public_keys {
        let refused = sign(&ring, public_key, &Message::Payload(&bytes[..32]));
        assert_eq!(refused, Err(SignError::OtherScheme(id_of(public_key))));
        for length in [31, 33] {
            sign(&ring, public_key, &Message::Payload(&bytes[..length])).unwrap();
        }
        sign(&ring, public_key, &Message::PreHash(bytes[..32].try_into().unwrap())).unwrap();
    }
}

#[test]
fn a_sealed_file_holds_keys_of_every_scheme() {
    let schemes = [Scheme::Sr25519, Scheme::Ed25519, Scheme::Ecdsa];
    let keys = schemes.map(|scheme| SessionSecretKey::generate(scheme).unwrap());
    let public_keys = keys.iter().map(SessionSecretKey::public_key).collect::<Vec<_>>();
    let (_home, ring) = ring(keys.into());
    assert_eq!(ring.len(), 3);
    let mut held = ring.session_public_keys().collect::<Vec<_>>();
    held.sort();
    assert_eq!(held, public_keys);
    for (scheme, public_key) in schemes.into_iter().zip(public_keys) {
        assert_eq!(public_key.scheme(), scheme);
        assert_eq!(SessionPublicKey::new(scheme, public_key.as_bytes()), Ok(public_key));
        assert!(SessionPublicKey::new(scheme, &[0; 48]).is_err());
        assert_eq!(PublicKey::Session(public_key).id(), public_key.id());
    }
}
