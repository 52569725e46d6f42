//! What is read from the chain itself: who sealed a block, who voted for it, what was reported.
//!
//! Invariant: who did something is told by a signature that was verified here, never by an index
//! or a log line.

use std::collections::BTreeSet;

use codec::{Decode, DecodeAll as _};
use serde_json::{Value, json};
use sp_consensus_babe::digests::CompatibleDigestItem as _;
use sp_consensus_grandpa::GrandpaJustification;
use sp_core::{H256, Pair as _, crypto::ByteArray as _, ed25519, sr25519};
use sp_crypto_hashing::twox_128;
use sp_runtime::{
    generic,
    traits::{BlakeTwo256, Header as _},
};

use crate::{Failure, node::Node};

/// A header of the scenarios' chain.
pub(crate) type Header = generic::Header<u32, BlakeTwo256>;

/// GRANDPA's name among a block's justifications.
const GRANDPA_ENGINE: [u8; 4] = *b"FRNK";
/// Storage keys that are asked for at once; more reports than any scenario makes.
const KEYS_AT_ONCE: u32 = 1000;

/// Which of these keys sealed a block.
pub(crate) fn sealed_by(
    mut header: Header,
    keys: &[sr25519::Public],
) -> Result<sr25519::Public, Failure> {
    let seal = header.digest_mut().pop().ok_or("a block without a digest")?;
    let signature = seal.as_babe_seal().ok_or("a block whose last digest is no BABE seal")?;
    let signature = sr25519::Signature::from(signature);
    let pre_hash = header.hash();
    let key = keys.iter().find(|key| sr25519::Pair::verify(&signature, pre_hash, key));
    key.copied().ok_or_else(|| format!("block {} has a foreign seal", header.number()).into())
}

/// How many of the blocks from `first` to `last` each of these keys sealed.
pub(crate) fn count_seals(
    node: &Node,
    first: u32,
    last: u32,
    keys: &[sr25519::Public],
) -> Result<Vec<usize>, Failure> {
    let mut counts = vec![0; keys.len()];
    for number in first..=last {
        let author = sealed_by(node.header(node.hash(number)?)?, keys)?;
        let known = keys.iter().position(|key| *key == author);
        if let Some(count) = known.and_then(|position| counts.get_mut(position)) {
            *count += 1;
        }
    }
    Ok(counts)
}

/// Whose votes are in the justification that a block carries, if it carries one.
pub(crate) fn justified_by(
    node: &Node,
    number: u32,
) -> Result<Option<BTreeSet<ed25519::Public>>, Failure> {
    let block = node.rpc().call("chain_getBlock", json!([node.hash(number)?]))?;
    let Some(all) = block.get("justifications").and_then(Value::as_array) else {
        return Ok(None);
    };
    for pair in all {
        let (engine, bytes): ([u8; 4], Vec<u8>) = serde_json::from_value(pair.clone())?;
        if engine == GRANDPA_ENGINE {
            let justification = GrandpaJustification::<Header>::decode(&mut bytes.as_slice())?;
            let votes = justification.commit.precommits.iter();
            return votes
                .map(|vote| {
                    Ok(ed25519::Public::from_slice(vote.id.as_ref())
                        .map_err(|()| "an authority that is not 32 bytes")?)
                })
                .collect::<Result<_, Failure>>()
                .map(Some);
        }
    }
    Ok(None)
}

/// The answer of a runtime call without parameters at a block.
fn runtime<T: Decode>(node: &Node, method: &str, at: H256) -> Result<T, Failure> {
    let bytes = node.rpc().bytes("state_call", json!([method, "0x", at]))?;
    Ok(T::decode_all(&mut bytes.as_slice())?)
}

/// BABE's epoch at a block.
pub(crate) fn epoch(node: &Node, at: H256) -> Result<sp_consensus_babe::Epoch, Failure> {
    runtime(node, "BabeApi_current_epoch", at)
}

/// The number of GRANDPA's authority set at a block.
pub(crate) fn set_id(node: &Node, at: H256) -> Result<u64, Failure> {
    runtime(node, "GrandpaApi_current_set_id", at)
}

/// The number of the session at a block.
pub(crate) fn session(node: &Node, at: H256) -> Result<u32, Failure> {
    let key = storage_prefix("Session", "CurrentIndex");
    let bytes = node.rpc().bytes("state_getStorage", json!([key, at]))?;
    Ok(u32::decode_all(&mut bytes.as_slice())?)
}

/// How many offences the chain has on record in its best block.
pub(crate) fn offences(node: &Node) -> Result<usize, Failure> {
    let prefix = storage_prefix("Offences", "Reports");
    let keys = node.rpc().call("state_getKeysPaged", json!([prefix, KEYS_AT_ONCE]))?;
    Ok(keys.as_array().ok_or("state_getKeysPaged gave no list")?.len())
}

fn storage_prefix(pallet: &str, item: &str) -> String {
    let (pallet, item) = (twox_128(pallet.as_bytes()), twox_128(item.as_bytes()));
    format!("0x{}{}", hex::encode(pallet), hex::encode(item))
}
