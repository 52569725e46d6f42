//! The front's own series: connections and answers.
//!
//! Invariant: label values come from closed lists or from the operator's configuration, never from
//! a request.

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

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct NodeLabel {
    node: String,
}

/// All series of one front.
#[derive(Clone)]
pub(crate) struct FrontMetrics {
    registry: Arc<Registry>,
    responses: Family<StatusLabel, Counter>,
    connections: Gauge,
    nodes: Family<NodeLabel, Gauge>,
    node_connections: Family<NodeLabel, Counter>,
    node_failures: Family<NodeLabel, Counter>,
}

impl FrontMetrics {
    /// All series, at zero.
    pub(crate) fn new() -> Self {
        let mut metrics = Self {
            registry: Arc::default(),
            responses: Family::default(),
            connections: Gauge::default(),
            nodes: Family::default(),
            node_connections: Family::default(),
            node_failures: Family::default(),
        };
        let mut registry = Registry::with_prefix("palisade");
        metrics.register(&mut registry);
        metrics.registry = Arc::new(registry);
        metrics
    }

    fn register(&self, registry: &mut Registry) {
        registry.register(
            "http_responses",
            "Answers of the signing listener, by status code",
            self.responses.clone(),
        );
        registry.register(
            "connections",
            "Open connections of the signing listener",
            self.connections.clone(),
        );
        registry.register(
            "node_connected",
            "1 while a node that the guard dials is connected",
            self.nodes.clone(),
        );
        registry.register(
            "node_connections",
            "Connections to a node that came up",
            self.node_connections.clone(),
        );
        registry.register(
            "node_failures",
            "Attempts to connect to a node that failed",
            self.node_failures.clone(),
        );
    }

    /// A node that is dialled: its series are there from the start.
    pub(crate) fn has_node(&self, node: &str) {
        let label = NodeLabel { node: node.to_owned() };
        self.nodes.get_or_create(&label).set(0);
        drop(self.node_connections.get_or_create(&label));
        drop(self.node_failures.get_or_create(&label));
    }

    /// A connection to a node came up.
    pub(crate) fn node_is_up(&self, node: &str) {
        let label = NodeLabel { node: node.to_owned() };
        self.nodes.get_or_create(&label).set(1);
        self.node_connections.get_or_create(&label).inc();
    }

    /// The connection to a node has ended.
    pub(crate) fn node_is_down(&self, node: &str) {
        self.nodes.get_or_create(&NodeLabel { node: node.to_owned() }).set(0);
    }

    /// An attempt to connect to a node failed.
    pub(crate) fn node_failed(&self, node: &str) {
        self.node_failures.get_or_create(&NodeLabel { node: node.to_owned() }).inc();
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
