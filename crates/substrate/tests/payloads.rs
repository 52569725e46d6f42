//! Each layout from bytes built by hand and from recorded blocks, and everything that must be
//! refused.
//!
//! Decides: what is read is what stands there; every byte of a payload is part of its intent, so
//! that no two payloads share one; anything that is not exactly a payload is refused, without a
//! panic.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

use palisade_protect::{Digest, Duty, GrandpaStage, Message, Slot};
use palisade_substrate::{
    Announcement, BlockNumberBits, Chain, Engine, PayloadError, Window, announcement, babe_vrf,
    beefy_commitment, grandpa_vote, mmr_commitment, ownership, session,
};
use proptest::prelude::*;

fn chain(block_number: BlockNumberBits) -> Chain {
    Chain {
        name: "test".to_owned(),
        genesis: Digest([9; 32]),
        slot_ms: 6_000,
        block_number,
        discovery: None,
    }
}

fn short() -> Chain {
    chain(BlockNumberBits::U32)
}

fn long() -> Chain {
    chain(BlockNumberBits::U64)
}

/// A recorded block of a real node: its unsealed header and its parent's sealed one.
fn recorded(name: &str) -> (Vec<u8>, Vec<u8>) {
    let path = format!("{}/tests/fixtures/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let block: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let bytes = |field: &str| hex::decode(block[field].as_str().unwrap()).unwrap();
    (bytes("header"), bytes("parent_header"))
}

const BABE_ITEM: &[u8] = &[6, b'B', b'A', b'B', b'E', 0x34];

/// A header with these digest items, each already encoded.
fn header(number: &[u8], items: &[Vec<u8>]) -> Vec<u8> {
    let mut out = vec![1; 32];
    out.extend_from_slice(number);
    out.extend([2; 64]);
    out.push(u8::try_from(items.len()).unwrap() << 2);
    out.extend(items.concat());
    out
}

/// BABE's secondary plain claim: authority 7, slot 1,000.
fn babe_secondary() -> Vec<u8> {
    [BABE_ITEM, &[2, 7, 0, 0, 0], &1_000_u64.to_le_bytes()].concat()
}

fn babe_with_vrf(kind: u8) -> Vec<u8> {
    let head = [6, b'B', b'A', b'B', b'E', 0xb5, 0x01, kind, 7, 0, 0, 0];
    [head.as_slice(), &1_000_u64.to_le_bytes(), &[5; 96]].concat()
}

fn aura() -> Vec<u8> {
    [[6, b'a', b'u', b'r', b'a', 0x20].as_slice(), &1_000_u64.to_le_bytes()].concat()
}

fn vote(stage: u8, number: &[u8], round: u64, set_id: u64) -> Vec<u8> {
    let (round, set_id) = (round.to_le_bytes(), set_id.to_le_bytes());
    [[stage].as_slice(), &[4; 32], number, &round, &set_id].concat()
}

fn problem(result: Result<Announcement, PayloadError>) -> &'static str {
    match result.unwrap_err() {
        PayloadError::Malformed { problem, .. } => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn recorded_headers_name_their_slot_and_their_parents_hash() {
    for name in ["block-0002", "block-0003", "block-0021"] {
        let (unsealed, parent) = recorded(name);
        let read = announcement(&unsealed, &short()).unwrap();
        assert_eq!(read.engine, Engine::Babe);
        assert_eq!(read.authority_index, Some(0));
        // A header names its parent by the hash of the sealed header: the same function as ours,
        // over bytes that the real node made.
        let parent_hash = blake2_256(&parent);
        assert_eq!(read.parent_hash.0, parent_hash);
        assert_eq!(read.pre_hash.0, blake2_256(&unsealed));
        assert_eq!(problem(announcement(&parent, &short())), "it has a seal already");
    }
}

fn blake2_256(bytes: &[u8]) -> [u8; 32] {
    use blake2::digest::Digest as _;
    blake2::Blake2b::<blake2::digest::consts::U32>::digest(bytes).into()
}

#[test]
fn each_kind_of_claim_is_read() {
    for (item, engine, index) in [
        (babe_secondary(), Engine::Babe, Some(7)),
        (babe_with_vrf(1), Engine::Babe, Some(7)),
        (babe_with_vrf(3), Engine::Babe, Some(7)),
        (aura(), Engine::Aura, None),
    ] {
        let read = announcement(&header(&[40], &[item]), &short()).unwrap();
        assert_eq!((read.engine, read.slot, read.authority_index), (engine, Slot(1_000), index));
        assert_eq!((read.number, read.parent_hash), (10, Digest([1; 32])));
        let judged = read.seal();
        assert_eq!(judged.intent.duty, Duty::Seal { slot: Slot(1_000) });
        assert_eq!(judged.message, Message::PreHash(read.pre_hash.0));
        assert_eq!(judged.intent.digest, read.pre_hash);
    }
}

#[test]
fn other_items_ride_along() {
    let consensus = vec![4, b'B', b'E', b'E', b'F', 4, 1];
    let other_engine = vec![6, b'X', b'Y', b'Z', b'W', 0];
    let items = [consensus, babe_secondary(), vec![8], vec![0, 4, 1], other_engine];
    assert!(announcement(&header(&[40], &items), &short()).is_ok());
}

#[test]
fn a_header_without_a_claim_is_refused() {
    let nothing = problem(announcement(&header(&[40], &[]), &short()));
    assert!(nothing.contains("no pre-runtime digest"), "{nothing}");
}

#[test]
fn a_header_with_two_claims_is_refused() {
    for second in [babe_secondary(), aura()] {
        let read = announcement(&header(&[40], &[babe_secondary(), second]), &short());
        assert!(problem(read).contains("two pre-runtime digests"));
    }
}

#[test]
fn a_claim_of_another_length_or_kind_is_refused() {
    let mut wrong_kind = babe_secondary();
    let mut plain_with_vrf = babe_with_vrf(1);
    (wrong_kind[6], plain_with_vrf[7]) = (1, 2);
    let mut unknown = babe_secondary();
    unknown[6] = 4;
    let long_aura = [[6, b'a', b'u', b'r', b'a', 0x24].as_slice(), &[0; 9]].concat();
    for item in [wrong_kind, plain_with_vrf, unknown, long_aura] {
        assert!(problem(announcement(&header(&[40], &[item]), &short())).contains("malformed"));
    }
}

#[test]
fn a_header_of_a_chain_with_wider_numbers_is_refused() {
    // Compact form of 2^40: eight bytes or fewer, more than 32 bits.
    let wide = header(&[0x0b, 0, 0, 0, 0, 0, 1], &[babe_secondary()]);
    assert_eq!(announcement(&wide, &long()).unwrap().number, 1 << 40);
    assert!(announcement(&wide, &short()).is_err());
}

#[test]
fn integers_that_are_not_in_their_shortest_form_are_refused() {
    assert!(announcement(&header(&[0x29, 0x00], &[babe_secondary()]), &short()).is_err());
}

#[test]
fn ten_megabytes_are_refused_at_once() {
    let huge = vec![0; 10 << 20];
    for error in [
        announcement(&huge, &short()).unwrap_err(),
        beefy_commitment(&huge, &short()).unwrap_err(),
        grandpa_vote(&huge, &short()).unwrap_err(),
        ownership(&huge).unwrap_err(),
    ] {
        assert!(["payload-too-long", "malformed-payload"].contains(&error.code()));
    }
    // A length that promises more than there is reserves nothing.
    let promise = header(&[40], &[vec![0, 0xfe, 0xff, 0xff, 0xff]]);
    assert!(announcement(&promise, &short()).is_err());
}

#[test]
fn votes_are_read_at_both_widths() {
    for (stage, byte) in [
        (GrandpaStage::Prevote, 0),
        (GrandpaStage::Precommit, 1),
        (GrandpaStage::PrimaryPropose, 2),
    ] {
        for (chain, payload) in [
            (short(), vote(byte, &[8, 0, 0, 0], 77, 5)),
            (long(), vote(byte, &[8, 0, 0, 0, 0, 0, 0, 0], 77, 5)),
        ] {
            let judged = grandpa_vote(&payload, &chain).unwrap();
            assert_eq!(judged.intent.duty, Duty::GrandpaVote { stage, set_id: 5, round: 77 });
            assert_eq!(judged.message, Message::Payload(&payload));
        }
    }
}

#[test]
fn a_vote_of_the_other_width_is_refused() {
    assert!(grandpa_vote(&vote(0, &[0; 8], 1, 1), &short()).is_err());
    assert!(grandpa_vote(&vote(0, &[0; 4], 1, 1), &long()).is_err());
}

#[test]
fn a_vote_of_an_unknown_stage_is_refused() {
    for stage in 3..=u8::MAX {
        assert!(grandpa_vote(&vote(stage, &[0; 4], 1, 1), &short()).is_err());
    }
}

#[test]
fn commitments_are_read_at_both_widths() {
    let commitment = mmr_commitment([6; 32], 100, 3);
    assert_eq!(commitment.len(), 48);
    let judged = beefy_commitment(&commitment, &short()).unwrap();
    assert_eq!(judged.intent.duty, Duty::BeefyVote { set_id: 3, block: 100 });
    assert_eq!(judged.message, Message::Keccak(&commitment));
    assert!(beefy_commitment(&commitment, &long()).is_err());
}

#[test]
fn a_commitment_with_entries_out_of_order_or_none_is_refused() {
    let tail = [[100, 0, 0, 0].as_slice(), &3_u64.to_le_bytes()].concat();
    let with = |entries: &[u8]| [entries, &tail].concat();
    assert!(beefy_commitment(&with(&[0]), &short()).is_err());
    let (first, second) = ([b'a', b'a', 4, 1], [b'b', b'b', 4, 1]);
    let two = |one: [u8; 4], other: [u8; 4]| with(&[&[8][..], &one, &other].concat());
    assert!(beefy_commitment(&two(first, second), &short()).is_ok());
    assert!(beefy_commitment(&two(second, first), &short()).is_err());
    assert!(beefy_commitment(&two(first, first), &short()).is_err());
}

#[test]
fn ownership_is_for_an_account_and_cannot_be_taken_back() {
    let statement = ownership(&[7; 32]).unwrap();
    let judged = statement.judged();
    assert_eq!(judged.intent.duty, Duty::Irrevocable);
    let expected = [b"POP_".as_slice(), &[7; 32]].concat();
    assert_eq!(judged.message, Message::Payload(&expected));
    for length in [20, 27, 29, 32, 33, 64] {
        assert!(ownership(&vec![7; length]).is_ok(), "{length}");
    }
    assert!(ownership(&[7; 28]).is_err(), "its signature would be a seal");
    assert!(ownership(&[]).is_err() && ownership(&[0; 65]).is_err());
}

#[test]
fn slots_near_the_present_are_told_from_others() {
    let present = short().slot_at(60_000_000);
    assert_eq!(present, Slot(10_000));
    for (window, asked, near) in [
        (Window::VRF, 9_998, true),
        (Window::VRF, 9_997, false),
        (Window::VRF, 10_002, true),
        (Window::VRF, 10_003, false),
        (Window::SEAL, 9_984, true),
        (Window::SEAL, 9_983, false),
        (Window::SEAL, 10_003, false),
        (Window::SEAL, u64::MAX, false),
        (Window::SEAL, 0, false),
    ] {
        assert_eq!(window.check(Slot(asked), present).is_ok(), near, "{window:?} {asked}");
    }
    assert!(Window::SEAL.check(Slot(0), Slot(3)).is_ok());
    assert!(Window::SEAL.check(Slot(u64::MAX), Slot(u64::MAX)).is_ok());
}

#[test]
fn a_draw_is_for_one_slot_epoch_and_randomness() {
    let base = palisade_protect::BabeVrf { slot: 1, epoch: 2, randomness: [3; 32] };
    let others = [
        palisade_protect::BabeVrf { slot: 2, ..base },
        palisade_protect::BabeVrf { epoch: 1, ..base },
        palisade_protect::BabeVrf { randomness: [4; 32], ..base },
    ];
    for other in others {
        assert_ne!(babe_vrf(base).intent.digest, babe_vrf(other).intent.digest);
    }
    assert_eq!(babe_vrf(base).intent.duty, Duty::Harmless);
}

#[test]
fn the_call_holds_keys_and_proof() {
    let keys = session::session_keys([[1; 32].as_slice(), &[2; 33]]);
    assert_eq!(keys, [vec![1; 32], vec![2; 33]].concat());
    let call = session::set_keys_call(10, 0, &keys, &[9; 64]);
    assert_eq!(call, [vec![10, 0], keys, vec![0x01, 0x01], vec![9; 64]].concat());
}

type Reader<'a> = &'a dyn Fn(&[u8]) -> Option<palisade_protect::Intent>;

/// Each byte matters: whatever is changed, the payload is refused or asks for something else.
#[test]
fn every_changed_byte_changes_the_intent_or_is_refused() {
    let header_bytes = recorded("block-0003").0;
    let seal = |bytes: &[u8]| announcement(bytes, &short()).ok().map(|read| read.seal().intent);
    let vote_of = |bytes: &[u8]| grandpa_vote(bytes, &short()).ok().map(|judged| judged.intent);
    let commit = |bytes: &[u8]| beefy_commitment(bytes, &short()).ok().map(|judged| judged.intent);
    let payloads: [(Reader<'_>, Vec<u8>); 3] = [
        (&seal, header_bytes),
        (&vote_of, vote(0, &[8, 0, 0, 0], 77, 5)),
        (&commit, mmr_commitment([6; 32], 100, 3)),
    ];
    for (read, bytes) in payloads {
        let original = read(&bytes).unwrap();
        for at in 0..bytes.len() {
            assert_eq!(read(&bytes[..at]), None, "cut at {at}");
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                assert_ne!(read(&changed), Some(original), "bit {bit} of byte {at}");
            }
        }
        assert_eq!(read(&[bytes.as_slice(), &[0]].concat()), None, "a byte more");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        for chain in [short(), long()] {
            drop(announcement(&bytes, &chain));
            drop(grandpa_vote(&bytes, &chain));
            drop(beefy_commitment(&bytes, &chain));
        }
        drop(ownership(&bytes));
    }
}
