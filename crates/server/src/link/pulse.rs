//! Whether the front's event loop turns: the core asks for a sign of life over the link, and the
//! loop that serves the clients gives it.
//!
//! Invariants: one question is under way at most, so that a front that hangs costs nothing; a sign
//! of life that was not asked for is a breach; what counts are the core's own turns and not the
//! time, so that a machine that slept, or a core that stood still, accuses nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{MissedTickBehavior, interval};

use super::codec::LinkFault;

/// How often a sign of life is asked for.
pub(crate) const BEAT: Duration = Duration::from_secs(2);

/// Turns without an answer after which a front counts as hanging.
pub(crate) const SILENT_BEATS: u32 = 10;

/// Turns without an answer that a busy machine explains.
const LATE_BEATS: u32 = 2;

/// How the front is, for whoever wants to know.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pulse {
    /// Turns since the last answer.
    silent: Arc<AtomicU32>,
}

impl Pulse {
    /// Whether the front has answered of late; one in this process has nothing to answer.
    pub(crate) fn answers(&self) -> bool {
        self.silent.load(Ordering::Relaxed) <= LATE_BEATS
    }
}

/// Asks and listens.
pub(super) struct Heart {
    /// The newest question.
    asked: watch::Sender<u64>,
    answered: AtomicU64,
    started: Notify,
    pulse: Pulse,
}

impl Heart {
    pub(super) fn of(pulse: Pulse) -> Self {
        let (answered, started) = (AtomicU64::new(0), Notify::new());
        Self { asked: watch::Sender::new(0), answered, started, pulse }
    }

    /// What is to be asked, for whoever writes.
    pub(super) fn questions(&self) -> watch::Receiver<u64> {
        self.asked.subscribe()
    }

    /// The front serves: from now on it has to answer.
    pub(super) fn start(&self) {
        self.started.notify_one();
    }

    /// The front answered this.
    ///
    /// # Errors
    /// [`LinkFault::UnaskedPong`]
    pub(super) fn hear(&self, number: u64) -> Result<(), LinkFault> {
        let is_asked = *self.asked.borrow() == number;
        if !is_asked || self.answered.swap(number, Ordering::Relaxed) == number {
            return Err(LinkFault::UnaskedPong);
        }
        Ok(())
    }

    /// Asks once in each `beat`, until the front has been silent for too long.
    pub(super) async fn beat(&self, beat: Duration) -> LinkFault {
        self.started.notified().await;
        let mut turns = interval(beat);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            turns.tick().await;
            if self.answered.load(Ordering::Relaxed) == *self.asked.borrow() {
                self.pulse.silent.store(0, Ordering::Relaxed);
                self.asked.send_modify(|number| *number = number.wrapping_add(1));
            } else if SILENT_BEATS <= self.pulse.silent.fetch_add(1, Ordering::Relaxed) + 1 {
                return LinkFault::Silent(beat * SILENT_BEATS);
            }
        }
    }
}
