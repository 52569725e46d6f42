//! Alive, ready, and the numbers.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::{Shared, reply};

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
    let missing = shared.readiness.missing().await;
    if missing.is_empty() {
        return Json(json!({ "ready": true })).into_response();
    }
    let body = json!({
        "ready": false, "code": "not-ready", "message": missing.join("; "),
        "not_ready_because": missing,
    });
    (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
}

/// `GET /healthcheck`, in Web3Signer's form.
pub(super) async fn healthcheck(State(shared): State<Shared>) -> Response {
    let missing = shared.readiness.missing().await;
    let up = |good: bool| if good { "UP" } else { "DOWN" };
    let keys = shared.engine.keychain().len();
    let failed = shared.administrator.configured_keys().saturating_sub(keys);
    let body = json!({
        "status": up(missing.is_empty()),
        "outcome": up(missing.is_empty()),
        "checks": [
            { "id": "default-check", "status": "UP" },
            {
                "id": "slashing-protection-db-health-check",
                "status": up(shared.engine.ledger().is_writable()),
            },
            {
                "id": "keys-check",
                "status": up(failed == 0),
                "data": { "keys-loaded": keys, "error-count": failed },
            },
        ],
        "message": missing.join("; "),
    });
    let status = if missing.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(body)).into_response()
}

/// `GET /metrics`
pub(super) async fn metrics(State(shared): State<Shared>) -> Response {
    let missing = shared.readiness.missing().await;
    shared.readiness.observe(&missing);
    match shared.engine.metrics().encode() {
        Ok(text) => (
            [(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")],
            text,
        )
            .into_response(),
        Err(_) => reply::error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal-error",
            "the metrics could not be written",
        ),
    }
}
