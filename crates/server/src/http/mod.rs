//! HTTP: Web3Signer's paths and status codes on one listener; health, metrics and the console on
//! another. Everything that is specific to HTTP stays in here.
//!
//! Invariants: every answer that is not 200 or 202 is JSON with a message and a code; a request's
//! body is bounded in size and time before anything looks at it; bodies are never logged.

mod ask;
mod body;
mod console;
mod health;
mod identity;
mod metrics;
mod reply;
mod rpc_socket;
mod shares;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Extension};
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use tokio::sync::watch;

pub(crate) use body::BodyBudget;
pub(crate) use identity::ConnectionCertificate;
pub(crate) use metrics::{FrontMetrics, TurnedAway};
pub(crate) use rpc_socket::{Ended, Pace, Session};
pub(crate) use shares::Place;

use shares::Shares;

use crate::config::Limits;
use crate::dial::NodeStates;
use crate::link::message::{GateEntry, Question, Reply};
use crate::link::{self, CoreHandle};
use crate::log_budget::LogBudget;

/// What all handlers share.
#[derive(Clone)]
pub(crate) struct Shared {
    /// Whom to ask.
    pub(crate) core: CoreHandle,
    /// Whom to let in.
    pub(crate) gate: watch::Receiver<Vec<GateEntry>>,
    /// The front's own series.
    pub(crate) metrics: FrontMetrics,
    /// How long a client may take to send a body.
    pub(crate) body_timeout: Duration,
    /// The longest body.
    pub(crate) max_body_bytes: usize,
    /// What all bodies that are held at a time may take.
    pub(crate) body_budget: BodyBudget,
    /// The nodes that the guard dials.
    pub(crate) nodes: NodeStates,
    /// Who holds how many of the connections and of the questions under way.
    pub(crate) shares: SharedPlaces,
    /// Accepted `Host` headers; empty accepts all.
    pub(crate) allowed_hosts: Arc<Vec<String>>,
}

/// What the clients of the signing listener share.
#[derive(Clone)]
pub(crate) struct SharedPlaces {
    connections: Shares,
    questions: Shares,
    log: Arc<LogBudget>,
}

impl SharedPlaces {
    pub(crate) fn of(limits: &Limits) -> Self {
        Self {
            connections: Shares::of(limits.max_connections),
            questions: Shares::of(link::Limits::of(limits).questions),
            log: Arc::default(),
        }
    }
}

impl Shared {
    /// Turns a client away that has used up its share, and says so in metrics and log.
    fn share_used_up(&self, client: &str, what: TurnedAway, message: &str) -> Reply {
        self.metrics.observe_turned_away(what);
        if let Some(left_out) = self.shares.log.spend() {
            tracing::warn!(client, ?what, left_out_before = left_out, "a share is used up");
        }
        Reply::error(503, "share-used-up", format!("client {client:?} has {message}"))
    }
}

/// The description of this interface, as served at `/openapi.json`.
pub const OPENAPI: &str = include_str!("openapi.json");

/// The routes of the signing listener.
pub(crate) fn signing_router(shared: Shared) -> Router {
    Router::new()
        .route("/upcheck", get(health::upcheck))
        .route("/healthcheck", get(ask::plain(|| Question::Healthcheck)))
        .route("/api/v1/eth2/publicKeys", get(ask::plain(|| Question::PublicKeys)))
        .route("/api/v1/eth2/sign", post(ask::with_body(|body| Question::SignBatch { body })))
        .route("/api/v1/eth2/sign/{public_key}", post(ask::sign))
        .route("/api/v1/eth2/highWatermark", get(ask::plain(|| Question::HighWatermark)))
        .route(
            "/rpc",
            post(ask::with_body(|body| Question::Rpc { body }))
                .get(rpc_socket::open)
                .layer(Extension(rpc_socket::Sockets::default())),
        )
        .route(
            "/reload",
            post(ask::plain(|| Question::Reload)).get(ask::plain(|| Question::ReloadStatus)),
        )
        .route(
            "/eth/v1/keystores",
            get(ask::plain(|| Question::Keystores))
                .post(ask::with_body(|body| Question::KeystoresImport { body }))
                .delete(ask::with_body(|body| Question::KeystoresDelete { body })),
        )
        .route("/openapi.json", get(openapi))
        .fallback(reply::no_such_path)
        .method_not_allowed_fallback(reply::no_such_method)
        .layer(DefaultBodyLimit::disable())
        .layer(axum::middleware::from_fn_with_state(shared.clone(), identity::guard_request))
        .with_state(shared)
}

/// The routes of the metrics listener.
pub(crate) fn metrics_router(shared: Shared) -> Router {
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
