//! Reading a `config.yaml`.
//!
//! Invariants: a key that is needed and absent, or there and unreadable, is an error that names
//! it; a key that is not known is ignored, because clients and forks add their own.

use std::fmt;
use std::num::NonZeroU64;

use palisade_protect::Digest;
use serde::Deserialize;

use super::{Network, built_in};
use crate::Preset;
use crate::error::excerpt;
use crate::hex::HexBytes;
use crate::integer::Uint64;

/// Far more than any network's configuration.
const MAX_BYTES: usize = 1 << 20;

/// A `config.yaml` that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NetworkError {
    /// Not YAML, or not a list of `KEY: value`.
    Malformed {
        /// What the parser says.
        why: String,
    },
    /// Larger than one mebibyte.
    TooLong,
    /// A key that is needed is not there.
    MissingKey(&'static str),
    /// A key's value cannot be used.
    BadValue {
        /// The key.
        key: &'static str,
        /// What it should be.
        expected: &'static str,
    },
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { why } => {
                write!(f, "the network configuration is not a flat YAML list of KEY: value: {why}")
            }
            Self::TooLong => f.write_str(
                "the network configuration is longer than 1 MiB; give the chain's config.yaml",
            ),
            Self::MissingKey(key) => write!(
                f,
                "the network configuration has no {key}; give the config.yaml that the \
                 consensus client uses"
            ),
            Self::BadValue { key, expected } => {
                write!(f, "the network configuration's {key} must be {expected}")
            }
        }
    }
}

impl std::error::Error for NetworkError {}

#[derive(Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
struct Config {
    preset_base: Option<String>,
    config_name: Option<String>,
    genesis_fork_version: Option<String>,
    slot_duration_ms: Option<String>,
    seconds_per_slot: Option<String>,
    min_genesis_time: Option<String>,
    genesis_time: Option<String>,
    genesis_validators_root: Option<String>,
    capella_fork_version: Option<String>,
    deneb_fork_version: Option<String>,
    electra_fork_version: Option<String>,
    fulu_fork_version: Option<String>,
    gloas_fork_version: Option<String>,
    heze_fork_version: Option<String>,
}

pub(super) fn read(text: &str) -> Result<Network, NetworkError> {
    if MAX_BYTES < text.len() {
        return Err(NetworkError::TooLong);
    }
    let config: Config = serde_saphyr::from_str(text)
        .map_err(|error| NetworkError::Malformed { why: excerpt(&error.to_string()) })?;
    let preset = needed("PRESET_BASE", config.preset_base.as_deref())?;
    let preset = Preset::from_name(preset).ok_or(NetworkError::BadValue {
        key: "PRESET_BASE",
        expected: "mainnet, minimal or gnosis",
    })?;
    let later = [
        version("DENEB_FORK_VERSION", config.deneb_fork_version.as_deref())?,
        version("ELECTRA_FORK_VERSION", config.electra_fork_version.as_deref())?,
        version("FULU_FORK_VERSION", config.fulu_fork_version.as_deref())?,
        version("GLOAS_FORK_VERSION", config.gloas_fork_version.as_deref())?,
        version("HEZE_FORK_VERSION", config.heze_fork_version.as_deref())?,
    ];
    let genesis_fork_version =
        version("GENESIS_FORK_VERSION", config.genesis_fork_version.as_deref())?
            .ok_or(NetworkError::MissingKey("GENESIS_FORK_VERSION"))?;
    let known = known_chain(&config, genesis_fork_version);
    let known_root = known.as_ref().and_then(|known| known.genesis_validators_root);
    let known_time = known.and_then(|known| known.genesis_time_unix_s);
    Ok(Network {
        genesis_validators_root: genesis_validators_root(&config)?.or(known_root),
        genesis_time_unix_s: genesis_time(&config, known_time)?,
        slot_duration_ms: slot_duration(&config)?,
        capella_fork_version: version(
            "CAPELLA_FORK_VERSION",
            config.capella_fork_version.as_deref(),
        )?,
        name: config.config_name.unwrap_or_else(|| preset.name().to_owned()),
        preset,
        genesis_fork_version,
        fork_versions_after_capella: later.into_iter().flatten().collect(),
    })
}

/// The built-in network that the configuration is of, if there is only one chain of that name.
fn known_chain(config: &Config, genesis_fork_version: [u8; 4]) -> Option<Network> {
    built_in::network(config.config_name.as_deref()?).filter(|known| {
        known.genesis_validators_root.is_some()
            && known.genesis_fork_version == genesis_fork_version
    })
}

/// `GENESIS_TIME` if given, else the known one, else `MIN_GENESIS_TIME`: no chain begins before it
/// (consensus-specs `phase0/beacon-chain.md`, `is_valid_genesis_state`). Most begin
/// `GENESIS_DELAY` later, and their present slot then seems later than it is. That is the safe
/// side: a record that starts from now must not start too low.
fn genesis_time(config: &Config, known: Option<u64>) -> Result<Option<u64>, NetworkError> {
    let given = number("GENESIS_TIME", config.genesis_time.as_deref())?;
    if let Some(time) = given.or(known) {
        return Ok(Some(time));
    }
    number("MIN_GENESIS_TIME", config.min_genesis_time.as_deref())
}

fn slot_duration(config: &Config) -> Result<NonZeroU64, NetworkError> {
    const MS: &str = "SLOT_DURATION_MS";
    const S: &str = "SECONDS_PER_SLOT";
    let (key, given) = match number(MS, config.slot_duration_ms.as_deref())? {
        Some(given) => (MS, Some(given)),
        None => {
            let seconds = number(S, config.seconds_per_slot.as_deref())?;
            (S, Some(seconds.ok_or(NetworkError::MissingKey(MS))?.saturating_mul(1000)))
        }
    };
    given
        .and_then(NonZeroU64::new)
        .ok_or(NetworkError::BadValue { key, expected: "a decimal number above zero" })
}

fn genesis_validators_root(config: &Config) -> Result<Option<Digest>, NetworkError> {
    let Some(text) = config.genesis_validators_root.as_deref() else { return Ok(None) };
    HexBytes::parse(text).map(|root| Some(Digest(root.0))).ok_or(NetworkError::BadValue {
        key: "GENESIS_VALIDATORS_ROOT",
        expected: "0x and 64 hex digits",
    })
}

fn needed<'a>(key: &'static str, value: Option<&'a str>) -> Result<&'a str, NetworkError> {
    value.ok_or(NetworkError::MissingKey(key))
}

fn number(key: &'static str, value: Option<&str>) -> Result<Option<u64>, NetworkError> {
    let Some(text) = value else { return Ok(None) };
    Uint64::parse(text)
        .map(|number| Some(number.0))
        .ok_or(NetworkError::BadValue { key, expected: "a decimal number" })
}

fn version(key: &'static str, value: Option<&str>) -> Result<Option<[u8; 4]>, NetworkError> {
    let Some(text) = value else { return Ok(None) };
    HexBytes::parse(text)
        .map(|version| Some(version.0))
        .ok_or(NetworkError::BadValue { key, expected: "0x and 8 hex digits" })
}
