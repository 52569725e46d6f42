//! `/reload`: the policy is read again from `palisade.toml`, without a restart.
//!
//! Keys need no reload: they come and go through the admin socket and the key manager API, and are
//! in force at once. Addresses, nodes, TLS and limits hold until the next start.
//!
//! Invariants: a reload that fails changes nothing, and the old policy stays in force; a policy is
//! judged against the listener that is open and the nodes that are dialled, not against those that
//! the file now names; every client may ask for a reload, so those of clients keep a distance of
//! [`PACE`].

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;
use tokio::sync::watch;

use crate::config::{Config, Listen, NodeEntry};
use crate::engine::Engine;
use crate::home::Home;
use crate::link::message::{GateEntry, Reply};

/// Between the beginnings of reloads that clients ask for: one can take a large part of a second
/// with very many keys, and each leaves a line in the log.
const PACE: Duration = Duration::from_secs(1);

/// How the last reload went, in Web3Signer's words.
#[derive(Clone, Debug, Default)]
struct Last {
    status: Option<&'static str>,
    time_unix_s: Option<u64>,
    error: Option<String>,
}

/// Reads the policy again.
pub struct Reloader {
    config_path: PathBuf,
    home: PathBuf,
    /// As it was opened at the start.
    listen: Listen,
    /// As they are dialled since the start.
    nodes: Vec<NodeEntry>,
    engine: Arc<Engine>,
    gate: watch::Sender<Vec<GateEntry>>,
    running: AtomicBool,
    /// Whether the one that runs may have read what was there before a change.
    again: AtomicBool,
    begun: Mutex<Option<Instant>>,
    last: Mutex<Last>,
}

impl Reloader {
    /// For the guard of this home, which was started with this configuration.
    #[must_use]
    pub fn new(home: &Home, config: &Config, engine: Arc<Engine>) -> Self {
        Self {
            config_path: home.config_path(),
            home: home.path().to_owned(),
            listen: config.listen.clone(),
            nodes: config.nodes.clone(),
            gate: watch::Sender::new(engine.policy().gate()),
            engine,
            running: AtomicBool::new(false),
            again: AtomicBool::new(false),
            begun: Mutex::default(),
            last: Mutex::default(),
        }
    }

    /// The turn to reload; `None` while another has it.
    pub fn take_turn(self: &Arc<Self>) -> Option<Turn> {
        let free = !self.running.swap(true, Ordering::SeqCst);
        free.then(|| Turn(Arc::clone(self)))
    }

    /// The turn to reload; `None` while another has it, who then reads once more at its end.
    pub(crate) fn take_turn_or_leave_word(self: &Arc<Self>) -> Option<Turn> {
        // Before the look: whoever has the turn now looks for it after giving the turn back.
        self.again.store(true, Ordering::SeqCst);
        self.take_turn()
    }

    fn reload(&self) {
        *self.begun() = Some(Instant::now());
        let result = self.read_again();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        *last = match result {
            Ok(()) => {
                tracing::info!("policy reloaded");
                Last { status: Some("completed"), time_unix_s: Some(now), error: None }
            }
            Err(error) => {
                tracing::error!(error, "reload failed; the old policy stays in force");
                Last { status: Some("failed"), time_unix_s: Some(now), error: Some(error) }
            }
        };
    }

    fn read_again(&self) -> Result<(), String> {
        let text = std::fs::read_to_string(&self.config_path)
            .map_err(|error| format!("{}: {error}", self.config_path.display()))?;
        let mut config = Config::parse(&text).map_err(|error| error.to_string())?;
        config.listen = self.listen.clone();
        config.nodes = self.nodes.clone();
        let policy = config.policy(&self.home).map_err(|error| error.to_string())?;
        let gate = policy.gate();
        self.engine.replace_policy(policy);
        // Connections that stay look whether their client is still there.
        self.gate.send_replace(gate);
        Ok(())
    }

    /// Whom a front may let in, now and after each reload.
    pub(super) fn gate(&self) -> watch::Receiver<Vec<GateEntry>> {
        self.gate.subscribe()
    }

    /// Begins a reload, unless one is running.
    pub(super) fn start(self: &Arc<Self>) -> Reply {
        let Some(turn) = self.take_turn() else {
            return Reply::error(
                409,
                "reload-running",
                "a reload is already running; GET /reload says when it is done",
            );
        };
        let wait =
            self.begun().map_or(Duration::ZERO, |begun| PACE.saturating_sub(begun.elapsed()));
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            tokio::task::spawn_blocking(move || turn.reload());
        });
        Reply::json(202, &json!({ "status": "accepted" }))
    }

    fn begun(&self) -> MutexGuard<'_, Option<Instant>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the last one went.
    pub(super) fn status(&self) -> Reply {
        let running = self.running.load(Ordering::Acquire);
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let status = if running { "running" } else { last.status.unwrap_or("idle") };
        Reply::json(
            200,
            &json!({
                "status": status,
                "lastOperationTime": last.time_unix_s,
                "lastError": last.error,
            }),
        )
    }
}

/// One reload, from the moment that it is accepted until it is done.
pub struct Turn(Arc<Reloader>);

impl Turn {
    /// Reads the policy and puts it in force, or keeps the old one and remembers why.
    pub fn reload(self) {
        let reloader = Arc::clone(&self.0);
        self.0.again.store(false, Ordering::SeqCst);
        self.0.reload();
        drop(self);
        // Asked for while it ran: what it read may have been what was there before.
        if reloader.again.swap(false, Ordering::SeqCst)
            && let Some(turn) = reloader.take_turn()
        {
            turn.reload();
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.running.store(false, Ordering::SeqCst);
    }
}
