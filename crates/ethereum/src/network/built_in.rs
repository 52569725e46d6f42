//! The networks that are built in.
//!
//! Sources: eth-clients/mainnet, eth-clients/hoodi and eth-clients/sepolia `metadata/config.yaml`
//! and `metadata/genesis_validators_root.txt`; gnosischain/configs `mainnet/config.yaml`;
//! consensus-specs `configs/minimal.yaml`. The genesis time is that of each chain's genesis state,
//! which is not always `MIN_GENESIS_TIME + GENESIS_DELAY`.

use std::num::NonZeroU64;

use palisade_protect::Digest;

use super::Network;
use crate::Preset;
use crate::hex::HexBytes;

pub(super) const NAMES: [&str; 5] = ["mainnet", "hoodi", "sepolia", "gnosis", "minimal"];

struct Constants {
    preset: Preset,
    genesis_fork_version: [u8; 4],
    genesis_validators_root: Option<&'static str>,
    genesis_time_unix_s: u64,
    seconds_per_slot: u64,
    capella_fork_version: [u8; 4],
    fork_versions_after_capella: &'static [[u8; 4]],
}

const MAINNET: Constants = Constants {
    preset: Preset::Mainnet,
    genesis_fork_version: [0, 0, 0, 0],
    genesis_validators_root: Some(
        "0x4b363db94e286120d76eb905340fdd4e54bfe9f06bf33ff6cf5ad27f511bfe95",
    ),
    genesis_time_unix_s: 1_606_824_023,
    seconds_per_slot: 12,
    capella_fork_version: [3, 0, 0, 0],
    // Deneb, Electra, Fulu, Gloas
    fork_versions_after_capella: &[[4, 0, 0, 0], [5, 0, 0, 0], [6, 0, 0, 0], [7, 0, 0, 0]],
};

const HOODI: Constants = Constants {
    preset: Preset::Mainnet,
    genesis_fork_version: [0x10, 0, 0x09, 0x10],
    genesis_validators_root: Some(
        "0x212f13fc4df078b6cb7db228f1c8307566dcecf900867401a92023d7ba99cb5f",
    ),
    genesis_time_unix_s: 1_742_213_400,
    seconds_per_slot: 12,
    capella_fork_version: [0x40, 0, 0x09, 0x10],
    // Deneb, Electra, Fulu
    fork_versions_after_capella: &[
        [0x50, 0, 0x09, 0x10],
        [0x60, 0, 0x09, 0x10],
        [0x70, 0, 0x09, 0x10],
    ],
};

const SEPOLIA: Constants = Constants {
    preset: Preset::Mainnet,
    genesis_fork_version: [0x90, 0, 0, 0x69],
    genesis_validators_root: Some(
        "0xd8ea171f3c94aea21ebc42a1ed61052acf3f9209c00e4efbaaddac09ed9b8078",
    ),
    genesis_time_unix_s: 1_655_733_600,
    seconds_per_slot: 12,
    capella_fork_version: [0x90, 0, 0, 0x72],
    // Deneb, Electra, Fulu
    fork_versions_after_capella: &[[0x90, 0, 0, 0x73], [0x90, 0, 0, 0x74], [0x90, 0, 0, 0x75]],
};

const GNOSIS: Constants = Constants {
    preset: Preset::Gnosis,
    genesis_fork_version: [0, 0, 0, 0x64],
    genesis_validators_root: Some(
        "0xf5dcb5564e829aab27264b9becd5dfaa017085611224cb3036f573368dbb9d47",
    ),
    genesis_time_unix_s: 1_638_993_340,
    seconds_per_slot: 5,
    capella_fork_version: [3, 0, 0, 0x64],
    // Deneb, Electra, Fulu
    fork_versions_after_capella: &[[4, 0, 0, 0x64], [5, 0, 0, 0x64], [6, 0, 0, 0x64]],
};

const MINIMAL: Constants = Constants {
    preset: Preset::Minimal,
    genesis_fork_version: [0, 0, 0, 1],
    // Each chain of this preset has its own.
    genesis_validators_root: None,
    // MIN_GENESIS_TIME: each chain has its own genesis, and none an earlier one.
    genesis_time_unix_s: 1_578_009_600,
    seconds_per_slot: 6,
    capella_fork_version: [3, 0, 0, 1],
    // Deneb, Electra, Fulu, Gloas
    fork_versions_after_capella: &[[4, 0, 0, 1], [5, 0, 0, 1], [6, 0, 0, 1], [7, 0, 0, 1]],
};

pub(super) fn network(name: &str) -> Option<Network> {
    let constants = match name {
        "mainnet" => MAINNET,
        "hoodi" => HOODI,
        "sepolia" => SEPOLIA,
        "gnosis" => GNOSIS,
        "minimal" => MINIMAL,
        _ => return None,
    };
    let root = constants.genesis_validators_root.map(HexBytes::parse);
    Some(Network {
        name: name.to_owned(),
        preset: constants.preset,
        genesis_fork_version: constants.genesis_fork_version,
        genesis_validators_root: root.flatten().map(|root| Digest(root.0)),
        genesis_time_unix_s: Some(constants.genesis_time_unix_s),
        slot_duration_ms: NonZeroU64::new(1000 * constants.seconds_per_slot)?,
        capella_fork_version: Some(constants.capella_fork_version),
        fork_versions_after_capella: constants.fork_versions_after_capella.to_vec(),
    })
}
