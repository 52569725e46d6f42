//! How long the certificates of `[listen.tls]` and of the nodes are still valid: in metrics, in
//! readiness, in the log.
//!
//! Invariants: an expired certificate that the guard shows is "not ready", because clients and
//! nodes refuse it; an authority's is a warning only, because rustls takes an authority for what it
//! is without looking at its dates. Dates are those of the files that were read at the start, and
//! not of files that were changed since.

use std::time::{Duration, SystemTime};

use crate::config::ConfigError;
use crate::metrics::Metrics;
use crate::nodes::Destination;
use crate::tls::{DialFiles, TlsFiles};

/// From when on the log warns.
const WARN_BEFORE: Duration = Duration::from_secs(30 * 86_400);

/// How often the log is looked after.
const LOG_EVERY: Duration = Duration::from_secs(43_200);

/// The certificates that a running guard depends on; none without TLS.
#[derive(Clone, Debug, Default)]
pub struct Expiry {
    watched: Vec<Watched>,
}

#[derive(Clone, Debug)]
struct Watched {
    /// As in the metric's label.
    role: &'static str,
    is_needed: bool,
    not_after: SystemTime,
}

impl Expiry {
    /// The dates of the files of `[listen.tls]`, and of what the guard shows to these nodes.
    ///
    /// # Errors
    /// [`ConfigError`] names the file and what is wrong with it.
    pub(crate) fn of(files: Option<&TlsFiles>, nodes: &[Destination]) -> Result<Self, ConfigError> {
        let mut all = Self::default();
        if let Some(files) = files {
            all.watch("server", true, files.server_not_after()?);
            all.watch("client-authority", false, files.authorities_not_after()?);
        }
        let shown = nodes.iter().filter_map(|node| node.tls.as_ref());
        let dates: Vec<_> = shown.map(DialFiles::identity_not_after).collect::<Result<_, _>>()?;
        all.watch("node-client", true, dates.into_iter().flatten().min());
        Ok(all)
    }

    fn watch(&mut self, role: &'static str, is_needed: bool, not_after: Option<SystemTime>) {
        let watched = not_after.map(|not_after| Watched { role, is_needed, not_after });
        self.watched.extend(watched);
    }

    /// What keeps clients from being served.
    pub(crate) fn missing(&self, now: SystemTime) -> Option<String> {
        let expired = self.watched.iter().find(|one| one.is_needed && one.not_after < now)?;
        Some(format!(
            "the {} certificate has expired; `palisade tls renew` makes a new one, then restart",
            expired.role
        ))
    }

    /// Brings the gauges up to date.
    pub(crate) fn observe(&self, metrics: &Metrics) {
        for one in &self.watched {
            metrics.observe_certificate(one.role, one.not_after);
        }
    }

    /// Says in the log what ends soon, at once and then twice a day. Never returns.
    pub(crate) async fn warn(self) {
        loop {
            self.warn_once(SystemTime::now());
            tokio::time::sleep(LOG_EVERY).await;
        }
    }

    fn warn_once(&self, now: SystemTime) {
        for one in &self.watched {
            match one.not_after.duration_since(now) {
                Err(_) => tracing::error!(certificate = one.role, "the certificate has expired"),
                Ok(left) if left < WARN_BEFORE => tracing::warn!(
                    certificate = one.role,
                    days_left = left.as_secs() / 86_400,
                    "the certificate expires soon; see docs/tls.md"
                ),
                Ok(_) => {}
            }
        }
    }
}
