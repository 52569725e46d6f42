//! Requests that change keys, one at a time and on a thread of its own.
//!
//! Invariants: however many come, one is at work, so that neither threads nor memory of the guard
//! are used up by those who may manage keys (to open a key store takes hundreds of megabytes); the
//! others wait for a short while and hold no thread meanwhile; what was begun is finished, even
//! when nobody waits for its answer any more, and until then no other begins.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::link::message::Reply;

/// How long a request waits for the one before it.
const PATIENCE: Duration = Duration::from_secs(5);

/// The turn to change keys.
#[derive(Default)]
pub(super) struct Managing(Arc<Mutex<()>>);

/// Why work was not done, or not known to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfinished {
    /// Another request has the turn; nothing was begun.
    Busy,
    /// It broke off inside the guard.
    Broken,
}

impl Managing {
    /// Does `work` when it is its turn.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Unfinished> {
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.0).lock_owned()).await;
        let turn = turn.map_err(|_| Unfinished::Busy)?;
        let working = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        working.await.map_err(|_| Unfinished::Broken)
    }
}

/// The answer to a request that did not get its turn.
pub(super) fn busy() -> Reply {
    let message = "another request that changes keys is at work; nothing was done, try again";
    Reply::error(503, "overloaded", message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::sync::mpsc::channel;

    use super::*;

    #[tokio::test]
    async fn work_that_nobody_waits_for_keeps_the_turn_until_it_is_done() {
        let managing = Arc::new(Managing::default());
        let (begun, has_begun) = channel();
        let (release, released) = channel::<()>();
        let first = Arc::clone(&managing);
        let asking = tokio::spawn(async move {
            first
                .run(move || {
                    begun.send(()).unwrap();
                    released.recv().unwrap_err();
                })
                .await
        });
        tokio::task::spawn_blocking(move || has_begun.recv().unwrap()).await.unwrap();
        asking.abort();
        assert!(asking.await.unwrap_err().is_cancelled());
        assert_eq!(managing.run(|| 1).await, Err(Unfinished::Busy));
        drop(release);
        assert_eq!(managing.run(|| 2).await, Ok(2));
    }
}
