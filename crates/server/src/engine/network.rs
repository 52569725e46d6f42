//! Is the request for this home's network? A home that is still to learn it learns it here.
//!
//! Invariants: the root is durable before anything is signed on the strength of it; only a request
//! that passed the key and the policy can teach it; once learned it never changes.

use palisade_ethereum::SigningRequest;
use palisade_protect::Digest;

use super::{Denial, Engine};

impl Engine {
    pub(super) async fn check_network(&self, request: &SigningRequest) -> Result<(), Denial> {
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
