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

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct WhatLabel {
    what: &'static str,
}

/// What there was no room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TurnedAway {
    /// One more connection of a client.
    Connection,
    /// One more WebSocket of a client.
    WebSocket,
    /// One more request of a client under way.
    Question,
    /// A connection that had not brought a request yet.
    Silent,
}

impl TurnedAway {
    const ALL: [Self; 4] = [Self::Connection, Self::WebSocket, Self::Question, Self::Silent];

    fn label(self) -> WhatLabel {
        let what = match self {
            Self::Connection => "connection",
            Self::WebSocket => "websocket",
            Self::Question => "request",
            Self::Silent => "silent",
        };
        WhatLabel { what }
    }
}

/// All series of one front.
#[derive(Clone)]
pub(crate) struct FrontMetrics {
    registry: Arc<Registry>,
    responses: Family<StatusLabel, Counter>,
    connections: Gauge,
    web_sockets: Gauge,
    turned_away: Family<WhatLabel, Counter>,
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
            web_sockets: Gauge::default(),
            turned_away: Family::default(),
            nodes: Family::default(),
            node_connections: Family::default(),
            node_failures: Family::default(),
        };
        for what in TurnedAway::ALL {
            drop(metrics.turned_away.get_or_create(&what.label()));
        }
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
            "websockets",
            "Open WebSockets of the signing listener",
            self.web_sockets.clone(),
        );
        registry.register(
            "turned_away",
            "What the signing listener had no room for: a connection, WebSocket or request beyond \
             its client's share, or a connection without a request when all were taken",
            self.turned_away.clone(),
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

    /// A WebSocket was opened.
    pub(crate) fn web_socket_opened(&self) {
        self.web_sockets.inc();
    }

    /// A WebSocket was closed.
    pub(crate) fn web_socket_closed(&self) {
        self.web_sockets.dec();
    }

    /// There was no room for this.
    pub(crate) fn observe_turned_away(&self, what: TurnedAway) {
        self.turned_away.get_or_create(&what.label()).inc();
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
