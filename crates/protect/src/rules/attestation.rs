//! Attestations: the target must grow and the source must not fall, or the message must be the
//! last one again.
//!
//! Source: consensus-specs `phase0/beacon-chain.md`, `is_slashable_attestation_data` (double and
//! surround votes); EIP-3076, conditions 4 and 5 of the minimal strategy. The first vote of a key
//! may have source and target 0 (the genesis epoch), once.

use crate::{Attestation, Epoch, Evidence, Intent, Refusal, RefusalKind};

pub(super) fn decide(
    last: Option<Attestation>,
    source: Epoch,
    target: Epoch,
    asked: &Intent,
) -> Result<Attestation, Refusal> {
    let refuse = |kind, evidence| Err(Refusal { kind, asked: *asked, evidence });
    if target < source {
        return refuse(RefusalKind::SourceAfterTarget, Evidence::Request);
    }
    let next = Attestation { source, target, root: Some(asked.digest) };
    let Some(last) = last else { return Ok(next) };
    if last == next {
        return Ok(next);
    }
    if last.target < target && last.source <= source {
        return Ok(next);
    }
    let kind = if last.target == target {
        RefusalKind::DoubleVote
    } else if last.target < target {
        RefusalKind::SurroundingVote
    } else if last.source < source {
        RefusalKind::SurroundedVote
    } else {
        RefusalKind::TargetBehind
    };
    refuse(kind, Evidence::Attestation(last))
}
