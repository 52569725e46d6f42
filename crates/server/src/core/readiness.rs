//! Ready only when every configured key is usable and the store can be written.
//!
//! Invariants: however many probes come, one at a time asks the ledger's thread, at most once a
//! second (a look at 100,000 keys in memory takes some milliseconds); a ledger that does not answer
//! is "not ready", and nobody waits for it for long.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use palisade_protect::KeyId;
use palisade_store::LedgerHandle;
use tokio::sync::Mutex;

use super::expiry::Expiry;
use crate::admin::Administrator;
use crate::engine::{Engine, Keychain};
use crate::metrics::{LedgerState, Readiness};

/// How long an answer of the ledger counts.
const FRESH: Duration = Duration::from_secs(1);

/// How long a probe waits for the ledger.
const PATIENCE: Duration = Duration::from_secs(5);

/// Looks at the parts of a running guard.
pub(super) struct ReadinessProbe {
    engine: Arc<Engine>,
    administrator: Arc<Administrator>,
    certificates: Expiry,
    draining: AtomicBool,
    last: Arc<Mutex<LedgerCheck>>,
}

/// What the ledger said when it was asked last.
#[derive(Default)]
struct LedgerCheck {
    /// The keys that it was asked about.
    keychain: Weak<Keychain>,
    at: Option<Instant>,
    missing: Option<String>,
}

impl ReadinessProbe {
    /// For a running guard whose listener shows these certificates.
    #[must_use]
    pub(super) fn new(
        engine: Arc<Engine>,
        administrator: Arc<Administrator>,
        certificates: Expiry,
    ) -> Self {
        let (draining, last) = (AtomicBool::new(false), Arc::default());
        Self { engine, administrator, certificates, draining, last }
    }

    /// From now on the guard is on its way out.
    pub(super) fn start_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// What is missing; empty means ready.
    pub(super) async fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        if self.draining.load(Ordering::Acquire) {
            missing.push("the guard is stopping".to_owned());
        }
        if !self.engine.ledger().is_writable() {
            missing.push("the store cannot be written; see the log, then restart".to_owned());
        }
        let (usable, configured) =
            (self.engine.keychain().len(), self.administrator.configured_keys());
        if usable != configured {
            missing.push(format!("{configured} keys are configured, {usable} are usable"));
        }
        let stray = self.engine.keys_of_unknown_chains();
        if stray != 0 {
            missing.push(format!(
                "{stray} session keys are for a chain that is not in palisade.toml, or was added \
                 since the start"
            ));
        }
        missing.extend(self.certificates.missing(SystemTime::now()));
        missing.extend(self.ask_ledger().await.unwrap_or_else(|silent| Some(silent.to_string())));
        missing
    }

    /// Whether the ledger's thread does its work and can write: a guard that cannot is of no use
    /// until it is started anew.
    pub(super) async fn ledger_answers(&self) -> bool {
        let answered = self.ask_ledger().await.is_ok();
        answered && self.engine.ledger().is_writable()
    }

    /// Brings the gauges up to date.
    pub(super) fn observe(&self, missing: &[String]) {
        self.certificates.observe(self.engine.metrics());
        let ledger = self.engine.ledger();
        let statistics = ledger.statistics();
        let state = LedgerState {
            queue_depth: ledger.queue_depth(),
            commits: statistics.commits,
            commit_time: statistics.total,
        };
        let readiness = if missing.is_empty() { Readiness::Ready } else { Readiness::NotReady };
        self.engine.metrics().observe_state(self.engine.keychain().len(), readiness, state);
    }

    /// What the ledger misses.
    async fn ask_ledger(&self) -> Result<Option<String>, Silent> {
        let asking = async {
            let mut last = Arc::clone(&self.last).lock_owned().await;
            let engine = Arc::clone(&self.engine);
            // The turn goes along, so that a ledger that hangs holds up one thread and no more.
            tokio::task::spawn_blocking(move || {
                last.renew(&engine.keychain(), engine.ledger());
                last.missing.clone()
            })
            .await
        };
        match tokio::time::timeout(PATIENCE, asking).await {
            Ok(Ok(missing)) => Ok(missing),
            Ok(Err(_)) => Ok(Some("the readiness check failed inside the guard".to_owned())),
            Err(_) => Err(Silent),
        }
    }
}

/// The ledger has not answered within [`PATIENCE`].
struct Silent;

impl fmt::Display for Silent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the ledger has not answered for {} s; look for a slow or hanging disk",
            PATIENCE.as_secs()
        )
    }
}

impl LedgerCheck {
    fn renew(&mut self, keychain: &Arc<Keychain>, ledger: &LedgerHandle) {
        let same_keys = std::ptr::eq(self.keychain.as_ptr(), Arc::as_ptr(keychain));
        if same_keys && self.at.is_some_and(|at| at.elapsed() < FRESH) {
            return;
        }
        // All of them each time: a key can be taken out of service while its secret is here.
        let ids: Vec<KeyId> = keychain.ids().collect();
        self.missing = match ledger.call(move |store| store.missing_records(&ids)) {
            Ok(Ok(0)) => None,
            Ok(Ok(count)) => Some(format!("{count} keys have no record in the ledger")),
            Ok(Err(error)) | Err(error) => Some(error.to_string()),
        };
        self.keychain = Arc::downgrade(keychain);
        self.at = Some(Instant::now());
    }
}
