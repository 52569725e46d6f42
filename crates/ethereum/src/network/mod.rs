//! Networks as data: what a guard must know of the chain that it signs for.
//!
//! Invariants: nothing here is read from a clock or a file; a slot's duration is never zero, so
//! that times can be divided by it.

mod built_in;
mod config_yaml;

use std::num::NonZeroU64;

use palisade_protect::{Digest, Epoch, Slot};

use crate::Preset;

pub use config_yaml::NetworkError;

/// One Ethereum-family network.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Network {
    /// `CONFIG_NAME`, such as `mainnet`.
    pub name: String,
    /// `PRESET_BASE`: the limits of SSZ types and the length of an epoch.
    pub preset: Preset,
    /// `GENESIS_FORK_VERSION`.
    pub genesis_fork_version: [u8; 4],
    /// The root that all of the chain's signatures cover; `None` when it is known only to those
    /// who started the chain.
    pub genesis_validators_root: Option<Digest>,
    /// When slot 0 began, in seconds since the Unix epoch.
    pub genesis_time_unix_s: Option<u64>,
    /// How long a slot lasts, in milliseconds.
    pub slot_duration_ms: NonZeroU64,
    /// `CAPELLA_FORK_VERSION`, with which exits are signed since Deneb (EIP-7044).
    pub capella_fork_version: Option<[u8; 4]>,
    /// The versions of the forks after Capella, as far as they are known.
    pub fork_versions_after_capella: Vec<[u8; 4]>,
}

impl Network {
    /// The names that [`Network::built_in`] knows.
    pub const BUILT_IN: [&'static str; 5] = built_in::NAMES;

    /// A network that every client knows by name.
    #[must_use]
    pub fn built_in(name: &str) -> Option<Self> {
        built_in::network(name)
    }

    /// Reads the `config.yaml` that consensus clients use: a flat list of `KEY: value`.
    ///
    /// Needed: `PRESET_BASE`, `GENESIS_FORK_VERSION`, and `SLOT_DURATION_MS` or
    /// `SECONDS_PER_SLOT`. Read if there: `CONFIG_NAME`, `MIN_GENESIS_TIME`,
    /// the fork versions from Capella on, and two keys of ours, `GENESIS_TIME` (seconds) and
    /// `GENESIS_VALIDATORS_ROOT`. All other keys are ignored. Where the file is of a chain that is
    /// built in, its genesis time and root are filled in.
    ///
    /// # Errors
    /// [`NetworkError`] names the key.
    pub fn from_config_yaml(text: &str) -> Result<Self, NetworkError> {
        config_yaml::read(text)
    }

    /// `SLOTS_PER_EPOCH`.
    #[must_use]
    pub fn slots_per_epoch(&self) -> u64 {
        self.preset.slots_per_epoch()
    }

    /// The slot at a time in seconds since the Unix epoch; `None` before genesis, and when the
    /// genesis time is not known.
    #[must_use]
    pub fn slot_at(&self, unix_s: u64) -> Option<Slot> {
        let seconds = unix_s.checked_sub(self.genesis_time_unix_s?)?;
        Some(Slot(seconds.checked_mul(1000)? / self.slot_duration_ms))
    }

    /// The epoch that a slot is in.
    #[must_use]
    pub fn epoch_of(&self, slot: Slot) -> Epoch {
        Epoch(slot.0 / self.slots_per_epoch())
    }

    /// The last slot of an epoch; the highest slot there is for epochs too far away to have one.
    #[must_use]
    pub fn last_slot_of(&self, epoch: Epoch) -> Slot {
        let slots = self.slots_per_epoch();
        Slot(epoch.0.saturating_mul(slots).saturating_add(slots - 1))
    }

    /// The fork version to sign an exit with, where `claimed` is the one that a request's fork
    /// information gives: since Deneb it is Capella's, whatever fork is active (EIP-7044).
    pub(crate) fn exit_fork_version(&self, claimed: [u8; 4]) -> [u8; 4] {
        match self.capella_fork_version {
            Some(capella) if self.fork_versions_after_capella.contains(&claimed) => capella,
            _ => claimed,
        }
    }
}
