//! How many lines a second somebody outside, or the front, may make the guard write.
//!
//! Invariant: what is left out is counted, and the next line that is written says how many.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_secs(1);

/// What somebody outside has by default.
const LINES_PER_WINDOW: u32 = 20;

/// A budget of log lines, renewed every second.
#[derive(Debug)]
pub(crate) struct LogBudget {
    lines: u32,
    spent: Mutex<Spent>,
}

impl Default for LogBudget {
    fn default() -> Self {
        Self::of(LINES_PER_WINDOW)
    }
}

#[derive(Debug, Default)]
struct Spent {
    since: Option<Instant>,
    lines: u32,
    left_out: u64,
}

impl LogBudget {
    /// This many lines a second.
    pub(crate) fn of(lines: u32) -> Self {
        Self { lines, spent: Mutex::default() }
    }

    /// How many were left out since the last line that was written.
    pub(crate) fn left_out(&self) -> u64 {
        self.lock().left_out
    }

    /// `Some` when a line may be written now, with the number of those that were left out before
    /// it.
    pub(crate) fn spend(&self) -> Option<u64> {
        self.spend_at(Instant::now())
    }

    fn spend_at(&self, now: Instant) -> Option<u64> {
        let mut spent = self.lock();
        if spent.since.is_none_or(|since| WINDOW <= now.saturating_duration_since(since)) {
            spent.since = Some(now);
            spent.lines = 0;
        }
        if spent.lines == self.lines {
            spent.left_out = spent.left_out.saturating_add(1);
            return None;
        }
        spent.lines += 1;
        Some(std::mem::take(&mut spent.left_out))
    }

    fn lock(&self) -> MutexGuard<'_, Spent> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_counted() {
        let budget = LogBudget::default();
        let start = Instant::now();
        let written = (0..1_000).filter(|_| budget.spend_at(start).is_some()).count();
        assert_eq!(written, 20);
        assert_eq!(budget.spend_at(start + WINDOW), Some(980));
        assert_eq!(budget.spend_at(start + WINDOW), Some(0));
    }
}
