//! Operations on a validator's account, and registrations with builders.
//!
//! Sources: consensus-specs `phase0/beacon-chain.md`, `capella/beacon-chain.md`; builder-specs
//! `specs/bellatrix/builder.md`.

use serde::Deserialize;
use tree_hash_derive::TreeHash;

use super::{ExecutionAddress, Root};
use crate::hex::HexBytes;
use crate::integer::Uint64;

#[derive(Debug, Deserialize, TreeHash)]
pub(crate) struct VoluntaryExit {
    pub(crate) epoch: Uint64,
    pub(crate) validator_index: Uint64,
}

#[derive(Debug, Deserialize, TreeHash)]
pub(crate) struct DepositMessage {
    pub(crate) pubkey: HexBytes<48>,
    pub(crate) withdrawal_credentials: Root,
    pub(crate) amount: Uint64,
}

#[derive(Debug, Deserialize, TreeHash)]
pub(crate) struct BlsToExecutionChange {
    pub(crate) validator_index: Uint64,
    pub(crate) from_bls_pubkey: HexBytes<48>,
    pub(crate) to_execution_address: ExecutionAddress,
}

#[derive(Debug, Deserialize, TreeHash)]
pub(crate) struct ValidatorRegistration {
    pub(crate) fee_recipient: ExecutionAddress,
    pub(crate) gas_limit: Uint64,
    pub(crate) timestamp: Uint64,
    pub(crate) pubkey: HexBytes<48>,
}
