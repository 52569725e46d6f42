//! What a validator of a relay chain says of a parachain's candidates, and what it said before.
//!
//! Invariants: a [`Stance`] only ever gains statements; it is kept for each key, session and
//! candidate by itself ([`Subject`]), exactly, for as long as the record's session floor lets the
//! key speak of that session; below the floor nothing is said, so nothing need be remembered.

use core::fmt;

use crate::Digest;

/// Sessions before the newest one that a key may still speak about, and whose stances are kept: as
/// long as relay chains take disputes (`HostConfiguration::dispute_period`, 6 on Polkadot and
/// Kusama).
pub const REMEMBERED_SESSIONS: u32 = 6;

/// The most candidates of one session that a key may speak about. Whoever backs or approves one
/// executes it; this many would be one every 55 milliseconds for the four hours of a session of
/// Polkadot, whose hundred cores make fewer, all validators together. So an honest key stays far
/// below, and one that is misused has a bounded number of rows of stances; the journal grows with
/// every statement all the same.
pub const MAX_CANDIDATES_A_SESSION: u32 = 1 << 18;

/// The newest session, and those before it that are remembered.
pub(crate) const OPEN_SESSIONS: usize = 1 + REMEMBERED_SESSIONS as usize;

/// The sessions that a key may still speak about, and how much it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenSessions {
    /// The first of them.
    pub floor: u32,
    /// How many candidates the key spoke about in the first, the next, and so on.
    pub candidates: [u32; OPEN_SESSIONS],
}

impl OpenSessions {
    /// From `floor` on; nothing was said yet.
    #[must_use]
    pub fn from_floor(floor: u32) -> Self {
        Self { floor, candidates: [0; OPEN_SESSIONS] }
    }

    /// The same without the sessions before `floor`, unless it is lower.
    pub(crate) fn risen_to(self, floor: u32) -> Self {
        let Some(gone) = floor.checked_sub(self.floor) else { return self };
        let gone = usize::try_from(gone).unwrap_or(usize::MAX);
        let mut risen = Self::from_floor(floor);
        let left = self.candidates.iter().skip(gone);
        risen.candidates.iter_mut().zip(left).for_each(|(count, left)| *count = *left);
        risen
    }

    /// The count of a session that is open.
    pub(crate) fn count_mut(&mut self, session: u32) -> Option<&mut u32> {
        let place = session.checked_sub(self.floor)?;
        self.candidates.get_mut(usize::try_from(place).ok()?)
    }

    /// Of each session the higher count, from the higher floor on.
    pub(crate) fn merge_stricter(self, other: Self) -> Self {
        let floor = self.floor.max(other.floor);
        let mut merged = self.risen_to(floor);
        let theirs = other.risen_to(floor).candidates;
        merged.candidates.iter_mut().zip(theirs).for_each(|(ours, its)| *ours = its.max(*ours));
        merged
    }
}

/// What a statement is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    /// The session, by the relay chain's index.
    pub session: u32,
    /// The candidate's hash; for a vote of PVF pre-checking, the validation code's.
    pub candidate: Digest,
}

/// One thing that a key of type `para` says of a candidate (`polkadot-primitives`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Statement {
    /// Backing: it proposes the candidate (`CompactStatement::Seconded`).
    Seconded = 0,
    /// Backing: the candidate of another is valid (`CompactStatement::Valid`).
    Valid = 1,
    /// Approval checking: it is valid (`ApprovalVote`, `ApprovalVoteMultipleCandidates`).
    Approved = 2,
    /// In a dispute: it is valid (`ExplicitDisputeStatement`).
    DisputedValid = 3,
    /// In a dispute: it is invalid (`ExplicitDisputeStatement`).
    DisputedInvalid = 4,
    /// PVF pre-checking: the validation code is good (`PvfCheckStatement`).
    CodeAccepted = 5,
    /// PVF pre-checking: it is not.
    CodeRejected = 6,
}

impl Statement {
    /// Every statement, in the order of its byte in the journal.
    pub const ALL: [Self; 7] = [
        Self::Seconded,
        Self::Valid,
        Self::Approved,
        Self::DisputedValid,
        Self::DisputedInvalid,
        Self::CodeAccepted,
        Self::CodeRejected,
    ];

    /// The statement for a byte of the journal.
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.get(usize::from(byte)).copied()
    }
}

/// All that one key said of one subject.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Stance(u8);

impl Stance {
    /// Nothing was said.
    pub const NONE: Self = Self(0);

    /// The stance that [`Stance::byte`] stands for; `None` for a byte that stands for none.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        let known = Statement::ALL.into_iter().fold(Self::NONE, Self::with);
        (byte & !known.0 == 0).then_some(Self(byte))
    }

    /// The stored form: one bit for each statement, by its place in [`Statement::ALL`].
    #[must_use]
    pub fn byte(self) -> u8 {
        self.0
    }

    /// Whether this was said.
    #[must_use]
    pub fn contains(self, statement: Statement) -> bool {
        self.0 & Self::NONE.with(statement).0 != 0
    }

    /// The stance after saying this as well.
    #[must_use]
    pub fn with(self, statement: Statement) -> Self {
        Self(self.0 | 1 << statement as u8)
    }

    /// Whether everything that `earlier` holds is in this one too.
    #[must_use]
    pub fn includes(self, earlier: Self) -> bool {
        earlier.0 & !self.0 == 0
    }

    /// What was said, in the order of [`Statement::ALL`].
    pub fn statements(self) -> impl Iterator<Item = Statement> {
        Statement::ALL.into_iter().filter(move |statement| self.contains(*statement))
    }
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Seconded => "seconded",
            Self::Valid => "valid",
            Self::Approved => "approved",
            Self::DisputedValid => "disputed-valid",
            Self::DisputedInvalid => "disputed-invalid",
            Self::CodeAccepted => "code-accepted",
            Self::CodeRejected => "code-rejected",
        })
    }
}

impl fmt::Debug for Stance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.statements()).finish()
    }
}
