//! A guard without its server: the rules, a ledger in memory, and the keys from their sealed file.

use palisade_keys::{KeyRing, NewKey, Scheme, SessionPublicKey, SessionSecretKey, UnlockSecret};
use palisade_keys::{SessionSignature, Vault};
use palisade_protect::journal::Event;
use palisade_protect::{
    Changes, Denied, Digest, KeyId, KeyType, Ledger, Permit, Record, Stance, Subject,
    SubstrateRecord, authorise,
};
use palisade_substrate::{BlockNumberBits, Chain, Judged, JudgedParts};
use tempfile::TempDir;

/// The development account of all tests.
pub(crate) const ALICE: &str = "//Alice";

/// Cases of a property that signs: each seals a vault, without optimisation.
pub(crate) const CASES: u32 = 48;

/// A chain with block numbers of this width.
pub(crate) fn chain(block_number: BlockNumberBits) -> Chain {
    Chain {
        name: "test".to_owned(),
        genesis: Digest([7; 32]),
        slot_ms: 6000,
        block_number,
        discovery: None,
    }
}

/// Every record and stance, held durably enough for a test.
#[derive(Default)]
struct Memory(Changes);

impl Ledger for Memory {
    type Error = ();

    fn load(&mut self, key: &KeyId) -> Result<Option<Record>, ()> {
        Ok(self.0.records.get(key).copied())
    }

    fn stance(&mut self, key: &KeyId, subject: &Subject) -> Result<Stance, ()> {
        Ok(self.0.stances.get(&(*key, *subject)).copied().unwrap_or_default())
    }

    fn persist(&mut self, changes: &Changes, _: Vec<Event>) -> Result<(), ()> {
        self.0.records.extend(&changes.records);
        self.0.stances.extend(&changes.stances);
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
        ledger.0.records.insert(public.ledger_id(key_type), Record::Substrate(record));
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

    /// The same for a statement, which may take several decisions.
    pub(crate) fn sign_parts(&mut self, judged: &JudgedParts<'_>) -> Option<SessionSignature> {
        if let [intent] = *judged.intents {
            return self.sign(&Judged { intent, message: judged.message });
        }
        let id = self.key.ledger_id(self.key_type);
        let batch: Vec<_> = judged.intents.iter().map(|intent| (id, *intent)).collect();
        let permits: Result<Vec<Permit>, _> =
            authorise(&mut self.ledger, &batch).into_iter().collect();
        let (key, key_type, message) = (&self.key, self.key_type, &judged.message);
        match permits {
            Ok(permits) => {
                Some(self.ring.sign_message_in_parts(permits, key, key_type, message).unwrap())
            }
            Err(Denied::Refused(_)) => None,
            Err(other) => panic!("{other:?}"),
        }
    }
}
