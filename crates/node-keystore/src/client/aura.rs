//! Decides who an Aura block says its author is: the slot of its digest, modulo the authorities at
//! its parent.
//!
//! Invariant: authorities are read at the parent, as the verifier of the block reads them.

use std::marker::PhantomData;
use std::sync::{Arc, Weak};

use codec::Codec;
use sp_api::ProvideRuntimeApi;
use sp_consensus_aura::{AURA_ENGINE_ID, AuraApi, Slot};
use sp_core::ByteArray;
use sp_runtime::traits::{Block as BlockT, Header as HeaderT};

use crate::announce::{Author, AuthorLookup};
use crate::config::AURA;

/// The author of an Aura block, for Aura chains and collators. `I` is the chain's Aura
/// `AuthorityId`.
pub struct AuraAuthors<B, C, I> {
    client: Weak<C>,
    types: PhantomData<fn(B, I)>,
}

impl<B: BlockT, C, I> AuraAuthors<B, C, I> {
    /// Reads authorities from this client.
    pub fn new(client: &Arc<C>) -> Self {
        Self { client: Arc::downgrade(client), types: PhantomData }
    }
}

impl<B, C, I> AuthorLookup<B> for AuraAuthors<B, C, I>
where
    B: BlockT,
    C: ProvideRuntimeApi<B> + Send + Sync + 'static,
    C::Api: AuraApi<B, I>,
    I: Codec + ByteArray + 'static,
{
    fn author(&self, parent: &B::Header, header: &B::Header) -> Result<Author, String> {
        let slot = slot_of(header).ok_or("the proposed header has no Aura digest")?;
        let client = self.client.upgrade().ok_or("the client is gone")?;
        let authorities = client.runtime_api().authorities(parent.hash());
        let authorities = authorities.map_err(|error| error.to_string())?;
        let key = author_of(slot, &authorities).ok_or("the chain has no Aura authorities")?;
        Ok(Author { key_type: AURA, candidates: vec![key.to_raw_vec()] })
    }
}

fn slot_of<H: HeaderT>(header: &H) -> Option<Slot> {
    let mut logs = header.digest().logs().iter();
    logs.find_map(|log| log.pre_runtime_try_to::<Slot>(&AURA_ENGINE_ID))
}

fn author_of<I>(slot: Slot, authorities: &[I]) -> Option<&I> {
    let count = u64::try_from(authorities.len()).ok().filter(|count| *count != 0)?;
    authorities.get(usize::try_from(*slot % count).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_go_round() {
        let authorities = ["a", "b", "c"];
        assert_eq!(author_of(Slot::from(7), &authorities), Some(&"b"));
        assert_eq!(author_of::<&str>(Slot::from(7), &[]), None);
    }
}
