//! Decides what a node can show of its guard connection: plain counters, read as one snapshot.
//!
//! Invariant: counters only grow, so that a node may export them to any metrics system.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::hub::Outcome;
use crate::wire::GuardError;

/// Upper bounds of the latency buckets, in milliseconds; a last bucket holds the rest.
pub const LATENCY_BOUNDS_MS: [u64; 10] = [1, 2, 5, 10, 25, 50, 100, 250, 1_000, 5_000];

/// The counters as they are written.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) connections: AtomicU64,
    pub(crate) failed_connections: AtomicU64,
    pub(crate) lost_connections: AtomicU64,
    pub(crate) requests: AtomicU64,
    pub(crate) signed: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) timeouts: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) garbage: AtomicU64,
    pub(crate) unasked: AtomicU64,
    pub(crate) vrf_misses: AtomicU64,
    pub(crate) commitment_misses: AtomicU64,
    pub(crate) unknown_payloads: AtomicU64,
    latency: [AtomicU64; LATENCY_BOUNDS_MS.len() + 1],
    latency_sum_us: AtomicU64,
}

impl Counters {
    pub(crate) fn answered(&self, after: Duration, outcome: &Outcome) {
        let counter = match outcome {
            Ok(_) => &self.signed,
            Err(GuardError::Refused { .. }) => &self.refused,
            Err(_) => &self.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        let ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        let bucket = LATENCY_BOUNDS_MS.iter().position(|bound| ms < *bound);
        if let Some(bucket) = self.latency.get(bucket.unwrap_or(LATENCY_BOUNDS_MS.len())) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        let us = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
        self.latency_sum_us.fetch_add(us, Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self) -> Metrics {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Metrics {
            connections: read(&self.connections),
            failed_connections: read(&self.failed_connections),
            lost_connections: read(&self.lost_connections),
            requests: read(&self.requests),
            answered: read(&self.signed),
            refused: read(&self.refused),
            failed: read(&self.failed),
            timeouts: read(&self.timeouts),
            retries: read(&self.retries),
            garbage: read(&self.garbage),
            unasked: read(&self.unasked),
            vrf_misses: read(&self.vrf_misses),
            commitment_misses: read(&self.commitment_misses),
            unknown_payloads: read(&self.unknown_payloads),
            latency: self.latency.each_ref().map(read),
            latency_sum_us: read(&self.latency_sum_us),
        }
    }
}

/// The counters since the node started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Connections that came up, dialled by either side.
    pub connections: u64,
    /// Attempts to connect that failed.
    pub failed_connections: u64,
    /// Connections that ended.
    pub lost_connections: u64,
    /// Requests sent, repeats included. A node that asks about keys that are not its own does not
    /// count here: those are answered from the list of keys.
    pub requests: u64,
    /// Requests that the guard answered with a result.
    pub answered: u64,
    /// Requests that a rule of the guard refused.
    pub refused: u64,
    /// Requests that ended with any other error of the guard.
    pub failed: u64,
    /// Calls that no guard answered in time.
    pub timeouts: u64,
    /// Requests sent again, after a lost connection or because the guard was not ready.
    pub retries: u64,
    /// Messages that were no answer at all; each ended its connection.
    pub garbage: u64,
    /// Answers that nobody waited for: late, or with a wrong id.
    pub unasked: u64,
    /// VRF inputs for which no slot and epoch was found.
    pub vrf_misses: u64,
    /// BEEFY hashes for which no commitment was found.
    pub commitment_misses: u64,
    /// Payloads that this crate has no method for, and therefore did not send.
    pub unknown_payloads: u64,
    /// Answers by how long the caller waited; see [`LATENCY_BOUNDS_MS`].
    pub latency: [u64; LATENCY_BOUNDS_MS.len() + 1],
    /// The sum of those times in microseconds.
    pub latency_sum_us: u64,
}
