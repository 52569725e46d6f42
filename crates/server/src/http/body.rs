//! A request's body: read whole before anything looks at it, within bounds of size and time.
//!
//! Invariants: never more than the limit is held; what is not wanted is read on and forgotten for a
//! while, because closing a connection on a client that is still sending would take the answer from
//! it.

use std::sync::Arc;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Shared, reply};

/// What the budget is counted in, in bytes.
const UNIT: usize = 1 << 10;

/// Bodies up to this length are outside the budget: the number of connections bounds them.
const SHORT_BYTES: u64 = 64 << 10;

/// How much of a body that is not wanted is read and forgotten.
const MAX_FORGOTTEN_BYTES: u64 = 64 << 20;

enum Collected {
    Whole(Bytes, Option<OwnedSemaphorePermit>),
    TooLong,
    NoRoom,
    Broken,
}

/// What all long bodies that are held at a time may take together. Counted as they arrive: what is
/// only announced takes nothing from others.
#[derive(Clone)]
pub(crate) struct BodyBudget(Arc<Semaphore>);

impl BodyBudget {
    /// Room for 16 bodies of the longest kind, and for 64 MiB at least.
    #[must_use]
    pub(crate) fn new(max_body_bytes: usize) -> Self {
        let bytes = max_body_bytes.saturating_mul(16).max(64 << 20);
        Self(Arc::new(Semaphore::new((bytes / UNIT).min(Semaphore::MAX_PERMITS))))
    }

    /// Brings what is held for a body up to its length so far. False when there is no room.
    pub(super) fn hold(&self, held: &mut Option<OwnedSemaphorePermit>, length: u64) -> bool {
        let units = usize::try_from(length / UNIT as u64).unwrap_or(usize::MAX);
        let missing = units.saturating_sub(held.as_ref().map_or(0, |held| held.num_permits()));
        let Ok(missing) = u32::try_from(missing) else { return false };
        if length <= SHORT_BYTES || missing == 0 {
            return true;
        }
        let Ok(more) = Arc::clone(&self.0).try_acquire_many_owned(missing) else { return false };
        match held {
            Some(held) => held.merge(more),
            None => *held = Some(more),
        }
        true
    }
}

/// Reads the body, and puts it back as one piece. What is returned with it is to be held until the
/// request is done with.
pub(super) async fn read(
    shared: &Shared,
    request: Request,
) -> Result<(Request, Option<OwnedSemaphorePermit>), Response> {
    let (parts, body) = request.into_parts();
    if body.is_end_stream() {
        return Ok((Request::from_parts(parts, Body::empty()), None));
    }
    let limit = shared.max_body_bytes;
    if limit as u64 + forgettable(&parts.headers) < body.size_hint().lower() {
        return Err(too_long(limit));
    }
    let collecting = collect(body, limit, &shared.body_budget);
    match tokio::time::timeout(shared.body_timeout, collecting).await {
        Ok(Collected::Whole(bytes, room)) => {
            Ok((Request::from_parts(parts, Body::from(bytes)), room))
        }
        Ok(Collected::NoRoom) => Err(no_room()),
        Ok(Collected::TooLong) => Err(too_long(limit)),
        Ok(Collected::Broken) => Err(reply::error(
            StatusCode::BAD_REQUEST,
            "body-incomplete",
            "the connection ended in the middle of the body, or its framing is wrong; nothing was \
             decided, send the request again",
        )),
        Err(_) => Err(reply::error(
            StatusCode::REQUEST_TIMEOUT,
            "body-too-slow",
            "the body did not arrive within [limits] body_timeout_ms; nothing was decided, send \
             the request again",
        )),
    }
}

/// Reads a body whose request is refused already.
pub(super) async fn forget(shared: &Shared, request: Request) {
    let forgettable = forgettable(request.headers());
    let body = request.into_body();
    if !body.is_end_stream() && body.size_hint().lower() <= forgettable {
        // Whatever becomes of it, the answer stands.
        drop(
            tokio::time::timeout(shared.body_timeout, collect(body, 0, &shared.body_budget)).await,
        );
    }
}

/// A client that waits to be told to send its body has sent nothing yet.
fn forgettable(headers: &HeaderMap) -> u64 {
    if headers.contains_key(header::EXPECT) { 0 } else { MAX_FORGOTTEN_BYTES }
}

async fn collect(mut body: Body, limit: usize, budget: &BodyBudget) -> Collected {
    let mut kept = Vec::new();
    let mut held = None;
    let mut length: u64 = 0;
    let mut has_room = true;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Collected::Broken };
        let Ok(data) = frame.into_data() else { continue };
        length = length.saturating_add(data.len() as u64);
        if MAX_FORGOTTEN_BYTES < length {
            return Collected::TooLong;
        }
        let fits = length <= limit as u64;
        has_room = has_room && (!fits || budget.hold(&mut held, length));
        if fits && has_room {
            kept.extend_from_slice(&data);
        } else {
            (kept, held) = (Vec::new(), None);
        }
    }
    match (length <= limit as u64, has_room) {
        (false, _) => Collected::TooLong,
        (true, false) => Collected::NoRoom,
        (true, true) => Collected::Whole(kept.into(), held),
    }
}

fn no_room() -> Response {
    reply::error(
        StatusCode::SERVICE_UNAVAILABLE,
        "overloaded",
        "too many long bodies are being read; nothing was decided, try again",
    )
}

fn too_long(limit: usize) -> Response {
    reply::error(
        StatusCode::PAYLOAD_TOO_LARGE,
        "body-too-large",
        format!(
            "the body is longer than {limit} bytes; send less, or raise [limits] max_body_bytes \
             in palisade.toml"
        ),
    )
}
