//! The chain on which the Substrate scenarios run.
//!
//! It decides what a scenario can show: BABE with secondary VRF slots, so that every slot has an
//! author; GRANDPA; sessions that are epochs, with keys that `session.setKeys` changes; and the
//! real offence reports for BABE and GRANDPA equivocations, so that the chain itself says whether
//! anybody was slashable.
//!
//! Invariants: the validators are those of the genesis, for ever, only their keys change; nothing
//! costs a fee; the indices of the pallets are part of what the scenarios encode.
#![no_std]
#![recursion_limit = "256"]

extern crate alloc;

mod api;
mod pallets;

use alloc::{borrow::Cow, vec::Vec};

use frame_support::construct_runtime;
use sp_runtime::{
    MultiAddress, MultiSignature, generic, impl_opaque_keys,
    traits::{BlakeTwo256, IdentifyAccount, Verify},
};
use sp_version::RuntimeVersion;

/// Milliseconds of a slot.
pub const SLOT_MILLISECONDS: u64 = 2_000;
/// Slots of an epoch, which is a session too.
pub const EPOCH_SLOTS: u64 = 10;
/// Blocks for which an offence can be reported: longer than any scenario runs.
pub const REPORT_LONGEVITY: u64 = 10_000;
/// Upper bound of the validator set.
pub const MAX_AUTHORITIES: u32 = 32;

/// An account's signature.
pub type Signature = MultiSignature;
/// An account: 32 bytes.
pub type AccountId = <<Signature as Verify>::Signer as IdentifyAccount>::AccountId;
/// How a call names an account.
pub type Address = MultiAddress<AccountId, ()>;
/// The block header, with 32-bit numbers as on the relay chains.
pub type Header = generic::Header<u32, BlakeTwo256>;
/// What a signed extrinsic carries beside its call.
pub type TransactionExtension = (
    frame_system::CheckNonZeroSender<Runtime>,
    frame_system::CheckSpecVersion<Runtime>,
    frame_system::CheckTxVersion<Runtime>,
    frame_system::CheckGenesis<Runtime>,
    frame_system::CheckEra<Runtime>,
    frame_system::CheckNonce<Runtime>,
    frame_system::CheckWeight<Runtime>,
);
/// The extrinsic as it travels.
pub type UncheckedExtrinsic =
    generic::UncheckedExtrinsic<Address, RuntimeCall, Signature, TransactionExtension>;
/// The block.
pub type Block = generic::Block<Header, UncheckedExtrinsic>;
/// Executes blocks.
pub type Executive = frame_executive::Executive<
    Runtime,
    Block,
    frame_system::ChainContext<Runtime>,
    Runtime,
    AllPalletsWithSystem,
>;

impl_opaque_keys! {
    /// What a validator signs with, in the order of `session.setKeys`.
    pub struct SessionKeys {
        pub babe: Babe,
        pub grandpa: Grandpa,
    }
}

/// The version that nodes and signed extrinsics compare.
#[sp_version::runtime_version]
pub const VERSION: RuntimeVersion = RuntimeVersion {
    spec_name: Cow::Borrowed("mini"),
    impl_name: Cow::Borrowed("mini"),
    authoring_version: 1,
    spec_version: 1,
    impl_version: 1,
    apis: api::RUNTIME_API_VERSIONS,
    transaction_version: 1,
    system_version: 1,
};

construct_runtime!(
    pub enum Runtime {
        System: frame_system = 0,
        Timestamp: pallet_timestamp = 1,
        Babe: pallet_babe = 2,
        Balances: pallet_balances = 3,
        Authorship: pallet_authorship = 4,
        Session: pallet_session = 5,
        Historical: pallet_session::historical = 6,
        Grandpa: pallet_grandpa = 7,
        Offences: pallet_offences = 8,
    }
);
