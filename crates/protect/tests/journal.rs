//! The journal's bytes and its replay.
//!
//! Decides: the bytes of version 1 and the chain's heads are frozen; any change to a stored
//! journal stops the replay at the entry that was changed, and so does a history that breaks a
//! rule, forgets a record or names a key that was never admitted.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod common;

use common::{
    Random, RecordingLedger, attestation, bound, digest, ethereum, full_record, harmless,
    irrevocable, key, last_attestation, last_proposal, proposal,
};
use palisade_protect::journal::{Entry, EntryError, Event, GENESIS, Replay, ReplayError, chain};
use palisade_protect::{
    Digest, EthereumRecord, Intent, KeyId, Record, RefusalKind, StopLine, authorise,
};
use proptest::prelude::*;

/// An entry of version 1 at 0x0102 ms with one event, as hex; `K` stands for 32 bytes of 0x0a,
/// `D` for 32 bytes of 0x0d, `R` for the record of `record.rs`.
const HEADER: &str = "01020100000000000001000000";
const GOLDEN: [(&str, &str); 10] = [
    ("permitted proposal", "01K010700000000000000D"),
    ("permitted attestation", "01K0205000000000000000600000000000000D"),
    ("permitted irrevocable", "01K03D"),
    ("permitted harmless", "01K04D"),
    ("refused double proposal", "02K010700000000000000D00"),
    ("refused below stop-line", "02K0205000000000000000600000000000000D08"),
    ("admitted fresh", "03K03010100"),
    ("raised", "04K7bR"),
    ("retired", "05K"),
    ("omitted", "06efbeadde"),
];
const CHAIN_HEAD: &str = "0ac8c1805251f0e38672054eb91b4ad110957e61de4f57b65e4c9647fe1c4fea";

fn golden_events() -> [Event; 10] {
    let key = key(0x0a);
    let permitted = |intent| Event::Permitted { key, intent };
    let refused = |intent, kind| Event::Refused { key, intent, kind };
    [
        permitted(proposal(7, 0x0d)),
        permitted(attestation(5, 6, 0x0d)),
        permitted(irrevocable(0x0d)),
        permitted(harmless(0x0d)),
        refused(proposal(7, 0x0d), RefusalKind::DoubleProposal),
        refused(attestation(5, 6, 0x0d), RefusalKind::BelowStopLine),
        Event::Admitted { key, record: Record::fresh_ethereum() },
        Event::Raised { key, record: full_record() },
        Event::Retired { key },
        Event::RefusalsOmitted { count: 0xdead_beef },
    ]
}

fn entry(events: Vec<Event>) -> Entry {
    Entry { time_unix_ms: 0x0102, events }
}

#[test]
fn the_bytes_of_version_1_are_frozen() {
    let record = hex::encode(full_record().encode());
    for (event, (name, golden)) in golden_events().into_iter().zip(GOLDEN) {
        let golden = golden.replace('K', &"0a".repeat(32)).replace('D', &"0d".repeat(32));
        let golden = format!("{HEADER}{}", golden.replace('R', &record));
        let entry = entry(vec![event]);
        assert_eq!(hex::encode(entry.encode()), golden, "{name}");
        assert_eq!(Entry::decode(&hex::decode(golden).unwrap()), Ok(entry), "{name}");
    }
    let empty = Entry { time_unix_ms: u64::MAX, events: Vec::new() };
    assert_eq!(hex::encode(empty.encode()), "01ffffffffffffffff00000000");
    assert_eq!(Entry::decode(&empty.encode()), Ok(empty));
}

#[test]
fn the_chain_head_is_frozen() {
    let encoded = entry(golden_events().to_vec()).encode();
    let head = chain(&chain(&GENESIS, &encoded), b"");
    assert_eq!(hex::encode(head.0), CHAIN_HEAD);
}

#[test]
fn every_refusal_kind_survives_the_journal() {
    for (place, kind) in RefusalKind::ALL.into_iter().enumerate() {
        let refused = Event::Refused { key: key(1), intent: harmless(2), kind };
        let bytes = entry(vec![refused]).encode();
        assert_eq!(usize::from(*bytes.last().unwrap()), place, "{kind:?}");
        assert_eq!(Entry::decode(&bytes).unwrap().events, [refused]);
    }
    let mut bytes =
        entry(vec![Event::Refused { key: key(1), intent: harmless(2), kind: RefusalKind::ALL[0] }])
            .encode();
    *bytes.last_mut().unwrap() = u8::try_from(RefusalKind::ALL.len()).unwrap();
    assert_eq!(Entry::decode(&bytes), Err(EntryError::Malformed));
}

#[test]
fn every_truncation_extension_and_false_count_is_refused() {
    let bytes = entry(golden_events().to_vec()).encode();
    for length in 0..bytes.len() {
        assert_eq!(Entry::decode(&bytes[..length]), Err(EntryError::Malformed), "{length}");
    }
    assert_eq!(Entry::decode(&[bytes.clone(), vec![0]].concat()), Err(EntryError::Malformed));
    for count in [0_u32, 9, 11, 1 << 20, u32::MAX] {
        let mut lying = bytes.clone();
        lying[9..13].copy_from_slice(&count.to_le_bytes());
        assert_eq!(Entry::decode(&lying), Err(EntryError::Malformed), "{count} events");
    }
    for version in (0..=u8::MAX).filter(|version| *version != 1) {
        let newer = [&[version], &bytes[1..]].concat();
        assert_eq!(Entry::decode(&newer), Err(EntryError::UnknownVersion(version)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 20_000, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn decode_answers_to_any_bytes(mut bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Some(version) = bytes.first_mut() {
            *version &= 1;
        }
        if let Ok(read) = Entry::decode(&bytes) {
            prop_assert_eq!(read.encode(), bytes);
        }
    }

    /// Damage to a real entry is refused or read as another entry with exactly those bytes.
    #[test]
    fn decode_answers_to_damaged_entries(
        place in any::<prop::sample::Index>(),
        value in any::<u8>(),
        cut in any::<prop::sample::Index>(),
        rotate in any::<bool>(),
    ) {
        let mut bytes = entry(golden_events().to_vec()).encode();
        *place.get_mut(&mut bytes) = value;
        let cut = cut.index(bytes.len());
        bytes.rotate_left(if rotate { cut } else { 0 });
        if let Ok(read) = Entry::decode(&bytes) {
            prop_assert_eq!(read.encode(), bytes);
        }
    }
}

type Stored = Vec<(Vec<u8>, Digest)>;

/// Stores entries as the ledger does, each with its head.
fn store(entries: impl IntoIterator<Item = Vec<Event>>) -> Stored {
    let mut head = GENESIS;
    let mut stored = Stored::new();
    for (place, events) in entries.into_iter().enumerate() {
        let bytes = Entry { time_unix_ms: place as u64, events }.encode();
        head = chain(&head, &bytes);
        stored.push((bytes, head));
    }
    stored
}

/// Replays, and says at which entry it stopped and why.
fn replay(stored: &Stored) -> Result<Replay, (usize, ReplayError)> {
    let mut replay = Replay::new();
    for (place, (bytes, head)) in stored.iter().enumerate() {
        replay.apply(bytes, head).map_err(|error| (place, error))?;
    }
    Ok(replay)
}

/// A journal of three keys over several batches, and the records that it must lead to.
fn lively_journal(seed: u64) -> (Stored, RecordingLedger) {
    let mut random = Random::new(seed);
    let mut ledger = RecordingLedger::with_fresh_keys(3);
    let admitted = |key: &KeyId| Event::Admitted { key: *key, record: Record::fresh_ethereum() };
    let mut entries = vec![ledger.records.keys().map(admitted).collect::<Vec<_>>()];
    for _ in 0..6 {
        let batch: Vec<(KeyId, Intent)> = (0..5)
            .map(|_| {
                let intent = match random.below(5) {
                    0 => irrevocable(1),
                    1 | 2 => proposal(random.below(9), 1),
                    _ => attestation(random.below(4), random.below(9), 1),
                };
                (key(u8::try_from(random.below(3)).unwrap()), intent)
            })
            .collect();
        drop(authorise(&mut ledger, &batch));
    }
    entries.extend(ledger.persists().into_iter().map(|(_, events)| events.clone()));
    (store(entries), ledger)
}

#[test]
fn a_replay_computes_the_ledger_again() {
    for seed in 0..500 {
        let (stored, ledger) = lively_journal(seed);
        let replay = replay(&stored).unwrap();
        assert_eq!(*replay.records(), ledger.records, "seed {seed}");
        assert_eq!(replay.entries(), stored.len() as u64);
        assert_eq!(replay.head(), stored.last().unwrap().1);
        assert_eq!(replay.first_time_unix_ms(), Some(0));
        assert_eq!(replay.last_time_unix_ms(), Some(stored.len() as u64 - 1));
    }
}

#[test]
fn any_changed_byte_stops_the_replay_at_its_entry() {
    let (stored, _) = lively_journal(1);
    for entry in 0..stored.len() {
        for byte in 0..stored[entry].0.len() {
            for bit in 0..8 {
                let mut tampered = stored.clone();
                tampered[entry].0[byte] ^= 1 << bit;
                let (stopped, error) = replay(&tampered).unwrap_err();
                let expected = matches!(error, ReplayError::BrokenChain | ReplayError::Entry(_));
                assert!(stopped == entry && expected, "{entry} {byte} {bit}: {error:?}");
            }
        }
        let mut tampered = stored.clone();
        tampered[entry].1.0[31] ^= 1;
        assert_eq!(replay(&tampered).unwrap_err(), (entry, ReplayError::BrokenChain));
    }
}

#[test]
fn a_dropped_swapped_or_doubled_entry_stops_the_replay() {
    let (stored, _) = lively_journal(2);
    for place in 0..stored.len() - 1 {
        let mut dropped = stored.clone();
        dropped.remove(place);
        assert_eq!(replay(&dropped).unwrap_err(), (place, ReplayError::BrokenChain));
        let mut swapped = stored.clone();
        swapped.swap(place, place + 1);
        assert_eq!(replay(&swapped).unwrap_err(), (place, ReplayError::BrokenChain));
        let mut doubled = stored.clone();
        doubled.insert(place, stored[place].clone());
        assert_eq!(replay(&doubled).unwrap_err(), (place + 1, ReplayError::BrokenChain));
    }
    // A journal that lost its end is whole in itself: only its head tells, kept elsewhere.
    let shorter = stored[..stored.len() - 1].to_vec();
    assert_ne!(replay(&shorter).unwrap().head(), stored.last().unwrap().1);
}

fn admitted(record: Record) -> Vec<Event> {
    vec![Event::Admitted { key: key(1), record }]
}

fn raised(record: Record) -> Vec<Event> {
    vec![Event::Raised { key: key(1), record }]
}

/// What a replay says to two entries whose chain is whole.
fn second_entry_after(first: Vec<Event>, second: Vec<Event>) -> Result<(), ReplayError> {
    replay(&store([first, second])).map(drop).map_err(|(place, error)| {
        assert_eq!(place, 1);
        error
    })
}

#[test]
fn a_record_may_be_raised_and_never_lowered() {
    let none = StopLine::default();
    let block = |slot, root| ethereum(Some(last_proposal(slot, root)), None, none);
    let vote =
        |source, target, root| ethereum(None, Some(last_attestation(source, target, root)), none);
    let fresh = Record::fresh_ethereum();
    let from_now = Record::Ethereum(EthereumRecord::from_now(
        palisade_protect::Slot(9),
        palisade_protect::Epoch(9),
    ));
    let stricter = [
        (fresh, block(0, Some(1))),
        (block(5, Some(1)), block(5, None)),
        (block(5, Some(1)), block(6, Some(2))),
        (vote(1, 2, Some(1)), vote(1, 2, None)),
        (vote(1, 2, Some(1)), vote(2, 3, Some(2))),
        (vote(1, 2, Some(1)), from_now),
    ];
    let looser = [
        (block(5, Some(1)), fresh),
        (block(5, Some(1)), block(4, None)),
        (block(5, Some(1)), block(5, Some(2))),
        (block(5, None), block(5, Some(1))),
        (vote(1, 2, Some(1)), vote(1, 2, Some(2))),
        (vote(1, 2, Some(1)), vote(0, 3, Some(1))),
        (vote(1, 2, Some(1)), vote(2, 1, Some(1))),
        (from_now, vote(8, 10, None)),
    ];
    for (before, after) in stricter {
        assert_eq!(second_entry_after(admitted(before), raised(after)), Ok(()), "{after:?}");
    }
    for (before, after) in looser {
        let answer = second_entry_after(admitted(before), raised(after));
        assert_eq!(answer, Err(ReplayError::Lowered(key(1))), "{before:?} to {after:?}");
    }
}

#[test]
fn the_operator_may_move_the_stop_line_both_ways() {
    let with = |slot| {
        let line = StopLine { at_or_above: Some(bound(slot, slot)), below: Some(bound(1, 1)) };
        ethereum(None, None, line)
    };
    let moves = [(with(5), with(9)), (with(9), with(5)), (with(5), Record::fresh_ethereum())];
    for (before, after) in moves {
        assert_eq!(second_entry_after(admitted(before), raised(after)), Ok(()));
    }
}

#[test]
fn a_key_is_admitted_once_and_before_anything_else() {
    let fresh = Record::fresh_ethereum();
    let twice = second_entry_after(admitted(fresh), admitted(fresh));
    assert_eq!(twice, Err(ReplayError::AdmittedTwice(key(1))));
    let intent = proposal(1, 1);
    let (key, kind) = (key(2), RefusalKind::DoubleVote);
    let needing_a_record = [
        Event::Permitted { key, intent },
        Event::Refused { key, intent, kind },
        Event::Raised { key, record: fresh },
        Event::Retired { key },
    ];
    for event in needing_a_record {
        let answer = second_entry_after(admitted(fresh), vec![event]);
        assert_eq!(answer, Err(ReplayError::UnknownKey(key)), "{event:?}");
    }
}

/// Whoever forges a whole journal with a right chain still cannot show a slashable history in it.
#[test]
fn a_permitted_duty_that_breaks_a_rule_stops_the_replay() {
    let permitted = |intent| vec![Event::Permitted { key: key(1), intent }];
    let conflicts = [
        (proposal(5, 1), proposal(5, 2), RefusalKind::DoubleProposal),
        (attestation(1, 2, 1), attestation(1, 2, 2), RefusalKind::DoubleVote),
        (attestation(1, 2, 1), attestation(0, 3, 2), RefusalKind::SurroundingVote),
        (attestation(0, 3, 1), attestation(1, 2, 2), RefusalKind::SurroundedVote),
    ];
    for (first, second, kind) in conflicts {
        let start = admitted(Record::fresh_ethereum());
        let journal = store([start, permitted(first), permitted(second)]);
        let (place, error) = replay(&journal).unwrap_err();
        let ReplayError::AgainstTheRules(named, refusal) = error else { panic!("{error:?}") };
        assert_eq!((place, named, refusal.kind), (2, key(1), kind));
    }
    assert_ne!(digest(1), digest(2));
}
