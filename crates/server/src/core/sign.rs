//! The signing questions: one request to the engine, one outcome to an answer.

use std::sync::Arc;

use palisade_ethereum::PublicKey;
use serde::Serialize;
use serde_json::json;

use super::reply::{self, ErrorBody};
use crate::admin::Administrator;
use crate::engine::{Denial, Engine, Outcome};
use crate::link::message::Reply;
use crate::policy::Client;

#[derive(Serialize)]
struct BatchResult {
    identifier: PublicKeyText,
    #[serde(flatten)]
    result: BatchOutcome,
}

struct PublicKeyText(PublicKey);

impl Serialize for PublicKeyText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum BatchOutcome {
    Signature(String),
    Error(BatchError),
}

#[derive(Serialize)]
struct BatchError {
    status: u16,
    #[serde(flatten)]
    body: ErrorBody,
}

/// One message, one key.
pub(super) async fn sign(engine: &Engine, client: &Client, public_key: &str, body: &[u8]) -> Reply {
    match engine.sign(client, public_key, body).await {
        Ok(signature) => Reply::Signature(signature.to_string()),
        Err(denial) => reply::of(&denial),
    }
}

/// One message, many keys, results in order.
pub(super) async fn sign_batch(engine: &Engine, client: &Client, body: &[u8]) -> Reply {
    let answer = match engine.sign_batch(client, body).await {
        Ok(answer) => answer,
        Err(denial) => return reply::of(&denial),
    };
    let result = |(public_key, outcome)| BatchResult {
        identifier: PublicKeyText(public_key),
        result: batch_outcome(outcome),
    };
    let results: Vec<_> = answer.results.into_iter().map(result).collect();
    Reply::json(200, &results)
}

fn batch_outcome(outcome: Outcome) -> BatchOutcome {
    match outcome {
        Ok(signature) => BatchOutcome::Signature(signature.to_string()),
        Err(denial) => BatchOutcome::Error(BatchError {
            status: reply::status_of(&denial),
            body: reply::body_of(&denial),
        }),
    }
}

/// The validators' keys that the client may see.
pub(super) fn public_keys(engine: &Engine, client: &Client) -> Reply {
    let keys: Vec<_> = engine.public_keys(client).into_iter().map(PublicKeyText).collect();
    Reply::json(200, &keys)
}

/// The lowest stop-line of any key, or nothing.
pub(super) async fn high_watermark(administrator: &Arc<Administrator>) -> Reply {
    let administrator = Arc::clone(administrator);
    let lowest = tokio::task::spawn_blocking(move || administrator.lowest_stop_line()).await;
    match lowest {
        Ok(Ok(Some(bound))) => Reply::json(
            200,
            &json!({ "epoch": bound.epoch.to_string(), "slot": bound.slot.to_string() }),
        ),
        Ok(Ok(None)) => Reply::json(200, &json!({})),
        Ok(Err(error)) => reply::of(&Denial::from_store(error)),
        Err(_) => reply::of(&Denial::bug("the watermark task ended")),
    }
}
