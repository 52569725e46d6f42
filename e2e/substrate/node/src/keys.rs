//! Where the session keys are: in memory, which is the control of the scenarios, or in guards.
//!
//! Invariants: nothing here writes a key to disk; with guards, no key is ever in this process.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use palisade_node_keystore::{Guard, GuardConfig, Listen, RemoteKeystore, Token};
use sp_keystore::{Keystore as _, KeystorePtr, testing::MemoryKeystore};

use crate::{Failure, arguments::Run};

/// How long the node waits at its start for a guard to list its keys. A voter that starts without
/// them would sit out its first round.
const GUARD_AT_START: Duration = Duration::from_secs(30);
/// How long a GRANDPA key stays out of use after a refusal: the scenarios are short.
const HIDE_REFUSED: Duration = Duration::from_secs(5);

/// The pairs of a development name, for BABE and GRANDPA.
pub(crate) fn local(name: &str) -> Result<KeystorePtr, Failure> {
    let keystore = MemoryKeystore::new();
    let seed = format!("//{name}");
    keystore.sr25519_generate_new(sp_consensus_babe::KEY_TYPE, Some(&seed))?;
    keystore.ed25519_generate_new(sp_consensus_grandpa::KEY_TYPE, Some(&seed))?;
    Ok(Arc::new(keystore))
}

/// A keystore that asks the guards of the command line.
pub(crate) fn guarded(run: &Run) -> Result<Arc<RemoteKeystore>, Failure> {
    let base = &run.base;
    std::fs::create_dir_all(base)?;
    let mut config = match (run.keys.await_guard, &run.guard_token) {
        (Some(port), Some(token)) => {
            let token = Some(Token::new(&std::fs::read_to_string(token)?)?);
            let address = (Ipv4Addr::LOCALHOST, port).into();
            GuardConfig::listen(Listen { address, token, tls: None })
        }
        _ => GuardConfig::dial(run.keys.guard.iter().map(Guard::new).collect()),
    };
    config.key_types = vec![sp_consensus_babe::KEY_TYPE, sp_consensus_grandpa::KEY_TYPE];
    config.grandpa_hide = HIDE_REFUSED;
    config.grandpa_memory = Some(base.join("refused-votes.json"));
    let keystore = RemoteKeystore::start(config)?;
    if !keystore.wait_ready(GUARD_AT_START) {
        log::warn!("no guard has listed its keys in {GUARD_AT_START:?}; starting without");
    }
    Ok(keystore)
}
