//! Where the session keys are: in memory, which is the control of the scenarios.
//!
//! Invariant: nothing here writes a key to disk.

use std::sync::Arc;

use sp_keystore::{Keystore as _, KeystorePtr, testing::MemoryKeystore};

use crate::Failure;

/// The pairs of a development name, for BABE and GRANDPA.
pub(crate) fn local(name: &str) -> Result<KeystorePtr, Failure> {
    let keystore = MemoryKeystore::new();
    let seed = format!("//{name}");
    keystore.sr25519_generate_new(sp_consensus_babe::KEY_TYPE, Some(&seed))?;
    keystore.ed25519_generate_new(sp_consensus_grandpa::KEY_TYPE, Some(&seed))?;
    Ok(Arc::new(keystore))
}
