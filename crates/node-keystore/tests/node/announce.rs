//! No block is sealed before the guard has accepted it.

use std::future::{Ready, ready};
use std::sync::Arc;

use codec::{Decode, Encode};
use futures::executor::block_on;
use palisade_node_keystore::config::BABE;
use palisade_node_keystore::{
    AnnouncingEnvironment, Author, AuthorLookup, Guard as Target, RemoteKeystore,
};
use sp_consensus::{Environment, Proposal, ProposeArgs, Proposer};
use sp_core::{Pair, sr25519};
use sp_keystore::Keystore;
use sp_runtime::traits::{BlakeTwo256, Block as _, Header as _};
use sp_runtime::{OpaqueExtrinsic, generic};
use sp_trie::recorder::Recorder;
use sp_trie::{LayoutV1, MemoryDB, StorageProof, Trie, TrieDBBuilder, TrieDBMutBuilder, TrieMut};

use crate::guard::{Fault, Guard, REFUSED, bytes_of, hex_of, keys};
use crate::{LATE, node, quick, started};

type Header = generic::Header<u32, BlakeTwo256>;
type Block = generic::Block<Header, OpaqueExtrinsic>;

/// A proposer that reads one value of a trie, through the recorder that it is given.
struct Reads;

impl Environment<Block> for Reads {
    type Proposer = Self;
    type CreateProposer = Ready<Result<Self, Self::Error>>;
    type Error = sp_consensus::Error;

    fn init(&mut self, _parent: &Header) -> Self::CreateProposer {
        ready(Ok(Self))
    }
}

impl Proposer<Block> for Reads {
    type Error = sp_consensus::Error;
    type Proposal = Ready<Result<Proposal<Block>, Self::Error>>;

    fn propose(self, args: ProposeArgs<Block>) -> Self::Proposal {
        read_a_trie(&args.storage_proof_recorder.expect("the wrapper asks for a recorder"));
        let header = header(8, args.inherent_digests);
        let extrinsics = vec![OpaqueExtrinsic::from_blob(vec![1, 2, 3])];
        let block = Block::new(header, extrinsics);
        ready(Ok(Proposal { block, storage_changes: Default::default() }))
    }
}

fn read_a_trie(recorder: &Recorder<BlakeTwo256>) {
    let (mut database, mut root) = (MemoryDB::<BlakeTwo256>::default(), Default::default());
    {
        let trie = TrieDBMutBuilder::<LayoutV1<BlakeTwo256>>::new(&mut database, &mut root);
        let mut trie = trie.build();
        for index in 0..50_u8 {
            trie.insert(&[index; 8], &[index; 64]).unwrap();
        }
    }
    let mut records = recorder.as_trie_recorder(root);
    let trie = TrieDBBuilder::<LayoutV1<BlakeTwo256>>::new(&database, &root)
        .with_recorder(&mut records)
        .build();
    assert!(trie.get(&[7; 8]).unwrap().is_some());
}

fn header(number: u32, digest: sp_runtime::Digest) -> Header {
    let zero = Default::default;
    Header::new(number, zero(), zero(), zero(), digest)
}

/// Every block is by one of these keys.
struct By(Vec<Vec<u8>>);

impl AuthorLookup<Block> for By {
    fn author(&self, _parent: &Header, _header: &Header) -> Result<Author, String> {
        Ok(Author { key_type: BABE, candidates: self.0.clone() })
    }
}

fn own() -> sr25519::Public {
    keys().sr25519.public()
}

fn propose(
    keystore: &Arc<RemoteKeystore>,
    args: ProposeArgs<Block>,
    authors: Vec<Vec<u8>>,
) -> Result<Proposal<Block>, sp_consensus::Error> {
    let mut environment = AnnouncingEnvironment::new(Reads, keystore.clone(), By(authors));
    block_on(async {
        let proposer = environment.init(&header(7, Default::default())).await?;
        proposer.propose(args).await
    })
}

fn proposed(keystore: &Arc<RemoteKeystore>) -> Result<Proposal<Block>, sp_consensus::Error> {
    propose(keystore, ProposeArgs::default(), vec![own().to_vec()])
}

fn sealed(keystore: &RemoteKeystore, block: &Block) -> bool {
    let hash = block.header().hash();
    let signed = keystore.sr25519_sign(BABE, &own(), hash.as_ref());
    signed.is_ok_and(|seal| seal.is_some_and(|s| sr25519::Pair::verify(&s, hash, &own())))
}

#[test]
fn a_block_is_announced_with_what_it_read_and_then_sealed() {
    let guard = Guard::start();
    let keystore = node(&[&guard]);
    let block = proposed(&keystore).unwrap().block;
    let sent = guard.last("announceBlock");
    assert_eq!(sent["publicKey"], hex_of(&own()));
    assert_eq!(sent["header"], hex_of(&block.header().encode()));
    assert_eq!(sent["extrinsics"], hex_of(&block.extrinsics().encode()));
    assert_eq!(sent["parentHeader"], hex_of(&header(7, Default::default()).encode()));
    let proof = bytes_of(&sent["storageProof"]);
    assert!(Vec::<Vec<u8>>::decode(&mut &proof[..]).unwrap().len() > 1);
    assert!(!StorageProof::decode(&mut &proof[..]).unwrap().is_empty());
    assert!(sealed(&keystore, &block));
}

#[test]
fn the_recorder_stays_full_for_a_collator() {
    let guard = Guard::start();
    let keystore = node(&[&guard]);
    let recorder = Recorder::<BlakeTwo256>::default();
    let args =
        ProposeArgs { storage_proof_recorder: Some(recorder.clone()), ..ProposeArgs::default() };
    propose(&keystore, args, vec![own().to_vec()]).unwrap();
    assert!(recorder.drain_storage_proof().iter_nodes().count() > 1);
}

#[test]
fn a_refused_announcement_skips_the_slot() {
    let guard = Guard::start();
    let keystore = node(&[&guard]);
    guard.script("announceBlock", &[REFUSED]);
    let error = proposed(&keystore).err().unwrap();
    assert!(error.to_string().contains("slashable"), "{error}");
    assert_eq!(guard.asked("sealBlock"), 0);
}

#[test]
fn a_silent_guard_skips_the_slot_within_the_bound() {
    let guard = Guard::start();
    let keystore = node(&[&guard]);
    guard.always("announceBlock", Some(Fault::Silence));
    let began = std::time::Instant::now();
    assert!(proposed(&keystore).is_err());
    assert!(began.elapsed() < std::time::Duration::from_secs(2) + LATE);
}

#[test]
fn a_block_of_another_author_is_not_announced() {
    let guard = Guard::start();
    let keystore = node(&[&guard]);
    assert!(propose(&keystore, ProposeArgs::default(), vec![vec![9; 32]]).is_err());
    assert!(propose(&keystore, ProposeArgs::default(), vec![]).is_err());
    assert_eq!(guard.asked("announceBlock"), 0);
    let both = vec![vec![9; 32], own().to_vec()];
    assert!(propose(&keystore, ProposeArgs::default(), both).is_ok());
}

#[test]
fn a_guard_that_hashes_otherwise_skips_the_slot() {
    let guard = Guard::start();
    let keystore = node(&[&guard]);
    guard.script("announceBlock", &[Fault::Other("preHash", "0x00")]);
    let error = proposed(&keystore).err().unwrap();
    assert!(error.to_string().contains("hashes"), "{error}");
}

#[test]
fn a_block_that_was_not_announced_is_not_sealed() {
    let guard = Guard::start();
    let keystore = node(&[&guard]);
    let block = Block::new(header(9, Default::default()), Vec::new());
    assert!(!sealed(&keystore, &block));
}

#[test]
fn a_guard_that_restarts_between_announcement_and_seal_is_told_again() {
    let guard = Guard::start();
    let keystore = node(&[&guard]);
    let block = proposed(&keystore).unwrap().block;
    guard.stop();
    let again = Guard::start_at(guard.address);
    assert!(sealed(&keystore, &block));
    assert_eq!((again.asked("announceBlock"), again.asked("sealBlock")), (1, 1));
}

#[test]
fn a_guard_that_forgot_the_announcement_is_told_again() {
    let guard = Guard::start();
    let keystore = node(&[&guard]);
    let block = proposed(&keystore).unwrap().block;
    guard.script("sealBlock", &[Fault::Error(-32010, "block-not-announced")]);
    assert!(sealed(&keystore, &block));
    assert_eq!((guard.asked("announceBlock"), guard.asked("sealBlock")), (2, 2));
}

#[test]
fn a_seal_that_is_refused_for_a_reason_is_not_asked_again() {
    let guard = Guard::start();
    let keystore = node(&[&guard]);
    let block = proposed(&keystore).unwrap().block;
    guard.script("sealBlock", &[REFUSED]);
    assert!(!sealed(&keystore, &block));
    assert_eq!((guard.asked("announceBlock"), guard.asked("sealBlock")), (1, 1));
}

#[test]
fn a_guard_that_takes_over_between_announcement_and_seal_is_told_first() {
    let (first, second) = (Guard::start(), Guard::start());
    let keystore = node(&[&first, &second]);
    let block = proposed(&keystore).unwrap().block;
    first.script("sealBlock", &[Fault::Drop]);
    assert!(sealed(&keystore, &block));
    assert_eq!((second.asked("announceBlock"), second.asked("sealBlock")), (1, 2));
}

#[test]
fn a_proof_beyond_the_limit_is_left_out() {
    let guard = Guard::start();
    let mut config = quick(vec![Target::new(guard.url())]);
    config.announcement_limit = 100;
    let keystore = started(config);
    let block = proposed(&keystore).unwrap().block;
    let sent = guard.last("announceBlock");
    assert!(sent.get("storageProof").is_none() && sent.get("extrinsics").is_none());
    assert!(sealed(&keystore, &block));
}
