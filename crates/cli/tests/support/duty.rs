//! The requests of a validator client, small and deterministic.

use serde_json::{Value, json};

/// The network that all test homes are pinned to.
pub const GENESIS: &str = "0x2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a";

/// A root that depends on `salt` alone.
pub fn root(salt: u64) -> String {
    format!("0x{salt:064x}")
}

fn fork_info() -> Value {
    json!({
        "fork": {
            "previous_version": "0x01000001", "current_version": "0x02000001", "epoch": "0",
        },
        "genesis_validators_root": GENESIS,
    })
}

/// A block; another `salt` is another block.
pub fn block(slot: u64, salt: u64) -> Value {
    json!({
        "type": "BLOCK_V2",
        "fork_info": fork_info(),
        "beacon_block": { "version": "BELLATRIX", "block_header": {
            "slot": slot.to_string(), "proposer_index": "7", "parent_root": root(1),
            "state_root": root(2), "body_root": root(salt),
        }},
    })
}

/// A vote; another `salt` is another vote.
pub fn attestation(source: u64, target: u64, salt: u64) -> Value {
    json!({
        "type": "ATTESTATION",
        "fork_info": fork_info(),
        "attestation": {
            "slot": target.saturating_mul(8).to_string(), "index": "0",
            "beacon_block_root": root(salt),
            "source": { "epoch": source.to_string(), "root": root(3) },
            "target": { "epoch": target.to_string(), "root": root(4) },
        },
    })
}

/// A duty that no rule forbids.
pub fn randao(epoch: u64) -> Value {
    json!({
        "type": "RANDAO_REVEAL",
        "fork_info": fork_info(),
        "randao_reveal": { "epoch": epoch.to_string() },
    })
}

/// An exit, which the default policy forbids.
pub fn exit(epoch: u64) -> Value {
    json!({
        "type": "VOLUNTARY_EXIT",
        "fork_info": fork_info(),
        "voluntary_exit": { "epoch": epoch.to_string(), "validator_index": "7" },
    })
}

/// One message for many keys.
pub fn batch(identifiers: &[&str], request: &Value) -> Value {
    json!({ "identifiers": identifiers, "signing_request": request })
}
