//! Sync committee messages.
//!
//! Source: consensus-specs `altair/beacon-chain.md` and `altair/validator.md`.

use serde::Deserialize;
use ssz_types::BitVector;
use tree_hash_derive::TreeHash;

use super::{Root, Signature};
use crate::integer::Uint64;
use crate::preset::Limits;

#[derive(Deserialize, TreeHash)]
#[serde(bound = "")]
pub(crate) struct SyncAggregate<L: Limits> {
    pub(crate) sync_committee_bits: BitVector<L::SyncCommittee>,
    pub(crate) sync_committee_signature: Signature,
}

#[derive(Debug, Deserialize, TreeHash)]
pub(crate) struct SyncAggregatorSelectionData {
    pub(crate) slot: Uint64,
    pub(crate) subcommittee_index: Uint64,
}

#[derive(Deserialize, TreeHash)]
#[serde(bound = "")]
pub(crate) struct SyncCommitteeContribution<L: Limits> {
    pub(crate) slot: Uint64,
    pub(crate) beacon_block_root: Root,
    pub(crate) subcommittee_index: Uint64,
    pub(crate) aggregation_bits: BitVector<L::SyncSubcommittee>,
    pub(crate) signature: Signature,
}

#[derive(Deserialize, TreeHash)]
#[serde(bound = "")]
pub(crate) struct ContributionAndProof<L: Limits> {
    pub(crate) aggregator_index: Uint64,
    pub(crate) contribution: SyncCommitteeContribution<L>,
    pub(crate) selection_proof: Signature,
}

/// The part of a `SyncCommitteeMessage` that is signed: its block root, in its slot's domain.
#[derive(Debug, Deserialize)]
pub(crate) struct SyncCommitteeDuty {
    pub(crate) beacon_block_root: Root,
    pub(crate) slot: Uint64,
}
