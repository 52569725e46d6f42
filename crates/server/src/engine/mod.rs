//! The engine: one plain message in, one plain outcome out.
//!
//! The way of a request: is the key here → parse strictly → may this client ask this → is it this
//! network → ledger (one durable commit for whatever has queued) → sign with the permit. Nothing
//! here knows HTTP: the messages could as well cross a socket between two processes.
//!
//! Invariants: no signature without a [`Permit`]; a full ledger queue, too many signatures under
//! way and too many long requests are answered at once ([`Denial::Overloaded`]) and never waited
//! for; what the client claims about itself or about the signing root is compared, never trusted.

mod announced;
mod announcement;
mod batch;
mod draws;
mod keychain;
mod lone;
mod network;
mod outcome;
mod reader;
mod recent;
mod session;

use std::sync::{Arc, RwLock};
use std::time::Instant;

use palisade_ethereum::{Network, PublicKey, SigningRequest, parse_request};
use palisade_protect::{Denied, Digest, Duty, Intent, KeyId, Permit};
use palisade_store::{LedgerHandle, StoreError};
use palisade_substrate::Chain;
use tokio::sync::oneshot;

pub use announced::Held;
pub use batch::BatchAnswer;
pub use keychain::{Keychain, SessionKey};
pub(crate) use lone::OnItsWay;
pub use outcome::{Denial, Outcome};
pub use recent::{Asked, Decision, Recent, Verdict};
pub use session::{SessionDenial, SessionDuty};

use crate::metrics::Metrics;
use crate::policy::{Client, Operation, Policy};

type Authorised = Vec<Result<Permit, Denied<StoreError>>>;

/// Everything that a request needs. Shared by all connections.
pub struct Engine {
    network: Network,
    genesis: RwLock<Option<Digest>>,
    policy: RwLock<Arc<Policy>>,
    keychain: RwLock<Arc<Keychain>>,
    ledger: LedgerHandle,
    metrics: Metrics,
    recent: Recent,
    reader: reader::Reader,
    batch_signatures: batch::SignatureBudget,
    chains: Vec<Chain>,
    announced: announced::Announced,
    draws: draws::Draws,
    under_way: lone::UnderWay,
}

impl Engine {
    /// An engine for an opened home.
    #[must_use]
    pub fn new(
        network: Network,
        genesis: Option<Digest>,
        policy: Policy,
        keychain: Keychain,
        ledger: LedgerHandle,
        metrics: Metrics,
    ) -> Self {
        Self {
            network,
            genesis: RwLock::new(genesis),
            policy: RwLock::new(Arc::new(policy)),
            keychain: RwLock::new(Arc::new(keychain)),
            ledger,
            metrics,
            recent: Recent::default(),
            reader: reader::Reader::default(),
            batch_signatures: batch::SignatureBudget::default(),
            chains: Vec::new(),
            announced: announced::Announced::default(),
            draws: draws::Draws::default(),
            under_way: lone::UnderWay::default(),
        }
    }

    /// The same on a runtime of so many worker threads. Where there is but one, no request waits
    /// for the disk on it.
    #[must_use]
    pub fn with_workers(mut self, workers: usize) -> Self {
        self.under_way.set_workers(workers);
        self
    }

    /// To be held while a request is on its way through the core.
    pub(crate) fn on_its_way(&self) -> OnItsWay {
        self.under_way.enter()
    }

    /// The same for these Substrate chains as well.
    #[must_use]
    pub fn with_chains(self, chains: Vec<Chain>) -> Self {
        Self { chains, ..self }
    }

    /// Signs one request, or says why not.
    pub async fn sign(&self, client: &Client, public_key: &str, body: &[u8]) -> Outcome {
        let started = Instant::now();
        let keychain = self.keychain();
        // The key first: whoever names a key that is not here makes no work.
        let Some((public_key, key)) = keychain.find(public_key) else {
            let outcome = Err(Denial::unknown_key(public_key));
            self.metrics.observe_signing(None, &outcome, started.elapsed());
            return outcome;
        };
        let request = match self.reader.read(body, &self.network, parse_request).await {
            Ok(request) => request,
            Err(denial) => {
                let outcome = Err(denial);
                self.metrics.observe_signing(None, &outcome, started.elapsed());
                return outcome;
            }
        };
        let outcome = self.decide_and_sign(client, &keychain, public_key, key, &request).await;
        self.recent.note(client, &Asked::of(&public_key, &request), &outcome);
        self.metrics.observe_signing(Some(request.kind), &outcome, started.elapsed());
        outcome
    }

    /// The keys that `client` may see, in order.
    #[must_use]
    pub fn public_keys(&self, client: &Client) -> Vec<PublicKey> {
        let keychain = self.keychain();
        keychain.public_keys().filter(|key| Policy::sees(client, &key.0)).copied().collect()
    }

    /// The policy in force.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.policy.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// The keys in memory.
    #[must_use]
    pub fn keychain(&self) -> Arc<Keychain> {
        Arc::clone(&self.keychain.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Puts another policy in force for every request that starts from now on.
    pub fn replace_policy(&self, policy: Policy) {
        *self.policy.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::new(policy);
    }

    /// Puts other keys in force for every request that starts from now on.
    pub fn replace_keychain(&self, keychain: Keychain) {
        *self.keychain.write().unwrap_or_else(std::sync::PoisonError::into_inner) =
            Arc::new(keychain);
    }

    /// The ledger's handle.
    #[must_use]
    pub fn ledger(&self) -> &LedgerHandle {
        &self.ledger
    }

    /// The Substrate chains that this guard signs for.
    #[must_use]
    pub fn chains(&self) -> &[Chain] {
        &self.chains
    }

    /// The network that this guard signs for.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The genesis validators root that this home is pinned to, if it has learned one.
    #[must_use]
    pub fn genesis_validators_root(&self) -> Option<Digest> {
        *self.genesis.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The counters and histograms.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The last decisions, for the console.
    #[must_use]
    pub fn recent(&self) -> &Recent {
        &self.recent
    }

    async fn decide_and_sign(
        &self,
        client: &Client,
        keychain: &Keychain,
        public_key: PublicKey,
        key: KeyId,
        request: &SigningRequest,
    ) -> Outcome {
        Policy::check(client, Operation::of(request.kind), Some(&public_key.0))?;
        self.check_network(request).await?;
        let permit = self
            .authorise(vec![(key, request.intent)])
            .await?
            .pop()
            .ok_or_else(|| Denial::bug("the ledger answered nothing"))?
            .map_err(Denial::from)?;
        // On a worker thread, on purpose: signing is the work that this process is here for, and
        // there are as many workers as processors.
        keychain.ring().sign(permit).map_err(Denial::from)
    }

    async fn authorise(&self, batch: Vec<(KeyId, Intent)>) -> Result<Authorised, Denial> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        if self.under_way.is_lone(batch.len(), self.ledger.last_commit())
            && let Some(authorised) = self.ledger.authorise_here(&batch)
        {
            return Ok(authorised);
        }
        let (reply, answer) = oneshot::channel();
        let deliver = move |authorised: Authorised| {
            // The client may have gone away; its permit is then dropped unused.
            drop(reply.send(authorised));
        };
        self.ledger.authorise(batch, deliver).map_err(|_| Denial::Overloaded)?;
        answer.await.map_err(|_| Denial::bug("the ledger thread ended"))
    }
}

/// Whether a duty leaves a trace in the ledger.
pub(crate) fn is_recorded(duty: &Duty) -> bool {
    !matches!(duty, Duty::Harmless)
}
