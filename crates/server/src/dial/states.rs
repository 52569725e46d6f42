//! Whether each node is connected: for readiness, the console and whoever asks.
//!
//! Invariant: a node is connected, or there is a reason why not.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// What is known of one node.
#[derive(Clone, Debug)]
pub(crate) struct NodeState {
    /// As in `palisade.toml`.
    pub(crate) name: String,
    /// As in `palisade.toml`.
    pub(crate) url: String,
    /// Since when it is as it is: connected, or not.
    pub(crate) since: Instant,
    /// Why it is not connected; `None` while it is.
    pub(crate) why_not: Option<String>,
}

/// What is known of all of them, shared with those who dial.
#[derive(Clone, Default)]
pub(crate) struct NodeStates(Arc<Mutex<Vec<NodeState>>>);

impl NodeStates {
    /// Of these names and addresses, none of which was dialled yet.
    pub(super) fn new(nodes: impl Iterator<Item = (String, String)>) -> Self {
        let state = |(name, url)| {
            let why_not = Some("it is being dialled for the first time".to_owned());
            NodeState { name, url, since: Instant::now(), why_not }
        };
        Self(Arc::new(Mutex::new(nodes.map(state).collect())))
    }

    /// All, in the order of the configuration.
    pub(crate) fn all(&self) -> Vec<NodeState> {
        self.lock().clone()
    }

    /// What keeps nodes from being served.
    pub(crate) fn missing(&self) -> Vec<String> {
        let words = |node: &NodeState| {
            let why = node.why_not.as_ref()?;
            Some(format!("node {} is not connected: {why}", node.name))
        };
        self.lock().iter().filter_map(words).collect()
    }

    pub(super) fn is_up(&self, index: usize) {
        self.set(index, None);
    }

    pub(super) fn is_down(&self, index: usize, why: String) {
        self.set(index, Some(why));
    }

    fn set(&self, index: usize, why_not: Option<String>) {
        if let Some(node) = self.lock().get_mut(index) {
            if node.why_not.is_none() != why_not.is_none() {
                node.since = Instant::now();
            }
            node.why_not = why_not;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<NodeState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
