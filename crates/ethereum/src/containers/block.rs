//! Beacon blocks of the forks that send them whole (Phase 0 and Altair), and the header that
//! stands for a block of any fork.
//!
//! Source: consensus-specs `phase0/beacon-chain.md` and `altair/beacon-chain.md`. A block and its
//! header have the same root.

use serde::Deserialize;
use ssz_types::{FixedVector, VariableList};
use tree_hash_derive::TreeHash;
use typenum::{U2, U16, U33, U128, U2048};

use super::altair::SyncAggregate;
use super::attestation::{Attestation, AttestationData};
use super::operations::VoluntaryExit;
use super::{Root, Signature};
use crate::hex::HexBytes;
use crate::integer::Uint64;
use crate::preset::Limits;

#[derive(Debug, Deserialize, TreeHash)]
pub(crate) struct BeaconBlockHeader {
    pub(crate) slot: Uint64,
    pub(crate) proposer_index: Uint64,
    pub(crate) parent_root: Root,
    pub(crate) state_root: Root,
    pub(crate) body_root: Root,
}

#[derive(Deserialize, TreeHash)]
pub(crate) struct BeaconBlock<Body: tree_hash::TreeHash> {
    pub(crate) slot: Uint64,
    pub(crate) proposer_index: Uint64,
    pub(crate) parent_root: Root,
    pub(crate) state_root: Root,
    pub(crate) body: Body,
}

#[derive(Debug, Deserialize, TreeHash)]
pub(crate) struct BodyPhase0 {
    pub(crate) randao_reveal: Signature,
    pub(crate) eth1_data: Eth1Data,
    pub(crate) graffiti: Root,
    pub(crate) proposer_slashings: VariableList<ProposerSlashing, U16>,
    pub(crate) attester_slashings: VariableList<AttesterSlashing, U2>,
    pub(crate) attestations: VariableList<Attestation, U128>,
    pub(crate) deposits: VariableList<Deposit, U16>,
    pub(crate) voluntary_exits: VariableList<SignedVoluntaryExit, U16>,
}

#[derive(Deserialize, TreeHash)]
#[serde(bound = "")]
pub(crate) struct BodyAltair<L: Limits> {
    pub(crate) randao_reveal: Signature,
    pub(crate) eth1_data: Eth1Data,
    pub(crate) graffiti: Root,
    pub(crate) proposer_slashings: VariableList<ProposerSlashing, U16>,
    pub(crate) attester_slashings: VariableList<AttesterSlashing, U2>,
    pub(crate) attestations: VariableList<Attestation, U128>,
    pub(crate) deposits: VariableList<Deposit, U16>,
    pub(crate) voluntary_exits: VariableList<SignedVoluntaryExit, U16>,
    pub(crate) sync_aggregate: SyncAggregate<L>,
}

#[derive(Debug, Deserialize, TreeHash)]
pub(crate) struct Eth1Data {
    pub(crate) deposit_root: Root,
    pub(crate) deposit_count: Uint64,
    pub(crate) block_hash: Root,
}

#[derive(Debug, Deserialize, TreeHash)]
pub(crate) struct ProposerSlashing {
    pub(crate) signed_header_1: SignedBeaconBlockHeader,
    pub(crate) signed_header_2: SignedBeaconBlockHeader,
}

#[derive(Debug, Deserialize, TreeHash)]
pub(crate) struct SignedBeaconBlockHeader {
    pub(crate) message: BeaconBlockHeader,
    pub(crate) signature: Signature,
}

#[derive(Debug, Deserialize, TreeHash)]
pub(crate) struct AttesterSlashing {
    pub(crate) attestation_1: IndexedAttestation,
    pub(crate) attestation_2: IndexedAttestation,
}

/// The limit is `MAX_VALIDATORS_PER_COMMITTEE`.
#[derive(Debug, Deserialize, TreeHash)]
pub(crate) struct IndexedAttestation {
    pub(crate) attesting_indices: VariableList<Uint64, U2048>,
    pub(crate) data: AttestationData,
    pub(crate) signature: Signature,
}

/// The proof's length is `DEPOSIT_CONTRACT_TREE_DEPTH + 1`.
#[derive(Debug, Deserialize, TreeHash)]
pub(crate) struct Deposit {
    pub(crate) proof: FixedVector<Root, U33>,
    pub(crate) data: DepositData,
}

#[derive(Debug, Deserialize, TreeHash)]
pub(crate) struct DepositData {
    pub(crate) pubkey: HexBytes<48>,
    pub(crate) withdrawal_credentials: Root,
    pub(crate) amount: Uint64,
    pub(crate) signature: Signature,
}

#[derive(Debug, Deserialize, TreeHash)]
pub(crate) struct SignedVoluntaryExit {
    pub(crate) message: VoluntaryExit,
    pub(crate) signature: Signature,
}
