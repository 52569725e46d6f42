//! What several test files share: short constructors, a seeded generator and a ledger that writes
//! down, in order, everything that is asked of it and fails where it is told to.
//!
//! Invariant: the ledger keeps the contract of [`Ledger`]: a failed write changes nothing, and
//! after it every later call fails.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::BTreeMap;

use palisade_protect::journal::Event;
use palisade_protect::{
    Attestation, Bound, Changes, Digest, Duty, Epoch, EthereumRecord, Intent, KeyId, Ledger,
    Proposal, Record, Slot, Stance, StopLine, Subject,
};

pub(crate) fn key(number: u8) -> KeyId {
    KeyId([number; 32])
}

pub(crate) fn digest(number: u8) -> Digest {
    Digest([number; 32])
}

pub(crate) fn proposal(slot: u64, root: u8) -> Intent {
    Intent { duty: Duty::Proposal { slot: Slot(slot) }, digest: digest(root) }
}

pub(crate) fn attestation(source: u64, target: u64, root: u8) -> Intent {
    let duty = Duty::Attestation { source: Epoch(source), target: Epoch(target) };
    Intent { duty, digest: digest(root) }
}

pub(crate) fn harmless(root: u8) -> Intent {
    Intent { duty: Duty::Harmless, digest: digest(root) }
}

pub(crate) fn irrevocable(root: u8) -> Intent {
    Intent { duty: Duty::Irrevocable, digest: digest(root) }
}

pub(crate) fn last_proposal(slot: u64, root: Option<u8>) -> Proposal {
    Proposal { slot: Slot(slot), root: root.map(digest) }
}

pub(crate) fn last_attestation(source: u64, target: u64, root: Option<u8>) -> Attestation {
    Attestation { source: Epoch(source), target: Epoch(target), root: root.map(digest) }
}

pub(crate) fn bound(slot: u64, epoch: u64) -> Bound {
    Bound { slot: Slot(slot), epoch: Epoch(epoch) }
}

pub(crate) fn ethereum(
    proposal: Option<Proposal>,
    attestation: Option<Attestation>,
    stop_line: StopLine,
) -> Record {
    Record::Ethereum(EthereumRecord { proposal, attestation, stop_line })
}

/// A record with every field set.
pub(crate) fn full_record() -> Record {
    ethereum(
        Some(last_proposal(0x0102_0304_0506_0708, Some(0xaa))),
        Some(last_attestation(0x1112, 0x2122_2324, Some(0xbb))),
        StopLine { at_or_above: Some(bound(u64::MAX, 0x3132)), below: Some(bound(0x4142, 0x5152)) },
    )
}

/// SplitMix64 (Steele, Lea, Flood 2014): a seed names one run of a test for ever.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number in `0..limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = usize::try_from(self.below(last as u64 + 1)).unwrap();
            items.swap(last, other);
        }
    }
}

/// One call to the ledger, with what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Load(KeyId),
    LoadFailed(KeyId),
    Persist(Changes, Vec<Event>),
    PersistFailed,
    Defer(Event),
}

/// Why a call failed: the number of the operation that was told to fail, or dead since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken(pub(crate) usize);

#[derive(Default)]
pub(crate) struct RecordingLedger {
    pub(crate) records: BTreeMap<KeyId, Record>,
    pub(crate) stances: BTreeMap<(KeyId, Subject), Stance>,
    pub(crate) calls: Vec<Call>,
    pub(crate) fail_at: Option<usize>,
    operations: usize,
    dead: bool,
}

impl RecordingLedger {
    pub(crate) fn with_fresh_keys(count: u8) -> Self {
        let records = (0..count).map(|number| (key(number), Record::fresh_ethereum())).collect();
        Self::with_records(records)
    }

    pub(crate) fn with_records(records: BTreeMap<KeyId, Record>) -> Self {
        Self { records, ..Self::default() }
    }

    pub(crate) fn failing_at(records: BTreeMap<KeyId, Record>, operation: usize) -> Self {
        Self { records, fail_at: Some(operation), ..Self::default() }
    }

    /// How many loads and persists there were.
    pub(crate) fn operations(&self) -> usize {
        self.operations
    }

    pub(crate) fn persists(&self) -> Vec<(&Changes, &Vec<Event>)> {
        let mut persists = Vec::new();
        for call in &self.calls {
            if let Call::Persist(changes, events) = call {
                persists.push((changes, events));
            }
        }
        persists
    }

    fn operate(&mut self) -> Result<(), Broken> {
        let number = self.operations;
        self.operations += 1;
        if self.dead || self.fail_at == Some(number) { Err(Broken(number)) } else { Ok(()) }
    }
}

impl Ledger for RecordingLedger {
    type Error = Broken;

    fn load(&mut self, key: &KeyId) -> Result<Option<Record>, Broken> {
        let allowed = self.operate();
        self.calls.push(if allowed.is_ok() { Call::Load(*key) } else { Call::LoadFailed(*key) });
        allowed.map(|()| self.records.get(key).copied())
    }

    fn stance(&mut self, key: &KeyId, subject: &Subject) -> Result<Stance, Broken> {
        self.operate()?;
        Ok(self.stances.get(&(*key, *subject)).copied().unwrap_or_default())
    }

    fn persist(&mut self, changes: &Changes, events: Vec<Event>) -> Result<(), Broken> {
        if let Err(broken) = self.operate() {
            self.dead = true;
            self.calls.push(Call::PersistFailed);
            return Err(broken);
        }
        self.records.extend(&changes.records);
        self.stances.extend(&changes.stances);
        self.calls.push(Call::Persist(changes.clone(), events));
        Ok(())
    }

    fn defer(&mut self, event: Event) {
        self.calls.push(Call::Defer(event));
    }
}
