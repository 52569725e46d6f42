//! The core: whoever holds keys and ledger answers here, in values that a front makes HTTP of.
//!
//! Invariants: every question but the watching listener's is judged for the client that this
//! policy recognises in what was presented, whatever the front believes; an answer says no more
//! than its client may know.

mod expiry;
mod key_manager;
mod managing;
mod readiness;
mod reload;
mod reply;
mod rpc;
mod rpc_generate;
mod rpc_message;
mod sign;
mod watching;

use std::sync::Arc;

use tokio::sync::watch;

pub use expiry::Expiry;
pub use reload::{Reloader, Turn};
pub use reply::ErrorBody;
pub use rpc::{OPENRPC, instead as rpc_instead};
pub use watching::{ConsoleState, DecisionRow};

use crate::admin::Administrator;
use crate::config::Config;
use crate::engine::Engine;
use crate::home::Home;
use crate::link::message::{GateEntry, Question, Reply};
use crate::policy::{Client, NotRecognised, Presented};
use managing::Managing;
use readiness::ReadinessProbe;

/// Everything that answers questions. Shared by all of them.
pub struct Core {
    engine: Arc<Engine>,
    administrator: Arc<Administrator>,
    reloader: Arc<Reloader>,
    certificates: Expiry,
    readiness: ReadinessProbe,
    managing: Managing,
}

impl Core {
    /// For an opened home, and the configuration of its listener and nodes, with the certificates
    /// that are shown there.
    #[must_use]
    pub fn new(
        home: &Home,
        config: &Config,
        engine: Arc<Engine>,
        administrator: Arc<Administrator>,
        certificates: Expiry,
    ) -> Self {
        let reloader = Arc::new(Reloader::new(home, config, Arc::clone(&engine)));
        let readiness = ReadinessProbe::new(
            Arc::clone(&engine),
            Arc::clone(&administrator),
            certificates.clone(),
        );
        let managing = Managing::default();
        Self { engine, administrator, reloader, certificates, readiness, managing }
    }

    /// Decides and signs.
    #[must_use]
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Changes keys and history.
    #[must_use]
    pub fn administrator(&self) -> &Arc<Administrator> {
        &self.administrator
    }

    /// Reads the policy again.
    #[must_use]
    pub fn reloader(&self) -> &Arc<Reloader> {
        &self.reloader
    }

    /// The dates of the listener's certificates.
    pub(crate) fn certificates(&self) -> &Expiry {
        &self.certificates
    }

    /// Whether the ledger's thread does its work.
    pub(crate) async fn ledger_answers(&self) -> bool {
        self.readiness.ledger_answers().await
    }

    /// From now on the guard is on its way out.
    pub fn start_draining(&self) {
        self.readiness.start_draining();
    }

    /// Whom a front may let in, now and after each reload.
    pub(crate) fn gate(&self) -> watch::Receiver<Vec<GateEntry>> {
        self.reloader.gate()
    }

    /// The answer to a question on behalf of whoever presented this.
    pub async fn answer(&self, presented: &Presented, question: Question) -> Reply {
        match question {
            Question::Readiness => Reply::Missing(self.readiness.missing().await),
            Question::Metrics => watching::metrics(self).await,
            Question::Console => watching::console(self).await,
            // A node is at the other end of a WebSocket, and of nothing else; only a front that was
            // broken into says so.
            question if presented.node.is_some() && !matches!(question, Question::Rpc { .. }) => {
                reply::of_stranger(NotRecognised::WrongCredential)
            }
            question => {
                let policy = self.engine.policy();
                match policy.recognise(presented) {
                    Ok(client) => self.answer_client(client, question).await,
                    Err(not_recognised) => reply::of_stranger(not_recognised),
                }
            }
        }
    }

    async fn answer_client(&self, client: &Arc<Client>, question: Question) -> Reply {
        let engine = &self.engine;
        match question {
            Question::Sign { public_key, body } => {
                sign::sign(engine, client, &public_key, &body).await
            }
            Question::SignBatch { body } => sign::sign_batch(engine, client, &body).await,
            Question::PublicKeys => sign::public_keys(engine, client),
            Question::HighWatermark => sign::high_watermark(&self.administrator).await,
            Question::Rpc { body } => match rpc::answer_to(self, client, &body).await {
                Some(answer) => Reply::Json { status: 200, body: answer.into_bytes() },
                None => Reply::NoContent,
            },
            Question::Keystores => key_manager::list(engine, client),
            Question::KeystoresImport { body } => key_manager::import(self, client, &body).await,
            Question::KeystoresDelete { body } => key_manager::delete(self, client, &body).await,
            Question::Reload => self.reloader.start(),
            Question::ReloadStatus => self.reloader.status(),
            Question::Healthcheck => watching::healthcheck(self).await,
            // Answered above, for everybody.
            Question::Readiness | Question::Metrics | Question::Console => Reply::NoContent,
        }
    }
}
