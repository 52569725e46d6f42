//! Connections that have not yet shown whose they are.
//!
//! Invariants: when every place for connections is taken, the oldest of these gives way to the next
//! that comes, so that whoever only holds connections keeps nobody out; none gives way within
//! [`GRACE`], in which an honest client has long asked; one whose client is known never does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// How long a new connection is left in peace.
pub(crate) const GRACE: Duration = Duration::from_secs(1);

/// All of one listener, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arrivals(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    all: BTreeMap<u64, (Instant, Arc<Notify>)>,
}

/// One of them, until it is dropped: then its client is known, or it has ended.
#[derive(Debug)]
pub(crate) struct Arrival {
    number: u64,
    of: Arrivals,
}

impl Arrivals {
    /// Takes one in. The second is told when it has to give way.
    pub(crate) fn enter(&self) -> (Arrival, Arc<Notify>) {
        let mut waiting = self.lock();
        let (number, gives_way) = (waiting.next, Arc::<Notify>::default());
        waiting.next = waiting.next.wrapping_add(1);
        waiting.all.insert(number, (Instant::now(), Arc::clone(&gives_way)));
        (Arrival { number, of: self.clone() }, gives_way)
    }

    /// Has the oldest give way, when its grace is over. Never returns while there is none.
    pub(crate) async fn oldest_gives_way(&self) {
        loop {
            let Some(since) = self.oldest() else { return std::future::pending().await };
            sleep_until(since + GRACE).await;
            // Another may be the oldest by now.
            if self.oldest().is_some_and(|since| GRACE <= since.elapsed())
                && let Some((_, (_, oldest))) = self.lock().all.pop_first()
            {
                oldest.notify_one();
                return;
            }
        }
    }

    fn oldest(&self) -> Option<Instant> {
        self.lock().all.first_key_value().map(|(_, (since, _))| *since)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        self.of.lock().all.remove(&self.number);
    }
}
