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

#[cfg(test)]
mod tests {
    use codec::Encode;
    #[cfg(all(feature = "aura", feature = "beefy"))]
    use sp_consensus_aura::sr25519::AuthorityId as AuraId;
    use sp_consensus_babe::digests::{PreDigest, SecondaryPlainPreDigest};
    use sp_consensus_babe::{AllowedSlots, AuthorityId, BabeEpochConfiguration};
    #[cfg(all(feature = "aura", feature = "beefy"))]
    use sp_consensus_beefy::ecdsa_crypto::AuthorityId as BeefyId;
    use sp_runtime::generic::{Block, Header};
    use sp_runtime::traits::BlakeTwo256;
    use sp_runtime::{Digest, DigestItem, OpaqueExtrinsic};

    use super::*;

    type TestHeader = Header<u32, BlakeTwo256>;
    type TestBlock = Block<TestHeader, OpaqueExtrinsic>;

    /// Epochs of ten slots from slot 100; in the first, authority `n` has the key of `n`s, in the
    /// second of `n + 10`s.
    struct TwoEpochs;

    impl EpochSource for TwoEpochs {
        fn slot_duration(&self) -> Duration {
            Duration::from_secs(6)
        }

        fn epochs(&self) -> Vec<Epoch> {
            let key = |byte: u8| AuthorityId::from_slice(&[byte; 32]).unwrap();
            let epoch = |index: u64, start: u64, first: u8| Epoch {
                epoch_index: index,
                start_slot: start.into(),
                duration: 10,
                authorities: (first..first + 3).map(|byte| (key(byte), 1)).collect(),
                randomness: [0; 32],
                config: BabeEpochConfiguration {
                    c: (1, 4),
                    allowed_slots: AllowedSlots::PrimarySlots,
                },
            };
            vec![epoch(0, 100, 0), epoch(1, 110, 10)]
        }
    }

    fn header(logs: Vec<DigestItem>) -> TestHeader {
        let zero = Default::default;
        TestHeader::new(1, zero(), zero(), zero(), Digest { logs })
    }

    fn author(logs: Vec<DigestItem>) -> Result<Author, String> {
        let authors = BabeAuthors(Arc::new(TwoEpochs));
        AuthorLookup::<TestBlock>::author(&authors, &header(Vec::new()), &header(logs))
    }

    fn claim(authority_index: u32, slot: u64) -> Vec<DigestItem> {
        let claim = SecondaryPlainPreDigest { authority_index, slot: slot.into() };
        vec![
            DigestItem::Other(vec![1]),
            DigestItem::babe_pre_digest(PreDigest::SecondaryPlain(claim)),
        ]
    }

    #[test]
    fn the_epoch_of_the_slot_comes_first() {
        let keys = |first: u8, second: u8| vec![vec![first; 32], vec![second; 32]];
        assert_eq!(author(claim(2, 109)).unwrap().candidates, keys(2, 12));
        assert_eq!(author(claim(2, 110)).unwrap().candidates, keys(12, 2));
        assert_eq!(author(claim(0, 345)).unwrap().candidates, keys(10, 0));
        assert_eq!(author(claim(2, 109)).unwrap().key_type, BABE);
    }

    #[test]
    fn an_index_beyond_the_set_has_no_candidate() {
        assert!(author(claim(3, 109)).unwrap().candidates.is_empty());
    }

    #[test]
    fn a_header_without_a_claim_has_no_author() {
        assert!(author(Vec::new()).is_err());
        assert!(author(vec![DigestItem::PreRuntime(*b"aura", 5_u64.encode())]).is_err());
    }

    /// The bounds that a node's own types must meet; it is enough that this compiles.
    #[cfg(all(feature = "aura", feature = "beefy"))]
    #[expect(dead_code, reason = "compiled only")]
    fn real_types<C>(client: &Arc<C>)
    where
        C: ProvideRuntimeApi<TestBlock> + HeaderBackend<TestBlock> + Send + Sync + 'static,
        C::Api: BabeApi<TestBlock>
            + sp_consensus_aura::AuraApi<TestBlock, AuraId>
            + sp_consensus_beefy::BeefyApi<TestBlock, BeefyId>,
    {
        fn is_source(_: Arc<dyn crate::CommitmentSource>, _: Arc<dyn EpochSource>) {}
        fn is_lookup<A: AuthorLookup<TestBlock>>(_: A) {}
        is_lookup(AuraAuthors::<TestBlock, C, AuraId>::new(client));
        is_source(
            HeaderCommitments::<TestBlock, C, BeefyId>::new(client, 10),
            ClientEpochs::<TestBlock, C>::new(client, Duration::from_secs(6)),
        );
    }
}
