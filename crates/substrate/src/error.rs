//! Why a payload was not read: the node's fault, or a message that is not for now.
//!
//! Invariant: codes never change meaning; no error repeats the payload.

use std::fmt;

use palisade_protect::Slot;

/// A payload that is not what its method takes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PayloadError {
    /// Longer than any such payload.
    TooLong {
        /// What it should be.
        what: &'static str,
        /// The most bytes it may have.
        most: usize,
    },
    /// Not the layout of such a payload.
    Malformed {
        /// What it should be.
        what: &'static str,
        /// What does not hold.
        problem: &'static str,
    },
    /// The slot is not near the present one.
    SlotNotNear {
        /// The slot that was asked for.
        asked: Slot,
        /// The present slot by this guard's clock.
        present: Slot,
    },
}

impl PayloadError {
    /// The stable kebab-case name.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "payload-too-long",
            Self::Malformed { .. } => "malformed-payload",
            Self::SlotNotNear { .. } => "slot-not-near-now",
        }
    }

    pub(crate) fn malformed(what: &'static str, problem: &'static str) -> Self {
        Self::Malformed { what, problem }
    }
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { what, most } => {
                write!(f, "the {what} is longer than {most} bytes; nothing was signed")
            }
            Self::Malformed { what, problem } => write!(
                f,
                "the payload is not a {what}: {problem}; check that the node and the guard agree \
                 on the chain (`palisade chain list`)"
            ),
            Self::SlotNotNear { asked, present } => write!(
                f,
                "slot {asked} is not near the present slot {present}; check the clocks of the \
                 node and of the guard, and the slot duration of the chain"
            ),
        }
    }
}

impl std::error::Error for PayloadError {}
