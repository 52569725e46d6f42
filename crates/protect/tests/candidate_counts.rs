//! How many candidates of a session a key may speak about.
//!
//! Decides: the count is that of the candidates that the key spoke about, whatever is asked in
//! whatever order, and the journal gives it again; at the bound only what is known is spoken of.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod common;

use std::collections::BTreeMap;

use common::{Random, RecordingLedger, digest, key};
use palisade_protect::journal::{Entry, Event, GENESIS, Replay, ReplayError, chain};
use palisade_protect::{
    Denied, Duty, Evidence, Intent, KeyType, MAX_CANDIDATES_A_SESSION, OpenSessions, Record,
    Refusal, RefusalKind, Stance, Statement, Subject, SubstrateHistory, SubstrateRecord, authorise,
    decide_with_stance,
};

const SESSIONS: [u32; 6] = [0, 3, 6, 7, 9, 13];

fn about(session: u32, candidate: u8, statement: Statement) -> Intent {
    let subject = Subject { session, candidate: digest(candidate) };
    let content = digest(candidate ^ (statement as u8) << 4);
    Intent { duty: Duty::ParaStatement { subject, statement }, digest: content }
}

fn fresh() -> SubstrateRecord {
    SubstrateRecord::fresh(digest(0xcc), KeyType::PARACHAIN).unwrap()
}

/// The record of a key that spoke about so many candidates of session 6.
fn counted(candidates: u32) -> Record {
    let open = OpenSessions { floor: 5, candidates: [0, candidates, 0, 0, 0, 0, 0] };
    Record::Substrate(SubstrateRecord {
        history: SubstrateHistory::Statements(Some(open)),
        ..fresh()
    })
}

fn open_sessions(record: &Record) -> OpenSessions {
    match record {
        Record::Substrate(SubstrateRecord {
            history: SubstrateHistory::Statements(Some(open)),
            ..
        }) => *open,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_count_is_that_of_the_candidates() {
    for seed in 0..4_000 {
        let mut random = Random::new(seed ^ 0xca9d);
        let mut ledger =
            RecordingLedger::with_records([(key(1), Record::Substrate(fresh()))].into());
        for _ in 0..(1 + random.below(16)) {
            let candidate = u8::try_from(random.below(4)).unwrap();
            let asked = about(random.pick(&SESSIONS), candidate, random.pick(&Statement::ALL));
            // Some twice in a batch; refusals count nothing.
            drop(authorise(&mut ledger, &[(key(1), asked), (key(1), asked)]));
            let Some(floor) = ledger.records[&key(1)].session_floor() else { continue };
            let mut expected = [0; 7];
            for (_, subject) in ledger.stances.keys() {
                if let Some(place) = subject.session.checked_sub(floor) {
                    expected[place as usize] += 1;
                }
            }
            let open = open_sessions(&ledger.records[&key(1)]);
            assert_eq!(open, OpenSessions { floor, candidates: expected }, "seed {seed}");
        }
    }
}

#[test]
fn at_the_bound_only_what_is_known_is_spoken_of() {
    let most = MAX_CANDIDATES_A_SESSION;
    let asked = about(6, 1, Statement::Approved);
    let (last, stance) = decide_with_stance(&counted(most - 1), Stance::NONE, &asked).unwrap();
    assert_eq!(last, counted(most));
    // The same again, and something else of the same candidate.
    for statement in [Statement::Approved, Statement::DisputedValid] {
        let (after, _) = decide_with_stance(&last, stance, &about(6, 1, statement)).unwrap();
        assert_eq!(after, last);
    }
    let refusal =
        decide_with_stance(&last, Stance::NONE, &about(6, 2, Statement::Approved)).unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::TooManyCandidates);
    assert_eq!(refusal.evidence, Evidence::Candidates { session: 6, candidates: most });
    // Other sessions have counts of their own, and the old one goes with its session.
    for session in [5, 7, 11, 12, 100] {
        let asked = about(session, 2, Statement::Approved);
        let (after, _) = decide_with_stance(&last, Stance::NONE, &asked).unwrap();
        let open = open_sessions(&after);
        let of_six = 6_u32.checked_sub(open.floor).map(|place| open.candidates[place as usize]);
        assert_eq!(of_six, (session <= 12).then_some(most), "{session}");
        assert_eq!(open.candidates[(session - open.floor) as usize], 1);
    }
    // A contradiction is told as one.
    let against = decide_with_stance(&last, stance, &about(6, 1, Statement::DisputedInvalid));
    assert_eq!(against.unwrap_err().kind, RefusalKind::ContradictoryStatement);
}

#[test]
fn invented_candidates_end_at_the_bound_and_the_journal_shows_one_more_as_a_fault() {
    let before = counted(MAX_CANDIDATES_A_SESSION - 3);
    let mut ledger = RecordingLedger::with_records([(key(1), before)].into());
    let batch: Vec<_> =
        (0..8).map(|invented| (key(1), about(6, invented, Statement::Approved))).collect();
    let answers = authorise(&mut ledger, &batch);
    let kind = |answer: &Result<_, Denied<_>>| match answer {
        Ok(_) => None,
        Err(Denied::Refused(Refusal { kind, .. })) => Some(*kind),
        Err(_) => panic!("not a refusal"),
    };
    let kinds: Vec<_> = answers.iter().map(kind).collect();
    assert_eq!(kinds[..3], [None; 3]);
    assert_eq!(kinds[3..], [Some(RefusalKind::TooManyCandidates); 5]);
    assert_eq!(ledger.stances.len(), 3);

    let said =
        batch[..4].iter().map(|(key, intent)| Event::Permitted { key: *key, intent: *intent });
    let admitted = Event::Admitted { key: key(1), record: before };
    let events: Vec<_> = std::iter::once(admitted).chain(said).collect();
    let replayed = |events: &[Event]| {
        let bytes = Entry { time_unix_ms: 1, events: events.to_vec() }.encode();
        let mut replay = Replay::new();
        replay.apply(&bytes, &chain(&GENESIS, &bytes)).map(|()| replay.records().clone())
    };
    assert_eq!(replayed(&events[..4]).unwrap(), BTreeMap::clone(&ledger.records));
    let error = replayed(&events).unwrap_err();
    let ReplayError::AgainstTheRules(_, refusal) = error else { panic!("{error:?}") };
    assert_eq!(refusal.kind, RefusalKind::TooManyCandidates);
}
