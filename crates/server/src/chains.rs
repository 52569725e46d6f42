//! `[[chain]]` of `palisade.toml`: the Substrate chains that a home signs for.
//!
//! Invariants: a name and a genesis hash stand once each; a chain is only ever added to the file's
//! end ([`config_file::append`]).

use std::path::Path;

use palisade_protect::Digest;
use palisade_substrate::{AddressRule, BlockNumberBits, Chain, DiscoveryPolicy, PeerId};
use serde::Deserialize;

use crate::config::{Config, ConfigError};
use crate::config_file;
use crate::home::HomeError;

/// `[[chain]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainEntry {
    /// The operator's name for the chain: lowercase letters, digits and dashes.
    pub name: String,
    /// The hash of its first block, hex.
    pub genesis: String,
    /// The slot duration in milliseconds, from 100 to 600,000.
    pub slot_ms: u64,
    /// The width of its block numbers: 32 or 64.
    #[serde(default = "thirty_two")]
    pub block_number_bits: u8,
    /// What its validators may say of where they can be reached.
    pub authority_discovery: Option<DiscoveryEntry>,
}

/// `[chain.authority_discovery]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiscoveryEntry {
    /// The peer ids of the operator's nodes.
    pub peer_ids: Vec<String>,
    /// How their addresses begin: multiaddresses without a peer id, or nets.
    pub addresses: Vec<String>,
}

impl DiscoveryEntry {
    /// The policy, or what cannot be used in it.
    fn policy(&self) -> Result<DiscoveryPolicy, String> {
        let peer = |text: &String| {
            PeerId::parse(text).ok_or_else(|| {
                format!("{text:?} is not a peer id; nodes print theirs when they start")
            })
        };
        let address = |text: &String| {
            AddressRule::parse(text).ok_or_else(|| {
                format!(
                    "{text:?} is not the beginning of an address; write /ip4/192.0.2.7/tcp/30333, \
                     /dns/node.example/tcp/30333, or a net as /ip4/10.0.0.0/ipcidr/8"
                )
            })
        };
        Ok(DiscoveryPolicy {
            peers: self.peer_ids.iter().map(peer).collect::<Result<_, _>>()?,
            addresses: self.addresses.iter().map(address).collect::<Result<_, _>>()?,
        })
    }
}

fn thirty_two() -> u8 {
    32
}

impl ChainEntry {
    /// The chain as the guard uses it.
    ///
    /// # Errors
    /// [`ConfigError`] says which field cannot be used.
    pub fn chain(&self) -> Result<Chain, ConfigError> {
        let fail = |why: &str| ConfigError(format!("chain {:?}: {why}", self.name));
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if self.name.is_empty() || 64 < self.name.len() || !self.name.bytes().all(is_word) {
            return Err(fail("a name has 1 to 64 lowercase letters, digits and dashes"));
        }
        let genesis =
            genesis_of(&self.genesis).ok_or_else(|| fail("the genesis hash has 64 hex digits"))?;
        if !(100..=600_000).contains(&self.slot_ms) {
            return Err(fail("the slot duration is from 100 to 600000 milliseconds"));
        }
        let block_number = match self.block_number_bits {
            32 => BlockNumberBits::U32,
            64 => BlockNumberBits::U64,
            _ => return Err(fail("block numbers have 32 or 64 bits")),
        };
        let (name, slot_ms) = (self.name.clone(), self.slot_ms);
        let discovery = self.authority_discovery.as_ref().map(DiscoveryEntry::policy);
        let discovery = discovery.transpose().map_err(|why| fail(&why))?;
        Ok(Chain { name, genesis, slot_ms, block_number, discovery })
    }

    fn text(&self) -> String {
        format!(
            "[[chain]]\nname = {:?}\ngenesis = {:?}\nslot_ms = {}\nblock_number_bits = {}\n",
            self.name, self.genesis, self.slot_ms, self.block_number_bits
        )
    }
}

impl Config {
    /// The chains, in the order of the file.
    ///
    /// # Errors
    /// [`ConfigError`] for a chain that cannot be used, or that stands twice.
    pub fn substrate_chains(&self) -> Result<Vec<Chain>, ConfigError> {
        let mut chains: Vec<Chain> = Vec::with_capacity(self.chains.len());
        for entry in &self.chains {
            let chain = entry.chain()?;
            let clashes =
                |other: &Chain| other.name == chain.name || other.genesis == chain.genesis;
            if chains.iter().any(clashes) {
                return Err(ConfigError(format!(
                    "chain {:?}: its name or its genesis hash stands twice",
                    chain.name
                )));
            }
            chains.push(chain);
        }
        Ok(chains)
    }
}

/// Adds a chain to the file at `path`. Additions of several processes happen one after the other.
///
/// # Errors
/// [`HomeError::Configuration`] for a chain that cannot be used or that is there, or the disk's
/// [`HomeError::CouldNot`]; the file is then as it was.
pub fn add(path: &Path, entry: &ChainEntry) -> Result<Chain, HomeError> {
    let chain = entry.chain()?;
    config_file::append(path, &entry.text())?;
    Ok(chain)
}

/// Reads a genesis hash: 64 hex digits, with or without `0x`.
#[must_use]
pub fn genesis_of(text: &str) -> Option<Digest> {
    let mut genesis = [0; 32];
    hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), &mut genesis).ok()?;
    Some(Digest(genesis))
}
