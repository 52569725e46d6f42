//! Everything that one key ever signed, reduced to what the rules need, and its encoding.
//!
//! Invariants: a record has constant size and grows only stricter; each record is written in one
//! encoding alone, whose bytes are frozen by tests; an unknown root (`None`) equals nothing, so
//! what was imported without a root is never signed again.
//!
//! The first byte is the version. Ethereum records have 1. Substrate records have 2, so that a
//! program from before they existed says that they are newer than it, not that they are damaged;
//! those that carry 1, from homes of the time when they were made, are still read.

use alloc::vec::Vec;
use core::fmt;

use crate::codec::{Malformed, Reader};
use crate::{Digest, Epoch, Slot, SubstrateHistory, SubstrateRecord};

const ETHEREUM_VERSION: u8 = 1;
const SUBSTRATE_VERSION: u8 = 2;
const FAMILY_ETHEREUM: u8 = 1;
const FAMILY_SUBSTRATE: u8 = 2;

const HAS_PROPOSAL: u8 = 1;
const HAS_PROPOSAL_ROOT: u8 = 1 << 1;
const HAS_ATTESTATION: u8 = 1 << 2;
const HAS_ATTESTATION_ROOT: u8 = 1 << 3;
const HAS_AT_OR_ABOVE: u8 = 1 << 4;
const HAS_BELOW: u8 = 1 << 5;
const KNOWN_FLAGS: u8 = (1 << 6) - 1;

/// The last signed proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Its slot.
    pub slot: Slot,
    /// Its signing root; `None` when only the slot is known (an import, or a start from now).
    pub root: Option<Digest>,
}

/// The highest signed source and target epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attestation {
    /// The highest source epoch.
    pub source: Epoch,
    /// The highest target epoch.
    pub target: Epoch,
    /// The signing root of the one attestation that has both; `None` when it is not known.
    pub root: Option<Digest>,
}

/// A place in time, for proposals as a slot and for attestations as an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// For proposals.
    pub slot: Slot,
    /// For attestations.
    pub epoch: Epoch,
}

/// The operator's limits on one key, above all rules: for migrations and planned ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StopLine {
    /// Nothing is signed at or above it.
    pub at_or_above: Option<Bound>,
    /// Nothing is signed below it.
    pub below: Option<Bound>,
}

/// The record of an Ethereum-family validator key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EthereumRecord {
    /// The last proposal, if any.
    pub proposal: Option<Proposal>,
    /// The last attestation, if any.
    pub attestation: Option<Attestation>,
    /// The operator's limits.
    pub stop_line: StopLine,
}

/// One key's record, by the kind of chain that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Record {
    /// Ethereum and its relatives (Casper FFG with LMD GHOST).
    Ethereum(EthereumRecord),
    /// A session key of a Substrate chain.
    Substrate(SubstrateRecord),
}

/// A stored record that cannot be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordError {
    /// Written by a newer version: upgrade before opening this home.
    UnknownVersion(u8),
    /// Not a record: the file was damaged or is not ours.
    Malformed,
    /// Records of different chains, or of different key types, cannot be merged.
    OfAnotherChain,
}

impl Record {
    /// The record of an Ethereum key that never signed anything.
    #[must_use]
    pub fn fresh_ethereum() -> Self {
        Self::Ethereum(EthereumRecord::default())
    }

    /// The first session that a key may still speak about; what it said of earlier ones need not be
    /// remembered. `None` for a key without such a floor.
    #[must_use]
    pub fn session_floor(&self) -> Option<u32> {
        match self {
            Self::Substrate(SubstrateRecord {
                history: SubstrateHistory::Statements(Some(open)),
                ..
            }) => Some(open.floor),
            _ => None,
        }
    }

    /// Whether a ledger may hold this record where the journal gives `replayed`: the two are equal,
    /// or candidates were counted too few, as by a program that did not count them yet.
    #[must_use]
    pub fn follows_from(&self, replayed: &Self) -> bool {
        let (Self::Substrate(ours), Self::Substrate(theirs)) = (self, replayed) else {
            return self == replayed;
        };
        match (ours.history, theirs.history) {
            (
                SubstrateHistory::Statements(Some(stored)),
                SubstrateHistory::Statements(Some(all)),
            ) => {
                let history = SubstrateHistory::Statements(Some(all));
                let counted = || stored.candidates.iter().zip(all.candidates);
                SubstrateRecord { history, ..*ours } == *theirs
                    && stored.floor == all.floor
                    && counted().all(|(stored, all)| *stored <= all)
            }
            _ => self == replayed,
        }
    }

    /// The least record that forbids whatever either of the two forbids.
    ///
    /// # Errors
    /// [`RecordError::OfAnotherChain`] when the two are of different kinds.
    pub fn merge_stricter(self, other: Self) -> Result<Self, RecordError> {
        match (self, other) {
            (Self::Ethereum(ours), Self::Ethereum(theirs)) => {
                Ok(Self::Ethereum(ours.merge_stricter(theirs)))
            }
            (Self::Substrate(ours), Self::Substrate(theirs)) => {
                ours.merge_stricter(theirs).map(Self::Substrate)
            }
            _ => Err(RecordError::OfAnotherChain),
        }
    }

    /// The stored form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        match self {
            Self::Ethereum(record) => {
                out.extend([ETHEREUM_VERSION, FAMILY_ETHEREUM]);
                record.encode(&mut out);
            }
            Self::Substrate(record) => {
                out.extend([SUBSTRATE_VERSION, FAMILY_SUBSTRATE]);
                record.encode(&mut out);
            }
        }
        out
    }

    /// Reads the stored form back.
    ///
    /// # Errors
    /// [`RecordError::UnknownVersion`] or [`RecordError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut reader = Reader::new(bytes);
        let version = reader.byte()?;
        if !(ETHEREUM_VERSION..=SUBSTRATE_VERSION).contains(&version) {
            return Err(RecordError::UnknownVersion(version));
        }
        let record = match (version, reader.byte()?) {
            (ETHEREUM_VERSION, FAMILY_ETHEREUM) => {
                Self::Ethereum(EthereumRecord::decode(&mut reader)?)
            }
            (_, FAMILY_SUBSTRATE) => Self::Substrate(SubstrateRecord::decode(&mut reader)?),
            (_, FAMILY_ETHEREUM) => return Err(RecordError::UnknownVersion(version)),
            _ => return Err(RecordError::Malformed),
        };
        reader.finish()?;
        Ok(record)
    }
}

impl EthereumRecord {
    /// A record that forbids everything up to `slot` and `epoch`, as if both had been signed by
    /// somebody else: the start of a key whose past is unknown.
    #[must_use]
    pub fn from_now(slot: Slot, epoch: Epoch) -> Self {
        Self {
            proposal: Some(Proposal { slot, root: None }),
            attestation: Some(Attestation { source: epoch, target: epoch, root: None }),
            stop_line: StopLine::default(),
        }
    }

    fn merge_stricter(self, other: Self) -> Self {
        Self {
            proposal: merge(self.proposal, other.proposal, Proposal::merge_stricter),
            attestation: merge(self.attestation, other.attestation, Attestation::merge_stricter),
            stop_line: self.stop_line.merge_stricter(other.stop_line),
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let proposal_root = self.proposal.and_then(|proposal| proposal.root);
        let attestation_root = self.attestation.and_then(|attestation| attestation.root);
        let flag = |present: bool, bit: u8| if present { bit } else { 0 };
        out.push(
            flag(self.proposal.is_some(), HAS_PROPOSAL)
                | flag(proposal_root.is_some(), HAS_PROPOSAL_ROOT)
                | flag(self.attestation.is_some(), HAS_ATTESTATION)
                | flag(attestation_root.is_some(), HAS_ATTESTATION_ROOT)
                | flag(self.stop_line.at_or_above.is_some(), HAS_AT_OR_ABOVE)
                | flag(self.stop_line.below.is_some(), HAS_BELOW),
        );
        if let Some(proposal) = self.proposal {
            out.extend_from_slice(&proposal.slot.0.to_le_bytes());
        }
        out.extend(proposal_root.iter().flat_map(|root| root.0));
        if let Some(attestation) = self.attestation {
            out.extend_from_slice(&attestation.source.0.to_le_bytes());
            out.extend_from_slice(&attestation.target.0.to_le_bytes());
        }
        out.extend(attestation_root.iter().flat_map(|root| root.0));
        for bound in [self.stop_line.at_or_above, self.stop_line.below].into_iter().flatten() {
            out.extend_from_slice(&bound.slot.0.to_le_bytes());
            out.extend_from_slice(&bound.epoch.0.to_le_bytes());
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, RecordError> {
        let flags = reader.byte()?;
        let has = |bit: u8| flags & bit != 0;
        let root_without_message = (has(HAS_PROPOSAL_ROOT) && !has(HAS_PROPOSAL))
            || (has(HAS_ATTESTATION_ROOT) && !has(HAS_ATTESTATION));
        if flags & !KNOWN_FLAGS != 0 || root_without_message {
            return Err(RecordError::Malformed);
        }
        let mut record = Self::default();
        if has(HAS_PROPOSAL) {
            let slot = Slot(reader.u64()?);
            let root = has(HAS_PROPOSAL_ROOT).then(|| reader.digest()).transpose()?;
            record.proposal = Some(Proposal { slot, root });
        }
        if has(HAS_ATTESTATION) {
            let (source, target) = (Epoch(reader.u64()?), Epoch(reader.u64()?));
            let root = has(HAS_ATTESTATION_ROOT).then(|| reader.digest()).transpose()?;
            record.attestation = Some(Attestation { source, target, root });
        }
        let mut bound = |bit: u8| -> Result<Option<Bound>, Malformed> {
            if !has(bit) {
                return Ok(None);
            }
            Ok(Some(Bound { slot: Slot(reader.u64()?), epoch: Epoch(reader.u64()?) }))
        };
        record.stop_line =
            StopLine { at_or_above: bound(HAS_AT_OR_ABOVE)?, below: bound(HAS_BELOW)? };
        Ok(record)
    }
}

impl Proposal {
    fn merge_stricter(self, other: Self) -> Self {
        let (later, earlier) = if self.slot >= other.slot { (self, other) } else { (other, self) };
        if later.slot == earlier.slot && later.root != earlier.root {
            return Self { slot: later.slot, root: None };
        }
        later
    }
}

impl Attestation {
    /// The root survives only on a vote that alone is as strict as both.
    fn merge_stricter(self, other: Self) -> Self {
        let merged = Self {
            source: self.source.max(other.source),
            target: self.target.max(other.target),
            root: None,
        };
        let stands_for_both = |vote: &Self, than: &Self| {
            vote.source == merged.source
                && vote.target == merged.target
                && (than.target < vote.target || than == vote)
        };
        if stands_for_both(&self, &other) {
            return self;
        }
        if stands_for_both(&other, &self) { other } else { merged }
    }
}

impl Bound {
    fn lower(self, other: Self) -> Self {
        Self { slot: self.slot.min(other.slot), epoch: self.epoch.min(other.epoch) }
    }

    fn higher(self, other: Self) -> Self {
        Self { slot: self.slot.max(other.slot), epoch: self.epoch.max(other.epoch) }
    }
}

impl StopLine {
    fn merge_stricter(self, other: Self) -> Self {
        Self {
            at_or_above: merge(self.at_or_above, other.at_or_above, Bound::lower),
            below: merge(self.below, other.below, Bound::higher),
        }
    }
}

pub(crate) fn merge<T>(
    ours: Option<T>,
    theirs: Option<T>,
    both: impl FnOnce(T, T) -> T,
) -> Option<T> {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => Some(both(ours, theirs)),
        (one, other) => one.or(other),
    }
}

impl From<Malformed> for RecordError {
    fn from(Malformed: Malformed) -> Self {
        Self::Malformed
    }
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownVersion(version) => {
                write!(f, "record version {version} is newer than this program understands")
            }
            Self::Malformed => f.write_str("not a record: damaged, or not written by this program"),
            Self::OfAnotherChain => f.write_str("records of different chains or key types"),
        }
    }
}

impl core::error::Error for RecordError {}
