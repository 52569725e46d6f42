//! The last decisions, kept in memory for the console.
//!
//! Invariants: bounded, and so are the log lines; holds nothing that the journal or an answer would
//! not show.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::SystemTime;

use palisade_ethereum::{PublicKey, SigningRequest, SigningType};
use palisade_protect::{Duty, Refusal};

use super::{Denial, Outcome};
use crate::log_budget::LogBudget;
use crate::policy::Client;

const DUTIES_KEPT: usize = 50;
const REFUSALS_KEPT: usize = 50;

/// One decision.
#[derive(Clone, Debug)]
pub struct Decision {
    /// When.
    pub time: SystemTime,
    /// The client that asked.
    pub client: String,
    /// The key that was asked.
    pub public_key: PublicKey,
    /// What was asked.
    pub kind: SigningType,
    /// Where on the chain.
    pub duty: Duty,
    /// What became of it.
    pub verdict: Verdict,
}

/// What became of a request.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It was signed.
    Signed,
    /// It was not.
    Denied {
        /// The stable code.
        code: &'static str,
        /// One sentence.
        message: String,
        /// The evidence, when a slashing rule refused.
        refusal: Option<Refusal>,
    },
}

/// The newest slashable duties and the newest denials.
#[derive(Default)]
pub struct Recent {
    signed: Mutex<VecDeque<Decision>>,
    denied: Mutex<VecDeque<Decision>>,
    log: LogBudget,
}

impl Recent {
    pub(super) fn note(
        &self,
        client: &Client,
        public_key: &PublicKey,
        request: &SigningRequest,
        outcome: &Outcome,
    ) {
        let (queue, kept, verdict) = match outcome {
            Ok(_) if !super::is_recorded(&request.intent.duty) => return,
            Ok(_) => (&self.signed, DUTIES_KEPT, Verdict::Signed),
            Err(denial) => (&self.denied, REFUSALS_KEPT, denied(denial)),
        };
        if let Verdict::Denied { code, message, .. } = &verdict
            && let Some(left_out) = self.log.spend()
        {
            tracing::warn!(
                client = client.name, %public_key, kind = request.kind.code(), code,
                duty = ?request.intent.duty, why = message, left_out_before = left_out, "not signed"
            );
        }
        let decision = Decision {
            time: SystemTime::now(),
            client: client.name.clone(),
            public_key: *public_key,
            kind: request.kind,
            duty: request.intent.duty,
            verdict,
        };
        let mut queue = queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if queue.len() == kept {
            queue.pop_back();
        }
        queue.push_front(decision);
    }

    /// The last signed duties that leave a record, newest first.
    #[must_use]
    pub fn signed(&self) -> Vec<Decision> {
        copy(&self.signed)
    }

    /// The last requests that were not signed, newest first.
    #[must_use]
    pub fn denied(&self) -> Vec<Decision> {
        copy(&self.denied)
    }
}

fn copy(queue: &Mutex<VecDeque<Decision>>) -> Vec<Decision> {
    queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).iter().cloned().collect()
}

fn denied(denial: &Denial) -> Verdict {
    let refusal = match denial {
        Denial::Refused(refusal) => Some(*refusal),
        _ => None,
    };
    Verdict::Denied { code: denial.code(), message: denial.to_string(), refusal }
}
