//! From outcomes to status codes and JSON bodies: the one place that knows both.
//!
//! 200 signed · 400 the request is wrong · 401 who are you · 403 not yours to manage · 404 unknown
//! key or path · 412 a rule says no · 413 too long · 503 overloaded or the store cannot be written
//! · 500 our bug. Every body that is not a success is `{"message", "code"}`, 412 with `"evidence"`.

use palisade_ethereum::RequestError;
use palisade_protect::{Bound, Duty, Evidence, Refusal};
use serde::Serialize;
use serde_json::{Value, json};

use crate::engine::Denial;
use crate::link::message::Reply;
use crate::policy::NotRecognised;

/// The body of every answer that is not a success.
#[derive(Debug, Serialize)]
pub struct ErrorBody {
    /// What happened, and what to do next.
    pub message: String,
    /// A stable kebab-case name.
    pub code: &'static str,
    /// For a refusal: what was asked, and what forbids it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Value>,
}

/// The status code for a denial.
pub(super) fn status_of(denial: &Denial) -> u16 {
    match denial {
        Denial::BadRequest(_) => 400,
        Denial::UnknownKey { .. } => 404,
        Denial::Refused(_) | Denial::Forbidden(_) | Denial::WrongGenesis { .. } => 412,
        Denial::Overloaded | Denial::Store(_) => 503,
        Denial::Bug(_) => 500,
    }
}

/// The JSON body for a denial.
pub(super) fn body_of(denial: &Denial) -> ErrorBody {
    ErrorBody { message: denial.to_string(), code: denial.code(), evidence: evidence_of(denial) }
}

/// The answer for a denial.
pub(super) fn of(denial: &Denial) -> Reply {
    Reply::json(status_of(denial), &body_of(denial))
}

/// The answer to somebody whom the policy does not know.
pub(super) fn of_stranger(who: NotRecognised) -> Reply {
    Reply::error(401, who.code(), who.to_string())
}

fn evidence_of(denial: &Denial) -> Option<Value> {
    match denial {
        Denial::Refused(refusal) => Some(refusal_evidence(refusal)),
        Denial::Forbidden(forbidden) => Some(json!({
            "asked": { "operation": forbidden.operation.code() },
            "forbidden_by": { "policy_of_client": forbidden.client },
        })),
        Denial::WrongGenesis { pinned, given } => Some(json!({
            "asked": { "genesis_validators_root": given.to_string() },
            "forbidden_by": { "genesis_validators_root": pinned.to_string() },
        })),
        Denial::BadRequest(RequestError::SigningRootMismatch { given, computed }) => Some(json!({
            "given": given.to_string(),
            "computed": computed.to_string(),
        })),
        _ => None,
    }
}

/// What was asked and the record that forbids it. Numbers are decimal strings, as in the requests.
fn refusal_evidence(refusal: &Refusal) -> Value {
    json!({ "asked": asked(refusal), "forbidden_by": forbidden_by(refusal) })
}

/// The record, or the operator's line, that forbids what was asked.
pub(super) fn forbidden_by(refusal: &Refusal) -> Value {
    let root = |root: Option<palisade_protect::Digest>| root.map(|root| root.to_string());
    match refusal.evidence {
        Evidence::Proposal(last) => json!({
            "last_proposal": { "slot": last.slot.to_string(), "signing_root": root(last.root) }
        }),
        Evidence::Attestation(last) => json!({
            "last_attestation": {
                "source_epoch": last.source.to_string(),
                "target_epoch": last.target.to_string(),
                "signing_root": root(last.root),
            }
        }),
        Evidence::Seal(last) => json!({
            "last_seal": { "slot": last.slot.to_string(), "pre_hash": root(last.pre_hash) }
        }),
        Evidence::GrandpaVote(last) => json!({
            "last_vote": {
                "set_id": last.set_id.to_string(),
                "round": last.round.to_string(),
                "digest": root(last.digest),
            }
        }),
        Evidence::BeefyVote(last) => json!({
            "last_commitment": {
                "set_id": last.set_id.to_string(),
                "block": last.block.to_string(),
                "digest": root(last.digest),
            }
        }),
        Evidence::Stance(stance) => json!({
            "already_said": stance.statements().map(|said| said.to_string()).collect::<Vec<_>>(),
        }),
        Evidence::SessionFloor(session) => json!({ "first_session": session.to_string() }),
        Evidence::Candidates { session, candidates } => json!({
            "session": session.to_string(), "candidates": candidates.to_string(),
        }),
        Evidence::StopLine(Bound { slot, epoch }) => json!({
            "stop_line": { "slot": slot.to_string(), "epoch": epoch.to_string() }
        }),
        Evidence::Request => json!("the request itself"),
    }
}

fn asked(refusal: &Refusal) -> Value {
    let signing_root = refusal.asked.digest.to_string();
    match refusal.asked.duty {
        Duty::Proposal { slot } => {
            json!({ "slot": slot.to_string(), "signing_root": signing_root })
        }
        Duty::Attestation { source, target } => json!({
            "source_epoch": source.to_string(),
            "target_epoch": target.to_string(),
            "signing_root": signing_root,
        }),
        Duty::Seal { slot } => json!({ "slot": slot.to_string(), "pre_hash": signing_root }),
        Duty::GrandpaVote { stage, set_id, round } => json!({
            "stage": stage.to_string(),
            "set_id": set_id.to_string(),
            "round": round.to_string(),
            "digest": signing_root,
        }),
        Duty::BeefyVote { set_id, block } => json!({
            "set_id": set_id.to_string(), "block": block.to_string(), "digest": signing_root,
        }),
        Duty::ParaStatement { subject, statement } => json!({
            "statement": statement.to_string(),
            "session": subject.session.to_string(),
            "candidate": subject.candidate.to_string(),
            "digest": signing_root,
        }),
        _ => json!({ "signing_root": signing_root }),
    }
}
