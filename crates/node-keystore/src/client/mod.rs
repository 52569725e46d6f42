//! Decides what the node's own chain says about epochs, authors and commitments.
//!
//! Invariant: sources hold the client weakly, since the client's tasks hold the keystore; a client
//! that is gone knows nothing.

#[cfg(feature = "aura")]
mod aura;
#[cfg(feature = "beefy")]
mod beefy;

use std::marker::PhantomData;
use std::sync::{Arc, Weak};
use std::time::Duration;

use sp_api::ProvideRuntimeApi;
use sp_blockchain::HeaderBackend;
use sp_consensus_babe::digests::CompatibleDigestItem;
use sp_consensus_babe::{BabeApi, Epoch};
use sp_core::ByteArray;
use sp_runtime::traits::{Block as BlockT, Header as HeaderT};

use crate::announce::{Author, AuthorLookup};
use crate::config::BABE;
use crate::vrf::EpochSource;

#[cfg(feature = "aura")]
pub use aura::AuraAuthors;
#[cfg(feature = "beefy")]
pub use beefy::HeaderCommitments;

/// The BABE epochs at the client's best block.
pub struct ClientEpochs<B, C> {
    client: Weak<C>,
    slot_duration: Duration,
    block: PhantomData<fn(B)>,
}

impl<B: BlockT, C> ClientEpochs<B, C> {
    /// Reads epochs from this client. `slot_duration` is the chain's, as
    /// `babe_link.config().slot_duration()` or the runtime's configuration give it.
    pub fn new(client: &Arc<C>, slot_duration: Duration) -> Arc<Self> {
        Arc::new(Self { client: Arc::downgrade(client), slot_duration, block: PhantomData })
    }
}

impl<B, C> EpochSource for ClientEpochs<B, C>
where
    B: BlockT,
    C: ProvideRuntimeApi<B> + HeaderBackend<B> + Send + Sync,
    C::Api: BabeApi<B>,
{
    fn slot_duration(&self) -> Duration {
        self.slot_duration
    }

    fn epochs(&self) -> Vec<Epoch> {
        let Some(client) = self.client.upgrade() else { return Vec::new() };
        let best = client.info().best_hash;
        let api = client.runtime_api();
        let epochs = [api.current_epoch(best), api.next_epoch(best)];
        let known = epochs.into_iter().filter_map(|epoch| {
            epoch
                .inspect_err(|error| {
                    log::error!(target: crate::LOG, "cannot read a BABE epoch at {best}: {error}");
                })
                .ok()
        });
        known.collect()
    }
}

/// The author of a BABE block: the authority index of its pre-runtime digest, in the epoch that its
/// slot lies in.
pub struct BabeAuthors(pub Arc<dyn EpochSource>);

impl<B: BlockT> AuthorLookup<B> for BabeAuthors {
    fn author(&self, _parent: &B::Header, header: &B::Header) -> Result<Author, String> {
        let logs = header.digest().logs();
        let digest = logs.iter().find_map(CompatibleDigestItem::as_babe_pre_digest);
        let digest = digest.ok_or("the proposed header has no BABE digest")?;
        let index = usize::try_from(digest.authority_index()).map_err(|error| error.to_string())?;
        let mut epochs = self.0.epochs();
        // The epoch that began last before the slot, then the others.
        epochs.sort_by_key(|epoch| {
            let begun = epoch.start_slot <= digest.slot();
            (!begun, std::cmp::Reverse(epoch.start_slot))
        });
        let key = |epoch: &Epoch| epoch.authorities.get(index).map(|(key, _)| key.to_raw_vec());
        Ok(Author { key_type: BABE, candidates: epochs.iter().filter_map(key).collect() })
    }
}
