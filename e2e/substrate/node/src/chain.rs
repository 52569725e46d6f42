//! The chain: its runtime and its genesis.
//!
//! Invariant: the genesis is a function of the list of authorities alone, so every process of a
//! scenario, and `mini-node genesis`, agree on its hash.

use std::sync::Arc;

use sc_chain_spec::{BuildGenesisBlock as _, ChainType, GenericChainSpec, GenesisBlockBuilder};
use serde_json::json;
use sp_core::{H256, Pair as _, crypto::Ss58Codec as _, ed25519, sr25519};
use sp_runtime::{
    OpaqueExtrinsic, generic,
    traits::{BlakeTwo256, Block as _},
};

use crate::Failure;

/// A header with 32-bit numbers.
pub(crate) type Header = generic::Header<u32, BlakeTwo256>;
/// A block whose extrinsics the node does not read.
pub(crate) type Block = generic::Block<Header, OpaqueExtrinsic>;
/// Runs the runtime's Wasm.
pub(crate) type Executor = sc_executor::WasmExecutor<sp_io::SubstrateHostFunctions>;

/// The runtime, built by `build-runtime`; compressed as `sp-maybe-compressed-blob` reads it.
const RUNTIME: &[u8] = include_bytes!("../../fixtures/mini-runtime.wasm.zst");
/// Enough that no scenario runs out of it.
const ENDOWMENT: u64 = 1_000_000_000_000;

/// The chain's identifier, in its specification and in protocol names.
pub(crate) const NAME: &str = "mini";

/// The address of a development name's sr25519 account.
fn sr25519_address(name: &str) -> Result<String, Failure> {
    let pair = sr25519::Pair::from_string(&format!("//{name}"), None)
        .map_err(|error| format!("{name:?} is no development name: {error}"))?;
    Ok(pair.public().to_ss58check())
}

/// The address of a development name's ed25519 account.
fn ed25519_address(name: &str) -> Result<String, Failure> {
    let pair = ed25519::Pair::from_string(&format!("//{name}"), None)
        .map_err(|error| format!("{name:?} is no development name: {error}"))?;
    Ok(pair.public().to_ss58check())
}

/// The specification of the chain that these authorities validate.
pub(crate) fn specification(authorities: &[String]) -> Result<GenericChainSpec, Failure> {
    let mut balances = Vec::new();
    let mut keys = Vec::new();
    for name in authorities {
        let account = sr25519_address(name)?;
        balances.push(json!([account, ENDOWMENT]));
        keys.push(json!([
            account,
            account,
            { "babe": account, "grandpa": ed25519_address(name)? },
        ]));
    }
    let genesis = json!({
        "balances": { "balances": balances },
        "babe": {
            "epochConfig": { "c": [1, 4], "allowed_slots": "PrimaryAndSecondaryVRFSlots" },
        },
        // BABE and GRANDPA take their first authorities from the sessions.
        "session": { "keys": keys },
    });
    Ok(GenericChainSpec::builder(RUNTIME, None)
        .with_name(NAME)
        .with_id(NAME)
        .with_chain_type(ChainType::Local)
        .with_genesis_config_patch(genesis)
        .build())
}

/// The hash of the genesis block, which names the chain.
pub(crate) fn genesis_hash(authorities: &[String]) -> Result<H256, Failure> {
    let builder = GenesisBlockBuilder::<Block, _, _>::new(
        &specification(authorities)?,
        false,
        Arc::new(sc_client_api::in_mem::Backend::<Block>::new()),
        Executor::builder().build(),
    )?;
    let (block, _) = builder.build_genesis_block()?;
    Ok(block.header().hash())
}
