//! The WebSocket at `/rpc`: the same requests as `POST /rpc`, over one connection that stays. The
//! same sessions run over connections that the guard opens to nodes (`dial`).
//!
//! Invariants: a socket counts as a connection and ends with the guard, after the answers under
//! way; sockets, the requests under way of each and the long messages of all are bounded, and what
//! is more is answered as overload; answers may come in another order than their requests, which is
//! what `id` is for; a connection ends when the policy is read anew, so that no client outlives its
//! line there, and when the other side says nothing for the idle time.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Error;
use axum::body::Bytes;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocketUpgrade, close_code};
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::Response;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};

use super::{BodyBudget, Shared, reply};
use crate::core::rpc_instead;
use crate::credential::{Presented, recognise};
use crate::link::CoreHandle;
use crate::link::message::{GateEntry, Question, Reply};
use crate::listener::ConnectionLife;

/// Sockets of one guard: each may hold a message of the longest kind while it arrives.
const MAX_SOCKETS: usize = 64;

/// Requests of one connection that may be under way; further ones are answered as overload.
const UNDER_WAY: usize = 128;

/// Longer messages are carried out one at a time. A vote has 300 bytes, a header about 1,000.
const SHORT_BYTES: usize = 8 << 10;

/// How long the other side may take to answer that the connection is closed.
const FAREWELL: Duration = Duration::from_secs(1);

/// The places for sockets.
#[derive(Clone)]
pub(super) struct Sockets(Arc<Semaphore>);

impl Default for Sockets {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_SOCKETS)))
    }
}

/// `GET /rpc`
pub(super) async fn open(
    State(shared): State<Shared>,
    Extension(presented): Extension<Presented>,
    Extension(life): Extension<ConnectionLife>,
    Extension(sockets): Extension<Sockets>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let Ok(upgrade) = upgrade else {
        let message = "GET /rpc opens a WebSocket (RFC 6455); send single requests with POST";
        return reply::error(StatusCode::BAD_REQUEST, "invalid-request", message);
    };
    let Ok(place) = sockets.0.try_acquire_owned() else {
        let message = format!("{MAX_SOCKETS} WebSockets are open; close one, or use POST /rpc");
        return reply::error(StatusCode::SERVICE_UNAVAILABLE, "overloaded", message);
    };
    let most = shared.max_body_bytes;
    upgrade.max_message_size(most).max_frame_size(most).on_upgrade(async move |socket| {
        let mut life = life;
        let pace = Pace { beat: life.idle_timeout / 2, silence_ends: true };
        Session::new(socket, shared, presented).run(life.stopped(), pace).await;
        drop((place, life));
    })
}

/// How a session learns that the other side is gone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// How often it is pinged.
    pub(crate) beat: Duration,
    /// Whether no whole message between two pings ends it. Otherwise the stream below ends by
    /// itself when no byte comes.
    pub(crate) silence_ends: bool,
}

/// What messages go over: a WebSocket that was accepted, or one that was dialled.
pub(crate) trait Messages:
    Stream<Item = Result<Message, Error>> + Sink<Message> + Unpin
{
}
impl<T: Stream<Item = Result<Message, Error>> + Sink<Message> + Unpin> Messages for T {}

/// One open socket.
pub(crate) struct Session<S> {
    socket: S,
    core: CoreHandle,
    /// Whom the policy knew when the socket was opened.
    gate: watch::Receiver<Vec<GateEntry>>,
    presented: Presented,
    /// For the log.
    client: String,
    budget: BodyBudget,
    under_way: JoinSet<Option<String>>,
    /// Since the last beat.
    has_spoken: bool,
}

/// Why a session ends.
pub(crate) enum Ended {
    /// The connection is broken, or was closed by the other side; says which.
    Gone(String),
    /// By this side, for this reason, which the other side is told.
    ByUs(&'static str),
}

impl<S: Messages> Session<S> {
    /// On behalf of whoever presented this.
    pub(crate) fn new(socket: S, shared: Shared, presented: Presented) -> Self {
        // What the gate let in is known to it, unless it was changed this moment.
        let mut gate = shared.gate;
        let known = recognise(&gate.borrow_and_update(), &presented.at_gate())
            .map(|entry| entry.name.clone());
        Self {
            socket,
            core: shared.core,
            gate,
            presented,
            client: known.unwrap_or_default(),
            budget: shared.body_budget,
            under_way: JoinSet::new(),
            has_spoken: true,
        }
    }

    /// Answers until one side ends it, or until `stopped`.
    pub(crate) async fn run(mut self, stopped: impl Future<Output = ()>, pace: Pace) -> Ended {
        let mut stopped = pin!(stopped);
        let mut beats = beats(pace.beat);
        let ended = loop {
            let step = tokio::select! {
                biased;
                () = &mut stopped => Err(Ended::ByUs("the guard stops")),
                Some(answer) = self.under_way.join_next() => self.send(answer.ok().flatten()).await,
                message = self.socket.next() => match message {
                    Some(Ok(message)) => self.receive(message).await,
                    Some(Err(error)) => Err(Ended::Gone(error.to_string())),
                    None => Err(closed()),
                },
                _ = beats.tick() => self.beat(pace.silence_ends).await,
            };
            if let Err(ended) = step {
                break ended;
            }
        };
        if let Ended::ByUs(why) = ended {
            tracing::info!(client = self.client, why, "a WebSocket was closed");
            self.say_farewell(why).await;
        }
        ended
    }

    /// Carries out one message, or has it carried out.
    async fn receive(&mut self, message: Message) -> Result<(), Ended> {
        self.has_spoken = true;
        let body = match message {
            Message::Text(text) => Bytes::from(text),
            Message::Binary(bytes) => bytes,
            Message::Ping(_) | Message::Pong(_) => return Ok(()),
            Message::Close(_) => return Err(closed()),
        };
        self.check_policy()?;
        let mut room = None;
        if self.under_way.len() == UNDER_WAY || !self.budget.hold(&mut room, body.len() as u64) {
            return self.send(rpc_instead(&body, &Reply::overloaded())).await;
        }
        if SHORT_BYTES < body.len() {
            let answer = ask(&self.core, &self.presented, body.to_vec()).await;
            drop((body, room));
            return self.send(answer).await;
        }
        // A copy: what arrived is a part of a buffer that is larger than it.
        let body = body.to_vec();
        let (core, presented) = (self.core.clone(), self.presented.clone());
        self.under_way.spawn(async move { ask(&core, &presented, body).await });
        Ok(())
    }

    /// Sends an answer, and with it those that are ready by now.
    async fn send(&mut self, answer: Option<String>) -> Result<(), Ended> {
        let mut next = Some(answer);
        while let Some(answer) = next {
            if let Some(text) = answer {
                self.socket.feed(Message::text(text)).await.map_err(|_| unwritten())?;
            }
            next = self.under_way.try_join_next().map(|ended| ended.ok().flatten());
        }
        self.socket.flush().await.map_err(|_| unwritten())
    }

    /// Whoever does not even answer a ping is gone.
    async fn beat(&mut self, silence_ends: bool) -> Result<(), Ended> {
        self.check_policy()?;
        if !std::mem::take(&mut self.has_spoken) && silence_ends {
            return Err(Ended::ByUs("nothing was heard for the idle time"));
        }
        self.socket.send(Message::Ping(Bytes::new())).await.map_err(|_| unwritten())
    }

    fn check_policy(&self) -> Result<(), Ended> {
        if self.gate.has_changed().unwrap_or(true) {
            return Err(Ended::ByUs("the policy was read anew"));
        }
        Ok(())
    }

    /// Gives the answers under way and closes in order.
    async fn say_farewell(&mut self, why: &'static str) {
        while let Some(answer) = self.under_way.join_next().await {
            if self.send(answer.ok().flatten()).await.is_err() {
                return;
            }
        }
        let close = CloseFrame { code: close_code::AWAY, reason: why.into() };
        if self.socket.send(Message::Close(Some(close))).await.is_err() {
            return;
        }
        // Closing while the other side still sends would take the last answers from it.
        let until_closed = async { while let Some(Ok(_)) = self.socket.next().await {} };
        drop(timeout(FAREWELL, until_closed).await);
    }
}

fn closed() -> Ended {
    Ended::Gone("the other side closed the connection".to_owned())
}

fn unwritten() -> Ended {
    Ended::Gone("the other side takes no answers".to_owned())
}

async fn ask(core: &CoreHandle, presented: &Presented, body: Vec<u8>) -> Option<String> {
    // For the ids, should the core not answer.
    let again = body.clone();
    match core.ask(presented, Question::Rpc { body }).await {
        Reply::Json { status: 200, body } => String::from_utf8(body).ok(),
        Reply::NoContent => None,
        other => rpc_instead(&again, &other),
    }
}

fn beats(beat: Duration) -> Interval {
    let mut beats = interval_at(Instant::now() + beat, beat);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beats
}
