//! Session keys of Substrate chains: for each kind of message the place must grow, or the message
//! must be the last one again.
//!
//! Sources: an equivocation is two different messages of one place. GRANDPA: two prevotes or two
//! precommits of one round and set (`sp_consensus_grandpa::check_equivocation_proof`); a second
//! primary proposal is no offence, and is refused all the same. BABE: two sealed headers of one
//! slot (`sp_consensus_babe::check_equivocation_proof`); the seal of one pre-hash is the same bytes
//! each time, because a second, different one is an equivocation too. BEEFY: two commitments for
//! one block and set (`sp_consensus_beefy::check_double_voting_proof`).
//!
//! A jump is bounded, so that one message of a broken node cannot use up a key's whole future.

use super::statement;
use crate::substrate::{
    BeefyVote, GrandpaStage, GrandpaVote, Seal, SubstrateHistory, SubstrateRecord,
};
use crate::{Duty, Evidence, Intent, Refusal, RefusalKind, Slot, Stance};

/// Sets, or sessions, that one step may skip. One lasts hours; this many last more than a year.
pub(super) const MAX_SET_ID_STEP: u64 = 1 << 14;
/// Rounds or blocks that one step may skip: at one a second, half a year.
const MAX_ROUND_STEP: u64 = 1 << 24;

pub(super) fn decide(
    record: &SubstrateRecord,
    mut stance: Stance,
    asked: &Intent,
) -> Result<(SubstrateRecord, Stance), Refusal> {
    let refuse = |kind, evidence| Err(Refusal { kind, asked: *asked, evidence });
    let history = match (asked.duty, record.history) {
        (Duty::Irrevocable | Duty::Harmless, _) => return Ok((*record, stance)),
        (
            Duty::Seal { .. }
            | Duty::GrandpaVote { .. }
            | Duty::BeefyVote { .. }
            | Duty::ParaStatement { .. },
            SubstrateHistory::Seals(_)
            | SubstrateHistory::Grandpa(_)
            | SubstrateHistory::Beefy(_)
            | SubstrateHistory::Statements(_),
        ) if record.awaits_floor => {
            return refuse(RefusalKind::AwaitsFloor, Evidence::Request);
        }
        (Duty::Seal { slot }, SubstrateHistory::Seals(last)) => {
            SubstrateHistory::Seals(Some(decide_seal(last, slot, asked)?))
        }
        (Duty::GrandpaVote { stage, set_id, round }, SubstrateHistory::Grandpa(mut votes)) => {
            let vote = GrandpaVote { set_id, round, digest: Some(asked.digest) };
            let highest = votes.iter().flatten().map(GrandpaVote::place).max();
            check_step(highest, vote.place(), asked)?;
            for (at, last) in GrandpaStage::ALL.into_iter().zip(&mut votes) {
                if at == stage {
                    *last = Some(decide_vote(*last, vote, asked)?);
                }
            }
            SubstrateHistory::Grandpa(votes)
        }
        (Duty::BeefyVote { set_id, block }, SubstrateHistory::Beefy(last)) => {
            let vote = BeefyVote { set_id, block, digest: Some(asked.digest) };
            SubstrateHistory::Beefy(Some(decide_beefy(last, vote, asked)?))
        }
        (Duty::ParaStatement { subject, statement }, SubstrateHistory::Statements(open)) => {
            let said = (subject, statement);
            let (open, next) = statement::decide(open, stance, said, asked)?;
            stance = next;
            SubstrateHistory::Statements(Some(open))
        }
        _ => return refuse(RefusalKind::DutyOfAnotherChain, Evidence::Request),
    };
    Ok((SubstrateRecord { history, ..*record }, stance))
}

fn decide_seal(last: Option<Seal>, slot: Slot, asked: &Intent) -> Result<Seal, Refusal> {
    let next = Seal { slot, pre_hash: Some(asked.digest) };
    let Some(last) = last else { return Ok(next) };
    if last.slot < slot || last == next {
        return Ok(next);
    }
    let kind = if last.slot == slot { RefusalKind::DoubleSeal } else { RefusalKind::SealBehind };
    Err(Refusal { kind, asked: *asked, evidence: Evidence::Seal(last) })
}

fn decide_vote(
    last: Option<GrandpaVote>,
    next: GrandpaVote,
    asked: &Intent,
) -> Result<GrandpaVote, Refusal> {
    let Some(last) = last else { return Ok(next) };
    if last.place() < next.place() || last == next {
        return Ok(next);
    }
    let kind = if last.place() == next.place() {
        RefusalKind::DoubleGrandpaVote
    } else {
        RefusalKind::GrandpaVoteBehind
    };
    Err(Refusal { kind, asked: *asked, evidence: Evidence::GrandpaVote(last) })
}

fn decide_beefy(
    last: Option<BeefyVote>,
    next: BeefyVote,
    asked: &Intent,
) -> Result<BeefyVote, Refusal> {
    let Some(last) = last else { return Ok(next) };
    let refuse = |kind| Err(Refusal { kind, asked: *asked, evidence: Evidence::BeefyVote(last) });
    if last == next {
        return Ok(next);
    }
    if last.place() == next.place() {
        return refuse(RefusalKind::DoubleBeefyVote);
    }
    if next.set_id < last.set_id || next.block <= last.block {
        return refuse(RefusalKind::BeefyVoteBehind);
    }
    let far =
        MAX_SET_ID_STEP < next.set_id - last.set_id || MAX_ROUND_STEP < next.block - last.block;
    if far { refuse(RefusalKind::TooFarAhead) } else { Ok(next) }
}

/// Bounds how far a vote may lie ahead of the highest one. A new set starts its rounds anew.
fn check_step(
    highest: Option<(u64, u64)>,
    (set_id, round): (u64, u64),
    asked: &Intent,
) -> Result<(), Refusal> {
    let Some((last_set, last_round)) = highest else { return Ok(()) };
    let from = if last_set < set_id { 0 } else { last_round };
    let is_far = MAX_SET_ID_STEP < set_id.saturating_sub(last_set)
        || (last_set <= set_id && MAX_ROUND_STEP < round.saturating_sub(from));
    if !is_far {
        return Ok(());
    }
    let last = GrandpaVote { set_id: last_set, round: last_round, digest: None };
    let evidence = Evidence::GrandpaVote(last);
    Err(Refusal { kind: RefusalKind::TooFarAhead, asked: *asked, evidence })
}
