//! The operator's stop-line: nothing at or above one bound, nothing below another.
//!
//! It stands above all other rules, also above the right to repeat the last message: a key that
//! moves to another guard must fall silent here at a place that both sides know. Only proposals and
//! attestations have such a place; every other duty stands here by name, so that nobody adds one
//! without a decision.

use crate::{Bound, Duty, Evidence, Intent, Refusal, RefusalKind, StopLine};

pub(super) fn check(line: &StopLine, asked: &Intent) -> Result<(), Refusal> {
    let refuse =
        |kind, bound| Err(Refusal { kind, asked: *asked, evidence: Evidence::StopLine(bound) });
    if let Some(bound) = line.at_or_above.filter(|bound| reaches(asked, bound)) {
        return refuse(RefusalKind::AtOrAboveStopLine, bound);
    }
    if let Some(bound) = line.below.filter(|bound| is_below(asked, bound)) {
        return refuse(RefusalKind::BelowStopLine, bound);
    }
    Ok(())
}

fn reaches(asked: &Intent, bound: &Bound) -> bool {
    match asked.duty {
        Duty::Proposal { slot } => bound.slot <= slot,
        Duty::Attestation { source, target } => bound.epoch <= source.max(target),
        Duty::GrandpaVote { .. }
        | Duty::Seal { .. }
        | Duty::BeefyVote { .. }
        | Duty::ParaStatement { .. }
        | Duty::Irrevocable
        | Duty::Harmless => false,
    }
}

fn is_below(asked: &Intent, bound: &Bound) -> bool {
    match asked.duty {
        Duty::Proposal { slot } => slot < bound.slot,
        // The source of a vote lies some epochs before its target, so only the target counts.
        Duty::Attestation { target, .. } => target < bound.epoch,
        Duty::GrandpaVote { .. }
        | Duty::Seal { .. }
        | Duty::BeefyVote { .. }
        | Duty::ParaStatement { .. }
        | Duty::Irrevocable
        | Duty::Harmless => false,
    }
}
