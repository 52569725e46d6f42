//! A block as BABE proposes one: announced through the wrapper, then sealed.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use futures::executor::block_on;
use palisade_node_keystore::config::BABE;
use palisade_node_keystore::{AnnouncingEnvironment, Author, AuthorLookup, RemoteKeystore};
use sp_consensus::{Environment, Proposal, ProposeArgs, Proposer};
use sp_consensus_babe::digests::{CompatibleDigestItem, PreDigest, SecondaryPlainPreDigest};
use sp_core::{Pair, sr25519};
use sp_keystore::Keystore;
use sp_runtime::traits::{BlakeTwo256, Block as _, Header as _};
use sp_runtime::{Digest, DigestItem, OpaqueExtrinsic, generic};
use sp_trie::{LayoutV1, empty_trie_root};

use crate::alice;

type Header = generic::Header<u32, BlakeTwo256>;
pub(crate) type Block = generic::Block<Header, OpaqueExtrinsic>;

const SLOT_SECONDS: u64 = 6;

/// Proposes an empty block on its parent.
struct Proposes(Header);

impl Environment<Block> for Proposes {
    type Proposer = Self;
    type CreateProposer = Ready<Result<Self, Self::Error>>;
    type Error = sp_consensus::Error;

    fn init(&mut self, parent: &Header) -> Self::CreateProposer {
        ready(Ok(Self(parent.clone())))
    }
}

impl Proposer<Block> for Proposes {
    type Error = sp_consensus::Error;
    type Proposal = Ready<Result<Proposal<Block>, Self::Error>>;

    fn propose(self, args: ProposeArgs<Block>) -> Self::Proposal {
        let extrinsics = empty_trie_root::<LayoutV1<BlakeTwo256>>();
        let parent = self.0.hash();
        let digest = args.inherent_digests;
        let header = Header::new(8, extrinsics, Default::default(), parent, digest);
        let block = Block::new(header, Vec::new());
        ready(Ok(Proposal { block, storage_changes: Default::default() }))
    }
}

struct ByAlice;

impl AuthorLookup<Block> for ByAlice {
    fn author(&self, _parent: &Header, _header: &Header) -> Result<Author, String> {
        let candidates = vec![alice::<sr25519::Pair>().public().to_vec()];
        Ok(Author { key_type: BABE, candidates })
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / SLOT_SECONDS
}

/// A block of the present slot that the guard has accepted; each has another parent.
pub(crate) fn propose(keystore: &Arc<RemoteKeystore>) -> Block {
    let nanoseconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos();
    let state = sp_core::H256::from_low_u64_be(nanoseconds.into());
    let parent = Header::new(7, Default::default(), state, Default::default(), Digest::default());
    let claim = SecondaryPlainPreDigest { authority_index: 0, slot: now().into() };
    let claim = DigestItem::babe_pre_digest(PreDigest::SecondaryPlain(claim));
    let args =
        ProposeArgs { inherent_digests: Digest { logs: vec![claim] }, ..ProposeArgs::default() };
    let proposes = Proposes(parent.clone());
    let mut environment = AnnouncingEnvironment::new(proposes, keystore.clone(), ByAlice);
    let proposal = block_on(async {
        let proposer = environment.init(&parent).await?;
        proposer.propose(args).await
    });
    proposal.expect("the guard refuses the announcement").block
}

/// The slot that a block claims.
pub(crate) fn slot(block: &Block) -> u64 {
    let mut logs = block.header().digest().logs().iter();
    let claim: PreDigest = logs.find_map(CompatibleDigestItem::as_babe_pre_digest).unwrap();
    claim.slot().into()
}

/// Whether the guard seals it.
pub(crate) fn is_sealed(keystore: &RemoteKeystore, block: &Block) -> bool {
    let (hash, public) = (block.header().hash(), alice::<sr25519::Pair>().public());
    let signed = keystore.sr25519_sign(BABE, &public, hash.as_ref());
    signed.is_ok_and(|seal| seal.is_some_and(|s| sr25519::Pair::verify(&s, hash, &public)))
}
