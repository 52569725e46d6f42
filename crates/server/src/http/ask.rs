//! One handler for every path that is a question to the core.
//!
//! Invariant: a question carries what the client presented and what it sent, nothing that the front
//! made of it.

use std::convert::Infallible;

use axum::body::Bytes;
use axum::extract::{Extension, FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};

use super::{Shared, reply};
use crate::link::message::{Question, Reply};
use crate::policy::Presented;

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
    Extension(presented): Extension<Presented>,
    RawPath(public_key): RawPath,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let question = Question::Sign { public_key, body: body.into() };
    match shared.core.ask(&presented, question).await {
        Reply::Signature(signature) if wants_text(&headers) => {
            ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], signature).into_response()
        }
        answer => reply::of(answer),
    }
}

/// Plain hex only for a client that asks for text and not for JSON or anything.
fn wants_text(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("*/*");
    let accepts = |kind: &str| accept.split(',').any(|part| part.trim().starts_with(kind));
    accepts("text/plain") && !accepts("application/json") && !accepts("*/*")
}

/// A question without a body.
pub(super) fn plain(
    question: fn() -> Question,
) -> impl Clone + Send + Fn(State<Shared>, Extension<Presented>) -> Answering {
    move |State(shared), Extension(presented)| {
        Box::pin(async move { reply::of(shared.core.ask(&presented, question()).await) })
    }
}

/// A question that is a body.
pub(super) fn with_body(
    question: fn(Vec<u8>) -> Question,
) -> impl Clone + Send + Fn(State<Shared>, Extension<Presented>, Bytes) -> Answering {
    move |State(shared), Extension(presented), body| {
        let question = question(body.into());
        Box::pin(async move { reply::of(shared.core.ask(&presented, question).await) })
    }
}

type Answering = std::pin::Pin<Box<dyn Future<Output = Response> + Send>>;
