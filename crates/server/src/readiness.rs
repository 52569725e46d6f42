//! Ready only when every configured key is usable and the store can be written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use palisade_protect::KeyId;

use crate::admin::Administrator;
use crate::engine::Engine;
use crate::metrics::{LedgerState, Readiness};

/// Looks at the parts of a running guard.
pub struct ReadinessProbe {
    engine: Arc<Engine>,
    administrator: Arc<Administrator>,
    draining: AtomicBool,
}

impl ReadinessProbe {
    /// For a running guard.
    #[must_use]
    pub fn new(engine: Arc<Engine>, administrator: Arc<Administrator>) -> Self {
        Self { engine, administrator, draining: AtomicBool::new(false) }
    }

    /// From now on the guard is on its way out.
    pub fn start_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// What is missing; empty means ready. Blocks on the ledger's thread: it answers only while
    /// that lives.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        if self.draining.load(Ordering::Acquire) {
            missing.push("the guard is stopping".to_owned());
        }
        if !self.engine.ledger().is_writable() {
            missing.push("the store cannot be written; see the log, then restart".to_owned());
        }
        let keychain = self.engine.keychain();
        let configured = self.administrator.configured_keys();
        if keychain.len() != configured {
            missing
                .push(format!("{configured} keys are configured, {} are usable", keychain.len()));
        }
        let ids: Vec<KeyId> = keychain.ids().collect();
        match self.engine.ledger().call(move |store| store.missing_records(&ids)) {
            Ok(Ok(0)) => {}
            Ok(Ok(count)) => missing.push(format!("{count} keys have no record in the ledger")),
            Ok(Err(error)) | Err(error) => missing.push(error.to_string()),
        }
        missing
    }

    /// Brings the gauges up to date.
    pub fn observe(&self, missing: &[String]) {
        let ledger = self.engine.ledger();
        let statistics = ledger.statistics();
        let state = LedgerState {
            queue_depth: ledger.queue_depth(),
            commits: statistics.commits,
            mean_commit: statistics.mean_commit(),
        };
        let readiness = if missing.is_empty() { Readiness::Ready } else { Readiness::NotReady };
        self.engine.metrics().observe_state(self.engine.keychain().len(), readiness, state);
    }
}
