//! The WebSocket at `/rpc`: the same requests as `POST /rpc`, over one connection that stays. The
//! same sessions run over connections that the guard opens to nodes (`dial`).
//!
//! Invariants: a socket counts as a connection and ends with the guard, after the answers under
//! way; sockets, the requests under way of each and the long messages of all are bounded, a part of
//! the sockets and requests is kept for each client, and what is more is answered as overload;
//! answers may come in another order than their requests, which is what `id` is for; a connection
//! ends when the policy no longer has its client, and when the other side says nothing for the idle
//! time. What others do to the policy does not end it: every client may have it read anew.

use std::pin::pin;
use std::time::Duration;

use axum::Error;
use axum::body::Bytes;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocketUpgrade, close_code};
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::Response;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};

use super::shares::{Asker, Place, Shares};
use super::{FrontMetrics, Shared, TurnedAway, reply};
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
pub(super) struct Sockets(Shares);

impl Default for Sockets {
    fn default() -> Self {
        Self(Shares::of(MAX_SOCKETS))
    }
}

/// A place for a socket, counted for as long as it is held.
struct Held {
    metrics: FrontMetrics,
    _place: Place,
}

impl Held {
    fn count(metrics: FrontMetrics, place: Place) -> Self {
        metrics.web_socket_opened();
        Self { metrics, _place: place }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.metrics.web_socket_closed();
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
    let most = shared.max_body_bytes;
    let session = Session::prepare(&shared, presented);
    let asker = Asker { client: &session.client, clients: session.clients };
    let Some(place) = sockets.0.take(asker) else {
        let message = format!(
            "used up its share of the {MAX_SOCKETS} WebSockets; close one, or use POST /rpc"
        );
        return reply::of(shared.share_used_up(&session.client, TurnedAway::WebSocket, &message));
    };
    let place = Held::count(shared.metrics.clone(), place);
    upgrade.max_message_size(most).max_frame_size(most).on_upgrade(async move |socket| {
        let mut life = life;
        let pace = Pace { beat: life.idle_timeout / 2, silence_ends: true };
        session.over(socket).run(life.stopped(), pace).await;
        drop((place, life));
    })
}

/// Why a session of a stranger ends.
const GONE: &str = "the policy no longer has this client";

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
    shared: Shared,
    /// Whom the policy knew when the socket was opened.
    gate: watch::Receiver<Vec<GateEntry>>,
    presented: Presented,
    /// Whose it is, of so many.
    client: String,
    clients: usize,
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

impl Session<()> {
    /// On behalf of whoever presented this, before there is a socket.
    pub(crate) fn prepare(shared: &Shared, presented: Presented) -> Self {
        let mut gate = shared.gate.clone();
        let (client, clients) = {
            let known = gate.borrow_and_update();
            // What the gate let in is known to it, unless it was changed this moment.
            let entry = recognise(&known, &presented.at_gate());
            (entry.map(|entry| entry.name.clone()).unwrap_or_default(), known.len())
        };
        let (shared, under_way) = (shared.clone(), JoinSet::new());
        Self { socket: (), shared, gate, presented, client, clients, under_way, has_spoken: true }
    }

    /// The session over this socket.
    pub(crate) fn over<S: Messages>(self, socket: S) -> Session<S> {
        let Self { shared, gate, presented, client, clients, under_way, has_spoken, .. } = self;
        Session { socket, shared, gate, presented, client, clients, under_way, has_spoken }
    }
}

impl<S: Messages> Session<S> {
    /// Answers until one side ends it, or until `stopped`.
    pub(crate) async fn run(mut self, stopped: impl Future<Output = ()>, pace: Pace) -> Ended {
        let mut stopped = pin!(stopped);
        let mut beats = beats(pace.beat);
        let ended = loop {
            let step = tokio::select! {
                biased;
                () = std::future::ready(()), if self.client.is_empty() => Err(Ended::ByUs(GONE)),
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
        let (asker, budget) = (self.asker(), &self.shared.body_budget);
        if self.under_way.len() == UNDER_WAY || !budget.hold(asker, &mut room, body.len() as u64) {
            return self.send(rpc_instead(&body, &Reply::overloaded())).await;
        }
        let Some(place) = self.shared.shares.questions.take(asker) else {
            let message = "too many requests under way; nothing was decided, ask again when some \
                           are answered";
            let refused = self.shared.share_used_up(&self.client, TurnedAway::Question, message);
            return self.send(rpc_instead(&body, &refused)).await;
        };
        if SHORT_BYTES < body.len() {
            let answer = ask(&self.shared.core, &self.presented, body.to_vec()).await;
            drop((body, room, place));
            return self.send(answer).await;
        }
        // A copy: what arrived is a part of a buffer that is larger than it.
        let body = body.to_vec();
        let (core, presented) = (self.shared.core.clone(), self.presented.clone());
        self.under_way.spawn(async move {
            let answer = ask(&core, &presented, body).await;
            drop(place);
            answer
        });
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

    fn asker(&self) -> Asker<'_> {
        Asker { client: &self.client, clients: self.clients }
    }

    /// What the client may ask is judged by the core each time; here it is only whether it is one.
    fn check_policy(&mut self) -> Result<(), Ended> {
        if !self.gate.has_changed().unwrap_or(true) {
            return Ok(());
        }
        let known = self.gate.borrow_and_update();
        match recognise(&known, &self.presented.at_gate()) {
            Ok(entry) if entry.name == self.client => self.clients = known.len(),
            _ => return Err(Ended::ByUs(GONE)),
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
