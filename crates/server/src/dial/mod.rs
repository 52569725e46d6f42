//! The guard dials its nodes: one connection to each, opened again for as long as the guard runs.
//!
//! Who dials decides nothing else: the requests that come over the connection are the same, within
//! the same bounds as over an accepted WebSocket, and the core judges them as the client that the
//! policy has for this node.
//!
//! Invariants: one attempt and one connection at a time for each node; attempts are bounded in
//! time, and apart by a growing, jittered pause; a node whose client the policy does not know is
//! not dialled; a node that does not take its answers, or of which no byte comes, is given up and
//! dialled again; the log has a line for each change, and seldom more.

mod connect;
mod states;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

pub(crate) use states::{NodeState, NodeStates};

use crate::config::ConfigError;
use crate::credential::{Presented, recognise};
use crate::http::{Ended, Pace, Session, Shared};
use crate::listener::stopped;
use crate::nodes::Destination;
use connect::{Connector, Socket};

/// From the first packet to a WebSocket that is up.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The pause after the first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The longest pause: a node waits about as long for a guard.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A connection that lasted this long was a good one: the pause starts over.
const STABLE: Duration = Duration::from_secs(10);

/// How often the log says again that a node cannot be reached.
const TELL: Duration = Duration::from_secs(60);

/// A node is pinged this often, and has to answer within [`connect::SILENCE`]: the guard alone can
/// open the connection again, so it must notice first.
const PACE: Pace = Pace { beat: Duration::from_secs(4), silence_ends: false };

/// All nodes of a guard, ready to be dialled.
pub(crate) struct Dialler(Vec<Arc<Connector>>);

impl Dialler {
    /// For these nodes.
    ///
    /// # Errors
    /// [`ConfigError`] names a file that cannot be used.
    pub(crate) fn new(nodes: &[Destination]) -> Result<Self, ConfigError> {
        nodes.iter().map(Connector::new).collect::<Result<_, _>>().map(Self)
    }

    /// What is known of each before it was dialled.
    pub(crate) fn states(&self) -> NodeStates {
        NodeStates::new(self.0.iter().map(|node| (node.name.clone(), node.url.clone())))
    }

    /// Keeps a connection to each until `stop`; ends after the answers under way.
    pub(crate) async fn dial(self, shared: Shared, stop: watch::Receiver<bool>) {
        let mut all = JoinSet::new();
        for (index, connector) in self.0.into_iter().enumerate() {
            shared.metrics.has_node(&connector.name);
            let presented = Presented::by_node(&connector.name);
            let (shared, stop) = (shared.clone(), stop.clone());
            let kept = Kept { connector, index, presented, shared, told: None };
            all.spawn(kept.keep(stop));
        }
        while all.join_next().await.is_some() {}
    }
}

/// One node.
struct Kept {
    connector: Arc<Connector>,
    index: usize,
    presented: Presented,
    shared: Shared,
    /// When the log said last that it cannot be reached.
    told: Option<Instant>,
}

impl Kept {
    async fn keep(mut self, mut stop: watch::Receiver<bool>) {
        let mut pause = FIRST_PAUSE;
        loop {
            let connected = tokio::select! {
                biased;
                () = stopped(&mut stop) => return,
                connected = self.connect() => connected,
            };
            match connected {
                Ok(socket) => {
                    let since = Instant::now();
                    self.serve(socket, stop.clone()).await;
                    if STABLE < since.elapsed() {
                        pause = FIRST_PAUSE;
                    }
                }
                Err(why) => self.failed(why),
            }
            tokio::select! {
                biased;
                () = stopped(&mut stop) => return,
                () = sleep(jittered(pause)) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// One attempt, as soon as there is a client to serve.
    async fn connect(&mut self) -> Result<Socket, String> {
        self.until_known().await;
        let connecting = self.connector.connect(self.shared.max_body_bytes);
        match timeout(HANDSHAKE, connecting).await {
            Ok(connected) => connected,
            Err(_) => Err(format!("no connection within {} s", HANDSHAKE.as_secs())),
        }
    }

    /// Until the policy has a client that is this node. A sender that is gone ends the guard.
    async fn until_known(&mut self) {
        while recognise(&self.shared.gate.borrow_and_update(), &self.presented.at_gate()).is_err() {
            let why = "no [[client]] of palisade.toml is this node".to_owned();
            tracing::warn!(node = self.connector.name, why, "a node is not dialled");
            self.shared.nodes.is_down(self.index, why);
            if self.shared.gate.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    async fn serve(&mut self, socket: Socket, mut stop: watch::Receiver<bool>) {
        let (node, url) = (&self.connector.name, &self.connector.url);
        tracing::info!(node, url, "connected to a node");
        self.shared.nodes.is_up(self.index);
        self.shared.metrics.node_is_up(node);
        let session = Session::prepare(&self.shared, self.presented.clone()).over(socket);
        let why = match session.run(stopped(&mut stop), PACE).await {
            Ended::Gone(why) => why,
            Ended::ByUs(why) => why.to_owned(),
        };
        tracing::warn!(node, url, why, "the connection to a node has ended");
        self.shared.metrics.node_is_down(node);
        self.shared.nodes.is_down(self.index, why);
        self.told = None;
    }

    fn failed(&mut self, why: String) {
        let (node, url) = (&self.connector.name, &self.connector.url);
        self.shared.metrics.node_failed(node);
        if self.told.is_none_or(|told| TELL < told.elapsed()) {
            self.told = Some(Instant::now());
            tracing::warn!(node, url, why, "a node cannot be reached; the guard goes on trying");
        }
        self.shared.nodes.is_down(self.index, why);
    }
}

/// Half of the pause, and a random part of the other half: guards that lost a node together do not
/// come back together.
fn jittered(pause: Duration) -> Duration {
    // Without randomness the pause is the longest that it may be.
    let random = getrandom::u32().unwrap_or(u32::MAX);
    pause / 2 + (pause / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_at_least_half_and_never_longer() {
        let pauses: Vec<Duration> = (0..1_000).map(|_| jittered(LONGEST_PAUSE)).collect();
        assert!(pauses.iter().all(|it| LONGEST_PAUSE / 2 <= *it && *it <= LONGEST_PAUSE));
        let (low, high) = (LONGEST_PAUSE.mul_f64(0.6), LONGEST_PAUSE.mul_f64(0.9));
        assert!(pauses.iter().any(|it| *it < low) && pauses.iter().any(|it| high < *it));
    }
}
