//! A guard without its server: the rules, a ledger in memory, and the keys from their sealed file.

use std::collections::BTreeMap;

use palisade_keys::{KeyRing, NewKey, Scheme, SessionPublicKey, SessionSecretKey, UnlockSecret};
use palisade_keys::{SessionSignature, Vault};
use palisade_protect::journal::Event;
use palisade_protect::{
    Denied, Digest, KeyId, KeyType, Ledger, Record, SubstrateRecord, authorise,
};
use palisade_substrate::{BlockNumberBits, Chain, Judged};
use tempfile::TempDir;

/// The development account of all tests.
pub(crate) const ALICE: &str = "//Alice";

/// Cases of a property that signs: each seals a vault, without optimisation.
pub(crate) const CASES: u32 = 48;

/// A chain with block numbers of this width.
pub(crate) fn chain(block_number: BlockNumberBits) -> Chain {
    Chain { name: "test".to_owned(), genesis: Digest([7; 32]), slot_ms: 6000, block_number }
}

/// Every record, held durably enough for a test.
#[derive(Default)]
struct Memory(BTreeMap<KeyId, Record>);

impl Ledger for Memory {
    type Error = ();

    fn load(&mut self, key: &KeyId) -> Result<Option<Record>, ()> {
        Ok(self.0.get(key).copied())
    }

    fn persist(&mut self, records: &BTreeMap<KeyId, Record>, _: Vec<Event>) -> Result<(), ()> {
        self.0.extend(records.iter().map(|(key, record)| (*key, *record)));
        Ok(())
    }

    fn defer(&mut self, _: Event) {}
}

/// One key, its record, and the rules.
pub(crate) struct Guard {
    ring: KeyRing,
    ledger: Memory,
    key: SessionPublicKey,
    key_type: KeyType,
    _home: TempDir,
}

impl Guard {
    /// Holds Alice's key of this type, never used before.
    pub(crate) fn new(scheme: Scheme, key_type: KeyType) -> Self {
        let home = tempfile::tempdir().unwrap();
        let secret = home.path().join("unlock");
        Vault::generate_unlock_file(&secret).unwrap();
        let unlock = UnlockSecret::from_file(&secret).unwrap();
        let mut vault = Vault::create(&home.path().join("keys"), &unlock).unwrap();
        let key = SessionSecretKey::from_uri(scheme, ALICE).unwrap();
        let public = key.public_key();
        vault.add(vec![NewKey::session(key)]).unwrap();
        let ring = vault.load_ring().unwrap();
        let mut ledger = Memory::default();
        let record = SubstrateRecord::fresh(Digest([7; 32]), key_type).unwrap();
        ledger.0.insert(public.ledger_id(key_type), Record::Substrate(record));
        Self { ring, ledger, key: public, key_type, _home: home }
    }

    /// Judges, and signs what is allowed; `None` if a rule says no.
    pub(crate) fn sign(&mut self, judged: &Judged<'_>) -> Option<SessionSignature> {
        let id = self.key.ledger_id(self.key_type);
        match authorise(&mut self.ledger, &[(id, judged.intent)]).remove(0) {
            Ok(permit) => Some(
                self.ring.sign_message(permit, &self.key, self.key_type, &judged.message).unwrap(),
            ),
            Err(Denied::Refused(_)) => None,
            Err(other) => panic!("{other:?}"),
        }
    }
}
