//! The encoding of session keys' records.
//!
//! Decides: the bytes of records that are on disks somewhere stay what they are; anything else is
//! no record.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod common;

use common::digest;
use palisade_protect::{
    BeefyVote, GrandpaVote, KeyType, OpenSessions, Record, RecordError, Seal, Slot,
    SubstrateHistory, SubstrateRecord,
};

const TYPES: [KeyType; 5] =
    [KeyType::BABE, KeyType::AURA, KeyType::GRANDPA, KeyType::BEEFY, KeyType::PARACHAIN];

fn session(key_type: KeyType) -> SubstrateRecord {
    SubstrateRecord::fresh(digest(0xcc), key_type).unwrap()
}

fn full(key_type: KeyType) -> SubstrateRecord {
    let history = match key_type {
        KeyType::GRANDPA => SubstrateHistory::Grandpa([
            Some(GrandpaVote { set_id: 1, round: 2, digest: Some(digest(0xaa)) }),
            Some(GrandpaVote { set_id: 3, round: 4, digest: None }),
            None,
        ]),
        KeyType::BEEFY => SubstrateHistory::Beefy(Some(BeefyVote {
            set_id: 5,
            block: 6,
            digest: Some(digest(0xbb)),
        })),
        KeyType::PARACHAIN => {
            SubstrateHistory::Statements(Some(OpenSessions::from_floor(0x0102_0304)))
        }
        _ => SubstrateHistory::Seals(Some(Seal { slot: Slot(7), pre_hash: Some(digest(0xdd)) })),
    };
    SubstrateRecord { history, ..session(key_type) }
}

/// A program that knows version 1 alone must not take them for damaged; version 1 is read.
#[test]
fn the_version_of_a_record_of_a_session_key_is_2() {
    for key_type in TYPES {
        let record = Record::Substrate(full(key_type));
        let mut bytes = record.encode();
        for version in 0..=u8::MAX {
            bytes[0] = version;
            let expected = match version {
                1 | 2 => Ok(record),
                _ => Err(RecordError::UnknownVersion(version)),
            };
            assert_eq!(Record::decode(&bytes), expected);
        }
    }
}

/// Frozen: records on disk are read for ever.
#[test]
fn the_bytes_of_a_record_are_frozen() {
    let chain = "cc".repeat(32);
    let aa = "aa".repeat(32);
    let expected = [
        (KeyType::BABE, format!("0202{chain}62616265000207{}{}", "00".repeat(7), "dd".repeat(32))),
        (
            KeyType::GRANDPA,
            format!(
                "0202{chain}6772616e00020100000000000000020000000000000{}{aa}01030000000000000004\
                 0000000000000000",
                0
            ),
        ),
        (
            KeyType::BEEFY,
            format!("0202{chain}62656566000205{z}06{z}{}", "bb".repeat(32), z = "00".repeat(7)),
        ),
        (KeyType::PARACHAIN, format!("0202{chain}70617261000104030201")),
        (KeyType::AUTHORITY_DISCOVERY, format!("0202{chain}6175646900")),
    ];
    for (key_type, bytes) in expected {
        let record = if key_type == KeyType::AUTHORITY_DISCOVERY {
            Record::Substrate(session(key_type))
        } else {
            Record::Substrate(full(key_type))
        };
        assert_eq!(hex::encode(record.encode()), bytes, "{key_type}");
        assert_eq!(Record::decode(&hex::decode(bytes).unwrap()), Ok(record));
    }
}

#[test]
fn a_damaged_record_is_no_record() {
    for key_type in TYPES {
        let bytes = Record::Substrate(full(key_type)).encode();
        for end in 0..bytes.len() {
            assert!(Record::decode(&bytes[..end]).is_err(), "{key_type} cut at {end}");
        }
        assert!(Record::decode(&[bytes.as_slice(), &[0]].concat()).is_err());
        for (at, bad) in [(34, b'z'), (38, 2), (39, 3)] {
            let mut damaged = bytes.clone();
            damaged[at] = bad;
            assert!(Record::decode(&damaged).is_err(), "{key_type} byte {at}");
        }
    }
    // Only a vote's place can be unknown to every clock.
    let mut waiting_seal = Record::Substrate(full(KeyType::BABE)).encode();
    waiting_seal[38] = 1;
    assert_eq!(Record::decode(&waiting_seal), Err(RecordError::Malformed));
}

/// As for every record: one encoding.
#[test]
fn counts_of_candidates_are_kept_where_there_are_some() {
    let with = |candidates| {
        let history = SubstrateHistory::Statements(Some(OpenSessions { floor: 9, candidates }));
        Record::Substrate(SubstrateRecord { history, ..session(KeyType::PARACHAIN) })
    };
    let counted = with([1, 0, 0, 0, 0, 0, 0x0403_0201]);
    let bytes = counted.encode();
    let counts = format!("01000000{}01020304", "00".repeat(20));
    assert!(hex::encode(&bytes).ends_with(&format!("0209000000{counts}")));
    assert_eq!(Record::decode(&bytes), Ok(counted));
    for end in 0..bytes.len() {
        assert!(Record::decode(&bytes[..end]).is_err(), "cut at {end}");
    }
    let uncounted = with([0; 7]).encode();
    assert!(hex::encode(&uncounted).ends_with("0109000000"));
    let mut zeros = uncounted.clone();
    zeros[39] = 2;
    zeros.extend([0; 28]);
    assert_eq!(Record::decode(&zeros), Err(RecordError::Malformed));
    // The higher count of each session stands for both.
    let later = SubstrateHistory::Statements(Some(OpenSessions {
        floor: 11,
        candidates: [4, 0, 0, 0, 5, 0, 6],
    }));
    let later =
        Record::Substrate(SubstrateRecord { history: later, ..session(KeyType::PARACHAIN) });
    let merged = with([9, 8, 7, 6, 5, 4, 3]).merge_stricter(later).unwrap();
    let expected = SubstrateHistory::Statements(Some(OpenSessions {
        floor: 11,
        candidates: [7, 6, 5, 4, 5, 0, 6],
    }));
    let Record::Substrate(merged) = merged else { panic!("not a session key") };
    assert_eq!(merged.history, expected);
}

/// What is on disk may have been counted by a program that did not count.
#[test]
fn a_record_with_fewer_candidates_follows_and_no_other_difference_does() {
    let of = |floor, candidates| {
        let history = SubstrateHistory::Statements(Some(OpenSessions { floor, candidates }));
        SubstrateRecord { history, ..session(KeyType::PARACHAIN) }
    };
    let replayed = Record::Substrate(of(9, [3; 7]));
    for fewer in [of(9, [3; 7]), of(9, [0; 7]), of(9, [3, 3, 3, 2, 3, 3, 3])] {
        assert!(Record::Substrate(fewer).follows_from(&replayed));
    }
    let others = [
        of(9, [3, 3, 3, 4, 3, 3, 3]),
        of(8, [3; 7]),
        of(10, [0; 7]),
        session(KeyType::PARACHAIN),
        SubstrateRecord { awaits_floor: true, ..of(9, [3; 7]) },
        SubstrateRecord { chain: digest(0xcd), ..of(9, [3; 7]) },
    ];
    for other in others {
        assert!(!Record::Substrate(other).follows_from(&replayed), "{other:?}");
    }
    for key_type in TYPES {
        let record = Record::Substrate(full(key_type));
        assert!(record.follows_from(&record));
        assert!(!record.follows_from(&Record::Substrate(session(key_type))));
        assert!(!record.follows_from(&Record::fresh_ethereum()));
    }
}
