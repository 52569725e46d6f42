//! Statements on parachain candidates: of one candidate in one session, a key never says both that
//! it is valid and that it is not, seconds it or calls it valid but not both, and speaks of no
//! session that this guard no longer remembers.
//!
//! Sources: `polkadot-runtime-parachains`, `disputes::slashing`: whoever backed or approved a
//! candidate that a dispute finds invalid is punished (`ForInvalidBacked`, `ForInvalidApproved`),
//! and so is whoever disputed one that is found valid (`AgainstValid`); with a statement on each
//! side a key always loses. `polkadot-statement-table`: to second a candidate and to call it valid
//! is a misbehaviour that nodes report (`ValidityDoubleVote`). `paras`: the second vote of a
//! validator on one validation code is refused on chain.
//!
//! Whether a candidate is valid this rule cannot know; it keeps a key from contradicting itself.
//! The floor of sessions only rises, and a jump is bounded, as with votes. How many candidates of a
//! session a key speaks about is bounded too: candidates that nobody made cost a misused key
//! nothing, and the ledger a row each.

use super::substrate::MAX_SET_ID_STEP;
use crate::statement::{
    MAX_CANDIDATES_A_SESSION, OpenSessions, REMEMBERED_SESSIONS, Stance, Statement, Subject,
};
use crate::{Evidence, Intent, Refusal, RefusalKind};

/// Returns the open sessions and the stance as they become.
pub(super) fn decide(
    open: Option<OpenSessions>,
    stance: Stance,
    (subject, statement): (Subject, Statement),
    asked: &Intent,
) -> Result<(OpenSessions, Stance), Refusal> {
    let refuse = |kind, evidence| Err(Refusal { kind, asked: *asked, evidence });
    let session = subject.session;
    if let Some(OpenSessions { floor, .. }) = open {
        if session < floor {
            return refuse(RefusalKind::SessionBehind, Evidence::SessionFloor(floor));
        }
        let newest = u64::from(floor) + u64::from(REMEMBERED_SESSIONS);
        if newest + MAX_SET_ID_STEP < u64::from(session) {
            return refuse(RefusalKind::TooFarAhead, Evidence::SessionFloor(floor));
        }
    }
    if !stance.contains(statement) {
        if opposites(statement).iter().any(|other| stance.contains(*other)) {
            return refuse(RefusalKind::ContradictoryStatement, Evidence::Stance(stance));
        }
        if doubles(statement).is_some_and(|other| stance.contains(other)) {
            return refuse(RefusalKind::DoubleBacking, Evidence::Stance(stance));
        }
    }
    let mut open = open
        .unwrap_or(OpenSessions::from_floor(0))
        .risen_to(session.saturating_sub(REMEMBERED_SESSIONS));
    if stance == Stance::NONE
        && let Some(candidates) = open.count_mut(session)
    {
        if MAX_CANDIDATES_A_SESSION <= *candidates {
            let evidence = Evidence::Candidates { session, candidates: *candidates };
            return refuse(RefusalKind::TooManyCandidates, evidence);
        }
        *candidates += 1;
    }
    Ok((open, stance.with(statement)))
}

/// What cannot be true beside it.
fn opposites(statement: Statement) -> &'static [Statement] {
    use Statement::{
        Approved, CodeAccepted, CodeRejected, DisputedInvalid, DisputedValid, Seconded, Valid,
    };
    match statement {
        Seconded | Valid | Approved | DisputedValid => &[DisputedInvalid],
        DisputedInvalid => &[Seconded, Valid, Approved, DisputedValid],
        CodeAccepted => &[CodeRejected],
        CodeRejected => &[CodeAccepted],
    }
}

/// What says the same a second time, in another way than the backing of a candidate allows.
fn doubles(statement: Statement) -> Option<Statement> {
    match statement {
        Statement::Seconded => Some(Statement::Valid),
        Statement::Valid => Some(Statement::Seconded),
        Statement::Approved
        | Statement::DisputedValid
        | Statement::DisputedInvalid
        | Statement::CodeAccepted
        | Statement::CodeRejected => None,
    }
}
