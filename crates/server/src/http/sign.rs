//! The signing paths: one request to the engine, one outcome to an answer.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use palisade_ethereum::PublicKey;
use palisade_keys::Signature;
use serde::Serialize;
use serde_json::json;
use std::convert::Infallible;

use super::identity::RecognisedClient;
use super::{Shared, reply};
use crate::engine::{Denial, Outcome};

/// The key as written in the path. What is not UTF-8 is a key that is not here.
pub(super) struct RawPath(String);

impl<S: Send + Sync> FromRequestParts<S> for RawPath {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let decoded = Path::<String>::from_request_parts(parts, state).await;
        Ok(Self(decoded.map_or_else(|_| "(not UTF-8)".to_owned(), |Path(text)| text)))
    }
}

/// `POST /api/v1/eth2/sign/{public_key}`
pub(super) async fn sign(
    State(shared): State<Shared>,
    Extension(client): Extension<RecognisedClient>,
    RawPath(public_key): RawPath,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match shared.engine.sign(&client.0, &public_key, &body).await {
        Ok(signature) if wants_text(&headers) => {
            ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], signature.to_string())
                .into_response()
        }
        Ok(signature) => signed(&signature),
        Err(denial) => denial.into_response(),
    }
}

fn signed(signature: &Signature) -> Response {
    let body = format!("{{\"signature\":\"{signature}\"}}");
    ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], body).into_response()
}

/// Plain hex only for a client that asks for text and not for JSON or anything.
fn wants_text(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("*/*");
    let accepts = |kind: &str| accept.split(',').any(|part| part.trim().starts_with(kind));
    accepts("text/plain") && !accepts("application/json") && !accepts("*/*")
}

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
    body: reply::ErrorBody,
}

/// `POST /api/v1/eth2/sign`: one message, many keys, results in order.
pub(super) async fn sign_batch(
    State(shared): State<Shared>,
    Extension(client): Extension<RecognisedClient>,
    body: Bytes,
) -> Response {
    let answer = match shared.engine.sign_batch(&client.0, &body).await {
        Ok(answer) => answer,
        Err(denial) => return denial.into_response(),
    };
    let results: Vec<_> = answer
        .results
        .into_iter()
        .map(|(public_key, outcome)| BatchResult {
            identifier: PublicKeyText(public_key),
            result: batch_outcome(outcome),
        })
        .collect();
    Json(results).into_response()
}

fn batch_outcome(outcome: Outcome) -> BatchOutcome {
    let error = |denial: &Denial| BatchError {
        status: reply::status_of(denial).as_u16(),
        body: reply::body_of(denial),
    };
    match outcome {
        Ok(signature) => BatchOutcome::Signature(signature.to_string()),
        Err(denial) => BatchOutcome::Error(error(&denial)),
    }
}

/// `GET /api/v1/eth2/publicKeys`
pub(super) async fn public_keys(
    State(shared): State<Shared>,
    Extension(client): Extension<RecognisedClient>,
) -> Response {
    let keys: Vec<_> =
        shared.engine.public_keys(&client.0).into_iter().map(PublicKeyText).collect();
    Json(keys).into_response()
}

/// `GET /api/v1/eth2/highWatermark`: the lowest stop-line of any key, or nothing.
pub(super) async fn high_watermark(State(shared): State<Shared>) -> Response {
    let administrator = shared.administrator.clone();
    let lowest = tokio::task::spawn_blocking(move || administrator.lowest_stop_line()).await;
    match lowest {
        Ok(Ok(Some(bound))) => Json(json!({
            "epoch": bound.epoch.to_string(), "slot": bound.slot.to_string(),
        }))
        .into_response(),
        Ok(Ok(None)) => Json(json!({})).into_response(),
        Ok(Err(error)) => Denial::from_store(error).into_response(),
        Err(_) => Denial::bug("the watermark task ended").into_response(),
    }
}
