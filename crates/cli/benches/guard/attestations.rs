//! Attestations to ask for: each new for its key, so that each is decided and written.
//!
//! Invariants: a key's epochs only grow; what was asked last of each key is remembered, so that the
//! records can be compared with it.

use serde_json::json;

use crate::http::post;

/// Of the home that is measured.
pub(crate) const GENESIS_VALIDATORS_ROOT: &str =
    "0x4b363db94e286120d76eb905340fdd4e54bfe9f06bf33ff6cf5ad27f511bfe95";

/// The keys, and the last target epoch that each was asked to sign.
pub(crate) struct Duties {
    keys: Vec<String>,
    last_targets: Vec<u64>,
    epoch: u64,
    roots: u64,
    next: usize,
}

impl Duties {
    pub(crate) fn new(keys: Vec<String>) -> Self {
        let last_targets = vec![0; keys.len()];
        Self { keys, last_targets, epoch: 400_000, roots: 0, next: 0 }
    }

    /// Requests of single keys, each with its own message: no two share a hash point.
    pub(crate) fn single(&mut self, count: usize) -> Vec<Vec<u8>> {
        let keys = self.take(count);
        keys.into_iter()
            .map(|key| {
                let body = self.attestation().to_string();
                post(&format!("/api/v1/eth2/sign/{}", self.keys[key]), &body)
            })
            .collect()
    }

    /// One request of many keys with one message, as the validators of a slot send it.
    pub(crate) fn batch(&mut self, count: usize) -> Vec<u8> {
        let keys = self.take(count);
        let identifiers: Vec<&String> = keys.iter().map(|key| &self.keys[*key]).collect();
        let body = json!({ "identifiers": identifiers });
        let request = self.attestation();
        let mut body = body;
        body["signing_request"] = request;
        post("/api/v1/eth2/sign", &body.to_string())
    }

    /// Each public key with the last target epoch that it was asked for, of those that were.
    pub(crate) fn last_targets(&self) -> impl Iterator<Item = (&str, u64)> {
        let all = self.keys.iter().zip(&self.last_targets);
        all.filter(|(_, target)| **target != 0).map(|(key, target)| (key.as_str(), *target))
    }

    /// The next `count` keys, in a new epoch whenever all have had their turn.
    fn take(&mut self, count: usize) -> Vec<usize> {
        if self.keys.len() < self.next + count {
            self.next = 0;
        }
        if self.next == 0 {
            self.epoch += 1;
        }
        let taken: Vec<usize> = (self.next..self.next + count).collect();
        self.next += count;
        taken.iter().for_each(|key| self.last_targets[*key] = self.epoch);
        taken
    }

    /// An attestation for a block that nobody attested before.
    fn attestation(&mut self) -> serde_json::Value {
        self.roots += 1;
        let root = format!("0x{:064x}", self.roots);
        let (source, target) = (self.epoch - 1, self.epoch);
        json!({
            "type": "ATTESTATION",
            "fork_info": {
                "fork": {
                    "previous_version": "0x04000000",
                    "current_version": "0x05000000",
                    "epoch": "364032",
                },
                "genesis_validators_root": GENESIS_VALIDATORS_ROOT,
            },
            "attestation": {
                "slot": (target * 32).to_string(),
                "index": "0",
                "beacon_block_root": root,
                "source": { "epoch": source.to_string(), "root": root },
                "target": { "epoch": target.to_string(), "root": root },
            },
        })
    }
}
