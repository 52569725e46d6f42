//! What Gloas adds to a validator's and a builder's duties (EIP-7732).
//!
//! Sources: consensus-specs `gloas/beacon-chain.md`, `gloas/p2p-interface.md` as of 2026-08;
//! builder-specs `specs/gloas/validator.md` (`RequestAuthV1`). The fork is not final: a later
//! change of a container shows as a signing root mismatch, never as a wrong signature.

use serde::Deserialize;
use tree_hash::{Hash256, TreeHash};
use tree_hash_derive::TreeHash;

use super::execution::{Bounded, ExecutionPayload, ExecutionRequests};
use super::{ExecutionAddress, Root};
use crate::hex::{HexBytes, HexList};
use crate::integer::Uint64;
use crate::progressive;

/// `MAX_BLOB_COMMITMENTS_PER_BLOCK`.
const MAX_BLOB_COMMITMENTS: usize = 4096;

#[derive(Deserialize)]
pub(crate) struct ExecutionPayloadBid {
    parent_block_hash: Root,
    parent_block_root: Root,
    block_hash: Root,
    prev_randao: Root,
    fee_recipient: ExecutionAddress,
    gas_limit: Uint64,
    builder_index: Uint64,
    pub(crate) slot: Uint64,
    value: Uint64,
    execution_payment: Uint64,
    blob_kzg_commitments: Bounded<HexBytes<48>, MAX_BLOB_COMMITMENTS>,
    execution_requests_root: Root,
}

#[derive(Deserialize)]
pub(crate) struct ExecutionPayloadEnvelope {
    pub(crate) payload: ExecutionPayload,
    execution_requests: ExecutionRequests,
    builder_index: Uint64,
    beacon_block_root: Root,
    parent_beacon_block_root: Root,
}

#[derive(Debug, Deserialize, TreeHash)]
pub(crate) struct PayloadAttestationData {
    pub(crate) beacon_block_root: Root,
    pub(crate) slot: Uint64,
    pub(crate) payload_present: bool,
    pub(crate) blob_data_available: bool,
}

#[derive(Debug, Deserialize, TreeHash)]
pub(crate) struct ProposerPreferences {
    pub(crate) dependent_root: Root,
    pub(crate) proposal_slot: Uint64,
    pub(crate) validator_index: Uint64,
    pub(crate) fee_recipient: ExecutionAddress,
    pub(crate) target_gas_limit: Uint64,
}

/// The limit is `MAX_DATA_SIZE`.
#[derive(Debug, Deserialize, TreeHash)]
pub(crate) struct RequestAuth {
    pub(crate) data: HexList<4096>,
    pub(crate) slot: Uint64,
}

impl ExecutionPayloadBid {
    pub(crate) fn root(&self) -> Hash256 {
        progressive::container_root([
            self.parent_block_hash.tree_hash_root(),
            self.parent_block_root.tree_hash_root(),
            self.block_hash.tree_hash_root(),
            self.prev_randao.tree_hash_root(),
            self.fee_recipient.tree_hash_root(),
            self.gas_limit.tree_hash_root(),
            self.builder_index.tree_hash_root(),
            self.slot.tree_hash_root(),
            self.value.tree_hash_root(),
            self.execution_payment.tree_hash_root(),
            self.blob_kzg_commitments.root(),
            self.execution_requests_root.tree_hash_root(),
        ])
    }
}

impl ExecutionPayloadEnvelope {
    pub(crate) fn root(&self) -> Hash256 {
        progressive::container_root([
            self.payload.root(),
            self.execution_requests.root(),
            self.builder_index.tree_hash_root(),
            self.beacon_block_root.tree_hash_root(),
            self.parent_beacon_block_root.tree_hash_root(),
        ])
    }
}
