//! What `status` says of a home and of the guard that runs on it.

use serde::{Deserialize, Serialize};

/// The state of a home.
#[derive(Debug, Serialize, Deserialize)]
pub struct Status {
    /// The network's name.
    pub network: String,
    /// The pinned genesis validators root, once known.
    pub genesis_validators_root: Option<String>,
    /// Keys in the vault.
    pub keys: usize,
    /// Records in the ledger; at least one for each key.
    pub records: usize,
    /// Whether a guard runs on this home.
    pub running: bool,
    /// Whether every key is usable and the store can be written.
    pub ready: bool,
    /// What is missing for that.
    pub not_ready_because: Vec<String>,
    /// Entries in the journal.
    pub journal_entries: u64,
    /// The digest to keep elsewhere.
    pub journal_head: String,
    /// What the running guard gave up before it served; empty for a stopped home.
    #[serde(default)]
    pub measures: Vec<MeasureRow>,
}

/// One measure of secure mode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasureRow {
    /// Its name.
    pub measure: String,
    /// `on` or `off-allowed`.
    pub state: String,
    /// What it is for, or why it is off.
    pub reason: String,
}
