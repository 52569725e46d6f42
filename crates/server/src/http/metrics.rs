//! The front's own series: connections and answers.
//!
//! Invariant: label values come from closed lists, never from a request.

use std::sync::Arc;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct StatusLabel {
    status: u16,
}

/// All series of one front.
#[derive(Clone)]
pub(crate) struct FrontMetrics {
    registry: Arc<Registry>,
    responses: Family<StatusLabel, Counter>,
    connections: Gauge,
}

impl FrontMetrics {
    /// All series, at zero.
    pub(crate) fn new() -> Self {
        let (responses, connections) = (Family::default(), Gauge::default());
        let mut registry = Registry::with_prefix("palisade");
        registry.register(
            "http_responses",
            "Answers of the signing listener, by status code",
            Family::clone(&responses),
        );
        registry.register(
            "connections",
            "Open connections of the signing listener",
            Gauge::clone(&connections),
        );
        Self { registry: Arc::new(registry), responses, connections }
    }

    /// One answer of the signing listener.
    pub(crate) fn observe_response(&self, status: u16) {
        self.responses.get_or_create(&StatusLabel { status }).inc();
    }

    /// A connection was opened.
    pub(crate) fn connection_opened(&self) {
        self.connections.inc();
    }

    /// A connection was closed.
    pub(crate) fn connection_closed(&self) {
        self.connections.dec();
    }

    /// Everything as OpenMetrics text.
    ///
    /// # Errors
    /// Only if formatting into memory fails.
    pub(crate) fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut out = String::new();
        text::encode(&mut out, &self.registry)?;
        Ok(out)
    }
}
