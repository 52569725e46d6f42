//! What comes with a header: from recorded blocks, and everything that must be refused.
//!
//! Decides: the parts of one block are taken, in both layouts of its trie; a part of another block
//! is refused with what the header says; whatever is malformed is refused without a panic.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

use palisade_protect::Digest;
use palisade_substrate::{
    Announcement, BlockBody, BlockNumberBits, Chain, GivenBody, MAX_PART_BYTES, PayloadError,
    announcement,
};
use parity_scale_codec::Encode as _;
use proptest::prelude::*;

fn chain() -> Chain {
    Chain {
        name: "test".to_owned(),
        genesis: Digest([9; 32]),
        slot_ms: 6_000,
        block_number: BlockNumberBits::U32,
        discovery: None,
    }
}

/// A recorded block of a real node, with all that its proposer had.
fn recorded(name: &str) -> (Announcement, GivenBody) {
    let path = format!("{}/tests/fixtures/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let block: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let bytes = |field: &str| hex::decode(block[field].as_str().unwrap()).unwrap();
    let given = GivenBody {
        extrinsics: Some(bytes("extrinsics")),
        storage_proof: Some(bytes("proof")),
        parent_header: Some(bytes("parent_header")),
    };
    (announcement(&bytes("header"), &chain()).unwrap(), given)
}

fn check(header: &Announcement, given: GivenBody) -> Result<BlockBody, PayloadError> {
    BlockBody::check(header, given, &chain())
}

fn with_extrinsics(root: &str, extrinsics: &[Vec<u8>]) -> Result<BlockBody, PayloadError> {
    let mut in_header = [0; 32];
    hex::decode_to_slice(root, &mut in_header).unwrap();
    let header = Announcement { extrinsics_root: Digest(in_header), ..recorded("block-0002").0 };
    check(&header, GivenBody { extrinsics: Some(extrinsics.encode()), ..GivenBody::default() })
}

#[test]
fn the_parts_of_recorded_blocks_are_taken_and_kept() {
    for name in ["block-0002", "block-0003", "block-0021"] {
        let (header, given) = recorded(name);
        let body = check(&header, given.clone()).unwrap();
        assert_eq!(body.extrinsics(), given.extrinsics.as_deref());
        assert_eq!(body.parent_header(), given.parent_header.as_deref());
        let proof = given.storage_proof.clone().unwrap();
        let nodes: Vec<Vec<u8>> =
            body.proof_nodes().unwrap().into_iter().map(<[u8]>::to_vec).collect();
        assert!(10 < nodes.len());
        assert_eq!(nodes.encode(), proof);
        assert_eq!((body.bytes(), given.bytes()), (given.bytes(), body.bytes()));
    }
}

#[test]
fn each_part_may_be_absent() {
    let (header, given) = recorded("block-0003");
    let body = check(&header, GivenBody::default()).unwrap();
    assert_eq!((body.bytes(), body.extrinsics(), body.proof_nodes()), (0, None, None));
    assert_eq!(body, BlockBody::default());
    let parent = GivenBody { parent_header: given.parent_header, ..GivenBody::default() };
    assert!(check(&header, parent).unwrap().parent_header().is_some());
}

#[test]
fn extrinsics_of_another_block_are_refused_with_both_roots() {
    let (header, given) = recorded("block-0003");
    let (other, of_other) = recorded("block-0002");
    let none = Some(vec![0]);
    for extrinsics in [of_other.extrinsics, none] {
        let error = check(&header, GivenBody { extrinsics, ..given.clone() }).unwrap_err();
        let PayloadError::OtherExtrinsics { in_header, given } = error else { panic!("{error}") };
        assert_eq!(in_header, header.extrinsics_root);
        assert_ne!(given, in_header);
        assert!(error.is_refusal());
    }
    assert_ne!(header.extrinsics_root, other.extrinsics_root);
}

#[test]
fn a_parent_that_is_not_the_parent_is_refused() {
    let (header, given) = recorded("block-0003");
    let (_, of_other) = recorded("block-0021");
    let other = GivenBody { parent_header: of_other.parent_header, ..given.clone() };
    let error = check(&header, other).unwrap_err();
    let PayloadError::OtherParent { in_header, block, given_block, .. } = error else {
        panic!("{error}")
    };
    assert_eq!((in_header, block, given_block), (header.parent_hash, 3, 20));
    // The right hash with a number that is not the next one.
    let jump = Announcement { number: 4, ..header };
    assert_eq!(check(&jump, given).unwrap_err().code(), "parent-of-another-block");
}

/// Roots that `sp_trie` computes for these lists; the end-to-end tests compare with it at random.
#[test]
fn both_layouts_of_the_trie_are_taken() {
    let long: Vec<Vec<u8>> = (0..200_u8).map(|n| vec![n; 40 + usize::from(n)]).collect();
    let roots = ROOTS_OF_LONG;
    assert_ne!(roots[0], roots[1]);
    for root in roots {
        assert!(with_extrinsics(root, &long).is_ok(), "{root}");
        assert!(with_extrinsics(root, &long[1..]).is_err(), "{root}");
    }
}

#[test]
fn what_is_no_list_of_byte_strings_is_refused() {
    let (header, given) = recorded("block-0003");
    let proof = given.storage_proof.unwrap();
    for bytes in [
        vec![],
        proof[1..].to_vec(),
        proof[..proof.len() - 1].to_vec(),
        [proof.as_slice(), &[0]].concat(),
        // More items, and a longer one, than there is.
        vec![0xfe, 0xff, 0xff, 0xff],
        vec![4, 0xfe, 0xff, 0xff, 0xff],
        // An integer that is not in its shortest form.
        vec![1, 0],
    ] {
        for given in [
            GivenBody { storage_proof: Some(bytes.clone()), ..GivenBody::default() },
            GivenBody { extrinsics: Some(bytes.clone()), ..GivenBody::default() },
        ] {
            let error = check(&header, given).unwrap_err();
            assert_eq!(error.code(), "malformed-payload", "{}", hex::encode(&bytes));
        }
    }
    let parent = GivenBody { parent_header: Some(vec![1; 40]), ..GivenBody::default() };
    assert_eq!(check(&header, parent).unwrap_err().code(), "malformed-payload");
}

#[test]
fn parts_are_bounded_in_bytes_and_extrinsics_in_number() {
    let (header, _) = recorded("block-0003");
    let of_length = |length: usize| {
        let proof = vec![vec![0_u8; length]].encode();
        check(&header, GivenBody { storage_proof: Some(proof), ..GivenBody::default() })
    };
    let most = MAX_PART_BYTES - 5;
    assert_eq!(of_length(most).unwrap().bytes(), MAX_PART_BYTES);
    assert_eq!(of_length(most + 1).unwrap_err().code(), "payload-too-long");
    let many = vec![Vec::<u8>::new(); (1 << 17) + 1].encode();
    let many = GivenBody { extrinsics: Some(many), ..GivenBody::default() };
    assert_eq!(check(&header, many).unwrap_err().code(), "malformed-payload");
}

proptest! {
    #[test]
    fn no_bytes_make_a_check_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let (header, _) = recorded("block-0002");
        for given in [
            GivenBody { extrinsics: Some(bytes.clone()), ..GivenBody::default() },
            GivenBody { storage_proof: Some(bytes.clone()), ..GivenBody::default() },
            GivenBody { parent_header: Some(bytes.clone()), ..GivenBody::default() },
        ] {
            drop(check(&header, given));
        }
    }
}

const ROOTS_OF_LONG: [&str; 2] = [
    "0f5ddfa22333c097295c00c47a05cf71d91b41e6ca03abc04c72effa020f2292",
    "b3cedee820796690783c01179cb44479efb37b14dc9b269f42533af2c6b61767",
];
