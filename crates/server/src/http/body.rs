//! A request's body: read whole before anything looks at it, within bounds of size and time.
//!
//! Invariants: never more than the limit is held; what is not wanted is read on and forgotten for a
//! while, because closing a connection on a client that is still sending would take the answer from
//! it.

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use http_body_util::BodyExt;

use super::shares::{Asker, Place, Shares};
use super::{Shared, reply};

/// What the budget is counted in, in bytes.
const UNIT: usize = 1 << 10;

/// Bodies up to this length are outside the budget: the number of connections bounds them.
const SHORT_BYTES: u64 = 64 << 10;

/// How much of a body that is not wanted is read and forgotten.
const MAX_FORGOTTEN_BYTES: u64 = 64 << 20;

enum Collected {
    Whole(Bytes, Option<Place>),
    TooLong,
    NoRoom,
    Broken,
}

/// What all long bodies that are held at a time may take together, shared between clients. Counted
/// as they arrive: what is only announced takes nothing from others.
#[derive(Clone)]
pub(crate) struct BodyBudget(Shares);

impl BodyBudget {
    /// Room for 16 bodies of the longest kind, and for 64 MiB at least.
    #[must_use]
    pub(crate) fn new(max_body_bytes: usize) -> Self {
        let bytes = max_body_bytes.saturating_mul(16).max(64 << 20);
        Self(Shares::of(bytes / UNIT))
    }

    /// Brings what is held for a body up to its length so far. False when there is no room.
    pub(super) fn hold(&self, asker: Asker<'_>, held: &mut Option<Place>, length: u64) -> bool {
        let units = usize::try_from(length / UNIT as u64).unwrap_or(usize::MAX);
        let missing = units.saturating_sub(held.as_ref().map_or(0, Place::count));
        if length <= SHORT_BYTES || missing == 0 {
            return true;
        }
        let Some(more) = self.0.take_many(asker, missing) else { return false };
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
    asker: Asker<'_>,
    request: Request,
) -> Result<(Request, Option<Place>), Response> {
    let (parts, body) = request.into_parts();
    if body.is_end_stream() {
        return Ok((Request::from_parts(parts, Body::empty()), None));
    }
    let limit = shared.max_body_bytes;
    if limit as u64 + forgettable(&parts.headers) < body.size_hint().lower() {
        return Err(too_long(limit));
    }
    let budget = &shared.body_budget;
    let collecting = collect(body, limit, |held, length| budget.hold(asker, held, length));
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
        let nothing_is_held = |_: &mut _, _| true;
        drop(tokio::time::timeout(shared.body_timeout, collect(body, 0, nothing_is_held)).await);
    }
}

/// A client that waits to be told to send its body has sent nothing yet.
fn forgettable(headers: &HeaderMap) -> u64 {
    if headers.contains_key(header::EXPECT) { 0 } else { MAX_FORGOTTEN_BYTES }
}

async fn collect(
    mut body: Body,
    limit: usize,
    hold: impl Fn(&mut Option<Place>, u64) -> bool,
) -> Collected {
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
        has_room = has_room && (!fits || hold(&mut held, length));
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
