//! What the ledger thread counts, as plain numbers for metrics.
//!
//! Invariant: counting never waits; the numbers of one reading may be a moment apart.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the commit latency buckets, in microseconds; a last bucket holds the rest.
pub const LATENCY_BOUNDS_US: [u64; 10] =
    [250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 1_000_000];

/// Upper bounds of the batch size buckets, in intents; a last bucket holds the rest.
pub const BATCH_BOUNDS_INTENTS: [u64; 7] = [1, 4, 16, 64, 256, 1_024, 4_096];

/// The counters themselves.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    commits: AtomicU64,
    intents: AtomicU64,
    total_us: AtomicU64,
    last_us: AtomicU64,
    latency: [AtomicU64; LATENCY_BOUNDS_US.len() + 1],
    batches: [AtomicU64; BATCH_BOUNDS_INTENTS.len() + 1],
}

/// A reading of the counters, since the start of the ledger thread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitStatistics {
    /// Durable commits that permits waited for.
    pub commits: u64,
    /// Intents that were decided in those commits.
    pub intents: u64,
    /// Time spent in them, from the first decision to durable.
    pub total: Duration,
    /// Time that the last one took.
    pub last: Duration,
    /// Commits by latency; bounds in [`LATENCY_BOUNDS_US`].
    pub latency: [u64; LATENCY_BOUNDS_US.len() + 1],
    /// Commits by how many intents they held; bounds in [`BATCH_BOUNDS_INTENTS`].
    pub batches: [u64; BATCH_BOUNDS_INTENTS.len() + 1],
}

impl Counters {
    pub(crate) fn count_commit(&self, intents: usize, took: Duration) {
        let intents = u64::try_from(intents).unwrap_or(u64::MAX);
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.intents.fetch_add(intents, Ordering::Relaxed);
        self.total_us.fetch_add(took_us, Ordering::Relaxed);
        self.last_us.store(took_us, Ordering::Relaxed);
        count_in(&self.latency, &LATENCY_BOUNDS_US, took_us);
        count_in(&self.batches, &BATCH_BOUNDS_INTENTS, intents);
    }

    pub(crate) fn last(&self) -> Duration {
        Duration::from_micros(self.last_us.load(Ordering::Relaxed))
    }

    pub(crate) fn read(&self) -> CommitStatistics {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CommitStatistics {
            commits: load(&self.commits),
            intents: load(&self.intents),
            total: Duration::from_micros(load(&self.total_us)),
            last: Duration::from_micros(load(&self.last_us)),
            latency: self.latency.each_ref().map(load),
            batches: self.batches.each_ref().map(load),
        }
    }
}

impl CommitStatistics {
    /// The mean time of a commit; zero before the first.
    #[must_use]
    pub fn mean_commit(&self) -> Duration {
        let commits = u32::try_from(self.commits).unwrap_or(u32::MAX);
        self.total.checked_div(commits).unwrap_or_default()
    }
}

fn count_in(buckets: &[AtomicU64], bounds: &[u64], value: u64) {
    let place = bounds.partition_point(|bound| *bound < value);
    if let Some(bucket) = buckets.get(place) {
        bucket.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_on_a_bound_counts_below_it() {
        let counters = Counters::default();
        counters.count_commit(4, Duration::from_micros(250));
        counters.count_commit(5_000, Duration::from_secs(9));
        let read = counters.read();
        assert_eq!((read.commits, read.intents), (2, 5_004));
        assert_eq!((read.latency[0], read.latency[10]), (1, 1));
        assert_eq!((read.batches[1], read.batches[7]), (1, 1));
        assert_eq!(read.last, Duration::from_secs(9));
    }
}
