//! The types of requests, a closed list.
//!
//! Sources: Web3Signer's `openapi-specs/eth2/signing`; ethereum/remote-signing-api pull request 28
//! (Gloas) and 29 (which types a batch may have). `BLS_TO_EXECUTION_CHANGE` is Lodestar's.

use std::fmt;

/// What a request asks to have signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SigningType {
    /// A Phase 0 block, in the deprecated form.
    Block,
    /// A block of any fork.
    BlockV2,
    /// An attestation.
    Attestation,
    /// The slot of an attestation, to prove the choice as its aggregator.
    AggregationSlot,
    /// An aggregate, in the deprecated form.
    AggregateAndProof,
    /// An aggregate of any fork.
    AggregateAndProofV2,
    /// An epoch, for the chain's randomness.
    RandaoReveal,
    /// A validator's exit.
    VoluntaryExit,
    /// A deposit to a validator's account.
    Deposit,
    /// A block root, as a member of the sync committee.
    SyncCommitteeMessage,
    /// Slot and subcommittee, to prove the choice as their aggregator.
    SyncCommitteeSelectionProof,
    /// A sync committee's aggregate.
    SyncCommitteeContributionAndProof,
    /// Fee recipient and gas limit, for builders before Gloas.
    ValidatorRegistration,
    /// Where a validator's withdrawals go, signed by its withdrawal key.
    BlsToExecutionChange,
    /// A builder's bid (Gloas).
    ExecutionPayloadBid,
    /// A builder's payload (Gloas).
    ExecutionPayloadEnvelope,
    /// A vote on a payload's timeliness (Gloas).
    PayloadAttestationMessage,
    /// Fee recipient and gas limit for a slot (Gloas).
    ProposerPreferences,
    /// A proposer's identity towards a builder (Gloas).
    BuilderRequestAuth,
}

impl SigningType {
    /// Every type.
    pub const ALL: [Self; 19] = [
        Self::Block,
        Self::BlockV2,
        Self::Attestation,
        Self::AggregationSlot,
        Self::AggregateAndProof,
        Self::AggregateAndProofV2,
        Self::RandaoReveal,
        Self::VoluntaryExit,
        Self::Deposit,
        Self::SyncCommitteeMessage,
        Self::SyncCommitteeSelectionProof,
        Self::SyncCommitteeContributionAndProof,
        Self::ValidatorRegistration,
        Self::BlsToExecutionChange,
        Self::ExecutionPayloadBid,
        Self::ExecutionPayloadEnvelope,
        Self::PayloadAttestationMessage,
        Self::ProposerPreferences,
        Self::BuilderRequestAuth,
    ];

    /// The value of a request's `type`.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Block => "BLOCK",
            Self::BlockV2 => "BLOCK_V2",
            Self::Attestation => "ATTESTATION",
            Self::AggregationSlot => "AGGREGATION_SLOT",
            Self::AggregateAndProof => "AGGREGATE_AND_PROOF",
            Self::AggregateAndProofV2 => "AGGREGATE_AND_PROOF_V2",
            Self::RandaoReveal => "RANDAO_REVEAL",
            Self::VoluntaryExit => "VOLUNTARY_EXIT",
            Self::Deposit => "DEPOSIT",
            Self::SyncCommitteeMessage => "SYNC_COMMITTEE_MESSAGE",
            Self::SyncCommitteeSelectionProof => "SYNC_COMMITTEE_SELECTION_PROOF",
            Self::SyncCommitteeContributionAndProof => "SYNC_COMMITTEE_CONTRIBUTION_AND_PROOF",
            Self::ValidatorRegistration => "VALIDATOR_REGISTRATION",
            Self::BlsToExecutionChange => "BLS_TO_EXECUTION_CHANGE",
            Self::ExecutionPayloadBid => "EXECUTION_PAYLOAD_BID",
            Self::ExecutionPayloadEnvelope => "EXECUTION_PAYLOAD_ENVELOPE",
            Self::PayloadAttestationMessage => "PAYLOAD_ATTESTATION_MESSAGE",
            Self::ProposerPreferences => "PROPOSER_PREFERENCES",
            Self::BuilderRequestAuth => "BUILDER_REQUEST_AUTH",
        }
    }

    /// The type with this code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// Whether many keys may be asked for it with the same content.
    ///
    /// Messages that name one validator, or that only one key may sign, are not for batches.
    #[must_use]
    pub fn is_for_batch(self) -> bool {
        matches!(
            self,
            Self::Attestation
                | Self::AggregationSlot
                | Self::RandaoReveal
                | Self::SyncCommitteeMessage
                | Self::SyncCommitteeSelectionProof
                | Self::SyncCommitteeContributionAndProof
                | Self::PayloadAttestationMessage
        )
    }
}

impl fmt::Display for SigningType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
