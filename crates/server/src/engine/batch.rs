//! One message, many keys.
//!
//! Invariants: results stand in the order of the request, and one failure does not touch the
//! others; the signatures of batches that are under way at a time are bounded **before** anything
//! is decided, so that no permit waits behind a stranger's work; when the request is dropped (a
//! broken connection, a stop), what is left of its batch is not signed. A client that only closes
//! its writing half still waits for its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use palisade_ethereum::{MAX_IDENTIFIERS, PublicKey, SigningRequest, parse_batch};
use palisade_protect::{Denied, Intent, KeyId, Permit};
use palisade_store::StoreError;
use rayon::prelude::*;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Asked, Authorised, Denial, Engine, Keychain, Outcome};
use crate::policy::{Client, Operation, Policy};

/// Signatures of batches that may be under way: two of the longest. At 0.2 ms each and two
/// processors that is about three seconds of work.
const SIGNATURES_UNDER_WAY: usize = 2 * MAX_IDENTIFIERS;

/// Counts the signatures of batches under way.
pub(super) struct SignatureBudget(Arc<Semaphore>);

/// Which part of a batch belongs to which key, and what became of it.
pub struct BatchAnswer {
    /// The keys as asked for, in order, each with its outcome.
    pub results: Vec<(PublicKey, Outcome)>,
}

impl Default for SignatureBudget {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(SIGNATURES_UNDER_WAY)))
    }
}

impl SignatureBudget {
    fn take(&self, signatures: usize) -> Result<OwnedSemaphorePermit, Denial> {
        let signatures = u32::try_from(signatures).unwrap_or(u32::MAX);
        Arc::clone(&self.0).try_acquire_many_owned(signatures).map_err(|_| Denial::Overloaded)
    }
}

impl Engine {
    /// Signs one message with many keys. One failure does not touch the others.
    ///
    /// # Errors
    /// When the request as a whole cannot be read.
    pub async fn sign_batch(&self, client: &Client, body: &[u8]) -> Result<BatchAnswer, Denial> {
        let started = Instant::now();
        let keychain = self.keychain();
        let batch = self.reader.read(body, self.network(), parse_batch).await?;
        let request = batch.request;
        let admitted = self.admit_all(client, &keychain, &batch.identifiers, &request).await;
        let outcomes = self.authorise_and_sign_all(keychain, admitted, request.intent).await;
        let results: Vec<_> = batch.identifiers.into_iter().zip(outcomes).collect();
        for (public_key, outcome) in &results {
            self.recent.note(client, &Asked::of(public_key, &request), outcome);
            self.metrics.observe_signing(Some(request.kind), outcome, started.elapsed());
        }
        Ok(BatchAnswer { results })
    }

    /// Key and policy for each; the network once, and only if somebody passed both.
    async fn admit_all(
        &self,
        client: &Client,
        keychain: &Keychain,
        identifiers: &[PublicKey],
        request: &SigningRequest,
    ) -> Vec<Result<KeyId, Denial>> {
        let admit = |public_key: &PublicKey| {
            let key = keychain.id(public_key).ok_or_else(|| Denial::unknown_key(public_key))?;
            Policy::check(client, Operation::of(request.kind), Some(&public_key.0))?;
            Ok(key)
        };
        let admitted: Vec<Result<KeyId, Denial>> = identifiers.iter().map(admit).collect();
        if !admitted.iter().any(Result::is_ok) {
            return admitted;
        }
        match self.check_network(request).await {
            Ok(()) => admitted,
            Err(denial) => refuse_all(admitted, &denial),
        }
    }

    async fn authorise_and_sign_all(
        &self,
        keychain: Arc<Keychain>,
        admitted: Vec<Result<KeyId, Denial>>,
        intent: Intent,
    ) -> Vec<Outcome> {
        let batch: Vec<_> =
            admitted.iter().filter_map(|key| key.as_ref().ok()).map(|key| (*key, intent)).collect();
        let budget = match self.batch_signatures.take(batch.len()) {
            Ok(budget) => budget,
            Err(denial) => return refuse_all(admitted, &denial),
        };
        let permits = match self.authorise(batch).await {
            Ok(permits) => permits,
            Err(denial) => return refuse_all(admitted, &denial),
        };
        let mut signed = sign_in_parallel(keychain, permits, budget).await.into_iter();
        let missing = || Err(Denial::bug("the ledger answered too few"));
        admitted
            .into_iter()
            .map(|key| key.and_then(|_| signed.next().unwrap_or_else(missing)))
            .collect()
    }
}

fn refuse_all<T>(admitted: Vec<Result<KeyId, Denial>>, denial: &Denial) -> Vec<Result<T, Denial>> {
    admitted.into_iter().map(|key| key.and_then(|_| Err(denial.clone()))).collect()
}

/// Signs on all processors; the permits are consumed in order.
async fn sign_in_parallel(
    keychain: Arc<Keychain>,
    permits: Authorised,
    budget: OwnedSemaphorePermit,
) -> Vec<Outcome> {
    let count = permits.len();
    let abandoned = Abandoned::default();
    let seen = Arc::clone(&abandoned.0);
    let sign_all = move || {
        let sign_one = |permit: Result<Permit, Denied<StoreError>>| -> Outcome {
            if seen.load(Ordering::Relaxed) {
                return Err(Denial::Overloaded);
            }
            keychain.ring().sign(permit?).map_err(Denial::from)
        };
        let signed = permits.into_par_iter().map(sign_one).collect::<Vec<Outcome>>();
        drop(budget);
        signed
    };
    tokio::task::spawn_blocking(sign_all)
        .await
        .unwrap_or_else(|_| vec![Err(Denial::bug("a signing task panicked")); count])
}

/// Set when whoever waits for the signatures stops waiting; harmless when nothing is left to sign.
#[derive(Default)]
struct Abandoned(Arc<AtomicBool>);

impl Drop for Abandoned {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
