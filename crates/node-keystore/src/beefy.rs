//! Decides which BEEFY commitment a hash stands for.
//!
//! BEEFY gives the keystore only `keccak256(SCALE(Commitment))`; a guard that signed the hash would
//! sign anything. The node searches the commitments that its own finalised chain allows, and sends
//! the one that hashes to what was asked.
//!
//! Invariant: what is sent always hashes to what the node wants signed.

use std::sync::{Arc, PoisonError, RwLock};

use sp_crypto_hashing::keccak_256;

/// Knows the BEEFY commitments that this node may vote for.
pub trait CommitmentSource: Send + Sync {
    /// The SCALE form of the commitment with this keccak-256 hash, if it is one of the recent
    /// finalised blocks'.
    fn commitment(&self, hash: &[u8; 32]) -> Option<Vec<u8>>;
}

/// The source that the node gave, if any.
#[derive(Default)]
pub(crate) struct Commitments(RwLock<Option<Arc<dyn CommitmentSource>>>);

impl Commitments {
    pub(crate) fn provide(&self, source: Arc<dyn CommitmentSource>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(source);
    }

    pub(crate) fn find(&self, hash: &[u8; 32]) -> Option<Vec<u8>> {
        let source = self.0.read().unwrap_or_else(PoisonError::into_inner).clone()?;
        source.commitment(hash).filter(|commitment| keccak_256(commitment) == *hash)
    }
}
