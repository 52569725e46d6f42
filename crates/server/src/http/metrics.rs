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
}

impl FrontMetrics {
    /// All series, at zero.
    pub(crate) fn new() -> Self {
        let (responses, turned_away) = (Family::default(), Family::default());
        let (connections, web_sockets) = (Gauge::default(), Gauge::default());
        for what in TurnedAway::ALL {
            drop(turned_away.get_or_create(&what.label()));
        }
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
        registry.register(
            "websockets",
            "Open WebSockets of the signing listener",
            Gauge::clone(&web_sockets),
        );
        registry.register(
            "turned_away",
            "What the signing listener had no room for: a connection, WebSocket or request beyond \
             its client's share, or a connection without a request when all were taken",
            Family::clone(&turned_away),
        );
        let registry = Arc::new(registry);
        Self { registry, responses, connections, web_sockets, turned_away }
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
