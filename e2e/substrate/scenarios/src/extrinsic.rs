//! A call as its account signs and submits it.
//!
//! Layout: extrinsic version 4, in SCALE. The runtime's transaction extensions are those of
//! `runtime/src/lib.rs`; all but the era and the nonce are empty, and the versions and the genesis
//! are signed without being sent.

use codec::{Compact, Encode as _};
use serde_json::json;
use sp_core::{H256, Pair as _, sr25519};
use sp_crypto_hashing::blake2_256;

use crate::{Failure, node::Node};

/// The runtime's `spec_version` and `transaction_version`.
const VERSIONS: (u32, u32) = (1, 1);
/// Signed, version 4.
const SIGNED: u8 = 0x84;
/// `MultiAddress::Id`.
const ACCOUNT: u8 = 0;
/// `MultiSignature::Sr25519`.
const SR25519: u8 = 1;
/// `Era::Immortal`.
const IMMORTAL: u8 = 0;
/// Longer payloads are hashed before they are signed.
const LONGEST_PAYLOAD: usize = 256;

/// Submits an encoded call for an account that has sent nothing yet. Returns the hash of the
/// extrinsic.
pub(crate) fn submit(node: &Node, account: &sr25519::Pair, call: &[u8]) -> Result<H256, Failure> {
    let genesis = node.hash(0)?;
    let nonce = Compact(0_u32);
    let mut payload = call.to_vec();
    (IMMORTAL, nonce, VERSIONS, genesis, genesis).encode_to(&mut payload);
    let signature = if payload.len() > LONGEST_PAYLOAD {
        account.sign(&blake2_256(&payload))
    } else {
        account.sign(&payload)
    };
    let mut extrinsic = vec![SIGNED, ACCOUNT];
    extrinsic.extend_from_slice(account.public().as_ref());
    extrinsic.push(SR25519);
    extrinsic.extend_from_slice(signature.as_ref());
    (IMMORTAL, nonce).encode_to(&mut extrinsic);
    extrinsic.extend_from_slice(call);
    let sent = format!("0x{}", hex::encode(extrinsic.encode()));
    let hash = node.rpc().call("author_submitExtrinsic", json!([sent]))?;
    Ok(serde_json::from_value(hash)?)
}
