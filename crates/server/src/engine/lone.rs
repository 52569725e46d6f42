//! Whether a request is alone, and may go past the ledger's queue.
//!
//! Two threads are woken for a request that queues: the ledger's, and a worker when it is decided.
//! One that is alone saves both and waits for the disk where it is. What comes meanwhile may wait
//! with it: nothing wakes another worker. Invariants: it waits so only where the disk was quick the
//! last time, so that a slow one holds up one request at most, and then the queue again; a request
//! beside others queues, so that they share a commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The most that is decided at once past the queue; signing more takes longer than the wakes.
const MOST_INTENTS: usize = 16;

/// A disk that took longer the last time is not waited for on a worker.
const QUICK: Duration = Duration::from_millis(5);

/// Counts the requests between their arrival and their answer.
#[derive(Debug, Default)]
pub(super) struct UnderWay {
    count: Arc<AtomicUsize>,
    workers: usize,
}

/// A request on its way, until it is dropped.
#[derive(Debug)]
pub(crate) struct OnItsWay(Arc<AtomicUsize>);

impl UnderWay {
    pub(super) fn set_workers(&mut self, workers: usize) {
        self.workers = workers;
    }

    pub(super) fn enter(&self) -> OnItsWay {
        self.count.fetch_add(1, Ordering::Relaxed);
        OnItsWay(Arc::clone(&self.count))
    }

    /// Whether a request with so many intents is the only one, before a disk that took so long for
    /// its last commit.
    pub(super) fn is_lone(&self, intents: usize, last_commit: Duration) -> bool {
        1 < self.workers
            && intents <= MOST_INTENTS
            && last_commit <= QUICK
            && self.count.load(Ordering::Relaxed) <= 1
    }
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_small_request_without_others_before_a_quick_disk_is_lone() {
        let mut under_way = UnderWay::default();
        let alone = under_way.enter();
        assert!(!under_way.is_lone(1, QUICK), "no worker is known");
        under_way.set_workers(1);
        assert!(!under_way.is_lone(1, QUICK), "the only worker");
        under_way.set_workers(2);
        assert!(under_way.is_lone(1, QUICK) && under_way.is_lone(MOST_INTENTS, QUICK));
        assert!(!under_way.is_lone(MOST_INTENTS + 1, QUICK));
        assert!(!under_way.is_lone(1, QUICK + Duration::from_millis(1)), "the disk is slow");
        let other = under_way.enter();
        assert!(!under_way.is_lone(1, QUICK));
        drop(alone);
        assert!(under_way.is_lone(1, QUICK));
        drop(other);
    }
}
