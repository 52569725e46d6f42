//! What comes with a header: none may crash the reader, and what is kept is what came.
#![no_main]

use libfuzzer_sys::fuzz_target;
use palisade_protect::{Digest, Slot};
use palisade_substrate::{Announcement, BlockBody, BlockNumberBits, Chain, Engine, GivenBody};

/// The root of no extrinsics, so that the fuzzer gets behind it.
const ROOT_OF_NONE: [u8; 32] = [
    0x03, 0x17, 0x0a, 0x2e, 0x75, 0x97, 0xb7, 0xb7, 0xe3, 0xd8, 0x4c, 0x05, 0x39, 0x1d, 0x13, 0x9a,
    0x62, 0xb1, 0x57, 0xe7, 0x87, 0x86, 0xd8, 0xc0, 0x82, 0xf2, 0x9d, 0xcf, 0x4c, 0x11, 0x13, 0x14,
];

fuzz_target!(|input: &[u8]| {
    let Some((part, bytes)) = input.split_first() else { return };
    let chain = Chain {
        name: "fuzz".to_owned(),
        genesis: Digest([7; 32]),
        slot_ms: 6_000,
        block_number: BlockNumberBits::U32,
        discovery: None,
    };
    let header = Announcement {
        pre_hash: Digest([1; 32]),
        engine: Engine::Babe,
        slot: Slot(1),
        authority_index: Some(0),
        number: 1,
        parent_hash: Digest([2; 32]),
        extrinsics_root: Digest(ROOT_OF_NONE),
    };
    let bytes = bytes.to_vec();
    let given = match part % 3 {
        0 => GivenBody { extrinsics: Some(bytes), ..GivenBody::default() },
        1 => GivenBody { storage_proof: Some(bytes), ..GivenBody::default() },
        _ => GivenBody { parent_header: Some(bytes), ..GivenBody::default() },
    };
    let Ok(body) = BlockBody::check(&header, given.clone(), &chain) else { return };
    assert_eq!(body.bytes(), given.bytes());
    assert_eq!(body.extrinsics(), given.extrinsics.as_deref());
    assert_eq!(body.parent_header(), None, "no input has that hash");
    if let Some(proof) = given.storage_proof {
        let nodes: usize = body.proof_nodes().into_iter().flatten().map(<[u8]>::len).sum();
        assert!(nodes < proof.len());
    }
});
