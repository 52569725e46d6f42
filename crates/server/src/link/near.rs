//! The front as the core sees it: somebody who may have been broken into.
//!
//! Invariants: questions under way are bounded in number and in bytes, and further ones are
//! answered as overload; answers that the front does not take stop the reading of questions, and
//! nothing else; any breach of the protocol is an error that ends the guard, and so is a front that
//! gives no sign of life.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use tokio_util::codec::{FramedRead, FramedWrite};

use super::codec::{LinkFault, answers, encode, frames};
use super::message::{FromCore, FromFront, GateEntry, Question, Reply};
use super::pulse::{BEAT, Heart, Pulse};
use crate::config;
use crate::core::Core;
use crate::engine::OnItsWay;
use crate::policy::Presented;

/// Answers that wait to be written.
const OUTGOING: usize = 1_024;

/// Answers that are written in one go.
const AT_ONCE: usize = 64;

/// How much is collected before it must be written.
const COLLECTED_BYTES: usize = 256 << 10;

/// What bytes under way are counted in.
const UNIT: usize = 1 << 10;

/// What the front may have under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The longest body of a question.
    pub(crate) max_body_bytes: usize,
    /// Questions that wait for their answer.
    pub(crate) questions: usize,
    /// How often it has to give a sign of life.
    pub(crate) beat: Duration,
}

impl Limits {
    /// What a front with these limits can have under way: a question for each of its connections,
    /// and what its clients send ahead on persistent ones.
    pub(crate) fn of(limits: &config::Limits) -> Self {
        let questions = limits.max_connections.saturating_mul(2).max(4_096);
        Self { max_body_bytes: limits.max_body_bytes, questions, beat: BEAT }
    }
}

/// The room for questions and for what answers them.
#[derive(Clone)]
struct Room {
    questions: Arc<Semaphore>,
    asked_kibibytes: Arc<Semaphore>,
    answered_kibibytes: Arc<Semaphore>,
}

/// Held from the question until its answer is written, by whatever has the one or the other.
type Held = Vec<OwnedSemaphorePermit>;

/// A message to the front, with the room that it takes until it is written.
struct Outgoing {
    message: FromCore,
    _held: Held,
}

/// Questions under way, so that they can be taken back.
#[derive(Default)]
struct UnderWay {
    /// With whether it can be taken back.
    tasks: HashMap<u64, (AbortHandle, bool)>,
    swept_at: usize,
}

/// What a core has for its front, and learns of it.
pub(crate) struct Ends {
    /// Whether the front shall stop.
    pub(crate) stop: watch::Receiver<bool>,
    /// Is told when the front serves.
    pub(crate) ready: oneshot::Sender<()>,
    /// Shows how the front is.
    pub(crate) pulse: Pulse,
}

/// Answers until the front hangs up, which is how it ends.
///
/// # Errors
/// [`LinkFault`] when the front breaks the protocol, and is to be treated as broken into, or hangs.
pub(crate) async fn serve(
    core: Arc<Core>,
    stream: UnixStream,
    limits: Limits,
    ends: Ends,
) -> Result<(), LinkFault> {
    let (read, write) = stream.into_split();
    let Ends { stop, ready, pulse } = ends;
    let (answered, outgoing) = mpsc::channel(OUTGOING);
    let heart = Heart::of(pulse);
    let told = Told { gate: core.gate(), stop, pings: heart.questions() };
    let mut writing = tokio::spawn(write_all(write, outgoing, told));
    let reading = read_all(core, read, limits, answered, &heart, ready);
    let ended = tokio::select! {
        ended = reading => ended,
        // What is asked without anybody to answer must not be decided.
        ended = &mut writing => ended.unwrap_or(Err(LinkFault::Unwritten)),
        silent = heart.beat(limits.beat) => Err(silent),
    };
    writing.abort();
    ended
}

async fn read_all(
    core: Arc<Core>,
    read: OwnedReadHalf,
    limits: Limits,
    answered: mpsc::Sender<Outgoing>,
    heart: &Heart,
    ready: oneshot::Sender<()>,
) -> Result<(), LinkFault> {
    let mut read = FramedRead::new(read, frames(limits.max_body_bytes));
    let (room, mut under_way) = (Room::new(limits), UnderWay::default());
    let mut ready = Some(ready);
    while let Some(frame) = read.next().await {
        let frame = frame?;
        match FromFront::read(&frame)? {
            FromFront::Ready => {
                heart.start();
                // Nobody waits any more when the start was given up meanwhile.
                let _was_awaited = ready.take().map(|ready| ready.send(()));
            }
            FromFront::Ask { id, presented, question } => match room.for_question(frame.len()) {
                Some(held) => {
                    let (core, room) = (Arc::clone(&core), room.clone());
                    let on_its_way = core.engine().on_its_way();
                    let answered = answered.clone();
                    let task = Task { core, room, answered, held, _on_its_way: on_its_way };
                    under_way.start(id, task, presented, question)?;
                }
                None => {
                    let message = FromCore::Answer { id, reply: Reply::overloaded() };
                    drop(answered.send(Outgoing { message, _held: Vec::new() }).await);
                }
            },
            FromFront::Cancel { id } => under_way.take_back(id),
            FromFront::Pong(number) => heart.hear(number)?,
        }
    }
    Ok(())
}

struct Task {
    core: Arc<Core>,
    room: Room,
    answered: mpsc::Sender<Outgoing>,
    held: Held,
    /// From here on, and not from when it is first run: those that came with it are not alone.
    _on_its_way: OnItsWay,
}

impl Task {
    async fn run(mut self, id: u64, presented: Presented, question: Question) {
        let answering = AssertUnwindSafe(self.core.answer(&presented, question)).catch_unwind();
        let mut reply = answering.await.unwrap_or_else(|_| {
            Reply::error(500, "internal-error", "the request failed inside the guard; see its log")
        });
        match self.room.for_answer(&reply) {
            Some(held) => self.held.push(held),
            // Only of what the front has not taken: nobody else can fill it.
            None => reply = Reply::overloaded(),
        }
        let message = FromCore::Answer { id, reply };
        // A front that is gone needs no answer.
        drop(self.answered.send(Outgoing { message, _held: self.held }).await);
    }
}

impl UnderWay {
    fn start(
        &mut self,
        id: u64,
        task: Task,
        presented: Presented,
        question: Question,
    ) -> Result<(), LinkFault> {
        if self.tasks.get(&id).is_some_and(|(task, _)| !task.is_finished()) {
            return Err(LinkFault::RepeatedId);
        }
        // What works on a thread of its own cannot be ended, and keeps its room until it has.
        let can_end = question.can_be_taken_back();
        let working = tokio::spawn(task.run(id, presented, question));
        self.tasks.insert(id, (working.abort_handle(), can_end));
        if self.swept_at.saturating_mul(2).max(256) < self.tasks.len() {
            self.tasks.retain(|_, (task, _)| !task.is_finished());
            self.swept_at = self.tasks.len();
        }
        Ok(())
    }

    fn take_back(&mut self, id: u64) {
        if let Some((task, true)) = self.tasks.get(&id) {
            task.abort();
        }
    }
}

impl Room {
    fn new(limits: Limits) -> Self {
        let bytes = limits.max_body_bytes.saturating_mul(32).max(128 << 20);
        let semaphore =
            |permits: usize| Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)));
        Self {
            questions: semaphore(limits.questions),
            asked_kibibytes: semaphore(bytes / UNIT),
            answered_kibibytes: semaphore(bytes / UNIT),
        }
    }

    fn for_question(&self, bytes: usize) -> Option<Held> {
        let question = Arc::clone(&self.questions).try_acquire_owned().ok()?;
        Some(vec![question, take(&self.asked_kibibytes, bytes)?])
    }

    fn for_answer(&self, reply: &Reply) -> Option<OwnedSemaphorePermit> {
        take(&self.answered_kibibytes, reply.length())
    }
}

fn take(kibibytes: &Arc<Semaphore>, bytes: usize) -> Option<OwnedSemaphorePermit> {
    let kibibytes_wanted = u32::try_from(bytes / UNIT).ok()?;
    Arc::clone(kibibytes).try_acquire_many_owned(kibibytes_wanted).ok()
}

/// What the front is told without having asked.
struct Told {
    gate: watch::Receiver<Vec<GateEntry>>,
    stop: watch::Receiver<bool>,
    pings: watch::Receiver<u64>,
}

async fn write_all(
    write: OwnedWriteHalf,
    mut outgoing: mpsc::Receiver<Outgoing>,
    mut told: Told,
) -> Result<(), LinkFault> {
    let mut write = FramedWrite::new(write, answers());
    write.set_backpressure_boundary(COLLECTED_BYTES);
    let mut messages = Vec::with_capacity(AT_ONCE);
    loop {
        let (mut stops, mut ping) = (false, None);
        tokio::select! {
            count = outgoing.recv_many(&mut messages, AT_ONCE) => if count == 0 { return Ok(()) },
            Ok(()) = told.gate.changed() => told.gate.mark_changed(),
            Ok(()) = told.stop.changed() => stops = true,
            Ok(()) = told.pings.changed() => ping = Some(*told.pings.borrow_and_update()),
        }
        // Before any answer that was given under it.
        if told.gate.has_changed().unwrap_or(false) {
            let entries = told.gate.borrow_and_update().clone();
            write.feed(encode(&FromCore::Gate(entries))?).await?;
        }
        for Outgoing { message, _held } in messages.drain(..) {
            write.feed(encode(&message)?).await?;
        }
        if let Some(number) = ping {
            write.feed(encode(&FromCore::Ping(number))?).await?;
        }
        if stops {
            write.feed(encode(&FromCore::Stop)?).await?;
        }
        SinkExt::<Bytes>::flush(&mut write).await?;
    }
}
