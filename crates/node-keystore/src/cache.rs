//! Decides which keys are the node's own, without asking the guard.
//!
//! Invariants: only an answer of a guard changes the list, so a lost connection does not turn a
//! validator into an observer; a lookup takes no round trip, so a set of a thousand authorities
//! costs a thousand comparisons.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, PoisonError, RwLock};
use std::time::Duration;

use sp_core::crypto::KeyTypeId;

/// The public keys by key type, as the guard last listed them.
#[derive(Default)]
pub(crate) struct KeyCache {
    keys: RwLock<HashMap<KeyTypeId, Vec<Vec<u8>>>>,
    listed: Mutex<bool>,
    first: Condvar,
}

impl KeyCache {
    pub(crate) fn keys(&self, key_type: KeyTypeId) -> Vec<Vec<u8>> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.get(&key_type).cloned().unwrap_or_default()
    }

    pub(crate) fn holds(&self, key_type: KeyTypeId, public: &[u8]) -> bool {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.get(&key_type).is_some_and(|keys| keys.iter().any(|key| key == public))
    }

    /// Replaces the list of one type; says whether it changed.
    pub(crate) fn replace(&self, key_type: KeyTypeId, list: Vec<Vec<u8>>) -> bool {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        keys.insert(key_type, list.clone()).unwrap_or_default() != list
    }

    /// Adds a key that the guard has just made.
    pub(crate) fn add(&self, key_type: KeyTypeId, public: &[u8]) {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let list = keys.entry(key_type).or_default();
        if !list.iter().any(|key| key == public) {
            list.push(public.to_vec());
        }
    }

    /// Says that a guard has listed its keys.
    pub(crate) fn set_listed(&self) {
        *self.listed.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.first.notify_all();
    }

    /// Waits until a guard has listed its keys; whether it has.
    pub(crate) fn wait_listed(&self, limit: Duration) -> bool {
        let listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        let (listed, _) = self
            .first
            .wait_timeout_while(listed, limit, |listed| !*listed)
            .unwrap_or_else(PoisonError::into_inner);
        *listed
    }
}
