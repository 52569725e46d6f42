//! The rules of Substrate session keys against a model that remembers every message ever permitted
//! and applies the chains' own offence rules.
//!
//! Decides: no permitted message equivocates with one permitted before; what is newer than all, or
//! the last message of its kind again, is permitted; records survive their encoding, merge to the
//! stricter and never serve another chain.
//!
//! The offences stand here as the pallets have them: GRANDPA (two prevotes or two precommits of one
//! set and round with different targets), BABE (two different sealed headers of one slot), BEEFY
//! (two different commitments of one set and block).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod common;

use common::{Random, RecordingLedger, attestation, digest, harmless, irrevocable, key};
use palisade_protect::journal::{Entry, Event, GENESIS, Replay, ReplayError, chain};
use palisade_protect::{
    Duty, Evidence, GrandpaStage, Intent, KeyType, Message, OpenSessions, Record, RecordError,
    Refusal, RefusalKind, Seal, Slot, SubstrateHistory, SubstrateRecord, authorise, decide,
};

const HISTORIES: u64 = 300_000;
const TYPES: [KeyType; 4] = [KeyType::BABE, KeyType::AURA, KeyType::GRANDPA, KeyType::BEEFY];
const SMALL: [u64; 4] = [0, 1, 2, 3];

fn session(key_type: KeyType) -> SubstrateRecord {
    SubstrateRecord::fresh(digest(0xcc), key_type).unwrap()
}

fn vote(stage: GrandpaStage, set_id: u64, round: u64, content: u8) -> Intent {
    Intent { duty: Duty::GrandpaVote { stage, set_id, round }, digest: digest(content) }
}

fn seal(slot: u64, content: u8) -> Intent {
    Intent { duty: Duty::Seal { slot: Slot(slot) }, digest: digest(content) }
}

fn beefy(set_id: u64, block: u64, content: u8) -> Intent {
    Intent { duty: Duty::BeefyVote { set_id, block }, digest: digest(content) }
}

/// The chains' own offence: the same place, another content.
fn equivocates(one: &Intent, other: &Intent) -> bool {
    let slashable = match one.duty {
        Duty::GrandpaVote { stage, .. } => stage != GrandpaStage::PrimaryPropose,
        Duty::Seal { .. } | Duty::BeefyVote { .. } => true,
        _ => false,
    };
    slashable && one.duty == other.duty && one.digest != other.digest
}

fn same_kind(one: &Duty, other: &Duty) -> bool {
    match (one, other) {
        (Duty::GrandpaVote { stage: one, .. }, Duty::GrandpaVote { stage: other, .. }) => {
            one == other
        }
        (Duty::Seal { .. }, Duty::Seal { .. })
        | (Duty::BeefyVote { .. }, Duty::BeefyVote { .. }) => true,
        _ => false,
    }
}

/// Is `duty` later than `earlier`, of the same kind, by the chain's own order?
fn is_later(duty: &Duty, earlier: &Duty) -> bool {
    match (duty, earlier) {
        (Duty::Seal { slot }, Duty::Seal { slot: earlier }) => earlier < slot,
        (
            Duty::GrandpaVote { set_id, round, .. },
            Duty::GrandpaVote { set_id: set, round: last, .. },
        ) => (set, last) < (set_id, round),
        (Duty::BeefyVote { set_id, block }, Duty::BeefyVote { set_id: set, block: last }) => {
            set <= set_id && last < block
        }
        _ => false,
    }
}

fn random_intent(random: &mut Random, key_type: KeyType) -> Intent {
    let content = u8::try_from(random.below(2)).unwrap();
    let (one, other) = (random.pick(&SMALL), random.pick(&SMALL));
    match key_type {
        KeyType::GRANDPA => vote(random.pick(&GrandpaStage::ALL), one, other, content),
        KeyType::BEEFY => beefy(one, other, content),
        _ => seal(one, content),
    }
}

/// Plays one history and says how many were permitted and how many refused.
fn play(seed: u64) -> (u64, u64) {
    let mut random = Random::new(seed);
    let key_type = random.pick(&TYPES);
    let mut record = Record::Substrate(session(key_type));
    let mut permitted: Vec<Intent> = Vec::new();
    let (mut permits, mut refusals) = (0, 0);
    for _ in 0..(1 + random.below(24)) {
        let asked = random_intent(&mut random, key_type);
        let context = || format!("seed {seed}: {asked:?} after {permitted:?}");
        let of_kind = || permitted.iter().filter(|e| same_kind(&e.duty, &asked.duty));
        match decide(&record, &asked) {
            Ok(next) => {
                let offence = permitted.iter().any(|earlier| equivocates(earlier, &asked));
                assert!(!offence, "{}", context());
                assert_eq!(Record::decode(&next.encode()), Ok(next), "{}", context());
                assert_eq!(record.merge_stricter(next), Ok(next), "{}", context());
                permitted.push(asked);
                record = next;
                permits += 1;
            }
            Err(refusal) => {
                let newer = of_kind().all(|earlier| is_later(&asked.duty, &earlier.duty));
                let repeat = of_kind().next_back() == Some(&asked);
                assert!(!newer && !repeat, "{}: {refusal:?}", context());
                assert_eq!(refusal.asked, asked);
                refusals += 1;
            }
        }
    }
    (permits, refusals)
}

#[test]
fn no_random_history_of_a_session_key_holds_an_equivocation() {
    let (permits, refusals) =
        (0..HISTORIES).map(play).fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1));
    println!("{HISTORIES} histories: {permits} permits, {refusals} refusals");
    assert!(permits > HISTORIES && refusals > HISTORIES, "the domains no longer collide");
}

/// A merged record forbids all that either of the two forbids.
#[test]
fn a_merged_record_of_a_session_key_forbids_what_either_forbids() {
    for seed in 0..20_000 {
        let mut random = Random::new(seed ^ 0x5e55);
        let key_type = random.pick(&TYPES);
        let [one, other] = [0, 1].map(|_| {
            let mut record = Record::Substrate(session(key_type));
            for _ in 0..random.below(6) {
                record = decide(&record, &random_intent(&mut random, key_type)).unwrap_or(record);
            }
            record
        });
        let merged = one.merge_stricter(other).unwrap();
        assert_eq!(Ok(merged), other.merge_stricter(one), "seed {seed}");
        for _ in 0..20 {
            let asked = random_intent(&mut random, key_type);
            if decide(&merged, &asked).is_ok() {
                let both = decide(&one, &asked).is_ok() && decide(&other, &asked).is_ok();
                assert!(both, "seed {seed}: {asked:?} of {one:?} and {other:?}");
            }
        }
    }
}

fn refused(record: SubstrateRecord, asked: Intent) -> Refusal {
    decide(&Record::Substrate(record), &asked).unwrap_err()
}

fn permitted(record: SubstrateRecord, asked: Intent) -> SubstrateRecord {
    match decide(&Record::Substrate(record), &asked).unwrap() {
        Record::Substrate(next) => next,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_second_seal_of_a_slot_is_refused_with_the_first_one() {
    let record = permitted(session(KeyType::BABE), seal(7, 1));
    let last = Seal { slot: Slot(7), pre_hash: Some(digest(1)) };
    let refusal = refused(record, seal(7, 2));
    assert_eq!((refusal.kind, refusal.evidence), (RefusalKind::DoubleSeal, Evidence::Seal(last)));
    assert_eq!(refused(record, seal(6, 1)).kind, RefusalKind::SealBehind);
    assert_eq!(permitted(record, seal(7, 1)), record, "the same seal again changes nothing");
}

#[test]
fn stages_of_a_round_do_not_stand_in_each_others_way() {
    let mut record = session(KeyType::GRANDPA);
    for stage in [GrandpaStage::PrimaryPropose, GrandpaStage::Prevote] {
        record = permitted(record, vote(stage, 0, 9, 1));
    }
    record = permitted(record, vote(GrandpaStage::Precommit, 0, 8, 2));
    let refusal = refused(record, vote(GrandpaStage::Prevote, 0, 9, 2));
    assert_eq!(refusal.kind, RefusalKind::DoubleGrandpaVote);
    let refusal = refused(record, vote(GrandpaStage::Prevote, 0, 8, 1));
    assert_eq!(refusal.kind, RefusalKind::GrandpaVoteBehind);
}

#[test]
fn a_set_that_goes_back_is_refused_and_a_new_one_starts_its_rounds_anew() {
    let record = permitted(session(KeyType::GRANDPA), vote(GrandpaStage::Prevote, 5, 900, 1));
    let next = permitted(record, vote(GrandpaStage::Prevote, 6, 1, 1));
    let refusal = refused(next, vote(GrandpaStage::Prevote, 5, 901, 1));
    assert_eq!(refusal.kind, RefusalKind::GrandpaVoteBehind);
}

#[test]
fn one_vote_cannot_use_up_the_future_of_a_key() {
    let record = permitted(session(KeyType::GRANDPA), vote(GrandpaStage::Prevote, 5, 900, 1));
    for (set_id, round) in [(5, u64::MAX), (u64::MAX, 1), (6, u64::MAX), (5 + (1 << 14) + 1, 1)] {
        for stage in GrandpaStage::ALL {
            let kind = refused(record, vote(stage, set_id, round, 1)).kind;
            assert_eq!(kind, RefusalKind::TooFarAhead, "{stage} {set_id} {round}");
        }
    }
    let record = permitted(session(KeyType::BEEFY), beefy(1, 100, 1));
    for (set_id, block) in [(u64::MAX, 101), (1, u64::MAX)] {
        assert_eq!(refused(record, beefy(set_id, block, 1)).kind, RefusalKind::TooFarAhead);
    }
}

#[test]
fn beefy_votes_grow_in_block_and_set() {
    let record = permitted(session(KeyType::BEEFY), beefy(3, 100, 1));
    assert_eq!(refused(record, beefy(3, 100, 2)).kind, RefusalKind::DoubleBeefyVote);
    assert_eq!(refused(record, beefy(4, 100, 1)).kind, RefusalKind::BeefyVoteBehind);
    assert_eq!(refused(record, beefy(2, 101, 1)).kind, RefusalKind::BeefyVoteBehind);
    permitted(record, beefy(4, 101, 2));
}

#[test]
fn a_key_serves_its_own_kind_of_duty_only() {
    for (key_type, wrong) in [
        (KeyType::BABE, vote(GrandpaStage::Prevote, 0, 1, 1)),
        (KeyType::GRANDPA, seal(1, 1)),
        (KeyType::BEEFY, seal(1, 1)),
        (KeyType::AUTHORITY_DISCOVERY, seal(1, 1)),
        (KeyType::BABE, attestation(0, 1, 1)),
    ] {
        assert_eq!(refused(session(key_type), wrong).kind, RefusalKind::DutyOfAnotherChain);
    }
    let ethereum = Record::fresh_ethereum();
    let refusal = decide(&ethereum, &seal(1, 1)).unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::DutyOfAnotherChain);
    assert_eq!(SubstrateRecord::fresh(digest(1), KeyType(*b"zzzz")), None);
}

#[test]
fn records_of_two_chains_or_two_key_types_do_not_merge() {
    let here = Record::Substrate(session(KeyType::GRANDPA));
    let there = Record::Substrate(SubstrateRecord::fresh(digest(0xdd), KeyType::GRANDPA).unwrap());
    let other_type = Record::Substrate(session(KeyType::BEEFY));
    for other in [there, other_type, Record::fresh_ethereum()] {
        assert_eq!(here.merge_stricter(other), Err(RecordError::OfAnotherChain));
        assert_eq!(other.merge_stricter(here), Err(RecordError::OfAnotherChain));
    }
}

#[test]
fn a_key_of_unknown_past_waits() {
    let from_now = |key_type| SubstrateRecord::from_now(digest(0xcc), key_type, Slot(50)).unwrap();
    assert_eq!(refused(from_now(KeyType::BABE), seal(50, 1)).kind, RefusalKind::DoubleSeal);
    permitted(from_now(KeyType::BABE), seal(51, 1));
    let grandpa = from_now(KeyType::GRANDPA);
    let asked = vote(GrandpaStage::Prevote, 9, 9, 1);
    assert_eq!(refused(grandpa, asked).kind, RefusalKind::AwaitsFloor);
    assert_eq!(refused(from_now(KeyType::BEEFY), beefy(9, 9, 1)).kind, RefusalKind::AwaitsFloor);
    assert!(grandpa.has_a_past() && !session(KeyType::GRANDPA).has_a_past());
    // Waiting outlives a merge with a record that knows of nothing.
    let merged = Record::Substrate(grandpa)
        .merge_stricter(Record::Substrate(session(KeyType::GRANDPA)))
        .unwrap();
    assert_eq!(decide(&merged, &asked).unwrap_err().kind, RefusalKind::AwaitsFloor);
}

/// Everything permitted goes through the journal and back to the same records.
#[test]
fn the_journal_of_session_keys_replays() {
    let owner = key(1);
    let mut ledger = RecordingLedger::with_records(
        [(owner, Record::Substrate(session(KeyType::GRANDPA)))].into(),
    );
    let admitted = Record::Substrate(session(KeyType::GRANDPA));
    let asked: Vec<_> = [
        vote(GrandpaStage::PrimaryPropose, 0, 1, 1),
        vote(GrandpaStage::Prevote, 0, 1, 1),
        irrevocable(9),
        harmless(8),
        vote(GrandpaStage::Prevote, 0, 1, 2),
    ]
    .map(|intent| (owner, intent))
    .into();
    let answers = authorise(&mut ledger, &asked);
    assert_eq!(
        answers.iter().map(Result::is_ok).collect::<Vec<_>>(),
        [true, true, true, true, false]
    );
    let events = ledger.persists()[0].1.clone();
    let entries = [vec![Event::Admitted { key: owner, record: admitted }], events];
    let (mut replay, mut head) = (Replay::new(), GENESIS);
    for events in entries {
        let bytes = Entry { time_unix_ms: 1, events: events.clone() }.encode();
        assert_eq!(Entry::decode(&bytes).unwrap().events, events);
        head = chain(&head, &bytes);
        replay.apply(&bytes, &head).unwrap();
    }
    assert_eq!(replay.records(), &ledger.records);
    let double =
        vec![Event::Permitted { key: owner, intent: vote(GrandpaStage::Prevote, 0, 1, 2) }];
    let bytes = Entry { time_unix_ms: 2, events: double }.encode();
    let error = replay.apply(&bytes, &chain(&head, &bytes)).unwrap_err();
    assert!(matches!(error, ReplayError::AgainstTheRules(..)), "{error:?}");
}

/// A floor ends the waiting, and only the waiting: the record below it may not be lowered.
#[test]
fn the_operator_may_end_the_waiting_but_not_lower_the_record() {
    let owner = key(1);
    let waiting = SubstrateRecord {
        awaits_floor: true,
        ..permitted(session(KeyType::GRANDPA), vote(GrandpaStage::Prevote, 1, 2, 3))
    };
    let floor = SubstrateRecord { awaits_floor: false, ..waiting };
    let lowered = session(KeyType::GRANDPA);
    let replay_with = |raised: SubstrateRecord| {
        let events = vec![
            Event::Admitted { key: owner, record: Record::Substrate(waiting) },
            Event::Raised { key: owner, record: Record::Substrate(raised) },
        ];
        let bytes = Entry { time_unix_ms: 1, events }.encode();
        Replay::new().apply(&bytes, &chain(&GENESIS, &bytes))
    };
    assert_eq!(replay_with(floor), Ok(()));
    assert_eq!(replay_with(lowered), Err(ReplayError::Lowered(owner)));
}

/// A program that counted no candidates raised records without counts; what was counted stays.
#[test]
fn a_raise_without_counts_lowers_nothing() {
    let owner = key(1);
    let of = |floor, candidates| {
        let history = SubstrateHistory::Statements(Some(OpenSessions { floor, candidates }));
        let record = session(KeyType::PARACHAIN);
        Record::Substrate(SubstrateRecord { history, ..record })
    };
    let replay_with = |raised| {
        let events = vec![
            Event::Admitted { key: owner, record: of(9, [3; 7]) },
            Event::Raised { key: owner, record: raised },
        ];
        let bytes = Entry { time_unix_ms: 1, events }.encode();
        let mut replay = Replay::new();
        replay.apply(&bytes, &chain(&GENESIS, &bytes)).map(|()| replay.records()[&owner])
    };
    assert_eq!(replay_with(of(9, [0; 7])), Ok(of(9, [3; 7])), "the counts stay");
    assert_eq!(replay_with(of(10, [0; 7])), Ok(of(10, [3, 3, 3, 3, 3, 3, 0])), "and move along");
    assert_eq!(replay_with(of(8, [9; 7])), Err(ReplayError::Lowered(owner)));
}

/// One kind of message never stands for another, whatever its bytes.
#[test]
fn digests_are_separated_by_kind() {
    let bytes = [7; 32];
    let digests = [
        Message::PreHash(bytes).digest(),
        Message::Payload(&bytes).digest(),
        Message::Keccak(&bytes).digest(),
        Message::BabeVrf(palisade_protect::BabeVrf { slot: 1, epoch: 2, randomness: bytes })
            .digest(),
    ];
    for (index, one) in digests.iter().enumerate() {
        assert!(digests.iter().skip(index + 1).all(|other| other != one));
    }
    assert_eq!(digests[0].0, bytes);
}
