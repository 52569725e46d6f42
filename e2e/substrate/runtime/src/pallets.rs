//! What each pallet of the chain is set to.
//!
//! Invariant: a session is an epoch, and its validators are those of the session before. At the
//! genesis there is none before, and the session pallet takes the accounts of its genesis keys.

use alloc::vec::Vec;

use frame_support::{
    derive_impl, parameter_types,
    traits::{ConstU32, ConstU64, ConstU128},
    weights::Weight,
};
use pallet_session::historical;
use sp_core::crypto::KeyTypeId;
use sp_runtime::traits::{AccountIdLookup, Convert, ConvertInto, OpaqueKeys};
use sp_session::MembershipProof;

use crate::{
    AccountId, Babe, Balances, Block, EPOCH_SLOTS, Historical, MAX_AUTHORITIES, Offences,
    PalletInfo, REPORT_LONGEVITY, Runtime, RuntimeCall, RuntimeEvent, RuntimeFreezeReason,
    RuntimeHoldReason, RuntimeOrigin, RuntimeTask, SLOT_MILLISECONDS, Session, SessionKeys, System,
    UncheckedExtrinsic, VERSION,
};

/// Half a slot: the least time between two blocks.
const MINIMUM_PERIOD: u64 = SLOT_MILLISECONDS / 2;

parameter_types! {
    pub const Version: sp_version::RuntimeVersion = VERSION;
    pub BlockWeights: frame_system::limits::BlockWeights =
        frame_system::limits::BlockWeights::simple_max(
            Weight::from_parts(2_000_000_000_000, u64::MAX),
        );
}

#[derive_impl(frame_system::config_preludes::SolochainDefaultConfig)]
impl frame_system::Config for Runtime {
    type Block = Block;
    type AccountId = AccountId;
    type Lookup = AccountIdLookup<AccountId, ()>;
    type Nonce = u32;
    type Hash = sp_core::H256;
    type Version = Version;
    type BlockWeights = BlockWeights;
    type AccountData = pallet_balances::AccountData<u128>;
}

impl<LocalCall> frame_system::offchain::CreateTransactionBase<LocalCall> for Runtime
where
    RuntimeCall: From<LocalCall>,
{
    type Extrinsic = UncheckedExtrinsic;
    type RuntimeCall = RuntimeCall;
}

impl<LocalCall> frame_system::offchain::CreateBare<LocalCall> for Runtime
where
    RuntimeCall: From<LocalCall>,
{
    fn create_bare(call: RuntimeCall) -> UncheckedExtrinsic {
        UncheckedExtrinsic::new_bare(call)
    }
}

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Runtime {
    type AccountStore = System;
    type Balance = u128;
    type ExistentialDeposit = ConstU128<1>;
    type RuntimeHoldReason = RuntimeHoldReason;
    type RuntimeFreezeReason = RuntimeFreezeReason;
}

impl pallet_timestamp::Config for Runtime {
    type Moment = u64;
    type OnTimestampSet = Babe;
    type MinimumPeriod = ConstU64<MINIMUM_PERIOD>;
    type WeightInfo = ();
}

impl pallet_authorship::Config for Runtime {
    type FindAuthor = pallet_session::FindAccountFromAuthorIndex<Self, Babe>;
    type EventHandler = ();
}

impl pallet_babe::Config for Runtime {
    type EpochDuration = ConstU64<EPOCH_SLOTS>;
    type ExpectedBlockTime = ConstU64<SLOT_MILLISECONDS>;
    type EpochChangeTrigger = pallet_babe::ExternalTrigger;
    type DisabledValidators = Session;
    type WeightInfo = ();
    type MaxAuthorities = ConstU32<MAX_AUTHORITIES>;
    type MaxNominators = ConstU32<0>;
    type KeyOwnerProof = MembershipProof;
    type EquivocationReportSystem =
        pallet_babe::EquivocationReportSystem<Self, Offences, Historical, ReportLongevity>;
}

parameter_types! {
    pub const ReportLongevity: u64 = REPORT_LONGEVITY;
}

impl pallet_grandpa::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type WeightInfo = ();
    type MaxAuthorities = ConstU32<MAX_AUTHORITIES>;
    type MaxNominators = ConstU32<0>;
    type MaxSetIdSessionEntries = ConstU64<REPORT_LONGEVITY>;
    type KeyOwnerProof = MembershipProof;
    type EquivocationReportSystem =
        pallet_grandpa::EquivocationReportSystem<Self, Offences, Historical, ReportLongevity>;
}

/// The same validators in every session.
pub struct SameValidators;

impl SameValidators {
    fn current() -> Option<Vec<AccountId>> {
        Some(Session::validators()).filter(|validators| !validators.is_empty())
    }
}

impl pallet_session::SessionManager<AccountId> for SameValidators {
    fn new_session(_: u32) -> Option<Vec<AccountId>> {
        Self::current()
    }
    fn end_session(_: u32) {}
    fn start_session(_: u32) {}
}

impl historical::SessionManager<AccountId, ()> for SameValidators {
    fn new_session(_: u32) -> Option<Vec<(AccountId, ())>> {
        Self::current().map(|all| all.into_iter().map(|account| (account, ())).collect())
    }
    fn end_session(_: u32) {}
    fn start_session(_: u32) {}
}

/// A validator has no more to it than its account.
pub struct NoIdentification;

impl Convert<AccountId, Option<()>> for NoIdentification {
    fn convert(_: AccountId) -> Option<()> {
        Some(())
    }
}

impl pallet_session::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type ValidatorId = AccountId;
    type ValidatorIdOf = ConvertInto;
    type ShouldEndSession = Babe;
    type NextSessionRotation = Babe;
    type SessionManager = historical::NoteHistoricalRoot<Self, SameValidators>;
    type SessionHandler = <SessionKeys as OpaqueKeys>::KeyTypeIdProviders;
    type Keys = SessionKeys;
    type DisablingStrategy = ();
    type WeightInfo = ();
    type Currency = Balances;
    type KeyDeposit = ConstU128<0>;
}

impl historical::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type FullIdentification = ();
    type FullIdentificationOf = NoIdentification;
}

impl pallet_offences::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type IdentificationTuple = historical::IdentificationTuple<Self>;
    type OnOffenceHandler = ();
}

/// Shows that `key` of type `type_id` belongs to a validator of this session.
pub(crate) fn prove_key_owner(type_id: KeyTypeId, key: impl codec::Encode) -> Option<Vec<u8>> {
    use frame_support::traits::KeyOwnerProofSystem;
    Historical::prove((type_id, key.encode())).map(|proof| codec::Encode::encode(&proof))
}
