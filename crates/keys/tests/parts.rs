//! Messages that took several decisions.
//!
//! Decides: such a message is signed with the permits of all its parts, of this key and in order,
//! and with nothing less; the permit of a part signs nothing by itself.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests fail by panicking"
)]

use palisade_keys::{
    KeyRing, NewKey, Scheme, SessionPublicKey, SessionSecretKey, SignError, UnlockSecret, Vault,
};
use palisade_protect::journal::Event;
use palisade_protect::{
    Changes, Digest, Duty, Intent, KeyId, KeyType, Ledger, Message, Permit, Record, Stance,
    Statement, Subject, SubstrateRecord, authorise,
};

const MESSAGE: Message<'static> = Message::Payload(b"of two candidates");

/// Knows every key of type `para`, and believes that all is durable.
struct Memory;

impl Ledger for Memory {
    type Error = ();

    fn load(&mut self, _: &KeyId) -> Result<Option<Record>, ()> {
        let record = SubstrateRecord::fresh(Digest([1; 32]), KeyType::PARACHAIN).unwrap();
        Ok(Some(Record::Substrate(record)))
    }

    fn stance(&mut self, _: &KeyId, _: &Subject) -> Result<Stance, ()> {
        Ok(Stance::NONE)
    }

    fn persist(&mut self, _: &Changes, _: Vec<Event>) -> Result<(), ()> {
        Ok(())
    }

    fn defer(&mut self, _: Event) {}
}

fn permit(key: SessionPublicKey, digest: Digest) -> Permit {
    let subject = Subject { session: 1, candidate: digest };
    let duty = Duty::ParaStatement { subject, statement: Statement::Approved };
    let batch = [(key.ledger_id(KeyType::PARACHAIN), Intent { duty, digest })];
    authorise(&mut Memory, &batch).remove(0).unwrap()
}

fn part(key: SessionPublicKey, part: u8, parts: u8) -> Permit {
    permit(key, MESSAGE.part_digest(part, parts))
}

fn ring() -> (tempfile::TempDir, KeyRing, [SessionPublicKey; 2]) {
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("unlock");
    Vault::generate_unlock_file(&secret).unwrap();
    let unlock = UnlockSecret::from_file(&secret).unwrap();
    let mut vault = Vault::create(&directory.path().join("keys"), &unlock).unwrap();
    let secrets =
        ["//Alice", "//Bob"].map(|uri| SessionSecretKey::from_uri(Scheme::Sr25519, uri).unwrap());
    let keys = secrets.each_ref().map(SessionSecretKey::public_key);
    vault.add(secrets.into_iter().map(NewKey::session).collect()).unwrap();
    (directory, vault.load_ring().unwrap(), keys)
}

#[test]
fn all_parts_sign_and_nothing_less_does() {
    let (_directory, ring, [alice, bob]) = ring();
    let sign = |permits| ring.sign_message_in_parts(permits, &alice, KeyType::PARACHAIN, &MESSAGE);
    let signature = sign(vec![part(alice, 0, 2), part(alice, 1, 2)]).unwrap();
    let whole = permit(alice, MESSAGE.digest());
    let alone = ring.sign_message(whole, &alice, KeyType::PARACHAIN, &MESSAGE).unwrap();
    assert_eq!(signature, alone, "the same bytes as with one decision");
    for permits in [
        vec![],
        vec![part(alice, 0, 2)],
        vec![part(alice, 0, 1)],
        vec![permit(alice, MESSAGE.digest())],
        vec![part(alice, 1, 2), part(alice, 0, 2)],
        vec![part(alice, 0, 2), part(alice, 0, 2)],
        vec![part(alice, 0, 2), part(bob, 1, 2)],
        vec![part(alice, 0, 3), part(alice, 1, 3)],
        vec![part(alice, 0, 2), part(alice, 1, 2), part(alice, 2, 2)],
    ] {
        assert!(matches!(sign(permits), Err(SignError::OtherMessage(_))));
    }
    let other = ring.sign_message_in_parts(
        vec![part(alice, 0, 2), part(alice, 1, 2)],
        &alice,
        KeyType::PARACHAIN,
        &Message::Payload(b"of two others"),
    );
    assert!(matches!(other, Err(SignError::OtherMessage(_))));
    let wrong_type = ring.sign_message_in_parts(
        vec![part(alice, 0, 2), part(alice, 1, 2)],
        &alice,
        KeyType::BABE,
        &MESSAGE,
    );
    assert!(matches!(wrong_type, Err(SignError::OtherMessage(_))));
}

#[test]
fn the_permit_of_a_part_signs_nothing() {
    let (_directory, ring, [alice, _]) = ring();
    for parts in 1..4 {
        let permit = part(alice, 0, parts);
        let signed = ring.sign_message(permit, &alice, KeyType::PARACHAIN, &MESSAGE);
        assert!(matches!(signed, Err(SignError::OtherMessage(_))));
    }
}
