//! The runtime API as a type.
//!
//! The client wants a type that has the API's methods; it never calls them, because the runtime
//! runs as Wasm. So none of them does anything, and the chain's real code is not compiled a second
//! time for this machine.
#![allow(dead_code, reason = "the client wants the type, and never calls its methods")]

use sp_api::impl_runtime_apis;
use sp_runtime::{
    ApplyExtrinsicResult, ExtrinsicInclusionMode,
    traits::{Block as BlockT, NumberFor},
    transaction_validity::{TransactionSource, TransactionValidity},
};

use crate::chain::Block;

/// Carries the API's methods.
pub(crate) struct Runtime;

type Extrinsic = <Block as BlockT>::Extrinsic;
type Hash = <Block as BlockT>::Hash;
type Header = <Block as BlockT>::Header;

fn never() -> ! {
    unreachable!("the runtime runs as Wasm")
}

impl_runtime_apis! {
    impl sp_api::Core<Block> for Runtime {
        fn version() -> sp_version::RuntimeVersion { never() }
        fn execute_block(_: <Block as BlockT>::LazyBlock) { never() }
        fn initialize_block(_: &<Block as BlockT>::Header) -> ExtrinsicInclusionMode { never() }
    }

    impl sp_api::Metadata<Block> for Runtime {
        fn metadata() -> sp_core::OpaqueMetadata { never() }
        fn metadata_at_version(_: u32) -> Option<sp_core::OpaqueMetadata> { never() }
        fn metadata_versions() -> Vec<u32> { never() }
    }

    impl sp_block_builder::BlockBuilder<Block> for Runtime {
        fn apply_extrinsic(_: <Block as BlockT>::Extrinsic) -> ApplyExtrinsicResult { never() }
        fn finalize_block() -> <Block as BlockT>::Header { never() }
        fn inherent_extrinsics(_: sp_inherents::InherentData) -> Vec<Extrinsic> { never() }
        fn check_inherents(
            _: <Block as BlockT>::LazyBlock,
            _: sp_inherents::InherentData,
        ) -> sp_inherents::CheckInherentsResult { never() }
    }

    impl sp_transaction_pool::runtime_api::TaggedTransactionQueue<Block> for Runtime {
        fn validate_transaction(
            _: TransactionSource,
            _: <Block as BlockT>::Extrinsic,
            _: <Block as BlockT>::Hash,
        ) -> TransactionValidity { never() }
    }

    impl sp_offchain::OffchainWorkerApi<Block> for Runtime {
        fn offchain_worker(_: &<Block as BlockT>::Header) { never() }
    }

    impl sp_consensus_babe::BabeApi<Block> for Runtime {
        fn configuration() -> sp_consensus_babe::BabeConfiguration { never() }
        fn current_epoch_start() -> sp_consensus_babe::Slot { never() }
        fn current_epoch() -> sp_consensus_babe::Epoch { never() }
        fn next_epoch() -> sp_consensus_babe::Epoch { never() }
        fn generate_key_ownership_proof(
            _: sp_consensus_babe::Slot,
            _: sp_consensus_babe::AuthorityId,
        ) -> Option<sp_consensus_babe::OpaqueKeyOwnershipProof> { never() }
        fn submit_report_equivocation_unsigned_extrinsic(
            _: sp_consensus_babe::EquivocationProof<Header>,
            _: sp_consensus_babe::OpaqueKeyOwnershipProof,
        ) -> Option<()> { never() }
    }

    impl sp_consensus_grandpa::GrandpaApi<Block> for Runtime {
        fn grandpa_authorities() -> sp_consensus_grandpa::AuthorityList { never() }
        fn current_set_id() -> sp_consensus_grandpa::SetId { never() }
        fn submit_report_equivocation_unsigned_extrinsic(
            _: sp_consensus_grandpa::EquivocationProof<Hash, NumberFor<Block>>,
            _: sp_consensus_grandpa::OpaqueKeyOwnershipProof,
        ) -> Option<()> { never() }
        fn generate_key_ownership_proof(
            _: sp_consensus_grandpa::SetId,
            _: sp_consensus_grandpa::AuthorityId,
        ) -> Option<sp_consensus_grandpa::OpaqueKeyOwnershipProof> { never() }
    }

    impl sp_session::SessionKeys<Block> for Runtime {
        fn generate_session_keys(
            _: Vec<u8>,
            _: Option<Vec<u8>>,
        ) -> sp_session::OpaqueGeneratedSessionKeys { never() }
        fn decode_session_keys(
            _: Vec<u8>,
        ) -> Option<Vec<(Vec<u8>, sp_core::crypto::KeyTypeId)>> { never() }
    }
}
