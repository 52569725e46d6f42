//! Who is asking: the gate that every request of the signing listener passes first.
//!
//! Invariants: a handler sees a request only together with what its client presented, and with a
//! body that was read whole; a connection whose request was turned away here is closed, so that
//! strangers do not hold connections; no client takes the places that are kept for others; what a
//! web page in a browser sends is never served. This gate only keeps strangers' bodies out: what a
//! client may ask is judged by the core.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::shares::{Asker, Place};
use super::{Shared, SharedPlaces, TurnedAway, body, reply};
use crate::credential::{Fingerprint, Presented, recognise};
use crate::listener::ConnectionLife;

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
        Ok(Admitted::Stranger) => serve_stranger(&shared, request, next).await,
        Ok(Admitted::Client(presented, place)) => {
            request.extensions_mut().insert(presented);
            let clients = shared.gate.borrow().len();
            let asker = Asker { client: place.client(), clients };
            let response = match body::read(&shared, asker, request).await {
                Ok((request, room)) => {
                    let response = next.run(request).await;
                    drop(room);
                    response
                }
                Err(response) => response,
            };
            drop(place);
            response
        }
        Err(response) => {
            body::forget(&shared, request).await;
            closing(response)
        }
    };
    shared.metrics.observe_response(response.status().as_u16());
    response
}

/// A path that is open to all: no body is kept, and the connection ends.
async fn serve_stranger(shared: &Shared, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let mut empty = Request::from_parts(parts.clone(), Body::empty());
    body::forget(shared, Request::from_parts(parts, body)).await;
    empty.extensions_mut().insert(Presented::default());
    closing(next.run(empty).await)
}

fn closing(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

enum Admitted {
    /// With the place that its request takes.
    Client(Presented, Place),
    /// Not recognised, but the path is open to all.
    Stranger,
}

#[expect(clippy::result_large_err, reason = "the error is the finished answer")]
fn admit(shared: &Shared, request: &Request) -> Result<Admitted, Response> {
    check_host(shared, request.headers())?;
    check_origin(request.headers())?;
    let presented = presented(request).map_err(|()| {
        reply::unauthorised("credential-wrong", "the Authorization header must be `Bearer TOKEN`")
    })?;
    let gate = shared.gate.borrow();
    match recognise(&gate, &presented.at_gate()) {
        Ok(client) => {
            let asker = Asker { client: &client.name, clients: gate.len() };
            let place = settle(shared, request, asker)?;
            Ok(Admitted::Client(presented, place))
        }
        Err(_) if OPEN_PATHS.contains(&request.uri().path()) => Ok(Admitted::Stranger),
        Err(not_recognised) => Err(not_recognised.into_response()),
    }
}

/// The same check of `Host` for a listener that recognises nobody.
pub(super) async fn guard_host(
    State(shared): State<Shared>,
    request: Request,
    next: Next,
) -> Response {
    match check_host(&shared, request.headers()) {
        Ok(()) => {
            if let Some(life) = request.extensions().get::<ConnectionLife>() {
                life.belongs_to_nobody();
            }
            next.run(request).await
        }
        Err(response) => response,
    }
}

/// What the client takes of what all share: its connection, if this is the first request there, and
/// the request itself.
#[expect(clippy::result_large_err, reason = "the error is the finished answer")]
fn settle(shared: &Shared, request: &Request, asker: Asker<'_>) -> Result<Place, Response> {
    let SharedPlaces { connections, questions, .. } = &shared.shares;
    let life = request.extensions().get::<ConnectionLife>();
    let settled = life.is_none_or(|life| life.belongs_to(asker.client, || connections.take(asker)));
    let refused = |what, message| reply::of(shared.share_used_up(asker.client, what, message));
    if !settled {
        let message = "used up its share of [limits] max_connections; close some, or raise it";
        return Err(refused(TurnedAway::Connection, message));
    }
    questions.take(asker).ok_or_else(|| {
        let message = "too many requests under way; nothing was decided, ask again when some are \
                       answered";
        refused(TurnedAway::Question, message)
    })
}

#[expect(clippy::result_large_err, reason = "the error is the finished answer")]
fn check_host(shared: &Shared, headers: &HeaderMap) -> Result<(), Response> {
    if shared.allowed_hosts.is_empty() {
        return Ok(());
    }
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or("");
    let name = host.rsplit_once(':').map_or(host, |(name, _port)| name);
    let is_name =
        |allowed: &String| allowed.eq_ignore_ascii_case(name) || allowed.eq_ignore_ascii_case(host);
    if shared.allowed_hosts.iter().any(is_name) {
        return Ok(());
    }
    Err(reply::error(
        StatusCode::FORBIDDEN,
        "host-not-allowed",
        "the Host header is not in [listen] allowed_hosts of palisade.toml; add the name there",
    ))
}

/// Browsers say on whose behalf they send. No validator client is a web page, and any page that
/// the operator opens could otherwise reach a guard on 127.0.0.1.
#[expect(clippy::result_large_err, reason = "the error is the finished answer")]
fn check_origin(headers: &HeaderMap) -> Result<(), Response> {
    if !headers.contains_key(header::ORIGIN) {
        return Ok(());
    }
    Err(reply::error(
        StatusCode::FORBIDDEN,
        "origin-not-allowed",
        "requests of web pages (with an Origin header) are not served; use a validator client",
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
    Ok(Presented { certificate, token, node: None })
}
