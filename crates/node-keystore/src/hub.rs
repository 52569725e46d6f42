//! Decides which connection carries which request, and when a request is given up.
//!
//! One task owns all of this state, so there is no lock. Invariants: every call is answered exactly
//! once, at its deadline at the latest; a request that is safe to repeat survives the loss of its
//! connection and moves to the next; an answer counts only on the connection that was asked and for
//! an id that is waiting; at most [`WAITING`] calls wait.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant as Timer, sleep_until};

use crate::link::Shared;
use crate::wire::{self, GuardError};

/// How many calls may wait at once: a validator has fewer than ten.
const WAITING: usize = 1024;
/// The first pause before a guard that is not ready is asked again; it doubles up to a second.
const PAUSE: Duration = Duration::from_millis(50);
/// So many calls in a row that expired unanswered on one connection end it.
const STRIKES: u32 = 3;

/// What a call ends with: the result, and the connection that gave it.
pub(crate) type Outcome = Result<(Value, u64), GuardError>;

/// Where an outcome goes.
pub(crate) enum Reply {
    /// A thread waits.
    Thread(SyncSender<Outcome>),
    /// A task waits.
    Task(oneshot::Sender<Outcome>),
}

impl Reply {
    fn send(self, outcome: Outcome) {
        // A caller that no longer waits needs no answer.
        match self {
            Self::Thread(sender) => drop(sender.try_send(outcome)),
            Self::Task(sender) => drop(sender.send(outcome)),
        }
    }
}

/// One request that wants an answer.
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) params: Arc<Value>,
    /// When it began to wait.
    pub(crate) since: Instant,
    /// When it is given up.
    pub(crate) deadline: Instant,
    /// Whether it may be sent again after a connection broke. The guard answers a repeat of any
    /// signing request with the same signature or a refusal; making new keys is another matter.
    pub(crate) repeatable: bool,
    pub(crate) reply: Reply,
}

/// What the hub is told.
pub(crate) enum Event {
    Call(Call),
    /// A connection is up.
    Up {
        session: u64,
        outbox: mpsc::UnboundedSender<String>,
    },
    /// A connection received a text.
    Text {
        session: u64,
        text: String,
    },
    /// A connection ended.
    Down {
        session: u64,
    },
}

struct Session {
    id: u64,
    outbox: mpsc::UnboundedSender<String>,
    strikes: u32,
}

enum State {
    /// Waits for a connection.
    Queued,
    /// Sent at this time on this connection.
    Sent(u64, Instant),
    /// The guard was not ready; asked again at this time.
    Paused(Instant),
}

struct Waiting {
    call: Call,
    state: State,
    pause: Duration,
    /// The last reason why it was not answered yet.
    last: Option<GuardError>,
}

/// The state of the task.
pub(crate) struct Hub {
    shared: Arc<Shared>,
    attempt: Duration,
    /// The newest connection is the one in use; older ones stand by.
    sessions: Vec<Session>,
    waiting: BTreeMap<u64, Waiting>,
    next_id: u64,
}

impl Hub {
    pub(crate) fn new(shared: Arc<Shared>, attempt: Duration) -> Self {
        let (sessions, waiting) = (Vec::new(), BTreeMap::new());
        Self { shared, attempt, sessions, waiting, next_id: 1 }
    }

    /// Runs until the node stops.
    pub(crate) async fn run(mut self, mut events: mpsc::UnboundedReceiver<Event>) {
        loop {
            let event = match self.next_due() {
                None => events.recv().await,
                Some(due) => tokio::select! {
                    event = events.recv() => event,
                    () = sleep_until(Timer::from_std(due)) => {
                        self.turn();
                        continue;
                    }
                },
            };
            match event {
                None => return,
                Some(Event::Call(call)) => self.accept(call),
                Some(Event::Up { session, outbox }) => {
                    self.sessions.push(Session { id: session, outbox, strikes: 0 });
                    self.publish();
                    self.shared.connected.notify_one();
                }
                Some(Event::Text { session, text }) => self.read(session, &text),
                Some(Event::Down { session }) => self.drop_session(session),
            }
            self.turn();
        }
    }

    fn accept(&mut self, call: Call) {
        if self.waiting.len() >= WAITING {
            return call.reply.send(Err(GuardError::Busy));
        }
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        let waiting = Waiting { call, state: State::Queued, pause: PAUSE, last: None };
        self.waiting.insert(id, waiting);
    }

    /// The earliest moment at which something must happen without an event.
    fn next_due(&self) -> Option<Instant> {
        let due = |waiting: &Waiting| match waiting.state {
            State::Queued => waiting.call.deadline,
            State::Sent(_, at) => waiting.call.deadline.min(self.stuck_at(waiting, at)),
            State::Paused(until) => waiting.call.deadline.min(until),
        };
        self.waiting.values().map(due).min()
    }

    /// When a connection counts as stuck on a call that was sent at this time.
    fn stuck_at(&self, waiting: &Waiting, sent: Instant) -> Instant {
        if waiting.call.repeatable { sent + self.attempt } else { waiting.call.deadline }
    }

    /// Brings every waiting call as far as it can go now.
    fn turn(&mut self) {
        self.expire(Instant::now());
        self.give_up_stuck(Instant::now());
        self.send_queued(Instant::now());
    }

    fn expire(&mut self, now: Instant) {
        let expired: Vec<u64> = self.ids(|waiting| waiting.call.deadline <= now);
        for id in expired {
            let Some(waiting) = self.waiting.remove(&id) else { continue };
            if let State::Sent(session, _) = waiting.state {
                self.strike(session);
            }
            let connected = !self.sessions.is_empty();
            let waited = now.saturating_duration_since(waiting.call.since);
            let no_answer = GuardError::NoAnswer { waited, connected };
            self.shared.metrics.timeouts.fetch_add(1, Ordering::Relaxed);
            waiting.call.reply.send(Err(waiting.last.unwrap_or(no_answer)));
        }
    }

    fn strike(&mut self, session: u64) {
        let Some(found) = self.sessions.iter_mut().find(|found| found.id == session) else {
            return;
        };
        found.strikes += 1;
        if found.strikes >= STRIKES {
            log::warn!(target: crate::LOG, "{STRIKES} calls in a row unanswered; reconnecting");
            self.drop_session(session);
        }
    }

    /// Gives up the connections on which a call has been waiting for too long.
    fn give_up_stuck(&mut self, now: Instant) {
        let attempt = self.attempt;
        let stuck: Vec<u64> = self
            .waiting
            .values()
            .filter_map(|waiting| match waiting.state {
                State::Sent(session, at) if self.stuck_at(waiting, at) <= now => Some(session),
                _ => None,
            })
            .collect();
        for session in stuck {
            if self.sessions.iter().any(|found| found.id == session) {
                log::warn!(target: crate::LOG, "no answer for {attempt:?}; reconnecting");
                self.drop_session(session);
            }
        }
    }

    fn send_queued(&mut self, now: Instant) {
        let Some(session) = self.sessions.last() else { return };
        for (id, waiting) in &mut self.waiting {
            let ready = match waiting.state {
                State::Queued => true,
                State::Paused(until) => until <= now,
                State::Sent(..) => false,
            };
            if ready {
                let text = wire::request(*id, waiting.call.method, &waiting.call.params);
                // If the connection has just ended, its `Down` event queues the call again.
                drop(session.outbox.send(text));
                waiting.state = State::Sent(session.id, now);
                self.shared.metrics.requests.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn read(&mut self, session: u64, text: &str) {
        let answer = match wire::answer(text) {
            Ok(answer) => answer,
            Err(why) => {
                self.shared.metrics.garbage.fetch_add(1, Ordering::Relaxed);
                log::error!(target: crate::LOG, "not an answer of a guard ({why}); reconnecting");
                return self.drop_session(session);
            }
        };
        let asked =
            |waiting: &Waiting| matches!(waiting.state, State::Sent(at, _) if at == session);
        if !self.waiting.get(&answer.id).is_some_and(asked) {
            // Late, or never asked: worth counting, not worth a connection.
            self.shared.metrics.unasked.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if let Some(found) = self.sessions.iter_mut().find(|found| found.id == session) {
            found.strikes = 0;
        }
        match answer.outcome {
            Err(error @ (GuardError::NotReady(_) | GuardError::StoreFailure(_))) => {
                self.retry_later(answer.id, session, error);
            }
            outcome => self.finish(answer.id, outcome.map(|value| (value, session))),
        }
    }

    /// The guard cannot decide now: ask again after a pause, elsewhere if its store is dead.
    fn retry_later(&mut self, id: u64, session: u64, error: GuardError) {
        let dead = matches!(error, GuardError::StoreFailure(_));
        if let Some(waiting) = self.waiting.get_mut(&id) {
            waiting.state = State::Paused(Instant::now() + waiting.pause);
            waiting.pause = (waiting.pause * 2).min(Duration::from_secs(1));
            waiting.last = Some(error);
            self.shared.metrics.retries.fetch_add(1, Ordering::Relaxed);
        }
        if dead {
            self.drop_session(session);
        }
    }

    fn finish(&mut self, id: u64, outcome: Outcome) {
        if let Some(waiting) = self.waiting.remove(&id) {
            self.shared.metrics.answered(waiting.call.since.elapsed(), &outcome);
            waiting.call.reply.send(outcome);
        }
    }

    /// Ends a connection, by dropping its outbox, and queues again what was asked on it.
    fn drop_session(&mut self, session: u64) {
        let before = self.sessions.len();
        self.sessions.retain(|found| found.id != session);
        if self.sessions.len() == before {
            return;
        }
        self.publish();
        let lost = self.ids(|waiting| matches!(waiting.state, State::Sent(at, _) if at == session));
        for id in lost {
            let Some(waiting) = self.waiting.get_mut(&id) else { continue };
            if waiting.call.repeatable {
                waiting.state = State::Queued;
                self.shared.metrics.retries.fetch_add(1, Ordering::Relaxed);
            } else {
                self.finish(id, Err(GuardError::Interrupted));
            }
        }
    }

    fn publish(&self) {
        let current = self.sessions.last().map_or(0, |session| session.id);
        self.shared.session.store(current, Ordering::Release);
    }

    fn ids(&self, wanted: impl Fn(&Waiting) -> bool) -> Vec<u64> {
        let wanted = self.waiting.iter().filter(|(_, waiting)| wanted(waiting));
        wanted.map(|(id, _)| *id).collect()
    }
}
