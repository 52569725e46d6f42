//! One decision: does this record allow this intent, and what does the record become?
//!
//! Invariants: pure and by value; the next record forbids at least what the old one forbids; each
//! rule stands in a file of its own with its source on top.

mod attestation;
mod proposal;
mod statement;
mod stop_line;
mod substrate;

use crate::{Duty, EthereumRecord, Evidence, Intent, Record, Refusal, RefusalKind, Stance};

/// False only in a build made to show that the checks of the end-to-end tests can fail.
pub const PROTECTION_IS_ON: bool = !cfg!(feature = "danger-no-protection");

/// Judges `intent` by `record` alone, for every duty that has no [`Duty::subject`].
///
/// Returns the record as it must be made durable before anything is signed. It equals `record`
/// when the intent repeats the last message of its kind, or when it is not slashable.
///
/// # Errors
/// A [`Refusal`] with the evidence; [`RefusalKind::StanceUnknown`] for a duty with a subject, which
/// [`decide_with_stance`] judges.
pub fn decide(record: &Record, intent: &Intent) -> Result<Record, Refusal> {
    if PROTECTION_IS_ON && intent.duty.subject().is_some() {
        let kind = RefusalKind::StanceUnknown;
        return Err(Refusal { kind, asked: *intent, evidence: Evidence::Request });
    }
    decide_with_stance(record, Stance::NONE, intent).map(|(record, _)| record)
}

/// Judges `intent` by `record` and by all that the key said of the intent's subject.
///
/// Returns both as they must be made durable before anything is signed. The stance comes back as it
/// was for every duty without a subject.
///
/// # Errors
/// A [`Refusal`] with the evidence.
pub fn decide_with_stance(
    record: &Record,
    stance: Stance,
    intent: &Intent,
) -> Result<(Record, Stance), Refusal> {
    if !PROTECTION_IS_ON {
        return Ok((*record, stance));
    }
    match record {
        Record::Ethereum(ethereum) => {
            decide_ethereum(ethereum, intent).map(|next| (Record::Ethereum(next), stance))
        }
        Record::Substrate(session) => substrate::decide(session, stance, intent)
            .map(|(next, stance)| (Record::Substrate(next), stance)),
    }
}

fn decide_ethereum(record: &EthereumRecord, intent: &Intent) -> Result<EthereumRecord, Refusal> {
    stop_line::check(&record.stop_line, intent)?;
    let mut next = *record;
    match intent.duty {
        Duty::Proposal { slot } => {
            next.proposal = Some(proposal::decide(record.proposal, slot, intent)?);
        }
        Duty::Attestation { source, target } => {
            next.attestation =
                Some(attestation::decide(record.attestation, source, target, intent)?);
        }
        Duty::Irrevocable | Duty::Harmless => {}
        Duty::GrandpaVote { .. }
        | Duty::Seal { .. }
        | Duty::BeefyVote { .. }
        | Duty::ParaStatement { .. } => {
            let kind = RefusalKind::DutyOfAnotherChain;
            return Err(Refusal { kind, asked: *intent, evidence: Evidence::Request });
        }
    }
    Ok(next)
}
