//! Statements on parachains against a model that remembers everything ever permitted and applies
//! the relay chain's own offence rules.
//!
//! Decides: whatever is asked in whatever order, however a dispute ends, no key is punished for a
//! statement that contradicts another of its own; what contradicts nothing is permitted; the
//! journal gives every stance again.
//!
//! The offences stand here as `polkadot-runtime-parachains` has them (`disputes`, `slashing`): when
//! a dispute ends "invalid", whoever is on the side of the valid is punished, as a backer
//! (`ForInvalidBacked`) or else (`ForInvalidApproved`); when it ends "valid", whoever is on the
//! other side is (`AgainstValid`).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{Random, RecordingLedger, digest, key};
use palisade_protect::journal::{Entry, Event, GENESIS, Replay, ReplayError, chain};
use palisade_protect::{
    Denied, Duty, Evidence, Intent, KeyId, KeyType, OpenSessions, REMEMBERED_SESSIONS, Record,
    Refusal, RefusalKind, Stance, Statement, Subject, SubstrateHistory, SubstrateRecord, authorise,
    decide, decide_with_stance,
};

const HISTORIES: u64 = 40_000;
/// Close together and around the window, so that histories collide and fall out of it.
const SESSIONS: [u32; 7] = [0, 3, 6, 7, 9, 13, 14];

/// What a chain would punish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Offence {
    ForInvalidBacked,
    ForInvalidApproved,
    AgainstValid,
}

/// How a dispute over a candidate ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Valid,
    Invalid,
}

/// `disputes::slashing`, for one validator and one candidate.
fn offence(said: &BTreeSet<Statement>, outcome: Outcome) -> Option<Offence> {
    let backed = said.contains(&Statement::Seconded) || said.contains(&Statement::Valid);
    let others = [Statement::Approved, Statement::DisputedValid];
    let on_the_valid_side = backed || others.iter().any(|other| said.contains(other));
    match outcome {
        Outcome::Invalid if backed => Some(Offence::ForInvalidBacked),
        Outcome::Invalid if on_the_valid_side => Some(Offence::ForInvalidApproved),
        Outcome::Valid if said.contains(&Statement::DisputedInvalid) => Some(Offence::AgainstValid),
        _ => None,
    }
}

fn about(session: u32, candidate: u8, statement: Statement) -> Intent {
    let subject = Subject { session, candidate: digest(candidate) };
    let mut content = digest(statement as u8);
    content.0[0] = candidate;
    content.0[1..5].copy_from_slice(&session.to_le_bytes());
    Intent { duty: Duty::ParaStatement { subject, statement }, digest: content }
}

fn fresh() -> Record {
    Record::Substrate(SubstrateRecord::fresh(digest(0xcc), KeyType::PARACHAIN).unwrap())
}

fn ledger() -> RecordingLedger {
    RecordingLedger::with_records([(key(1), fresh())].into())
}

fn ask(ledger: &mut RecordingLedger, intent: Intent) -> Result<(), Refusal> {
    match authorise(ledger, &[(key(1), intent)]).remove(0) {
        Ok(permit) => {
            assert_eq!(permit.digest(), intent.digest);
            Ok(())
        }
        Err(Denied::Refused(refusal)) => Err(refusal),
        Err(other) => panic!("{other:?}"),
    }
}

fn kind(asked: Result<(), Refusal>) -> RefusalKind {
    asked.unwrap_err().kind
}

fn random_intent(random: &mut Random) -> Intent {
    let candidate = u8::try_from(random.below(2)).unwrap();
    about(random.pick(&SESSIONS), candidate, random.pick(&Statement::ALL))
}

/// Remembers everything.
#[derive(Default)]
struct Model {
    said: BTreeMap<Subject, BTreeSet<Statement>>,
    newest: Option<u32>,
}

impl Model {
    fn note(&mut self, subject: Subject, statement: Statement) {
        self.said.entry(subject).or_default().insert(statement);
        self.newest = self.newest.max(Some(subject.session));
    }

    /// No dispute can end in a way that punishes the key for one statement while another of its own
    /// says the opposite; and on chain a vote on a validation code is cast once.
    fn is_consistent(&self) -> bool {
        self.said.values().all(|said| {
            let both = |one, other| said.contains(&one) && said.contains(&other);
            let loses_always = [Outcome::Valid, Outcome::Invalid]
                .into_iter()
                .all(|outcome| offence(said, outcome).is_some());
            !loses_always
                && !both(Statement::Seconded, Statement::Valid)
                && !both(Statement::CodeAccepted, Statement::CodeRejected)
        })
    }

    fn would_be_consistent(&self, subject: Subject, statement: Statement) -> bool {
        let mut after = Self { said: self.said.clone(), newest: self.newest };
        after.note(subject, statement);
        after.is_consistent()
    }

    fn is_remembered(&self, session: u32) -> bool {
        self.newest.is_none_or(|newest| newest <= session.saturating_add(REMEMBERED_SESSIONS))
    }
}

fn play(seed: u64) -> (u64, u64) {
    let mut random = Random::new(seed);
    let (mut ledger, mut model) = (ledger(), Model::default());
    let (mut permits, mut refusals) = (0, 0);
    for _ in 0..(1 + random.below(24)) {
        let asked = random_intent(&mut random);
        let Duty::ParaStatement { subject, statement } = asked.duty else { panic!("{asked:?}") };
        let allowed =
            model.is_remembered(subject.session) && model.would_be_consistent(subject, statement);
        let answer = ask(&mut ledger, asked);
        assert_eq!(answer.is_ok(), allowed, "seed {seed}: {asked:?}: {answer:?}");
        match answer {
            Ok(()) => {
                model.note(subject, statement);
                assert!(model.is_consistent(), "seed {seed}: {asked:?}");
                permits += 1;
            }
            Err(_) => refusals += 1,
        }
    }
    (permits, refusals)
}

#[test]
fn no_random_history_of_statements_holds_a_contradiction() {
    let (permits, refusals) =
        (0..HISTORIES).map(play).fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1));
    println!("{HISTORIES} histories: {permits} permits, {refusals} refusals");
    assert!(permits > HISTORIES && refusals > HISTORIES, "the domains no longer collide");
}

/// The model is not blind: each offence, and each double statement, is one that it finds.
#[test]
fn the_model_sees_each_offence() {
    use Statement::{Approved, DisputedInvalid, DisputedValid, Seconded, Valid};
    let of = |said: &[Statement], outcome| offence(&said.iter().copied().collect(), outcome);
    assert_eq!(of(&[Seconded], Outcome::Invalid), Some(Offence::ForInvalidBacked));
    assert_eq!(of(&[Valid], Outcome::Invalid), Some(Offence::ForInvalidBacked));
    assert_eq!(of(&[Approved], Outcome::Invalid), Some(Offence::ForInvalidApproved));
    assert_eq!(of(&[DisputedValid], Outcome::Invalid), Some(Offence::ForInvalidApproved));
    assert_eq!(of(&[DisputedInvalid], Outcome::Valid), Some(Offence::AgainstValid));
    assert_eq!(of(&[Seconded, Approved], Outcome::Valid), None);
    assert_eq!(of(&[DisputedInvalid], Outcome::Invalid), None);
}

#[test]
fn a_contradiction_is_refused_with_what_was_said() {
    use Statement::{
        Approved, CodeAccepted, CodeRejected, DisputedInvalid, DisputedValid, Seconded, Valid,
    };
    for said in [Seconded, Valid, Approved, DisputedValid] {
        for (first, second) in [(said, DisputedInvalid), (DisputedInvalid, said)] {
            let mut ledger = ledger();
            ask(&mut ledger, about(9, 1, first)).unwrap();
            let refusal = ask(&mut ledger, about(9, 1, second)).unwrap_err();
            assert_eq!(refusal.kind, RefusalKind::ContradictoryStatement, "{first} {second}");
            assert_eq!(refusal.evidence, Evidence::Stance(Stance::NONE.with(first)));
            // Another candidate, another session and the same again are no contradiction.
            ask(&mut ledger, about(9, 2, second)).unwrap();
            ask(&mut ledger, about(8, 1, second)).unwrap();
            ask(&mut ledger, about(9, 1, first)).unwrap();
        }
    }
    for (first, second) in [(CodeAccepted, CodeRejected), (CodeRejected, CodeAccepted)] {
        let mut ledger = ledger();
        ask(&mut ledger, about(9, 1, first)).unwrap();
        let asked = ask(&mut ledger, about(9, 1, second));
        assert_eq!(kind(asked), RefusalKind::ContradictoryStatement);
    }
}

#[test]
fn a_candidate_is_backed_in_one_way_and_may_then_be_defended() {
    for (first, second) in
        [(Statement::Seconded, Statement::Valid), (Statement::Valid, Statement::Seconded)]
    {
        let mut ledger = ledger();
        ask(&mut ledger, about(9, 1, first)).unwrap();
        assert_eq!(kind(ask(&mut ledger, about(9, 1, second))), RefusalKind::DoubleBacking);
        ask(&mut ledger, about(9, 1, Statement::Approved)).unwrap();
        ask(&mut ledger, about(9, 1, Statement::DisputedValid)).unwrap();
    }
}

#[test]
fn a_session_that_is_no_longer_remembered_is_refused() {
    let mut ledger = ledger();
    ask(&mut ledger, about(100, 1, Statement::Seconded)).unwrap();
    ask(&mut ledger, about(94, 1, Statement::Seconded)).unwrap();
    let refusal = ask(&mut ledger, about(93, 1, Statement::Seconded)).unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::SessionBehind);
    assert_eq!(refusal.evidence, Evidence::SessionFloor(94));
    // Within the window the newest session does not fall back.
    ask(&mut ledger, about(101, 1, Statement::Seconded)).unwrap();
    let asked = ask(&mut ledger, about(94, 1, Statement::Seconded));
    assert_eq!(kind(asked), RefusalKind::SessionBehind);
}

#[test]
fn one_statement_cannot_use_up_the_future_of_a_key() {
    let mut ledger = ledger();
    ask(&mut ledger, about(100, 1, Statement::Seconded)).unwrap();
    for session in [u32::MAX, 100 + (1 << 14) + 1] {
        let refusal = ask(&mut ledger, about(session, 1, Statement::Seconded)).unwrap_err();
        assert_eq!(refusal.kind, RefusalKind::TooFarAhead);
        assert_eq!(refusal.evidence, Evidence::SessionFloor(94));
    }
    ask(&mut ledger, about(100 + (1 << 14), 1, Statement::Seconded)).unwrap();
    // Nothing overflows at the end of all sessions either.
    let last = SubstrateRecord {
        history: SubstrateHistory::Statements(Some(OpenSessions::from_floor(u32::MAX))),
        ..SubstrateRecord::fresh(digest(0xcc), KeyType::PARACHAIN).unwrap()
    };
    let asked = about(u32::MAX, 1, Statement::Valid);
    let (next, stance) =
        decide_with_stance(&Record::Substrate(last), Stance::NONE, &asked).unwrap();
    assert_eq!((next.session_floor(), stance.byte()), (Some(u32::MAX), 2));
}

#[test]
fn a_record_alone_never_permits_a_statement() {
    let refusal = decide(&fresh(), &about(1, 1, Statement::Valid)).unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::StanceUnknown);
    let asked = about(1, 1, Statement::Valid);
    for record in [
        Record::fresh_ethereum(),
        Record::Substrate(SubstrateRecord::fresh(digest(1), KeyType::BABE).unwrap()),
        Record::Substrate(SubstrateRecord::fresh(digest(1), KeyType::ASSIGNMENT).unwrap()),
    ] {
        let refusal = decide_with_stance(&record, Stance::NONE, &asked).unwrap_err();
        assert_eq!(refusal.kind, RefusalKind::DutyOfAnotherChain);
    }
}

#[test]
fn a_key_of_unknown_past_says_nothing_until_it_has_a_floor() {
    let slot = palisade_protect::Slot(5);
    let waiting = SubstrateRecord::from_now(digest(0xcc), KeyType::PARACHAIN, slot).unwrap();
    let asked = about(1, 1, Statement::Valid);
    let refused = decide_with_stance(&Record::Substrate(waiting), Stance::NONE, &asked);
    assert_eq!(refused.unwrap_err().kind, RefusalKind::AwaitsFloor);
    assert!(waiting.has_a_past());
}

/// A repeat leaves at once, also of a message of the same batch only when that is durable.
#[test]
fn a_repeat_needs_no_write() {
    let mut ledger = ledger();
    let said = about(9, 1, Statement::Approved);
    let answers = authorise(&mut ledger, &[(key(1), said), (key(1), said)]);
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(ledger.persists().len(), 1);
    assert_eq!(ledger.persists()[0].1.len(), 1, "one event for both");
    ask(&mut ledger, said).unwrap();
    assert_eq!(ledger.persists().len(), 1);
    // Load the key and the stance; then the write fails, and both are denied.
    let batch = [(key(1), about(9, 2, Statement::Approved)); 2];
    let mut failing = RecordingLedger::failing_at(ledger.records, 2);
    let answers = authorise(&mut failing, &batch);
    assert!(answers.iter().all(|answer| matches!(answer, Err(Denied::Failed(_)))), "{answers:?}");
    // A ledger that cannot tell the stance denies.
    let mut failing = RecordingLedger::failing_at([(key(1), fresh())].into(), 1);
    let answers = authorise(&mut failing, &batch[..1]);
    assert!(matches!(answers[0], Err(Denied::Failed(_))), "{answers:?}");
}

/// Those of the sessions that a key may still speak about.
fn remembered(ledger: &RecordingLedger) -> BTreeMap<(KeyId, Subject), Stance> {
    let lives = |(owner, subject): &(KeyId, Subject)| {
        ledger.records[owner].session_floor().is_some_and(|floor| floor <= subject.session)
    };
    let all = ledger.stances.iter().map(|(subject, stance)| (*subject, *stance));
    all.filter(|(subject, _)| lives(subject)).collect()
}

#[test]
fn the_journal_gives_every_stance_again() {
    for seed in 0..2_000 {
        let mut random = Random::new(seed ^ 0x7a7a);
        let keys = [key(1), key(2)];
        let records: BTreeMap<_, _> = keys.map(|key| (key, fresh())).into();
        let mut ledger = RecordingLedger::with_records(records);
        for _ in 0..4 {
            let batch: Vec<_> =
                (0..8).map(|_| (random.pick(&keys), random_intent(&mut random))).collect();
            drop(authorise(&mut ledger, &batch));
        }
        let admitted = keys.map(|key| Event::Admitted { key, record: fresh() }).to_vec();
        let written = ledger.persists().into_iter().map(|(_, events)| events.clone());
        let (mut replay, mut head) = (Replay::new(), GENESIS);
        for events in std::iter::once(admitted).chain(written) {
            let bytes = Entry { time_unix_ms: 1, events: events.clone() }.encode();
            assert_eq!(Entry::decode(&bytes).unwrap().events, events);
            head = chain(&head, &bytes);
            replay.apply(&bytes, &head).unwrap();
        }
        assert_eq!(replay.records(), &ledger.records, "seed {seed}");
        assert_eq!(replay.stances(), &remembered(&ledger), "seed {seed}");
    }
}

#[test]
fn a_journal_with_a_contradiction_does_not_replay() {
    let said = |statement| Event::Permitted { key: key(1), intent: about(5, 1, statement) };
    let events = vec![
        Event::Admitted { key: key(1), record: fresh() },
        said(Statement::Seconded),
        said(Statement::DisputedInvalid),
    ];
    let bytes = Entry { time_unix_ms: 1, events }.encode();
    let error = Replay::new().apply(&bytes, &chain(&GENESIS, &bytes)).unwrap_err();
    let ReplayError::AgainstTheRules(_, refusal) = error else { panic!("{error:?}") };
    assert_eq!(refusal.kind, RefusalKind::ContradictoryStatement);
}

/// Where nothing is known of what was said, nothing is said of those sessions.
#[test]
fn a_record_without_its_stances_starts_behind_all_that_was_said() {
    for seed in 0..2_000 {
        let mut random = Random::new(seed ^ 0xe15e);
        let mut ledger = ledger();
        for _ in 0..random.below(12) {
            let asked = random_intent(&mut random);
            ask(&mut ledger, asked).unwrap_or_default();
        }
        let Record::Substrate(here) = ledger.records[&key(1)] else { panic!("not a session key") };
        let there = Record::Substrate(here.without_stances());
        assert_eq!(Record::Substrate(here).merge_stricter(there), Ok(there), "seed {seed}");
        for (_, subject) in ledger.stances.keys() {
            let twin = about(subject.session, subject.candidate.0[0], Statement::DisputedInvalid);
            let refused = decide_with_stance(&there, Stance::NONE, &twin).unwrap_err();
            assert_eq!(refused.kind, RefusalKind::SessionBehind, "seed {seed}");
        }
    }
    let seal = SubstrateRecord::fresh(digest(1), KeyType::BABE).unwrap();
    assert_eq!(seal.without_stances(), seal);
    let last = SubstrateRecord {
        history: SubstrateHistory::Statements(Some(OpenSessions::from_floor(u32::MAX - 6))),
        ..SubstrateRecord::fresh(digest(0xcc), KeyType::PARACHAIN).unwrap()
    };
    assert!(last.without_stances().awaits_floor);
}

/// Frozen: journals and stances on disk are read for ever.
#[test]
fn the_bytes_of_a_statement_are_frozen() {
    for (number, statement) in (0..).zip(Statement::ALL) {
        let intent = about(0x0102_0304, 7, statement);
        let events = vec![Event::Permitted { key: key(1), intent }];
        let bytes = hex::encode(Entry { time_unix_ms: 0, events }.encode());
        let candidate = "07".repeat(32);
        assert!(bytes.contains(&format!("{}080{number}04030201{candidate}", "01".repeat(32))));
        assert_eq!(Stance::NONE.with(statement).byte(), 1 << number);
    }
    let known: Vec<u8> = (0..=u8::MAX).filter(|byte| Stance::from_byte(*byte).is_some()).collect();
    assert!(known.into_iter().eq(0..0x80));
}
