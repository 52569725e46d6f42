//! How the guard is: the health report, the core's series, and what the console shows.
//!
//! Invariant: nothing in here is a secret or a request's body; whoever reaches the metrics listener
//! may read it.

use std::time::SystemTime;

use palisade_protect::Duty;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Core, reply};
use crate::engine::{Decision, Verdict};
use crate::link::message::Reply;

/// Keys shown in the console; a guard can hold 100,000.
const KEYS_SHOWN: usize = 100;

/// What the console shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsoleState {
    /// What is missing until the guard is ready.
    pub missing: Vec<String>,
    /// The network's name.
    pub network: String,
    /// The pinned genesis validators root, once known.
    pub genesis_validators_root: Option<String>,
    /// The first keys, in order; a session key with its type, and once for each.
    pub keys: Vec<String>,
    /// How many such rows there are.
    pub key_rows: usize,
    /// How many keys there are.
    pub key_count: usize,
    /// Half of all requests took at most this long, in microseconds; `u64::MAX` is longer than
    /// was measured.
    pub latency_half_us: Option<u64>,
    /// 99 of 100 took at most this long.
    pub latency_99_us: Option<u64>,
    /// Announced headers of session keys that are kept for their seal.
    pub announced_headers: usize,
    /// Bytes of what came with them.
    pub announced_body_bytes: usize,
    /// Batches that wait for the ledger.
    pub ledger_queue: usize,
    /// Durable commits since the start.
    pub commits: u64,
    /// The last requests that were not signed, newest first.
    pub denied: Vec<DecisionRow>,
    /// The last signed duties that leave a record, newest first.
    pub signed: Vec<DecisionRow>,
}

/// One decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionRow {
    /// How long ago, in seconds.
    pub ago_s: u64,
    /// The client that asked.
    pub client: String,
    /// The key that was asked.
    pub public_key: String,
    /// The duty and its place on the chain.
    pub duty: String,
    /// The stable code of a denial.
    pub code: Option<String>,
    /// Its sentence.
    pub message: Option<String>,
    /// The record that forbids it.
    pub evidence: Option<String>,
}

/// The core's series as OpenMetrics text.
pub(super) async fn metrics(core: &Core) -> Reply {
    let missing = core.readiness.missing().await;
    core.readiness.observe(&missing);
    core.engine.metrics().observe_announced(core.engine.announced());
    match core.engine.metrics().encode() {
        Ok(text) => Reply::Metrics(text),
        Err(_) => Reply::error(500, "internal-error", "the metrics could not be written"),
    }
}

/// Web3Signer's report.
pub(super) async fn healthcheck(core: &Core) -> Reply {
    let missing = core.readiness.missing().await;
    let up = |good: bool| if good { "UP" } else { "DOWN" };
    let keys = core.engine.keychain().len();
    let failed = core.administrator.configured_keys().saturating_sub(keys);
    let body = json!({
        "status": up(missing.is_empty()),
        "outcome": up(missing.is_empty()),
        "checks": [
            { "id": "default-check", "status": "UP" },
            {
                "id": "slashing-protection-db-health-check",
                "status": up(core.engine.ledger().is_writable()),
            },
            {
                "id": "keys-check",
                "status": up(failed == 0),
                "data": { "keys-loaded": keys, "error-count": failed },
            },
        ],
        "message": missing.join("; "),
    });
    Reply::json(if missing.is_empty() { 200 } else { 503 }, &body)
}

/// What the console shows.
pub(super) async fn console(core: &Core) -> Reply {
    let engine = &core.engine;
    let keychain = engine.keychain();
    let quantile = |share: f64| {
        // A bucket's bound, or infinity: rounding up to microseconds and saturating is exact.
        engine.metrics().latency_quantile(share).map(|seconds| (seconds * 1e6).ceil() as u64)
    };
    let announced = engine.announced();
    let validators = keychain.public_keys().map(ToString::to_string);
    let sessions = keychain.sessions().iter();
    let sessions = sessions.map(|key| format!("{} {}", key.public_key, key.key_type));
    Reply::Console(Box::new(ConsoleState {
        missing: core.readiness.missing().await,
        network: engine.network().name.clone(),
        genesis_validators_root: engine.genesis_validators_root().map(|root| root.to_string()),
        keys: validators.chain(sessions).take(KEYS_SHOWN).collect(),
        key_rows: keychain.public_keys().count() + keychain.sessions().len(),
        key_count: keychain.len(),
        latency_half_us: quantile(0.5),
        latency_99_us: quantile(0.99),
        announced_headers: announced.headers,
        announced_body_bytes: announced.body_bytes,
        ledger_queue: engine.ledger().queue_depth(),
        commits: engine.ledger().statistics().commits,
        denied: engine.recent().denied().iter().map(row).collect(),
        signed: engine.recent().signed().iter().map(row).collect(),
    }))
}

fn row(decision: &Decision) -> DecisionRow {
    let (code, message, refusal) = match &decision.verdict {
        Verdict::Signed => (None, None, None),
        Verdict::Denied { code, message, refusal } => {
            (Some((*code).to_owned()), Some(message.clone()), refusal.as_ref())
        }
    };
    DecisionRow {
        ago_s: ago(decision.time),
        client: decision.client.clone(),
        public_key: decision.asked.public_key.clone(),
        duty: format!("{} {}", decision.asked.kind, place(decision.asked.duty.as_ref())),
        code,
        message,
        evidence: refusal.map(|refusal| reply::forbidden_by(refusal).to_string()),
    }
}

fn place(duty: Option<&Duty>) -> String {
    match duty {
        Some(Duty::Proposal { slot } | Duty::Seal { slot }) => format!("slot {slot}"),
        Some(Duty::Attestation { source, target }) => format!("epochs {source} → {target}"),
        Some(Duty::GrandpaVote { stage, set_id, round }) => {
            format!("{stage}, set {set_id}, round {round}")
        }
        Some(Duty::BeefyVote { set_id, block }) => format!("set {set_id}, block {block}"),
        _ => String::new(),
    }
}

fn ago(time: SystemTime) -> u64 {
    time.elapsed().map_or(0, |passed| passed.as_secs())
}
