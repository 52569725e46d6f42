//! From where a session key of unknown past may sign, as the operator says it; and which places no
//! chain can have reached yet.
//!
//! A typing error in a floor, or a file that lies, would leave a key mute for ever, since no record
//! is ever lowered.
//!
//! Invariant: the bounds follow from the clock alone, and are far from what chains do: no chain has
//! made a session in every second since 1970, nor a round or a block in every tenth of one.

use std::time::Duration;

use palisade_protect::{
    BeefyVote, Digest, Duty, GrandpaStage, GrandpaVote, Intent, KeyType, OpenSessions, Record,
    RefusalKind, Stance, Statement, Subject, SubstrateHistory, SubstrateRecord, decide_with_stance,
};
use serde::{Deserialize, Serialize};

use super::execute::Parts;
use super::{AdminError, Answer, past, sessions};

/// What [`Request::SessionKeysFloor`](super::Request::SessionKeysFloor) asks for.
#[derive(Serialize, Deserialize)]
pub struct SessionFloor {
    /// The public key, hex.
    pub public_key: String,
    /// Everything in sets before this one, and in it up to `number`, counts as signed.
    pub set_id: u64,
    /// The round (GRANDPA) or the block (BEEFY).
    pub number: u64,
    /// The place may be where no chain is yet.
    #[serde(default)]
    pub accept_far_ahead: bool,
}

/// How far ahead of the present slot a seal may lie in a file: clocks differ by less.
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Seals start from the clock; a place of these is told by no clock.
const FLOOR_TYPES: [KeyType; 3] = [KeyType::GRANDPA, KeyType::BEEFY, KeyType::PARACHAIN];

/// Ends the waiting of a key of unknown past: what lies up to the floor counts as signed.
pub(super) fn set_floor(parts: &mut Parts<'_>, floor: &SessionFloor) -> Result<Answer, AdminError> {
    let ids = sessions::held(parts.vault, &floor.public_key)
        .flat_map(|key| FLOOR_TYPES.map(|key_type| key.ledger_id(key_type)));
    let known = ids.into_iter().find_map(|id| parts.store.record(&id).map(|record| (id, record)));
    let Some((id, Record::Substrate(record))) = known else {
        return Err(AdminError::usage(
            "unknown-key",
            "this home holds no key of type gran, beef or para with that public key; `palisade \
             keys list` shows those that it holds, and seals need no floor",
        ));
    };
    let (set_id, number) = (floor.set_id, floor.number);
    let history = match record.history {
        SubstrateHistory::Grandpa(_) => SubstrateHistory::Grandpa(
            [Some(GrandpaVote { set_id, round: number, digest: None }); 3],
        ),
        SubstrateHistory::Beefy(_) => {
            SubstrateHistory::Beefy(Some(BeefyVote { set_id, block: number, digest: None }))
        }
        SubstrateHistory::Statements(_) => {
            SubstrateHistory::Statements(Some(OpenSessions::from_floor(session(floor)?)))
        }
        _ => {
            let message = "a record of a key with places has none";
            return Err(AdminError::could_not("internal-error", message));
        }
    };
    if !floor.accept_far_ahead {
        check_step(&record, &history)?;
        check(&history, 1, past::since_1970(parts.store)?)?;
    }
    parts.store.set_floor(&id, history).map_err(|error| AdminError::store(&error))?;
    Ok(Answer::FloorSet)
}

/// The first session that a key of type `para` may speak about: sessions have no rounds.
fn session(floor: &SessionFloor) -> Result<u32, AdminError> {
    let session = u32::try_from(floor.set_id).ok().filter(|_| floor.number == 0);
    session.ok_or_else(|| {
        let message = "for a key of type para, the set is the first session that it may speak \
                       about, below 2^32, and the number is 0";
        AdminError::usage("bad-floor", message)
    })
}

/// Refuses a history that lies beyond any present. `slot_ms` counts for seals alone.
pub(super) fn check(
    history: &SubstrateHistory,
    slot_ms: u64,
    since_1970: Duration,
) -> Result<(), AdminError> {
    let (seconds, tenths) = (since_1970.as_secs(), since_1970.as_secs().saturating_mul(10));
    let beyond = |what: &str, asked: u64, most: u64| {
        (most < asked).then(|| too_far(&format!("{what} {asked}; by this clock at most {most}")))
    };
    let place = |set_id, what: &str, number| {
        beyond("set", set_id, seconds).or_else(|| beyond(what, number, tenths))
    };
    let found = match history {
        SubstrateHistory::Seals(seal) => {
            let latest = since_1970.saturating_add(DAY).as_millis() / u128::from(slot_ms.max(1));
            let latest = u64::try_from(latest).unwrap_or(u64::MAX);
            seal.and_then(|seal| beyond("slot", seal.slot.0, latest))
        }
        SubstrateHistory::Grandpa(votes) => {
            votes.iter().flatten().find_map(|vote| place(vote.set_id, "round", vote.round))
        }
        SubstrateHistory::Beefy(vote) => {
            vote.and_then(|vote| place(vote.set_id, "block", vote.block))
        }
        SubstrateHistory::Statements(open) => {
            open.and_then(|open| beyond("session", open.floor.into(), seconds))
        }
        _ => None,
    };
    found.map_or(Ok(()), Err)
}

/// Refuses a floor that lies further ahead of what the key signed than the rules let it sign.
fn check_step(record: &SubstrateRecord, floor: &SubstrateHistory) -> Result<(), AdminError> {
    let duty = match floor {
        SubstrateHistory::Grandpa([Some(GrandpaVote { set_id, round, .. }), ..]) => {
            Duty::GrandpaVote { stage: GrandpaStage::Prevote, set_id: *set_id, round: *round }
        }
        SubstrateHistory::Beefy(Some(vote)) => {
            Duty::BeefyVote { set_id: vote.set_id, block: vote.block }
        }
        SubstrateHistory::Statements(Some(open)) => Duty::ParaStatement {
            subject: Subject { session: open.floor, candidate: Digest([0; 32]) },
            statement: Statement::Approved,
        },
        _ => return Ok(()),
    };
    let asked = Intent { duty, digest: Digest([0; 32]) };
    let record = Record::Substrate(SubstrateRecord { awaits_floor: false, ..*record });
    match decide_with_stance(&record, Stance::NONE, &asked) {
        Err(refusal) if refusal.kind == RefusalKind::TooFarAhead => Err(too_far(&format!(
            "{:?}; the key's record says {:?}",
            refusal.asked.duty, refusal.evidence
        ))),
        _ => Ok(()),
    }
}

fn too_far(what: &str) -> AdminError {
    let message = format!(
        "nothing was changed: no chain is there yet ({what}). A record is never lowered, so a \
         place that is wrong makes the key mute for ever. If it is right all the same, say \
         --accept-far-ahead"
    );
    AdminError::refused("too-far-ahead", message)
}

#[cfg(test)]
mod tests {
    use palisade_protect::{Seal, Slot};

    use super::*;

    const SINCE_1970: Duration = Duration::from_secs(1_800_000_000);

    fn grandpa(set_id: u64, round: u64) -> SubstrateHistory {
        SubstrateHistory::Grandpa([Some(GrandpaVote { set_id, round, digest: None }); 3])
    }

    fn beefy(set_id: u64, block: u64) -> SubstrateHistory {
        SubstrateHistory::Beefy(Some(BeefyVote { set_id, block, digest: None }))
    }

    fn sessions(floor: u32) -> SubstrateHistory {
        SubstrateHistory::Statements(Some(OpenSessions::from_floor(floor)))
    }

    fn seal(slot: u64) -> SubstrateHistory {
        SubstrateHistory::Seals(Some(Seal { slot: Slot(slot), pre_hash: None }))
    }

    #[test]
    fn what_no_chain_has_reached_is_refused_and_what_one_may_have_is_not() {
        let (seconds, present) = (1_800_000_000, 300_000_000);
        for (history, fits) in [
            (grandpa(seconds, 10 * seconds), true),
            (grandpa(seconds + 1, 0), false),
            (grandpa(0, 10 * seconds + 1), false),
            (grandpa(u64::MAX, u64::MAX), false),
            (beefy(seconds, 10 * seconds), true),
            (beefy(0, u64::MAX), false),
            (sessions(1_800_000_000), true),
            (sessions(u32::MAX), false),
            (seal(present + 14_400), true),
            (seal(present + 14_401), false),
            (SubstrateHistory::Seals(None), true),
            (SubstrateHistory::Unslashable, true),
        ] {
            let checked = check(&history, 6_000, SINCE_1970);
            assert_eq!(checked.is_ok(), fits, "{history:?}: {checked:?}");
        }
        let error = check(&grandpa(4, u64::MAX), 6_000, SINCE_1970).unwrap_err();
        assert_eq!(error.code, "too-far-ahead");
        assert!(error.message.contains("round 18446744073709551615; by this clock at most"));
    }

    #[test]
    fn a_floor_is_no_further_ahead_than_the_key_could_have_signed() {
        let of = |key_type, history| SubstrateRecord {
            history,
            awaits_floor: true,
            ..SubstrateRecord::fresh(Digest([1; 32]), key_type).unwrap()
        };
        let step = 1 << 24;
        for (record, near, far) in [
            (of(KeyType::GRANDPA, grandpa(4, 9)), grandpa(4, 9 + step), grandpa(4, 10 + step)),
            (of(KeyType::BEEFY, beefy(4, 9)), beefy(5, 9 + step), beefy(5, 10 + step)),
            (
                of(KeyType::PARACHAIN, sessions(4)),
                sessions(10 + (1 << 14)),
                sessions(11 + (1 << 14)),
            ),
        ] {
            assert_eq!(check_step(&record, &near), Ok(()), "{record:?}");
            let error = check_step(&record, &far).unwrap_err();
            assert!(error.message.contains("record says"), "{}", error.message);
            // Behind what it signed: the merge leaves the record as it is.
            assert_eq!(check_step(&record, &record.history), Ok(()));
        }
        let unknown = SubstrateRecord::fresh(Digest([1; 32]), KeyType::GRANDPA).unwrap();
        assert_eq!(check_step(&unknown, &grandpa(400_000, 0)), Ok(()));
    }
}
