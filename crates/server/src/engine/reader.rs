//! Reading requests without letting a long one stand in everybody's way.
//!
//! Invariant: on the threads that serve connections only short bodies are parsed and hashed; of
//! long ones a bounded number is read at a time, elsewhere.

use std::sync::Arc;

use palisade_ethereum::{Network, RequestError};
use tokio::sync::Semaphore;

use super::Denial;

/// Read where it arrives. An attestation has about 700 bytes, a header about 900, a batch for 3,125
/// keys about 310,000.
const SHORT_BYTES: usize = 512 << 10;

/// Long bodies that are read at a time.
const LONG_AT_A_TIME: usize = 2;

/// Reads requests.
pub(super) struct Reader {
    long: Arc<Semaphore>,
}

impl Default for Reader {
    fn default() -> Self {
        Self { long: Arc::new(Semaphore::new(LONG_AT_A_TIME)) }
    }
}

impl Reader {
    pub(super) async fn read<T: Send + 'static>(
        &self,
        body: &[u8],
        network: &Network,
        parse: fn(&[u8], &Network) -> Result<T, RequestError>,
    ) -> Result<T, Denial> {
        if body.len() <= SHORT_BYTES {
            return parse(body, network).map_err(Denial::from);
        }
        let (body, network) = (body.to_vec(), network.clone());
        self.take_turn(body.len(), move || parse(&body, &network)).await?.map_err(Denial::from)
    }

    /// Does the work that so many bytes make: here, or elsewhere if they are many.
    pub(super) async fn take_turn<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Denial> {
        if bytes <= SHORT_BYTES {
            return Ok(work());
        }
        let turn = Arc::clone(&self.long).try_acquire_owned().map_err(|_| Denial::Overloaded)?;
        let work = move || {
            let done = work();
            drop(turn);
            done
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|_| Denial::bug("reading a long request failed"))
    }
}
