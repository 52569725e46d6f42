//! The ledger thread, the group commit, and the way of a lone request past both.
//!
//! Whatever has queued while one commit was on its way becomes the next commit. When nothing else
//! is asked, the one who asks commits on its own thread ([`LedgerHandle::authorise_here`]): two
//! wakes less. Invariants: the store is behind one lock, and whoever panics with it has ended it
//! for all; the queue is bounded and a full one is answered at once; every batch that was taken is
//! answered exactly once, also when the thread ends or breaks; a reply leaves only after the commit
//! that it stands on; refusals reach the journal within about a second.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{fmt, thread};

use palisade_protect::{Denied, Intent, KeyId, Permit, authorise};

use crate::error::StoreError;
use crate::ledger::Store;
use crate::statistics::{CommitStatistics, Counters};

/// How long refusals may wait for the journal, however busy the thread is.
const REFUSALS_WAIT: Duration = Duration::from_secs(1);
/// A pause after which the database takes over what the log holds.
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
    join: Result<JoinHandle<Option<Store>>, StoreError>,
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
    /// `None` once the thread has given it back.
    store: Mutex<Option<Store>>,
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
            store: Mutex::new(Some(store)),
            counters: Counters::default(),
        });
        let worker = Worker {
            receiver,
            carried: None,
            refused_since: None,
            entries_at_rest: 0,
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
        let ended = self.join?.join().ok().flatten();
        ended.ok_or(StoreError::Bug("a thread panicked with the ledger"))
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

    /// Decides `batch` and makes it durable on this thread, which waits for the disk. `None`: the
    /// ledger is busy or has ended, nothing was decided, and `batch` is for
    /// [`LedgerHandle::authorise`].
    #[must_use]
    pub fn authorise_here(&self, batch: &[(KeyId, Intent)]) -> Option<Answers> {
        if self.queue_depth() != 0 {
            return None;
        }
        let mut guard = self.shared.store.try_lock().ok()?;
        let store = guard.as_mut()?;
        let answers = self.shared.authorise(store, batch);
        self.shared.writable.store(store.is_writable(), Ordering::Relaxed);
        Some(answers)
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

    /// How long the last durable commit took that permits waited for.
    #[must_use]
    pub fn last_commit(&self) -> Duration {
        self.shared.counters.last()
    }

    /// The commits since the thread started.
    #[must_use]
    pub fn statistics(&self) -> CommitStatistics {
        self.shared.counters.read()
    }
}

struct Worker {
    receiver: Receiver<Message>,
    /// What was taken from the queue but belongs after the current group.
    carried: Option<Message>,
    /// How many entries the journal had when nothing was asked for a while.
    entries_at_rest: u64,
    refused_since: Option<Instant>,
    max_intents: usize,
    alive: Alive,
}

/// Says that nothing can be written any more when the thread ends, also by a panic.
struct Alive(Arc<Shared>);

/// Somebody panicked with the store: it is not known what it holds.
struct Broken;

impl Shared {
    fn authorise(&self, store: &mut Store, batch: &[(KeyId, Intent)]) -> Answers {
        let (entries_before, started) = (store.state.entries, Instant::now());
        let answers = authorise(store, batch);
        if entries_before < store.state.entries {
            self.counters.count_commit(batch.len(), started.elapsed());
        }
        answers
    }

    fn lock(&self) -> Result<MutexGuard<'_, Option<Store>>, Broken> {
        self.store.lock().map_err(|_| Broken)
    }
}

impl Worker {
    /// Gives the store back; `None` when somebody panicked with it.
    fn run(mut self) -> Option<Store> {
        let ended = self.work();
        let shared = Arc::clone(&self.alive.0);
        match ended {
            Ok(()) => shared.lock().ok()?.take(),
            Err(Broken) => None,
        }
    }

    fn work(&mut self) -> Result<(), Broken> {
        loop {
            match self.next() {
                Ok(Message::Batch(first)) => self.commit_group(first)?,
                Ok(Message::Call(call)) => self.with_store(|store| call(store))?,
                Err(RecvTimeoutError::Timeout) => self.rest()?,
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => break,
            }
            self.keep_house()?;
        }
        self.checkpoint()
    }

    /// The next message. Wakes up in between, because what was committed on other threads is not
    /// announced.
    fn next(&mut self) -> Result<Message, RecvTimeoutError> {
        match self.carried.take() {
            Some(message) => Ok(message),
            None => self.receiver.recv_timeout(QUIET),
        }
    }

    fn with_store<T>(&self, f: impl FnOnce(&mut Store) -> T) -> Result<T, Broken> {
        self.alive.0.lock()?.as_mut().map(f).ok_or(Broken)
    }

    fn commit_group(&mut self, first: Request) -> Result<(), Broken> {
        let shared = Arc::clone(&self.alive.0);
        let mut guard = shared.lock()?;
        let store = guard.as_mut().ok_or(Broken)?;
        // With the lock held, so that whoever is before this thread makes the group larger.
        let mut group = vec![first];
        self.gather(&mut group);
        let together: Vec<_> = group.iter().flat_map(|request| &request.batch).copied().collect();
        let mut answers = shared.authorise(store, &together).into_iter();
        drop(guard);
        shared.waiting.fetch_sub(group.len(), Ordering::Relaxed);
        for mut request in group {
            let answers = answers.by_ref().take(request.batch.len()).collect();
            request.answer(answers);
        }
        Ok(())
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

    /// Nothing was asked of this thread for a while, and perhaps of no other.
    fn rest(&mut self) -> Result<(), Broken> {
        let entries = self.with_store(|store| store.state.entries)?;
        let was_at_rest = entries == self.entries_at_rest;
        self.entries_at_rest = entries;
        if was_at_rest { self.checkpoint() } else { Ok(()) }
    }

    fn keep_house(&mut self) -> Result<(), Broken> {
        if !self.with_store(|store| store.has_waiting_refusals())? {
            self.refused_since = None;
        } else if REFUSALS_WAIT <= self.refused_since.get_or_insert_with(Instant::now).elapsed() {
            self.checkpoint()?;
        }
        let is_writable = self.with_store(|store| store.is_writable())?;
        self.alive.0.writable.store(is_writable, Ordering::Relaxed);
        Ok(())
    }

    /// A failure shows in every later answer, and here in nothing but the state.
    fn checkpoint(&mut self) -> Result<(), Broken> {
        self.with_store(|store| drop(store.checkpoint()))?;
        self.refused_since = None;
        Ok(())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        // Nobody commits any more, also not past the queue.
        if let Ok(mut store) = self.0.store.lock() {
            drop(store.take());
        }
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
