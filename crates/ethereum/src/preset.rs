//! Presets: the constants that shape SSZ types and epochs.
//!
//! Sources: consensus-specs `presets/mainnet` and `presets/minimal`; gnosischain/configs
//! `presets/gnosis`. Only what a signer needs is here: of the limits that request types use, just
//! these differ between presets.

use typenum::{U4, U8, U32, U64, U128, U512, U8192, U131072, Unsigned};

/// A named set of compile-time constants of the consensus protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Preset {
    /// Ethereum's networks, public and most private ones.
    Mainnet,
    /// Small committees and short epochs, for test networks.
    Minimal,
    /// Gnosis Chain: Ethereum's SSZ limits with shorter epochs.
    Gnosis,
}

impl Preset {
    /// The value of `PRESET_BASE` that names this preset.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mainnet => "mainnet",
            Self::Minimal => "minimal",
            Self::Gnosis => "gnosis",
        }
    }

    /// The preset that a `PRESET_BASE` names.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Mainnet, Self::Minimal, Self::Gnosis].into_iter().find(|one| one.name() == name)
    }

    /// `SLOTS_PER_EPOCH`.
    #[must_use]
    pub fn slots_per_epoch(self) -> u64 {
        match self {
            Self::Mainnet => 32,
            Self::Minimal => 8,
            Self::Gnosis => 16,
        }
    }
}

/// A size of an SSZ type, known to the compiler.
pub(crate) trait Size: Unsigned + Clone {}

impl<N: Unsigned + Clone> Size for N {}

/// The SSZ limits that depend on the preset.
pub(crate) trait Limits {
    /// `SYNC_COMMITTEE_SIZE`.
    type SyncCommittee: Size;
    /// `SYNC_COMMITTEE_SIZE // SYNC_COMMITTEE_SUBNET_COUNT`.
    type SyncSubcommittee: Size;
    /// `MAX_COMMITTEES_PER_SLOT`.
    type CommitteesPerSlot: Size;
    /// `MAX_VALIDATORS_PER_COMMITTEE * MAX_COMMITTEES_PER_SLOT`.
    type ValidatorsPerSlot: Size;
}

/// The limits of [`Preset::Mainnet`] and [`Preset::Gnosis`].
pub(crate) struct MainnetLimits;

impl Limits for MainnetLimits {
    type SyncCommittee = U512;
    type SyncSubcommittee = U128;
    type CommitteesPerSlot = U64;
    type ValidatorsPerSlot = U131072;
}

/// The limits of [`Preset::Minimal`].
pub(crate) struct MinimalLimits;

impl Limits for MinimalLimits {
    type SyncCommittee = U32;
    type SyncSubcommittee = U8;
    type CommitteesPerSlot = U4;
    type ValidatorsPerSlot = U8192;
}
