//! Decides which commitments this node may vote for: the MMR roots in the headers of its own
//! finalised chain, newest first, under the validator set of their session.
//!
//! Invariant: a commitment is built from a finalised header only.

use std::marker::PhantomData;
use std::sync::{Arc, Weak};

use codec::{Codec, Encode};
use sp_api::ProvideRuntimeApi;
use sp_blockchain::HeaderBackend;
use sp_consensus_beefy::known_payloads::MMR_ROOT_ID;
use sp_consensus_beefy::{BEEFY_ENGINE_ID, BeefyApi, Commitment, ConsensusLog, Payload};
use sp_crypto_hashing::keccak_256;
use sp_runtime::RuntimeAppPublic;
use sp_runtime::traits::{Block as BlockT, Header as HeaderT};

use crate::beefy::CommitmentSource;

/// Commitments of the client's finalised chain. `I` is the chain's BEEFY `AuthorityId`.
pub struct HeaderCommitments<B, C, I> {
    client: Weak<C>,
    depth: u32,
    types: PhantomData<fn(B, I)>,
}

impl<B: BlockT, C, I> HeaderCommitments<B, C, I> {
    /// Looks `depth` headers back from the finalised head. BEEFY votes for every session's first
    /// block, so a session and a margin is right: 3,000 on Polkadot. A vote for a recent block is
    /// found after a few headers; only an unknown hash costs the whole walk.
    pub fn new(client: &Arc<C>, depth: u32) -> Arc<Self> {
        Arc::new(Self { client: Arc::downgrade(client), depth, types: PhantomData })
    }
}

impl<B, C, I> CommitmentSource for HeaderCommitments<B, C, I>
where
    B: BlockT,
    C: ProvideRuntimeApi<B> + HeaderBackend<B> + Send + Sync,
    C::Api: BeefyApi<B, I>,
    I: Codec + RuntimeAppPublic,
{
    fn commitment(&self, hash: &[u8; 32]) -> Option<Vec<u8>> {
        let client = self.client.upgrade()?;
        let finalised = client.info().finalized_hash;
        let set = client.runtime_api().validator_set(finalised);
        let set = set.inspect_err(|error| {
            log::error!(target: crate::LOG, "cannot read the BEEFY set at {finalised}: {error}");
        });
        let mut next = Some(finalised);
        let headers = std::iter::from_fn(|| {
            let header = client.header(next?).ok().flatten()?;
            next = Some(*header.parent_hash());
            Some(header)
        });
        search::<B::Header, I>(headers.take(self.depth as usize), set.ok()??.id(), hash)
    }
}

/// Walks headers from the newest; `set_id` is the one at the newest.
///
/// The header that changes the set begins the new set's session. Its neighbours are tried too:
/// which of the two sets votes on the border is for the chain to say, and the hash decides.
fn search<H: HeaderT, I: Codec>(
    headers: impl Iterator<Item = H>,
    mut set_id: u64,
    hash: &[u8; 32],
) -> Option<Vec<u8>> {
    for header in headers {
        let (mut root, mut changed) = (None, None);
        for log in header.digest().logs() {
            match log.consensus_try_to::<ConsensusLog<I>>(&BEEFY_ENGINE_ID) {
                Some(ConsensusLog::MmrRoot(found)) => root = Some(found),
                Some(ConsensusLog::AuthoritiesChange(set)) => changed = Some(set.id()),
                _ => {}
            }
        }
        if let Some(id) = changed {
            set_id = id;
        }
        if let Some(root) = root {
            let payload = Payload::from_single_entry(MMR_ROOT_ID, root.encode());
            for validator_set_id in [set_id, set_id.wrapping_sub(1), set_id.wrapping_add(1)] {
                let (payload, block_number) = (payload.clone(), *header.number());
                let commitment = Commitment { payload, block_number, validator_set_id }.encode();
                if keccak_256(&commitment) == *hash {
                    return Some(commitment);
                }
            }
        }
        if changed.is_some() {
            set_id = set_id.wrapping_sub(1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use sp_consensus_beefy::ValidatorSet;
    use sp_consensus_beefy::ecdsa_crypto::AuthorityId;
    use sp_core::ByteArray;
    use sp_runtime::generic::Header;
    use sp_runtime::traits::BlakeTwo256;
    use sp_runtime::{Digest, DigestItem};

    use super::*;

    type TestHeader = Header<u32, BlakeTwo256>;

    /// Headers 20, 19, … 1; sets 3 from block 15, 2 from block 6, 1 before.
    fn chain() -> Vec<TestHeader> {
        let log =
            |log: ConsensusLog<AuthorityId>| DigestItem::Consensus(BEEFY_ENGINE_ID, log.encode());
        let header = |number: u32| {
            let mut logs = Vec::new();
            for (first, id) in [(15, 3), (6, 2)] {
                if number == first {
                    let key = AuthorityId::from_slice(&[2; 33]).unwrap();
                    let set = ValidatorSet::new(vec![key], id).unwrap();
                    logs.push(log(ConsensusLog::AuthoritiesChange(set)));
                }
            }
            logs.push(log(ConsensusLog::MmrRoot([u8::try_from(number).unwrap(); 32].into())));
            let digest = Digest { logs };
            let zero = Default::default;
            TestHeader::new(number, zero(), zero(), zero(), digest)
        };
        (1..=20).rev().map(header).collect()
    }

    fn commitment(number: u32, root: u8, set: u64) -> Vec<u8> {
        let mut bytes = vec![4, b'm', b'h', 0x80];
        bytes.extend([root; 32]);
        bytes.extend(number.to_le_bytes());
        bytes.extend(set.to_le_bytes());
        bytes
    }

    #[test]
    fn recent_and_session_border_commitments_are_found() {
        for (number, set) in [(20, 3), (15, 3), (15, 2), (14, 2), (6, 2), (5, 1), (1, 1)] {
            let wanted = commitment(number, u8::try_from(number).unwrap(), set);
            let hash = keccak_256(&wanted);
            let found = search::<_, AuthorityId>(chain().into_iter(), 3, &hash);
            assert_eq!(found, Some(wanted), "block {number} of set {set}");
        }
    }

    #[test]
    fn another_root_another_set_and_a_block_out_of_reach_are_not_found() {
        for (number, root, set) in [(20, 19, 3), (20, 20, 5), (5, 5, 3), (30, 20, 3)] {
            let hash = keccak_256(&commitment(number, root, set));
            assert_eq!(search::<_, AuthorityId>(chain().into_iter(), 3, &hash), None);
        }
        let hash = keccak_256(&commitment(5, 5, 1));
        assert_eq!(search::<_, AuthorityId>(chain().into_iter().take(10), 3, &hash), None);
    }
}
