//! The core's counters, gauges and histograms, in OpenMetrics text. `docs/metrics.md` names each
//! one; those of the listeners are in `http::metrics`.
//!
//! Invariant: label values come from closed lists or from the operator's configuration, never from
//! a request, so that a client cannot make the series grow.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use palisade_ethereum::SigningType;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::admin::MeasureRow;
use crate::engine::{Denial, Held, Outcome};

/// Upper bounds of the latency buckets, in seconds.
pub const LATENCY_BUCKETS: [f64; 14] =
    [0.000_5, 0.001, 0.002, 0.003, 0.005, 0.007_5, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct SigningLabels {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CertificateLabel {
    certificate: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct MeasureLabels {
    measure: String,
    state: String,
}

/// All series of one guard.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    signings: Family<SigningLabels, Counter>,
    latency: Family<KindLabel, Histogram, fn() -> Histogram>,
    measures: Family<MeasureLabels, Gauge>,
    keys: Gauge,
    ready: Gauge,
    certificates: Family<CertificateLabel, Gauge>,
    announced_headers: Gauge,
    announced_body: Gauge,
    ledger_queue: Gauge,
    commits: Counter<u64, AtomicU64>,
    commit_seconds: Counter<f64, AtomicU64>,
    latencies: Arc<Latencies>,
}

/// A second, unlabelled count of the same latencies, for the console's quantiles.
#[derive(Default)]
struct Latencies {
    counts: [AtomicU64; LATENCY_BUCKETS.len() + 1],
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All series, at zero.
    #[must_use]
    pub fn new() -> Self {
        let metrics = Self {
            registry: Arc::new(Registry::default()),
            signings: Family::default(),
            latency: Family::new_with_constructor(|| Histogram::new(LATENCY_BUCKETS)),
            measures: Family::default(),
            keys: Gauge::default(),
            ready: Gauge::default(),
            certificates: Family::default(),
            announced_headers: Gauge::default(),
            announced_body: Gauge::default(),
            ledger_queue: Gauge::default(),
            commits: Counter::default(),
            commit_seconds: Counter::default(),
            latencies: Arc::default(),
        };
        let mut registry = Registry::with_prefix("palisade");
        metrics.register(&mut registry);
        Self { registry: Arc::new(registry), ..metrics }
    }

    fn register(&self, registry: &mut Registry) {
        registry.register(
            "build",
            "The version of this program",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        registry.register(
            "signing_requests",
            "Requests to sign, by kind of duty and outcome (signed, or the code of the denial)",
            self.signings.clone(),
        );
        registry.register_with_unit(
            "signing_latency",
            "From a request that is read whole to its outcome, by kind of duty",
            Unit::Seconds,
            self.latency.clone(),
        );
        registry.register(
            "secure_measure",
            "1 for each measure of secure mode, by its state",
            self.measures.clone(),
        );
        registry.register("keys", "Keys that can sign", self.keys.clone());
        registry.register(
            "ready",
            "1 when every configured key is usable and the store can be written",
            self.ready.clone(),
        );
        registry.register_with_unit(
            "tls_certificate_not_after_timestamp",
            "When the certificates of the signing listener expire, in Unix time",
            Unit::Seconds,
            self.certificates.clone(),
        );
        registry.register(
            "announced_headers",
            "Announced headers of session keys that are kept for their seal",
            self.announced_headers.clone(),
        );
        registry.register_with_unit(
            "announced_body",
            "Extrinsics, storage proofs and parents that are kept with them",
            Unit::Bytes,
            self.announced_body.clone(),
        );
        registry.register(
            "ledger_queue_depth",
            "Batches that wait for the ledger",
            self.ledger_queue.clone(),
        );
        registry.register(
            "ledger_commits",
            "Durable commits since the start",
            self.commits.clone(),
        );
        registry.register_with_unit(
            "ledger_commit",
            "Time spent in durable commits since the start",
            Unit::Seconds,
            self.commit_seconds.clone(),
        );
    }

    /// One request to sign, from its bytes to its outcome.
    pub fn observe_signing(&self, kind: Option<SigningType>, outcome: &Outcome, took: Duration) {
        let kind = kind.map_or("unreadable", SigningType::code);
        self.observe(kind, outcome.as_ref().map_or_else(Denial::code, |_| "signed"), took);
    }

    /// One request to a session key, from its parameters to its outcome. `outcome` is `signed`,
    /// `announced`, or the code of the denial.
    pub fn observe_session(&self, kind: &'static str, outcome: &'static str, took: Duration) {
        self.observe(kind, outcome, took);
    }

    fn observe(&self, kind: &'static str, outcome: &'static str, took: Duration) {
        self.signings.get_or_create(&SigningLabels { kind, outcome }).inc();
        self.latency.get_or_create(&KindLabel { kind }).observe(took.as_secs_f64());
        self.latencies.observe(took.as_secs_f64());
    }

    /// The state of things at the moment of a scrape.
    pub fn observe_state(&self, keys: usize, ready: Readiness, ledger: LedgerState) {
        self.keys.set(i64::try_from(keys).unwrap_or(i64::MAX));
        self.ready.set(i64::from(ready == Readiness::Ready));
        self.ledger_queue.set(i64::try_from(ledger.queue_depth).unwrap_or(i64::MAX));
        // The ledger counts for itself; these two only show its counts.
        self.commits.inner().store(ledger.commits, Ordering::Relaxed);
        self.commit_seconds
            .inner()
            .store(ledger.commit_time.as_secs_f64().to_bits(), Ordering::Relaxed);
    }

    /// What is held of announced blocks.
    pub fn observe_announced(&self, held: Held) {
        self.announced_headers.set(i64::try_from(held.headers).unwrap_or(i64::MAX));
        self.announced_body.set(i64::try_from(held.body_bytes).unwrap_or(i64::MAX));
    }

    /// When a certificate of the signing listener expires.
    pub fn observe_certificate(&self, role: &'static str, not_after: SystemTime) {
        let seconds = not_after.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let gauge = self.certificates.get_or_create(&CertificateLabel { certificate: role });
        gauge.set(i64::try_from(seconds).unwrap_or(i64::MAX));
    }

    /// Sets what the process gave up before it served. It does not change afterwards.
    pub fn set_measures(&self, measures: &[MeasureRow]) {
        for MeasureRow { measure, state, .. } in measures {
            let labels = MeasureLabels { measure: measure.clone(), state: state.clone() };
            self.measures.get_or_create(&labels).set(1);
        }
    }

    /// The upper bound of the bucket that holds the quantile `share` (0 to 1), in seconds.
    #[must_use]
    pub fn latency_quantile(&self, share: f64) -> Option<f64> {
        self.latencies.quantile(share)
    }

    /// Everything as OpenMetrics text.
    ///
    /// # Errors
    /// Only if formatting into memory fails.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut out = String::new();
        text::encode(&mut out, &self.registry)?;
        Ok(out)
    }
}

/// Whether the guard can do what it is configured for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Every configured key is usable and the store is writable.
    Ready,
    /// Something is missing.
    NotReady,
}

/// What a scrape says of the ledger.
#[derive(Clone, Copy, Debug, Default)]
pub struct LedgerState {
    /// Batches waiting.
    pub queue_depth: usize,
    /// Durable commits since the start.
    pub commits: u64,
    /// How long they took together.
    pub commit_time: Duration,
}

impl Latencies {
    fn observe(&self, seconds: f64) {
        let index = LATENCY_BUCKETS.partition_point(|bound| *bound < seconds);
        if let Some(count) = self.counts.get(index) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn quantile(&self, share: f64) -> Option<f64> {
        let counts: Vec<u64> =
            self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let total: u64 = counts.iter().sum();
        if total == 0 {
            return None;
        }
        let wanted = share * total as f64;
        let mut seen = 0;
        for (count, bound) in counts.iter().zip(LATENCY_BUCKETS.iter().chain([&f64::INFINITY])) {
            seen += count;
            if wanted <= seen as f64 {
                return Some(*bound);
            }
        }
        None
    }
}
