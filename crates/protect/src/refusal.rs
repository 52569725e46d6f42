//! Why a rule said no: a closed list of kinds, each with a stable code, and the evidence.
//!
//! Invariant: codes never change meaning and are never reused; they are part of the HTTP surface
//! and of the journal's format.

use core::fmt;

use crate::{Attestation, BeefyVote, Bound, GrandpaVote, Intent, Proposal, Seal, Stance};

/// The rules' reasons to refuse. The list is closed: clients may match on [`RefusalKind::code`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefusalKind {
    /// Another block was signed in this slot (or this slot's block is known without its root).
    DoubleProposal,
    /// The slot is before the last signed one.
    ProposalBehind,
    /// Another attestation was signed for this target epoch (or its root is not known).
    DoubleVote,
    /// The vote would surround an earlier one: its source is before, its target after it.
    SurroundingVote,
    /// The vote is surrounded by an earlier one: its source is after, its target before it.
    SurroundedVote,
    /// The target epoch is before the last signed one.
    TargetBehind,
    /// The source epoch is after the target epoch, which no valid attestation has.
    SourceAfterTarget,
    /// At or above the line from which the operator wants nothing signed.
    AtOrAboveStopLine,
    /// Below the line under which the operator wants nothing signed.
    BelowStopLine,
    /// The key's record belongs to another kind of chain than the duty.
    DutyOfAnotherChain,
    /// Another block was sealed in this slot (or this slot's block is known without its hash).
    DoubleSeal,
    /// The slot is before the last sealed one.
    SealBehind,
    /// Another vote of this stage was signed in this round (or its content is not known).
    DoubleGrandpaVote,
    /// The round or the set is before the last one of this stage.
    GrandpaVoteBehind,
    /// Another commitment was signed for this block (or its content is not known).
    DoubleBeefyVote,
    /// The block or the set is not after the last one.
    BeefyVoteBehind,
    /// The message is further ahead than any chain can have moved.
    TooFarAhead,
    /// The key's past is unknown, and the operator has not yet said from where it may sign.
    AwaitsFloor,
    /// The opposite was already said of this candidate in this session.
    ContradictoryStatement,
    /// The candidate was already backed in the other way: seconded, or called valid.
    DoubleBacking,
    /// The session is before the first one that this guard still remembers.
    SessionBehind,
    /// What was said of the candidate before was not looked up; a guard never answers this.
    StanceUnknown,
    /// The key spoke about as many candidates of this session as it may.
    TooManyCandidates,
}

impl RefusalKind {
    /// Every kind, in the order of its byte in the journal.
    pub const ALL: [Self; 23] = [
        Self::DoubleProposal,
        Self::ProposalBehind,
        Self::DoubleVote,
        Self::SurroundingVote,
        Self::SurroundedVote,
        Self::TargetBehind,
        Self::SourceAfterTarget,
        Self::AtOrAboveStopLine,
        Self::BelowStopLine,
        Self::DutyOfAnotherChain,
        Self::DoubleSeal,
        Self::SealBehind,
        Self::DoubleGrandpaVote,
        Self::GrandpaVoteBehind,
        Self::DoubleBeefyVote,
        Self::BeefyVoteBehind,
        Self::TooFarAhead,
        Self::AwaitsFloor,
        Self::ContradictoryStatement,
        Self::DoubleBacking,
        Self::SessionBehind,
        Self::StanceUnknown,
        Self::TooManyCandidates,
    ];

    /// The stable kebab-case name.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::DoubleProposal => "double-proposal",
            Self::ProposalBehind => "proposal-behind",
            Self::DoubleVote => "double-vote",
            Self::SurroundingVote => "surrounding-vote",
            Self::SurroundedVote => "surrounded-vote",
            Self::TargetBehind => "target-behind",
            Self::SourceAfterTarget => "source-after-target",
            Self::AtOrAboveStopLine => "at-or-above-stop-line",
            Self::BelowStopLine => "below-stop-line",
            Self::DutyOfAnotherChain => "duty-of-another-chain",
            Self::DoubleSeal => "double-seal",
            Self::SealBehind => "seal-behind",
            Self::DoubleGrandpaVote => "double-grandpa-vote",
            Self::GrandpaVoteBehind => "grandpa-vote-behind",
            Self::DoubleBeefyVote => "double-beefy-vote",
            Self::BeefyVoteBehind => "beefy-vote-behind",
            Self::TooFarAhead => "too-far-ahead",
            Self::AwaitsFloor => "awaits-floor",
            Self::ContradictoryStatement => "contradictory-statement",
            Self::DoubleBacking => "double-backing",
            Self::SessionBehind => "session-behind",
            Self::StanceUnknown => "stance-unknown",
            Self::TooManyCandidates => "too-many-candidates",
        }
    }

    /// One sentence for a person.
    #[must_use]
    pub fn explanation(self) -> &'static str {
        match self {
            Self::DoubleProposal => "a different block may already be signed in this slot",
            Self::ProposalBehind => "a block of a later slot is already signed",
            Self::DoubleVote => "a different vote may already be signed for this target epoch",
            Self::SurroundingVote => "the vote would surround one that is already signed",
            Self::SurroundedVote => "the vote is surrounded by one that is already signed",
            Self::TargetBehind => "a vote with a later target epoch is already signed",
            Self::SourceAfterTarget => "the source epoch is after the target epoch",
            Self::AtOrAboveStopLine => "the operator's stop-line forbids signing from there on",
            Self::BelowStopLine => "the operator's stop-line forbids signing before it",
            Self::DutyOfAnotherChain => "the key's record belongs to another kind of chain",
            Self::DoubleSeal => "a different block may already be sealed in this slot",
            Self::SealBehind => "a block of a later slot is already sealed",
            Self::DoubleGrandpaVote => "a different vote may already be signed in this round",
            Self::GrandpaVoteBehind => "a vote of a later round or set is already signed",
            Self::DoubleBeefyVote => "a different commitment may already be signed for this block",
            Self::BeefyVoteBehind => "a vote for a later block or set is already signed",
            Self::TooFarAhead => "the message is further ahead than the chain can have moved",
            Self::AwaitsFloor => "the key's past is unknown and no floor was given for it",
            Self::ContradictoryStatement => "the opposite is already said of this candidate",
            Self::DoubleBacking => {
                "the candidate is already backed, by the other kind of statement"
            }
            Self::SessionBehind => "the session is before those that this guard remembers",
            Self::StanceUnknown => "what was said of the candidate before was not looked up",
            Self::TooManyCandidates => "the key spoke about too many candidates of this session",
        }
    }

    /// The byte that stands for this kind in the journal.
    pub(crate) fn byte(self) -> u8 {
        self as u8
    }

    /// The kind for a byte of the journal.
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.get(usize::from(byte)).copied()
    }
}

/// The earlier fact that forbids what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// The last signed proposal.
    Proposal(Proposal),
    /// The last signed attestation.
    Attestation(Attestation),
    /// The last seal.
    Seal(Seal),
    /// The last vote of the stage, or the highest of all.
    GrandpaVote(GrandpaVote),
    /// The last BEEFY vote.
    BeefyVote(BeefyVote),
    /// All that was said of the candidate in the session.
    Stance(Stance),
    /// The first session that the key may still speak about.
    SessionFloor(u32),
    /// How many candidates of this session the key spoke about.
    Candidates {
        /// The session.
        session: u32,
        /// The number.
        candidates: u32,
    },
    /// The operator's line.
    StopLine(Bound),
    /// The request forbids itself.
    Request,
}

/// A rule's "no": what was asked, why not, and the record that forbids it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The rule that refused.
    pub kind: RefusalKind,
    /// What was asked.
    pub asked: Intent,
    /// What forbids it.
    pub evidence: Evidence,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.explanation())
    }
}

impl core::error::Error for Refusal {}
