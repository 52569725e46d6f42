//! The last decisions, kept in memory for the console.
//!
//! Invariants: bounded, and so are the log lines; holds nothing that the journal or an answer would
//! not show.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::SystemTime;

use palisade_ethereum::{PublicKey, SigningRequest};
use palisade_protect::{Duty, Refusal};

use super::{Denial, Outcome, SessionDenial, session};
use crate::log_budget::LogBudget;
use crate::policy::Client;

const DUTIES_KEPT: usize = 50;
const REFUSALS_KEPT: usize = 50;

/// What was asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The key that was asked, `0x` hex; shortened if it is none.
    pub public_key: String,
    /// The name of the kind of duty, as in the metrics.
    pub kind: &'static str,
    /// Where on the chain; unknown for what was turned away before it was read.
    pub duty: Option<Duty>,
}

/// One decision.
#[derive(Clone, Debug)]
pub struct Decision {
    /// When.
    pub time: SystemTime,
    /// The client that asked.
    pub client: String,
    /// What it asked for.
    pub asked: Asked,
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

impl Asked {
    /// A validator's duty.
    #[must_use]
    pub fn of(public_key: &PublicKey, request: &SigningRequest) -> Self {
        let (kind, duty) = (request.kind.code(), Some(request.intent.duty));
        Self { public_key: public_key.to_string(), kind, duty }
    }

    /// A session key's.
    pub(super) fn of_session(public_key: &[u8], kind: &'static str) -> Self {
        Self { public_key: format!("0x{}", session::text_of(public_key)), kind, duty: None }
    }

    pub(super) fn about(self, duty: Duty) -> Self {
        Self { duty: Some(duty), ..self }
    }
}

/// A reason not to sign.
pub(super) trait Reason: std::fmt::Display {
    fn code(&self) -> &'static str;
    fn refusal(&self) -> Option<&Refusal>;
}

impl Reason for Denial {
    fn code(&self) -> &'static str {
        self.code()
    }

    fn refusal(&self) -> Option<&Refusal> {
        self.refusal()
    }
}

impl Reason for SessionDenial {
    fn code(&self) -> &'static str {
        self.code()
    }

    fn refusal(&self) -> Option<&Refusal> {
        self.refusal()
    }
}

impl Recent {
    pub(super) fn note(&self, client: &Client, asked: &Asked, outcome: &Outcome) {
        match outcome {
            Ok(_) => self.note_signed(client, asked),
            Err(denial) => self.note_denied(client, asked, denial),
        }
    }

    /// Keeps a duty that leaves a record.
    pub(super) fn note_signed(&self, client: &Client, asked: &Asked) {
        if asked.duty.as_ref().is_some_and(super::is_recorded) {
            keep(&self.signed, DUTIES_KEPT, decision(client, asked.clone(), Verdict::Signed));
        }
    }

    /// Keeps and logs what was not signed.
    pub(super) fn note_denied(&self, client: &Client, asked: &Asked, reason: &impl Reason) {
        let (code, message) = (reason.code(), reason.to_string());
        let refusal = reason.refusal().copied();
        let duty = asked.duty.or(refusal.map(|refusal| refusal.asked.duty));
        if let Some(left_out) = self.log.spend() {
            tracing::warn!(
                client = client.name,
                public_key = asked.public_key,
                kind = asked.kind,
                code,
                ?duty,
                why = message,
                left_out_before = left_out,
                "not signed"
            );
        }
        let verdict = Verdict::Denied { code, message, refusal };
        let asked = Asked { duty, ..asked.clone() };
        keep(&self.denied, REFUSALS_KEPT, decision(client, asked, verdict));
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

fn decision(client: &Client, asked: Asked, verdict: Verdict) -> Decision {
    Decision { time: SystemTime::now(), client: client.name.clone(), asked, verdict }
}

fn keep(queue: &Mutex<VecDeque<Decision>>, most: usize, decision: Decision) {
    let mut queue = queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if queue.len() == most {
        queue.pop_back();
    }
    queue.push_front(decision);
}
