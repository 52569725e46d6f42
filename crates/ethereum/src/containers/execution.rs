//! The execution payload and its requests, as Gloas has them.
//!
//! Source: consensus-specs `gloas/beacon-chain.md` as of 2026-08 (EIP-7688, EIP-7843, EIP-7928,
//! EIP-8282), `electra/beacon-chain.md`, `capella/beacon-chain.md`. The lists are progressive and
//! have no limit in their type; they are bounded here by what the protocol allows in one payload.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use tree_hash::{Hash256, TreeHash};
use tree_hash_derive::TreeHash;

use super::{ExecutionAddress, Root, Signature};
use crate::hex::{HexBytes, HexList};
use crate::integer::{Uint64, Uint256};
use crate::progressive;

/// `MAX_BYTES_PER_TRANSACTION`, also taken as the bound of a block access list.
const MAX_BYTES: usize = 1 << 30;
/// `MAX_TRANSACTIONS_PER_PAYLOAD`.
const MAX_TRANSACTIONS: usize = 1 << 20;
/// `MAX_WITHDRAWALS_PER_PAYLOAD` of the mainnet preset, the largest.
const MAX_WITHDRAWALS: usize = 16;
/// `MAX_DEPOSIT_REQUESTS_PER_PAYLOAD`.
const MAX_DEPOSIT_REQUESTS: usize = 8192;
/// `MAX_WITHDRAWAL_REQUESTS_PER_PAYLOAD`.
const MAX_WITHDRAWAL_REQUESTS: usize = 16;
/// `MAX_CONSOLIDATION_REQUESTS_PER_PAYLOAD`.
const MAX_CONSOLIDATION_REQUESTS: usize = 2;
/// `MAX_BUILDER_DEPOSIT_REQUESTS_PER_PAYLOAD`.
const MAX_BUILDER_DEPOSIT_REQUESTS: usize = 64;
/// `MAX_BUILDER_EXIT_REQUESTS_PER_PAYLOAD`.
const MAX_BUILDER_EXIT_REQUESTS: usize = 16;

/// A progressive list that is read up to `MAX` elements.
pub(crate) struct Bounded<T, const MAX: usize>(Vec<T>);

#[derive(Deserialize)]
pub(crate) struct ExecutionPayload {
    parent_hash: Root,
    fee_recipient: ExecutionAddress,
    state_root: Root,
    receipts_root: Root,
    logs_bloom: HexBytes<256>,
    prev_randao: Root,
    block_number: Uint64,
    gas_limit: Uint64,
    gas_used: Uint64,
    timestamp: Uint64,
    extra_data: HexList<32>,
    base_fee_per_gas: Uint256,
    block_hash: Root,
    transactions: Bounded<HexList<MAX_BYTES>, MAX_TRANSACTIONS>,
    withdrawals: Bounded<Withdrawal, MAX_WITHDRAWALS>,
    blob_gas_used: Uint64,
    excess_blob_gas: Uint64,
    block_access_list: HexList<MAX_BYTES>,
    pub(crate) slot_number: Uint64,
}

#[derive(Deserialize, TreeHash)]
struct Withdrawal {
    index: Uint64,
    validator_index: Uint64,
    address: ExecutionAddress,
    amount: Uint64,
}

#[derive(Deserialize)]
pub(crate) struct ExecutionRequests {
    deposits: Bounded<DepositRequest, MAX_DEPOSIT_REQUESTS>,
    withdrawals: Bounded<WithdrawalRequest, MAX_WITHDRAWAL_REQUESTS>,
    consolidations: Bounded<ConsolidationRequest, MAX_CONSOLIDATION_REQUESTS>,
    builder_deposits: Bounded<BuilderDepositRequest, MAX_BUILDER_DEPOSIT_REQUESTS>,
    builder_exits: Bounded<BuilderExitRequest, MAX_BUILDER_EXIT_REQUESTS>,
}

#[derive(Deserialize, TreeHash)]
struct DepositRequest {
    pubkey: HexBytes<48>,
    withdrawal_credentials: Root,
    amount: Uint64,
    signature: Signature,
    index: Uint64,
}

#[derive(Deserialize, TreeHash)]
struct WithdrawalRequest {
    source_address: ExecutionAddress,
    validator_pubkey: HexBytes<48>,
    amount: Uint64,
}

#[derive(Deserialize, TreeHash)]
struct ConsolidationRequest {
    source_address: ExecutionAddress,
    source_pubkey: HexBytes<48>,
    target_pubkey: HexBytes<48>,
}

#[derive(Deserialize, TreeHash)]
struct BuilderDepositRequest {
    pubkey: HexBytes<48>,
    withdrawal_credentials: Root,
    amount: Uint64,
    signature: Signature,
}

#[derive(Deserialize, TreeHash)]
struct BuilderExitRequest {
    source_address: ExecutionAddress,
    pubkey: HexBytes<48>,
}

impl ExecutionPayload {
    pub(crate) fn root(&self) -> Hash256 {
        let transactions = self.transactions.0.iter();
        progressive::container_root([
            self.parent_hash.tree_hash_root(),
            self.fee_recipient.tree_hash_root(),
            self.state_root.tree_hash_root(),
            self.receipts_root.tree_hash_root(),
            self.logs_bloom.tree_hash_root(),
            self.prev_randao.tree_hash_root(),
            self.block_number.tree_hash_root(),
            self.gas_limit.tree_hash_root(),
            self.gas_used.tree_hash_root(),
            self.timestamp.tree_hash_root(),
            self.extra_data.tree_hash_root(),
            self.base_fee_per_gas.tree_hash_root(),
            self.block_hash.tree_hash_root(),
            progressive::list_root(transactions.map(|bytes| progressive::byte_list_root(&bytes.0))),
            self.withdrawals.root(),
            self.blob_gas_used.tree_hash_root(),
            self.excess_blob_gas.tree_hash_root(),
            progressive::byte_list_root(&self.block_access_list.0),
            self.slot_number.tree_hash_root(),
        ])
    }
}

impl ExecutionRequests {
    pub(crate) fn root(&self) -> Hash256 {
        progressive::container_root([
            self.deposits.root(),
            self.withdrawals.root(),
            self.consolidations.root(),
            self.builder_deposits.root(),
            self.builder_exits.root(),
        ])
    }
}

impl<T: TreeHash, const MAX: usize> Bounded<T, MAX> {
    /// The root as a progressive list of composite values.
    pub(crate) fn root(&self) -> Hash256 {
        progressive::list_root(self.0.iter().map(TreeHash::tree_hash_root))
    }
}

struct BoundedVisitor<T, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for BoundedVisitor<T, MAX> {
    type Value = Bounded<T, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MAX} elements")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = sequence.next_element()? {
            if elements.len() == MAX {
                return Err(de::Error::invalid_length(MAX.saturating_add(1), &self));
            }
            elements.push(element);
        }
        Ok(Bounded(elements))
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for Bounded<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(BoundedVisitor(PhantomData))
    }
}
