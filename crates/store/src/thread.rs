//! The ledger thread: the store's one owner, and the group commit.
//!
//! Whatever has queued while one commit was on its way becomes the next commit. Invariants: the
//! queue is bounded and a full one is answered at once; every batch that was taken is answered
//! exactly once, also when the thread ends or breaks; a reply leaves only after the commit that
//! it stands on; refusals reach the journal within about a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{fmt, thread};

use palisade_protect::{Denied, Intent, KeyId, Permit, authorise};

use crate::error::StoreError;
use crate::ledger::Store;
use crate::statistics::{CommitStatistics, Counters};

/// How long refusals may wait for the journal, however busy the thread is.
const REFUSALS_WAIT: Duration = Duration::from_secs(1);
/// A pause after which the file is made ready for a quick start after a crash.
const QUIET: Duration = Duration::from_millis(300);

/// What is permitted, or why not, each at its intent's place.
pub type Answers = Vec<Result<Permit, Denied<StoreError>>>;

/// The bounds of the ledger thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many batches may wait; 0 counts as 1.
    pub queue_batches: usize,
    /// How many intents may share a commit. A larger single batch still is one commit.
    pub max_intents_per_commit: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { queue_batches: 4_096, max_intents_per_commit: 4_096 }
    }
}

/// The queue is full; nothing was decided, and the reply was dropped uncalled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overloaded;

/// Owns the ledger thread. Dropping it lets the thread run until every handle is gone.
#[derive(Debug)]
pub struct LedgerThread {
    join: Result<JoinHandle<Store>, StoreError>,
    queue: SyncSender<Message>,
}

/// Asks the ledger thread. Clones share one queue.
#[derive(Clone, Debug)]
pub struct LedgerHandle {
    queue: SyncSender<Message>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    waiting: AtomicUsize,
    writable: AtomicBool,
    counters: Counters,
}

type Reply = Box<dyn FnOnce(Answers) + Send>;
type Call = Box<dyn FnOnce(&mut Store) + Send>;

enum Message {
    Batch(Request),
    Call(Call),
    Stop,
}

/// A batch and its reply, which is called exactly once: on drop at the latest.
struct Request {
    batch: Vec<(KeyId, Intent)>,
    reply: Option<Reply>,
}

impl LedgerThread {
    /// Starts the thread. If the system gives none, the handle answers as if it had stopped, and
    /// [`LedgerThread::stop`] says why.
    #[must_use]
    pub fn spawn(store: Store, limits: Limits) -> (LedgerHandle, Self) {
        let (queue, receiver) = sync_channel(limits.queue_batches.max(1));
        let shared = Arc::new(Shared {
            waiting: AtomicUsize::new(0),
            writable: AtomicBool::new(store.is_writable()),
            counters: Counters::default(),
        });
        let worker = Worker {
            store,
            receiver,
            carried: None,
            refused_since: None,
            max_intents: limits.max_intents_per_commit,
            alive: Alive(Arc::clone(&shared)),
        };
        let join = thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || worker.run())
            .map_err(redb::Error::Io)
            .map_err(StoreError::while_doing("starting the ledger thread"));
        (LedgerHandle { queue: queue.clone(), shared }, Self { join, queue })
    }

    /// Answers what has queued, journals the waiting refusals, and gives the store back.
    ///
    /// # Errors
    /// [`StoreError::Bug`] when the thread had broken; why it never started, if it did not.
    pub fn stop(self) -> Result<Store, StoreError> {
        // Fails only when the thread has ended already, which the join tells.
        drop(self.queue.send(Message::Stop));
        self.join?.join().map_err(|_| StoreError::Bug("the ledger thread panicked"))
    }
}

impl LedgerHandle {
    /// Decides `batch` and makes it durable, together with whatever else has queued, then calls
    /// `reply` on the ledger thread: it must be quick. Never waits. Once the thread has ended,
    /// `reply` is called at once with [`StoreError::Stopped`].
    ///
    /// # Errors
    /// [`Overloaded`] when the queue is full; `reply` is then not called.
    pub fn authorise(
        &self,
        batch: Vec<(KeyId, Intent)>,
        reply: impl FnOnce(Answers) + Send + 'static,
    ) -> Result<(), Overloaded> {
        let request = Request { batch, reply: Some(Box::new(reply)) };
        self.shared.waiting.fetch_add(1, Ordering::Relaxed);
        let Err(unsent) = self.queue.try_send(Message::Batch(request)) else { return Ok(()) };
        self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
        match unsent {
            TrySendError::Full(Message::Batch(mut request)) => {
                request.reply = None;
                Err(Overloaded)
            }
            // The request answers for itself when it is dropped.
            TrySendError::Full(_) | TrySendError::Disconnected(_) => Ok(()),
        }
    }

    /// Runs `f` on the store between two commits and waits for it: for administration. It also
    /// waits for room in the queue. Never call it in a reply or in another call: the ledger thread
    /// would wait for itself.
    ///
    /// # Errors
    /// [`StoreError::Stopped`] when the thread has ended; `f` may then not have run.
    pub fn call<T: Send + 'static>(
        &self,
        f: impl FnOnce(&mut Store) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let (sender, receiver) = sync_channel(1);
        let call = move |store: &mut Store| drop(sender.send(f(store)));
        self.queue.send(Message::Call(Box::new(call))).map_err(|_| StoreError::Stopped)?;
        receiver.recv().map_err(|_| StoreError::Stopped)
    }

    /// Whether the ledger still takes writes, as far as it knows.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.shared.writable.load(Ordering::Relaxed)
    }

    /// How many batches wait.
    #[must_use]
    pub fn queue_depth(&self) -> usize {
        self.shared.waiting.load(Ordering::Relaxed)
    }

    /// The commits since the thread started.
    #[must_use]
    pub fn statistics(&self) -> CommitStatistics {
        self.shared.counters.read()
    }
}

struct Worker {
    store: Store,
    receiver: Receiver<Message>,
    /// What was taken from the queue but belongs after the current group.
    carried: Option<Message>,
    refused_since: Option<Instant>,
    max_intents: usize,
    alive: Alive,
}

/// Says that nothing can be written any more when the thread ends, also by a panic.
struct Alive(Arc<Shared>);

impl Worker {
    fn run(mut self) -> Store {
        loop {
            match self.next() {
                Ok(Message::Batch(first)) => self.commit_group(first),
                Ok(Message::Call(call)) => call(&mut self.store),
                Err(RecvTimeoutError::Timeout) => self.checkpoint(),
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => break,
            }
            self.keep_house();
        }
        self.checkpoint();
        self.store
    }

    fn next(&mut self) -> Result<Message, RecvTimeoutError> {
        if let Some(message) = self.carried.take() {
            return Ok(message);
        }
        if self.store.is_writable() && self.store.is_checkpoint_due() {
            return self.receiver.recv_timeout(QUIET);
        }
        self.receiver.recv().map_err(|_| RecvTimeoutError::Disconnected)
    }

    fn commit_group(&mut self, first: Request) {
        let mut group = vec![first];
        self.gather(&mut group);
        self.alive.0.waiting.fetch_sub(group.len(), Ordering::Relaxed);
        let together: Vec<_> = group.iter().flat_map(|request| &request.batch).copied().collect();
        let entries_before = self.store.state.entries;
        let started = Instant::now();
        let mut answers = authorise(&mut self.store, &together).into_iter();
        if entries_before < self.store.state.entries {
            self.alive.0.counters.count_commit(together.len(), started.elapsed());
        }
        for mut request in group {
            let answers = answers.by_ref().take(request.batch.len()).collect();
            request.answer(answers);
        }
    }

    /// Takes what has queued, up to the bound.
    fn gather(&mut self, group: &mut Vec<Request>) {
        let mut intents = group.iter().map(|request| request.batch.len()).sum::<usize>();
        while let Ok(message) = self.receiver.try_recv() {
            match message {
                Message::Batch(request)
                    if intents.saturating_add(request.batch.len()) <= self.max_intents =>
                {
                    intents = intents.saturating_add(request.batch.len());
                    group.push(request);
                }
                other => {
                    self.carried = Some(other);
                    return;
                }
            }
        }
    }

    fn keep_house(&mut self) {
        if !self.store.has_waiting_refusals() {
            self.refused_since = None;
        } else if REFUSALS_WAIT <= self.refused_since.get_or_insert_with(Instant::now).elapsed() {
            self.checkpoint();
        }
        self.alive.0.writable.store(self.store.is_writable(), Ordering::Relaxed);
    }

    /// A failure shows in every later answer, and here in nothing but the state.
    fn checkpoint(&mut self) {
        drop(self.store.checkpoint());
        self.refused_since = None;
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.writable.store(false, Ordering::Relaxed);
    }
}

impl Request {
    fn answer(&mut self, answers: Answers) {
        if let Some(reply) = self.reply.take() {
            reply(answers);
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let stopped = || Err(Denied::Failed(StoreError::Stopped));
        let answers = self.batch.iter().map(|_| stopped()).collect();
        self.answer(answers);
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Batch(_) => "Batch",
            Self::Call(_) => "Call",
            Self::Stop => "Stop",
        })
    }
}

impl fmt::Display for Overloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many requests wait for the ledger; nothing was decided, try again")
    }
}

impl std::error::Error for Overloaded {}
