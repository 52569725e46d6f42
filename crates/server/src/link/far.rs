//! The core as the front sees it: questions go out, answers come back in any order.
//!
//! Invariants: what waits is bounded, and what finds no room is answered as overload at once; a
//! client that goes away takes its question back; when the core is gone every question that waits,
//! and every later one, is answered with an error.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::codec::{FramedRead, FramedWrite};

use super::codec::{LinkFault, answers, decode, encode, frames};
use super::message::{FromCore, FromFront, GateEntry, Question, Reply};
use crate::policy::Presented;

/// Messages that wait to be written.
const OUTGOING: usize = 4_096;

/// Messages that are written in one go.
const AT_ONCE: usize = 64;

/// How much is collected before it must be written.
const COLLECTED_BYTES: usize = 256 << 10;

/// Questions that wait for their answer.
type Waiting = Mutex<Option<HashMap<u64, oneshot::Sender<Reply>>>>;

/// The core, in another process.
#[derive(Clone)]
pub(crate) struct RemoteCore {
    outgoing: mpsc::Sender<FromFront>,
    waiting: Arc<Waiting>,
    next: Arc<AtomicU64>,
}

/// What the core tells the front without being asked.
pub(crate) struct Told {
    /// Whom to let in.
    pub(crate) gate: watch::Sender<Vec<GateEntry>>,
    /// Whether to stop.
    pub(crate) stop: watch::Sender<bool>,
}

/// Takes a question back when its client goes away.
struct Asked<'a> {
    core: &'a RemoteCore,
    id: u64,
}

impl RemoteCore {
    /// Speaks over `stream` until the core hangs up; the future ends then.
    pub(crate) fn over(
        stream: UnixStream,
        max_body_bytes: usize,
        told: Told,
    ) -> (Self, impl Future<Output = Result<(), LinkFault>>) {
        let (outgoing, queue) = mpsc::channel(OUTGOING);
        let waiting = Arc::new(Mutex::new(Some(HashMap::new())));
        let core = Self { outgoing, waiting: Arc::clone(&waiting), next: Arc::default() };
        let (read, write) = stream.into_split();
        let speaking = async move {
            let pinged = watch::Sender::new(0);
            let writing = write_all(write, queue, pinged.subscribe(), max_body_bytes);
            let writing = tokio::spawn(writing);
            let result = read_all(read, &waiting, &told, &pinged).await;
            // Whoever waits learns by its dropped sender that there will be no answer.
            drop(lock(&waiting).take());
            writing.abort();
            result
        };
        (core, speaking)
    }

    /// Tells the core that the listeners are served.
    pub(crate) async fn is_ready(&self) {
        // A core that is gone is noticed by the reading side.
        drop(self.outgoing.send(FromFront::Ready).await);
    }

    pub(crate) async fn ask(&self, presented: &Presented, question: Question) -> Reply {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (reply, answer) = oneshot::channel();
        match lock(&self.waiting).as_mut() {
            Some(waiting) => drop(waiting.insert(id, reply)),
            None => return core_gone(),
        }
        let asked = Asked { core: self, id };
        let message = FromFront::Ask { id, presented: presented.clone(), question };
        if let Err(error) = self.outgoing.try_send(message) {
            lock(&self.waiting).as_mut().map(|waiting| waiting.remove(&asked.id));
            return match error {
                mpsc::error::TrySendError::Full(_) => Reply::overloaded(),
                mpsc::error::TrySendError::Closed(_) => core_gone(),
            };
        }
        answer.await.unwrap_or_else(|_| core_gone())
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let waited = lock(&self.core.waiting).as_mut().and_then(|waiting| waiting.remove(&self.id));
        if waited.is_some() {
            // With no room the core does work that nobody waits for; it is bounded there.
            drop(self.core.outgoing.try_send(FromFront::Cancel { id: self.id }));
        }
    }
}

fn lock(
    waiting: &Waiting,
) -> std::sync::MutexGuard<'_, Option<HashMap<u64, oneshot::Sender<Reply>>>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

fn core_gone() -> Reply {
    Reply::error(
        503,
        "core-gone",
        "the process that signs has ended; whether this request was decided is in its journal. \
         Restart the guard and ask again: the same duty is judged by the durable record",
    )
}

async fn write_all(
    write: OwnedWriteHalf,
    mut queue: mpsc::Receiver<FromFront>,
    mut pinged: watch::Receiver<u64>,
    max_body_bytes: usize,
) -> Result<(), LinkFault> {
    let mut write = FramedWrite::new(write, frames(max_body_bytes));
    write.set_backpressure_boundary(COLLECTED_BYTES);
    let mut messages = Vec::with_capacity(AT_ONCE);
    loop {
        tokio::select! {
            count = queue.recv_many(&mut messages, AT_ONCE) => if count == 0 { return Ok(()) },
            Ok(()) = pinged.changed() => {
                messages.push(FromFront::Pong(*pinged.borrow_and_update()));
            }
        }
        for message in messages.drain(..) {
            write.feed(encode(&message)?).await?;
        }
        SinkExt::<Bytes>::flush(&mut write).await?;
    }
}

async fn read_all(
    read: OwnedReadHalf,
    waiting: &Waiting,
    told: &Told,
    pinged: &watch::Sender<u64>,
) -> Result<(), LinkFault> {
    let mut read = FramedRead::new(read, answers());
    while let Some(frame) = read.next().await {
        match decode(&frame?)? {
            FromCore::Answer { id, reply } => {
                let waited = lock(waiting).as_mut().and_then(|waiting| waiting.remove(&id));
                if let Some(waited) = waited {
                    // Its client may have gone away just now.
                    drop(waited.send(reply));
                }
            }
            FromCore::Gate(entries) => drop(told.gate.send_replace(entries)),
            // Beside the queue of questions: a full one must not look like a front that hangs.
            FromCore::Ping(number) => drop(pinged.send_replace(number)),
            FromCore::Stop => drop(told.stop.send_replace(true)),
        }
    }
    Ok(())
}
