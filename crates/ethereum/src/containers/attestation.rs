//! Attestations and their aggregates.
//!
//! Sources: consensus-specs `phase0/beacon-chain.md` and `phase0/validator.md`;
//! `electra/beacon-chain.md` (committee bits, EIP-7549); `gloas/beacon-chain.md` (progressive
//! types, EIP-7688).

use serde::Deserialize;
use ssz_types::{BitList, BitVector};
use tree_hash::{Hash256, TreeHash};
use tree_hash_derive::TreeHash;
use typenum::U2048;

use super::{Root, Signature};
use crate::integer::Uint64;
use crate::preset::Limits;
use crate::progressive;

#[derive(Debug, Deserialize, TreeHash)]
pub(crate) struct Checkpoint {
    pub(crate) epoch: Uint64,
    pub(crate) root: Root,
}

#[derive(Debug, Deserialize, TreeHash)]
pub(crate) struct AttestationData {
    pub(crate) slot: Uint64,
    pub(crate) index: Uint64,
    pub(crate) beacon_block_root: Root,
    pub(crate) source: Checkpoint,
    pub(crate) target: Checkpoint,
}

/// Before Electra. The limit is `MAX_VALIDATORS_PER_COMMITTEE`.
#[derive(Debug, Deserialize, TreeHash)]
pub(crate) struct Attestation {
    pub(crate) aggregation_bits: BitList<U2048>,
    pub(crate) data: AttestationData,
    pub(crate) signature: Signature,
}

/// Electra and Fulu.
#[derive(Deserialize, TreeHash)]
#[serde(bound = "")]
pub(crate) struct AttestationElectra<L: Limits> {
    pub(crate) aggregation_bits: BitList<L::ValidatorsPerSlot>,
    pub(crate) data: AttestationData,
    pub(crate) signature: Signature,
    pub(crate) committee_bits: BitVector<L::CommitteesPerSlot>,
}

#[derive(Debug, Deserialize, TreeHash)]
pub(crate) struct AggregateAndProof {
    pub(crate) aggregator_index: Uint64,
    pub(crate) aggregate: Attestation,
    pub(crate) selection_proof: Signature,
}

/// From Electra on: Gloas has the same fields and hashes the aggregate another way.
#[derive(Deserialize, TreeHash)]
#[serde(bound = "")]
pub(crate) struct AggregateAndProofElectra<L: Limits> {
    pub(crate) aggregator_index: Uint64,
    pub(crate) aggregate: AttestationElectra<L>,
    pub(crate) selection_proof: Signature,
}

#[derive(TreeHash)]
struct AggregateAndProofSummary {
    aggregator_index: Uint64,
    aggregate: Hash256,
    selection_proof: Signature,
}

impl<L: Limits> AttestationElectra<L> {
    /// The root as a Gloas `Attestation`.
    fn gloas_root(&self) -> Hash256 {
        let bits = &self.aggregation_bits;
        progressive::container_root([
            progressive::bit_list_root(bits.as_slice(), bits.len()),
            self.data.tree_hash_root(),
            self.signature.tree_hash_root(),
            self.committee_bits.tree_hash_root(),
        ])
    }
}

impl<L: Limits> AggregateAndProofElectra<L> {
    /// The root as a Gloas `AggregateAndProof`.
    pub(crate) fn gloas_root(&self) -> Hash256 {
        AggregateAndProofSummary {
            aggregator_index: self.aggregator_index,
            aggregate: self.aggregate.gloas_root(),
            selection_proof: self.selection_proof,
        }
        .tree_hash_root()
    }
}
