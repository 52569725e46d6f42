//! Alive, ready, and the numbers: the metrics listener, and what is open to all.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::{Shared, reply};
use crate::link::message::{Question, Reply};
use crate::policy::Presented;

/// How OpenMetrics text ends.
const END: &str = "# EOF\n";

/// `GET /upcheck`, as Web3Signer answers it.
pub(super) async fn upcheck() -> &'static str {
    "OK"
}

/// `GET /healthz`: the process lives and serves.
pub(super) async fn healthz() -> Response {
    Json(json!({ "alive": true })).into_response()
}

/// `GET /readyz`: 200 only when the guard can do all that it is configured for.
pub(super) async fn readyz(State(shared): State<Shared>) -> Response {
    let mut missing = match shared.core.ask(&Presented::default(), Question::Readiness).await {
        Reply::Missing(missing) => missing,
        answer => return reply::of(answer),
    };
    // Of the connections that the front opens the core knows nothing.
    missing.extend(shared.nodes.missing());
    if missing.is_empty() {
        return Json(json!({ "ready": true })).into_response();
    }
    let body = json!({
        "ready": false, "code": "not-ready", "message": missing.join("; "),
        "not_ready_because": missing,
    });
    (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
}

/// `GET /metrics`: the core's series, then the front's own.
pub(super) async fn metrics(State(shared): State<Shared>) -> Response {
    let text = match shared.core.ask(&Presented::default(), Question::Metrics).await {
        Reply::Metrics(text) => text,
        answer => return reply::of(answer),
    };
    let Ok(own) = shared.metrics.encode() else {
        return reply::error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal-error",
            "the metrics could not be written",
        );
    };
    let text = format!("{}{own}", text.strip_suffix(END).unwrap_or(&text));
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}
