//! What several test files share: short constructors, a way to ask for one permit, and the
//! naive judge of two signed messages.
#![allow(dead_code, reason = "each test file uses its own part")]

use palisade_protect::{
    Denied, Digest, Duty, Epoch, Intent, KeyId, KeyType, Ledger as _, Permit, Record, Slot,
    Statement, Subject, SubstrateRecord, authorise, decide,
};
use palisade_store::{Admission, Creation, Store, StoreError};

pub fn key(number: u8) -> KeyId {
    KeyId([number; 32])
}

pub fn digest(number: u64) -> Digest {
    let mut bytes = [0xd1; 32];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    Digest(bytes)
}

pub fn proposal(slot: u64, root: u64) -> Intent {
    Intent { duty: Duty::Proposal { slot: Slot(slot) }, digest: digest(root) }
}

pub fn attestation(source: u64, target: u64, root: u64) -> Intent {
    let duty = Duty::Attestation { source: Epoch(source), target: Epoch(target) };
    Intent { duty, digest: digest(root) }
}

pub fn statement(session: u32, candidate: u64, statement: Statement) -> Intent {
    let subject = Subject { session, candidate: digest(candidate) };
    let content = digest((u64::from(session) << 32) | (candidate << 8) | statement as u64);
    Intent { duty: Duty::ParaStatement { subject, statement }, digest: content }
}

/// A key of type `para` that never spoke.
pub fn fresh_validator(number: u8) -> Admission {
    let record = SubstrateRecord::fresh(Digest([9; 32]), KeyType::PARACHAIN).unwrap();
    admission(number, Record::Substrate(record))
}

pub fn irrevocable(root: u64) -> Intent {
    Intent { duty: Duty::Irrevocable, digest: digest(root) }
}

/// The same duty with another message.
pub fn twin(intent: &Intent) -> Intent {
    let mut other = *intent;
    other.digest.0[31] ^= 0xff;
    other
}

pub fn creation() -> Creation {
    Creation { network: "minimal".to_owned(), genesis_validators_root: None }
}

pub fn admission(number: u8, record: Record) -> Admission {
    Admission { key: key(number), public_key: vec![number; 48], record }
}

pub fn fresh(number: u8) -> Admission {
    admission(number, Record::fresh_ethereum())
}

pub fn ask(store: &mut Store, number: u8, intent: Intent) -> Result<Permit, Denied<StoreError>> {
    authorise(store, &[(key(number), intent)]).remove(0)
}

/// Whether the store would refuse the other message of the same duty, by its record alone.
pub fn forbids_twin(store: &mut Store, key: &KeyId, intent: &Intent) -> bool {
    if let Duty::ParaStatement { subject, statement } = intent.duty {
        let floor = store.record(key).and_then(|record| record.session_floor());
        let stance = store.stance(key, &subject).unwrap();
        return floor.is_some_and(|floor| subject.session < floor || stance.contains(statement));
    }
    let slashable = matches!(intent.duty, Duty::Proposal { .. } | Duty::Attestation { .. });
    !slashable || store.record(key).is_some_and(|record| decide(&record, &twin(intent)).is_err())
}

fn contradict(said: Statement, also: Statement) -> bool {
    use Statement::{
        Approved, CodeAccepted, CodeRejected, DisputedInvalid, DisputedValid, Seconded, Valid,
    };
    match said {
        DisputedInvalid => [Seconded, Valid, Approved, DisputedValid].contains(&also),
        CodeAccepted => also == CodeRejected,
        _ => false,
    }
}

/// What no chain may see of one key: the consensus specification's slashing conditions, and two
/// statements on one candidate of which one is wrong however a dispute ends.
pub fn is_slashable(one: &Intent, other: &Intent) -> bool {
    if one.digest == other.digest {
        return false;
    }
    match (one.duty, other.duty) {
        (Duty::Proposal { slot: one }, Duty::Proposal { slot: other }) => one == other,
        (
            Duty::Attestation { source: s1, target: t1 },
            Duty::Attestation { source: s2, target: t2 },
        ) => t1 == t2 || (s1 < s2 && t2 < t1) || (s2 < s1 && t1 < t2),
        (
            Duty::ParaStatement { subject: one, statement: said },
            Duty::ParaStatement { subject: other, statement: also },
        ) => one == other && (contradict(said, also) || contradict(also, said)),
        _ => false,
    }
}
