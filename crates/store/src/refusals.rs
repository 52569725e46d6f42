//! Refusals that wait for the next write to the journal, and how many may be written at all.
//!
//! Invariants: memory is bounded by [`BUFFER`] events; the journal grows by at most [`PER_SECOND`]
//! refusals a second in the long run, [`BURST`] at once; what is left out is counted and the
//! count is journaled. A refusal costs no write of its own: who only sends bad requests can
//! neither fill the disk nor slow the commits of others.

use palisade_protect::journal::Event;

/// How many refusals are kept for the next write.
const BUFFER: usize = 256;
/// How many refusals may be journaled at once after a quiet time.
const BURST: u64 = 256;
/// How many refusals may be journaled each second in the long run.
const PER_SECOND: u64 = 4;

const MILLISECONDS: u64 = 1000;

/// The waiting refusals and the allowance for them.
#[derive(Debug)]
pub(crate) struct Refusals {
    waiting: Vec<Event>,
    omitted: u32,
    /// In thousandths of a refusal, so that each millisecond earns [`PER_SECOND`].
    allowance: u64,
    /// When the allowance last grew. A clock that jumps back earns nothing until it is past this.
    counted_to_unix_ms: u64,
}

impl Refusals {
    pub(crate) fn new(now_unix_ms: u64) -> Self {
        Self {
            waiting: Vec::new(),
            omitted: 0,
            allowance: BURST * MILLISECONDS,
            counted_to_unix_ms: now_unix_ms,
        }
    }

    /// Keeps a refusal, or counts it as left out.
    pub(crate) fn keep(&mut self, event: Event, now_unix_ms: u64) {
        self.earn(now_unix_ms);
        if BUFFER <= self.waiting.len() || self.allowance < MILLISECONDS {
            self.omitted = self.omitted.saturating_add(1);
            return;
        }
        self.allowance -= MILLISECONDS;
        self.waiting.push(event);
    }

    /// Whether there is anything to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.omitted == 0
    }

    /// Takes what is to be written now.
    pub(crate) fn take(&mut self) -> Vec<Event> {
        let mut events = std::mem::take(&mut self.waiting);
        let count = std::mem::take(&mut self.omitted);
        if count != 0 {
            events.push(Event::RefusalsOmitted { count });
        }
        events
    }

    fn earn(&mut self, now_unix_ms: u64) {
        let passed_ms = now_unix_ms.saturating_sub(self.counted_to_unix_ms);
        self.counted_to_unix_ms = self.counted_to_unix_ms.max(now_unix_ms);
        let earned = passed_ms.saturating_mul(PER_SECOND);
        self.allowance = self.allowance.saturating_add(earned).min(BURST * MILLISECONDS);
    }
}

#[cfg(test)]
mod tests {
    use palisade_protect::{Digest, Duty, Intent, KeyId, RefusalKind, Slot};

    use super::*;

    fn refusal(slot: u64) -> Event {
        let intent = Intent { duty: Duty::Proposal { slot: Slot(slot) }, digest: Digest([1; 32]) };
        Event::Refused { key: KeyId([1; 32]), intent, kind: RefusalKind::ProposalBehind }
    }

    #[test]
    fn a_flood_is_counted_and_not_written() {
        let mut refusals = Refusals::new(0);
        (0..10_000).for_each(|slot| refusals.keep(refusal(slot), 0));
        let events = refusals.take();
        assert_eq!(events.len(), BUFFER + 1);
        assert_eq!(events[BUFFER], Event::RefusalsOmitted { count: 10_000 - 256 });
        assert!(refusals.is_empty());
    }

    #[test]
    fn the_long_run_is_bounded_by_the_rate() {
        let mut refusals = Refusals::new(0);
        let mut written = 0;
        // An hour of 100 refusals a second, each flushed at once.
        for ms in (0..3_600_000).step_by(10) {
            refusals.keep(refusal(ms), ms);
            written +=
                refusals.take().iter().filter(|e| matches!(e, Event::Refused { .. })).count();
        }
        let bound = BURST + 3600 * PER_SECOND;
        assert!(written as u64 <= bound && bound - 2 <= written as u64, "{written} of {bound}");
    }

    #[test]
    fn a_clock_that_jumps_back_earns_nothing_twice() {
        let mut refusals = Refusals::new(1_000_000);
        let mut written = 0;
        for jump in 0..100_000_u64 {
            let now = if jump % 2 == 0 { 1_000_000 } else { 0 };
            refusals.keep(refusal(jump), now);
            written +=
                refusals.take().iter().filter(|e| matches!(e, Event::Refused { .. })).count();
        }
        assert_eq!(written as u64, BURST);
    }
}
