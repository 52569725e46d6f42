//! Who is asking: the gate that every request of the signing listener passes first.
//!
//! Invariants: a handler sees a request only together with the recognised client; the body is read
//! whole, within the bounds, before a handler runs.

use std::sync::Arc;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::{Shared, reply};
use crate::policy::{Client, Fingerprint, Presented};

/// The recognised client, as an extension of the request.
#[derive(Clone)]
pub(super) struct RecognisedClient(pub Arc<Client>);

/// The certificate that the connection showed, if any; put there by the listener.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConnectionCertificate(pub Option<Fingerprint>);

/// Paths that say only that the process lives.
const OPEN_PATHS: [&str; 2] = ["/upcheck", "/openapi.json"];

pub(super) async fn guard_request(
    State(shared): State<Shared>,
    mut request: Request,
    next: Next,
) -> Response {
    let response = match admit(&shared, &request) {
        Ok(client) => {
            request.extensions_mut().insert(client);
            match read_body(&shared, request).await {
                Ok(request) => next.run(request).await,
                Err(response) => response,
            }
        }
        Err(response) => response,
    };
    shared.engine.metrics().observe_response(response.status().as_u16());
    response
}

#[expect(clippy::result_large_err, reason = "the error is the finished answer")]
fn admit(shared: &Shared, request: &Request) -> Result<RecognisedClient, Response> {
    check_host(shared, request.headers())?;
    let presented = presented(request).map_err(|()| {
        reply::error(
            StatusCode::UNAUTHORIZED,
            "credential-wrong",
            "the Authorization header must be `Bearer TOKEN`",
        )
    })?;
    let policy = shared.engine.policy();
    match policy.recognise(&presented) {
        Ok(client) => Ok(RecognisedClient(Arc::new(client.clone()))),
        Err(_) if OPEN_PATHS.contains(&request.uri().path()) => {
            Ok(RecognisedClient(Arc::new(Client::nobody())))
        }
        Err(not_recognised) => Err(not_recognised.into_response()),
    }
}

#[expect(clippy::result_large_err, reason = "the error is the finished answer")]
fn check_host(shared: &Shared, headers: &HeaderMap) -> Result<(), Response> {
    if shared.allowed_hosts.is_empty() {
        return Ok(());
    }
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or("");
    let name = host.rsplit_once(':').map_or(host, |(name, _port)| name);
    if shared.allowed_hosts.iter().any(|allowed| allowed == name || allowed == host) {
        return Ok(());
    }
    Err(reply::error(
        StatusCode::FORBIDDEN,
        "host-not-allowed",
        "the Host header is not in [listen] allowed_hosts of palisade.toml",
    ))
}

fn presented(request: &Request) -> Result<Presented, ()> {
    let certificate = request
        .extensions()
        .get::<ConnectionCertificate>()
        .and_then(|certificate| certificate.0.clone());
    let token = match request.headers().get(header::AUTHORIZATION) {
        None => None,
        Some(value) => {
            let text = value.to_str().map_err(|_| ())?;
            let (scheme, token) = text.split_once(' ').ok_or(())?;
            if !scheme.eq_ignore_ascii_case("bearer") {
                return Err(());
            }
            Some(Fingerprint::of(token.trim().as_bytes()))
        }
    };
    Ok(Presented { certificate, token })
}

#[expect(clippy::result_large_err, reason = "the error is the finished answer")]
async fn read_body(shared: &Shared, request: Request) -> Result<Request, Response> {
    let (parts, body) = request.into_parts();
    if body.is_end_stream() {
        return Ok(Request::from_parts(parts, Body::empty()));
    }
    if body.size_hint().lower() > shared.max_body_bytes as u64 {
        return Err(too_long(shared.max_body_bytes));
    }
    let read = axum::body::to_bytes(body, shared.max_body_bytes);
    let bytes: Bytes = match tokio::time::timeout(shared.body_timeout, read).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) if is_length_limit(&error) => return Err(too_long(shared.max_body_bytes)),
        Ok(Err(_)) => {
            return Err(reply::error(
                StatusCode::BAD_REQUEST,
                "body-incomplete",
                "the connection ended in the middle of the body; nothing was decided",
            ));
        }
        Err(_) => {
            return Err(reply::error(
                StatusCode::REQUEST_TIMEOUT,
                "body-too-slow",
                "the body did not arrive within [limits] body_timeout_ms; nothing was decided",
            ));
        }
    };
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

fn is_length_limit(error: &axum::Error) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if error.to_string().contains("length limit exceeded") {
            return true;
        }
        cause = error.source();
    }
    false
}

fn too_long(limit: usize) -> Response {
    reply::error(
        StatusCode::PAYLOAD_TOO_LARGE,
        "body-too-large",
        format!("the body is longer than {limit} bytes ([limits] max_body_bytes)"),
    )
}
