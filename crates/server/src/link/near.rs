//! The front as the core sees it: somebody who may have been broken into.
//!
//! Invariants: questions under way are bounded in number and in bytes, and further ones are
//! answered as overload; answers that the front does not take stop the reading of questions, and
//! nothing else; any breach of the protocol is an error that ends the guard.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use tokio_util::codec::{FramedRead, FramedWrite};

use super::codec::{LinkFault, answers, encode, frames};
use super::message::{FromCore, FromFront, GateEntry, Question, Reply};
use crate::config;
use crate::core::Core;
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
}

impl Limits {
    /// What a front with these limits can have under way: a question for each of its connections,
    /// and what its clients send ahead on persistent ones.
    pub(crate) fn of(limits: &config::Limits) -> Self {
        let questions = limits.max_connections.saturating_mul(2).max(4_096);
        Self { max_body_bytes: limits.max_body_bytes, questions }
    }
}

/// The room for questions.
struct Room {
    questions: Arc<Semaphore>,
    kibibytes: Arc<Semaphore>,
}

/// Held while a question is under way.
struct Held(#[expect(dead_code, reason = "given back when dropped")] [OwnedSemaphorePermit; 2]);

/// Questions under way, so that they can be taken back.
#[derive(Default)]
struct UnderWay {
    tasks: HashMap<u64, AbortHandle>,
    swept_at: usize,
}

/// Answers until the front hangs up, which is how it ends.
///
/// # Errors
/// [`LinkFault`] when the front breaks the protocol: it is to be treated as broken into.
pub(crate) async fn serve(
    core: Arc<Core>,
    stream: UnixStream,
    limits: Limits,
    stop: watch::Receiver<bool>,
    ready: oneshot::Sender<()>,
) -> Result<(), LinkFault> {
    let (read, write) = stream.into_split();
    let (answered, outgoing) = mpsc::channel(OUTGOING);
    let writing = tokio::spawn(write_all(write, outgoing, core.gate(), stop));
    let mut read = FramedRead::new(read, frames(limits.max_body_bytes));
    let (room, mut under_way) = (Room::new(limits), UnderWay::default());
    let mut ready = Some(ready);
    while let Some(frame) = read.next().await {
        let frame = frame?;
        match FromFront::read(&frame)? {
            FromFront::Ready => {
                // Nobody waits any more when the start was given up meanwhile.
                let _was_awaited = ready.take().map(|ready| ready.send(()));
            }
            FromFront::Ask { id, presented, question } => match room.take(frame.len()) {
                Some(held) => {
                    let task = Task { core: Arc::clone(&core), answered: answered.clone(), held };
                    under_way.start(id, task, presented, question)?;
                }
                None => {
                    let overloaded = FromCore::Answer { id, reply: Reply::overloaded() };
                    drop(answered.send(overloaded).await);
                }
            },
            FromFront::Cancel { id } => under_way.take_back(id),
        }
    }
    writing.abort();
    Ok(())
}

struct Task {
    core: Arc<Core>,
    answered: mpsc::Sender<FromCore>,
    held: Held,
}

impl UnderWay {
    fn start(
        &mut self,
        id: u64,
        task: Task,
        presented: Presented,
        question: Question,
    ) -> Result<(), LinkFault> {
        if self.tasks.get(&id).is_some_and(|task| !task.is_finished()) {
            return Err(LinkFault::RepeatedId);
        }
        let Task { core, answered, held } = task;
        let working = tokio::spawn(async move {
            let reply = core.answer(&presented, question).await;
            drop(held);
            // A front that is gone needs no answer.
            drop(answered.send(FromCore::Answer { id, reply }).await);
        });
        self.tasks.insert(id, working.abort_handle());
        if self.swept_at.saturating_mul(2).max(256) < self.tasks.len() {
            self.tasks.retain(|_, task| !task.is_finished());
            self.swept_at = self.tasks.len();
        }
        Ok(())
    }

    fn take_back(&mut self, id: u64) {
        if let Some(task) = self.tasks.remove(&id) {
            task.abort();
        }
    }
}

impl Room {
    fn new(limits: Limits) -> Self {
        let bytes = limits.max_body_bytes.saturating_mul(32).max(128 << 20);
        Self {
            questions: Arc::new(Semaphore::new(limits.questions.min(Semaphore::MAX_PERMITS))),
            kibibytes: Arc::new(Semaphore::new((bytes / UNIT).min(Semaphore::MAX_PERMITS))),
        }
    }

    fn take(&self, bytes: usize) -> Option<Held> {
        let kibibytes = u32::try_from(bytes / UNIT).ok()?;
        let question = Arc::clone(&self.questions).try_acquire_owned().ok()?;
        let bytes = Arc::clone(&self.kibibytes).try_acquire_many_owned(kibibytes).ok()?;
        Some(Held([question, bytes]))
    }
}

async fn write_all(
    write: OwnedWriteHalf,
    mut outgoing: mpsc::Receiver<FromCore>,
    mut gate: watch::Receiver<Vec<GateEntry>>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), LinkFault> {
    let mut write = FramedWrite::new(write, answers());
    write.set_backpressure_boundary(COLLECTED_BYTES);
    let mut messages = Vec::with_capacity(AT_ONCE);
    loop {
        tokio::select! {
            count = outgoing.recv_many(&mut messages, AT_ONCE) => if count == 0 { return Ok(()) },
            Ok(()) = gate.changed() => gate.mark_changed(),
            Ok(()) = stop.changed() => messages.push(FromCore::Stop),
        }
        // Before any answer that was given under it.
        if gate.has_changed().unwrap_or(false) {
            let entries = gate.borrow_and_update().clone();
            write.feed(encode(&FromCore::Gate(entries))?).await?;
        }
        for message in messages.drain(..) {
            write.feed(encode(&message)?).await?;
        }
        SinkExt::<Bytes>::flush(&mut write).await?;
    }
}
