//! The engine: one plain message in, one plain outcome out.
//!
//! The way of a request: parse strictly → is the key here → may this client ask this → is it this
//! network → ledger (one durable commit for whatever has queued) → sign with the permit. Nothing
//! here knows HTTP: the messages could as well cross a socket between two processes.
//!
//! Invariants: no signature without a [`Permit`]; a full ledger queue is answered at once
//! ([`Denial::Overloaded`]) and never waited for; what the client claims about itself or about the
//! signing root is compared, never trusted.

mod keychain;
mod outcome;
mod recent;

use std::sync::{Arc, RwLock};
use std::time::Instant;

use palisade_ethereum::{Network, PublicKey, SigningRequest, parse_batch, parse_request};
use palisade_protect::{Denied, Digest, Duty, Intent, KeyId, Permit};
use palisade_store::{LedgerHandle, StoreError};
use tokio::sync::oneshot;

pub use keychain::Keychain;
pub use outcome::{Denial, Outcome};
pub use recent::{Decision, Recent, Verdict};

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
}

/// Which part of a batch belongs to which key, and what became of it.
pub struct BatchAnswer {
    /// The keys as asked for, in order, each with its outcome.
    pub results: Vec<(PublicKey, Outcome)>,
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
        }
    }

    /// Signs one request, or says why not.
    pub async fn sign(&self, client: &Client, public_key: &str, body: &[u8]) -> Outcome {
        let started = Instant::now();
        let keychain = self.keychain();
        let request = parse_request(body, &self.network).map_err(Denial::from);
        let kind = request.as_ref().ok().map(|request| request.kind);
        let found = keychain.find(public_key).ok_or_else(|| Denial::unknown_key(public_key));
        let outcome = match (found, request) {
            // An unknown key is reported before a malformed body: it is the more likely mistake.
            (Err(denial), _) | (Ok(_), Err(denial)) => Err(denial),
            (Ok((public_key, key)), Ok(request)) => {
                let outcome =
                    self.decide_and_sign(client, &keychain, public_key, key, &request).await;
                self.recent.note(client, &public_key, &request, &outcome);
                outcome
            }
        };
        self.metrics.observe_signing(kind, &outcome, started.elapsed());
        outcome
    }

    /// Signs one message with many keys. One failure does not touch the others.
    ///
    /// # Errors
    /// When the request as a whole cannot be read.
    pub async fn sign_batch(&self, client: &Client, body: &[u8]) -> Result<BatchAnswer, Denial> {
        let started = Instant::now();
        let keychain = self.keychain();
        let batch = parse_batch(body, &self.network)?;
        let request = batch.request;
        let network = self.check_network(&request).await;
        let admitted: Vec<Result<KeyId, Denial>> = batch
            .identifiers
            .iter()
            .map(|public_key| {
                let key = keychain.id(public_key).ok_or_else(|| Denial::unknown_key(public_key))?;
                Policy::check(client, Operation::of(request.kind), Some(public_key))?;
                network.clone().map(|()| key)
            })
            .collect();
        let outcomes = self.authorise_and_sign_all(&keychain, admitted, request.intent).await;
        let results: Vec<_> = batch.identifiers.into_iter().zip(outcomes).collect();
        for (public_key, outcome) in &results {
            self.recent.note(client, public_key, &request, outcome);
            self.metrics.observe_signing(Some(request.kind), outcome, started.elapsed());
        }
        Ok(BatchAnswer { results })
    }

    /// The keys that `client` may see, in order.
    #[must_use]
    pub fn public_keys(&self, client: &Client) -> Vec<PublicKey> {
        let keychain = self.keychain();
        keychain.public_keys().filter(|key| Policy::sees(client, key)).copied().collect()
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
        Policy::check(client, Operation::of(request.kind), Some(&public_key))?;
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

    async fn authorise_and_sign_all(
        &self,
        keychain: &Arc<Keychain>,
        admitted: Vec<Result<KeyId, Denial>>,
        intent: Intent,
    ) -> Vec<Outcome> {
        let batch: Vec<_> =
            admitted.iter().filter_map(|key| key.as_ref().ok()).map(|key| (*key, intent)).collect();
        let permits = match self.authorise(batch).await {
            Ok(permits) => permits,
            Err(denial) => {
                return admitted.into_iter().map(|key| key.and(Err(denial.clone()))).collect();
            }
        };
        let mut signed = sign_in_parallel(Arc::clone(keychain), permits).await.into_iter();
        let missing = || Err(Denial::bug("the ledger answered too few"));
        admitted
            .into_iter()
            .map(|key| key.and_then(|_| signed.next().unwrap_or_else(missing)))
            .collect()
    }

    async fn authorise(&self, batch: Vec<(KeyId, Intent)>) -> Result<Authorised, Denial> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let (reply, answer) = oneshot::channel();
        let deliver = move |authorised: Authorised| {
            // The client may have gone away; its permit is then dropped unused.
            drop(reply.send(authorised));
        };
        self.ledger.authorise(batch, deliver).map_err(|_| Denial::Overloaded)?;
        answer.await.map_err(|_| Denial::bug("the ledger thread ended"))
    }

    async fn check_network(&self, request: &SigningRequest) -> Result<(), Denial> {
        let Some(given) = request.genesis_validators_root else { return Ok(()) };
        match self.genesis_validators_root() {
            Some(pinned) if pinned == given => Ok(()),
            Some(pinned) => Err(Denial::WrongGenesis { pinned, given }),
            None => self.learn_genesis(given).await,
        }
    }

    /// Trust on first use, made durable before anything is signed on the strength of it.
    async fn learn_genesis(&self, given: Digest) -> Result<(), Denial> {
        let ledger = self.ledger.clone();
        let pin = move || {
            ledger.call(move |store| {
                if store.genesis_validators_root().is_none() {
                    store.pin_genesis_validators_root(given)?;
                }
                Ok(store.genesis_validators_root())
            })
        };
        let pinned = tokio::task::spawn_blocking(pin)
            .await
            .map_err(|_| Denial::bug("the pinning task ended"))?
            .map_err(Denial::from_store)?
            .map_err(Denial::from_store)?;
        *self.genesis.write().unwrap_or_else(std::sync::PoisonError::into_inner) = pinned;
        match pinned {
            Some(pinned) if pinned == given => {
                tracing::info!(genesis_validators_root = %given, "network pinned");
                Ok(())
            }
            Some(pinned) => Err(Denial::WrongGenesis { pinned, given }),
            None => Err(Denial::bug("the genesis root was not pinned")),
        }
    }
}

/// Signs on all processors; the permits are consumed in order.
async fn sign_in_parallel(keychain: Arc<Keychain>, permits: Authorised) -> Vec<Outcome> {
    use rayon::prelude::*;
    let count = permits.len();
    let sign_all = move || {
        let sign_one = |permit: Result<Permit, Denied<StoreError>>| -> Outcome {
            keychain.ring().sign(permit?).map_err(Denial::from)
        };
        permits.into_par_iter().map(sign_one).collect::<Vec<Outcome>>()
    };
    tokio::task::spawn_blocking(sign_all)
        .await
        .unwrap_or_else(|_| vec![Err(Denial::bug("a signing task panicked")); count])
}

/// Whether a duty leaves a trace in the ledger.
pub(crate) fn is_recorded(duty: &Duty) -> bool {
    !matches!(duty, Duty::Harmless)
}
