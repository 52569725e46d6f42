//! Decides that no block is sealed before the guard has seen what it is: the proposer wrapper sends
//! each proposal, with the storage that it read, and a guard that does not accept it makes the node
//! skip the slot cleanly.
//!
//! Invariants: the proof recorder is left full for whoever else drains it (a collator does); the
//! guard's own hash of the header must be the node's; an announcement follows the seal to another
//! connection, since a guard that restarted or took over has not seen it.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use codec::Encode;
use futures::FutureExt;
use serde_json::{Value, json};
use sp_consensus::{Environment, Proposal, ProposeArgs, Proposer};
use sp_core::crypto::KeyTypeId;
use sp_runtime::traits::{Block as BlockT, Header as HeaderT};

use crate::keystore::RemoteKeystore;
use crate::link::name_of;
use crate::wire::{GuardError, bytes_of, to_hex};

/// So many announcements are kept for a connection that changes before the seal.
const KEPT: usize = 4;

/// The rest of a request's text: names, quotes and the id.
const ENVELOPE: usize = 256;
/// What a guard answers to the seal of a block that it was not told.
const NOT_ANNOUNCED: &str = "block-not-announced";

/// The authority that a proposed block names as its author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// `babe` or `aura`.
    pub key_type: KeyTypeId,
    /// The candidates for the public key, the likeliest first: an authority index reads differently
    /// in two epochs. The first one that a guard holds is taken.
    pub candidates: Vec<Vec<u8>>,
}

/// Knows who a proposed block says its author is. The node claims a slot before it proposes, so the
/// claim stands in the header's pre-runtime digest.
pub trait AuthorLookup<B: BlockT>: Send + Sync + 'static {
    /// The author of a proposed, unsealed header on top of its parent.
    ///
    /// # Errors
    /// A sentence that says why it cannot be told; the slot is skipped.
    fn author(&self, parent: &B::Header, header: &B::Header) -> Result<Author, String>;
}

struct Announced {
    pre_hash: Vec<u8>,
    params: Arc<Value>,
    session: u64,
}

/// The latest announcements, the newest last.
#[derive(Default)]
pub(crate) struct Announcements(Mutex<VecDeque<Announced>>);

impl Announcements {
    fn keep(&self, announced: Announced) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|old| old.pre_hash != announced.pre_hash);
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back(announced);
    }

    /// Makes the next seal announce the block again.
    fn forget_connection(&self, pre_hash: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.iter_mut().filter(|announced| announced.pre_hash == pre_hash);
        found.for_each(|announced| announced.session = 0);
    }

    fn find(&self, pre_hash: &[u8]) -> Option<(Arc<Value>, u64)> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.iter().find(|announced| announced.pre_hash == pre_hash)?;
        Some((found.params.clone(), found.session))
    }
}

impl RemoteKeystore {
    async fn announce(&self, pre_hash: Vec<u8>, params: Value) -> Result<(), GuardError> {
        let params = Arc::new(params);
        let limit = self.config.announce_timeout;
        let asked = self.link().ask_later("palisade_announceBlock", params.clone(), limit).await;
        let session = check_announced(asked, &pre_hash)?;
        self.announcements.keep(Announced { pre_hash, params, session });
        Ok(())
    }

    /// Asks for a seal, after announcing the block again if the connection has changed.
    pub(crate) fn seal(&self, public: &[u8], pre_hash: &[u8]) -> Result<Vec<u8>, GuardError> {
        let limit = self.config.block_timeout;
        let params = json!({"publicKey": to_hex(public), "preHash": to_hex(pre_hash)});
        let mut session = self.announce_again(pre_hash)?;
        let mut sealed = self.link().call("palisade_sealBlock", params.clone(), limit);
        if let Err(GuardError::Refused { code, .. }) = &sealed
            && session != 0
            && (code == NOT_ANNOUNCED || session != self.link().session())
        {
            self.announcements.forget_connection(pre_hash);
            session = self.announce_again(pre_hash)?;
            log::info!(target: crate::LOG, "sealing again on connection {session}");
            sealed = self.link().call("palisade_sealBlock", params, limit);
        }
        bytes_of(&sealed?, "signature")
    }

    /// The connection that knows the block; 0 if this node never announced it, which is for the
    /// guard to judge.
    fn announce_again(&self, pre_hash: &[u8]) -> Result<u64, GuardError> {
        let Some((params, session)) = self.announcements.find(pre_hash) else { return Ok(0) };
        if session != 0 && session == self.link().session() {
            return Ok(session);
        }
        let limit = self.config.block_timeout;
        let asked = self.link().ask("palisade_announceBlock", params.clone(), limit, true);
        let session = check_announced(asked, pre_hash)?;
        let pre_hash = pre_hash.to_vec();
        self.announcements.keep(Announced { pre_hash, params, session });
        Ok(session)
    }
}

fn check_announced(asked: crate::hub::Outcome, pre_hash: &[u8]) -> Result<u64, GuardError> {
    let (value, session) = asked?;
    if bytes_of(&value, "preHash")? != pre_hash {
        return Err(GuardError::BadAnswer(
            "the guard hashes this header differently; is the chain's block number width right \
             there?"
                .to_owned(),
        ));
    }
    Ok(session)
}

/// Wraps the node's proposer so that every proposal is announced before it can be sealed.
pub struct AnnouncingEnvironment<E, A> {
    inner: E,
    keystore: Arc<RemoteKeystore>,
    authors: Arc<A>,
}

impl<E, A> AnnouncingEnvironment<E, A> {
    /// Wraps `inner`, usually the `ProposerFactory`.
    pub fn new(inner: E, keystore: Arc<RemoteKeystore>, authors: A) -> Self {
        Self { inner, keystore, authors: Arc::new(authors) }
    }
}

impl<E: Clone, A> Clone for AnnouncingEnvironment<E, A> {
    fn clone(&self) -> Self {
        let (keystore, authors) = (self.keystore.clone(), self.authors.clone());
        Self { inner: self.inner.clone(), keystore, authors }
    }
}

/// The proposer of one block.
pub struct AnnouncingProposer<B: BlockT, P, A> {
    inner: P,
    keystore: Arc<RemoteKeystore>,
    authors: Arc<A>,
    parent: B::Header,
}

impl<B, E, A> Environment<B> for AnnouncingEnvironment<E, A>
where
    B: BlockT,
    E: Environment<B>,
    A: AuthorLookup<B>,
{
    type Proposer = AnnouncingProposer<B, E::Proposer, A>;
    type CreateProposer = Pin<Box<dyn Future<Output = Result<Self::Proposer, Self::Error>> + Send>>;
    type Error = E::Error;

    fn init(&mut self, parent: &B::Header) -> Self::CreateProposer {
        let creating = self.inner.init(parent);
        let (keystore, authors) = (self.keystore.clone(), self.authors.clone());
        let parent = parent.clone();
        async move {
            let inner = creating.await?;
            Ok(AnnouncingProposer { inner, keystore, authors, parent })
        }
        .boxed()
    }
}

impl<B, P, A> Proposer<B> for AnnouncingProposer<B, P, A>
where
    B: BlockT,
    P: Proposer<B> + Send + 'static,
    A: AuthorLookup<B>,
{
    type Error = P::Error;
    type Proposal = Pin<Box<dyn Future<Output = Result<Proposal<B>, P::Error>> + Send>>;

    fn propose(self, mut args: ProposeArgs<B>) -> Self::Proposal {
        let Self { inner, keystore, authors, parent } = self;
        let recorder = args.storage_proof_recorder.get_or_insert_with(Default::default).clone();
        async move {
            let proposal = inner.propose(args).await?;
            let proof = recorder.to_storage_proof().encode();
            let public = author_key::<B, A>(&keystore, &authors, &parent, &proposal.block)
                .map_err(skip::<P::Error>)?;
            let header = proposal.block.header();
            let pre_hash = header.hash().as_ref().to_vec();
            let params = announcement::<B>(&keystore, &public, &parent, &proposal.block, &proof);
            keystore.announce(pre_hash, params).await.map_err(|error| {
                let number = header.number();
                log::warn!(target: crate::LOG, "skipping the slot of block {number}: {error}");
                skip::<P::Error>(error.to_string())
            })?;
            Ok(proposal)
        }
        .boxed()
    }
}

fn skip<E: From<sp_consensus::Error>>(why: String) -> E {
    E::from(sp_consensus::Error::Other(why.into()))
}

fn author_key<B: BlockT, A: AuthorLookup<B>>(
    keystore: &RemoteKeystore,
    authors: &A,
    parent: &B::Header,
    block: &B,
) -> Result<Vec<u8>, String> {
    let Author { key_type, candidates } = authors.author(parent, block.header())?;
    let held = candidates.into_iter().find(|key| keystore.holds(key_type, key));
    held.ok_or_else(|| {
        let name = name_of(key_type);
        format!("the author of this block is no {name} key of the guard; the slot is skipped")
    })
}

fn announcement<B: BlockT>(
    keystore: &RemoteKeystore,
    public: &[u8],
    parent: &B::Header,
    block: &B,
    proof: &[u8],
) -> Value {
    let mut params = json!({
        "publicKey": to_hex(public),
        "header": to_hex(&block.header().encode()),
        "parentHeader": to_hex(&parent.encode()),
    });
    let extrinsics = block.extrinsics().encode();
    let limit = keystore.config.announcement_limit;
    let heads = params.to_string().len() + ENVELOPE;
    let whole = heads.saturating_add((extrinsics.len() + proof.len()).saturating_mul(2));
    if let Some(members) = params.as_object_mut()
        && whole < limit
    {
        members.insert("extrinsics".to_owned(), to_hex(&extrinsics).into());
        members.insert("storageProof".to_owned(), to_hex(proof).into());
    }
    params
}
