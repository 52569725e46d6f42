//! HTTP: Web3Signer's paths and status codes on one listener; health, metrics and the console on
//! another. Everything that is specific to HTTP stays in here.
//!
//! Invariants: every answer that is not 200 or 202 is JSON with a message and a code; a request's
//! body is bounded in size and time before anything looks at it; bodies are never logged.

mod body;
mod console;
mod health;
mod identity;
mod key_manager;
mod reload;
mod reply;
mod rpc;
mod rpc_generate;
mod rpc_message;
mod rpc_socket;
mod sign;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Extension};
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};

pub use body::BodyBudget;
pub(crate) use identity::ConnectionCertificate;
pub use reload::Reloader;
pub use reply::ErrorBody;
pub use rpc::OPENRPC;

use crate::admin::Administrator;
use crate::engine::Engine;
use crate::readiness::ReadinessProbe;

/// What all handlers share.
#[derive(Clone)]
pub struct Shared {
    /// Decides and signs.
    pub engine: Arc<Engine>,
    /// Changes keys and history.
    pub administrator: Arc<Administrator>,
    /// Reads the policy again.
    pub reloader: Arc<Reloader>,
    /// Says whether the guard can do what it is configured for.
    pub readiness: Arc<ReadinessProbe>,
    /// How long a client may take to send a body.
    pub body_timeout: Duration,
    /// The longest body.
    pub max_body_bytes: usize,
    /// What all bodies that are held at a time may take.
    pub body_budget: BodyBudget,
    /// Accepted `Host` headers; empty accepts all.
    pub allowed_hosts: Arc<Vec<String>>,
}

/// The description of this interface, as served at `/openapi.json`.
pub const OPENAPI: &str = include_str!("openapi.json");

/// The routes of the signing listener.
pub fn signing_router(shared: Shared) -> Router {
    Router::new()
        .route("/upcheck", get(health::upcheck))
        .route("/healthcheck", get(health::healthcheck))
        .route("/api/v1/eth2/publicKeys", get(sign::public_keys))
        .route("/api/v1/eth2/sign", post(sign::sign_batch))
        .route("/api/v1/eth2/sign/{public_key}", post(sign::sign))
        .route("/api/v1/eth2/highWatermark", get(sign::high_watermark))
        .route(
            "/rpc",
            post(rpc::rpc).get(rpc_socket::open).layer(Extension(rpc_socket::Sockets::default())),
        )
        .route("/reload", post(reload::start).get(reload::status))
        .route(
            "/eth/v1/keystores",
            get(key_manager::list).post(key_manager::import).delete(key_manager::delete),
        )
        .route("/openapi.json", get(openapi))
        .fallback(reply::no_such_path)
        .method_not_allowed_fallback(reply::no_such_method)
        .layer(DefaultBodyLimit::disable())
        .layer(axum::middleware::from_fn_with_state(shared.clone(), identity::guard_request))
        .with_state(shared)
}

/// The routes of the metrics listener.
pub fn metrics_router(shared: Shared) -> Router {
    Router::new()
        .route("/", get(console::page))
        .route("/console.css", get(console::style))
        .route("/metrics", get(health::metrics))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .fallback(reply::no_such_path)
        .method_not_allowed_fallback(reply::no_such_method)
        .layer(axum::middleware::from_fn_with_state(shared.clone(), identity::guard_host))
        .layer(axum::middleware::map_response(no_sniffing))
        .with_state(shared)
}

async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI)
}

async fn no_sniffing(mut response: axum::response::Response) -> axum::response::Response {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}
