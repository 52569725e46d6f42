//! Proposals: the slot must grow, or the message must be the last one again.
//!
//! Source: consensus-specs `phase0/beacon-chain.md`, "Proposer slashing" (two different signed
//! headers of one slot); EIP-3076, condition 2 of the minimal strategy.

use crate::{Evidence, Intent, Proposal, Refusal, RefusalKind, Slot};

pub(super) fn decide(
    last: Option<Proposal>,
    slot: Slot,
    asked: &Intent,
) -> Result<Proposal, Refusal> {
    let next = Proposal { slot, root: Some(asked.digest) };
    let Some(last) = last else { return Ok(next) };
    if last.slot < slot || last == next {
        return Ok(next);
    }
    let kind =
        if last.slot == slot { RefusalKind::DoubleProposal } else { RefusalKind::ProposalBehind };
    Err(Refusal { kind, asked: *asked, evidence: Evidence::Proposal(last) })
}
