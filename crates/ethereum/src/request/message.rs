//! Each type's message: its root, its duty and its domain.
//!
//! Invariant: the duty and the root of a [`Message`] come from one decoded value.

use palisade_protect::{Duty, Epoch, Slot};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use tree_hash::{Hash256, TreeHash};

use super::json::{self, read_part};
use super::{Body, SigningType};
use crate::containers::altair::{
    ContributionAndProof, SyncAggregatorSelectionData, SyncCommitteeDuty,
};
use crate::containers::attestation::{
    AggregateAndProof, AggregateAndProofElectra, AttestationData,
};
use crate::containers::block::{BeaconBlock, BeaconBlockHeader, BodyAltair, BodyPhase0};
use crate::containers::gloas::{
    ExecutionPayloadBid, ExecutionPayloadEnvelope, PayloadAttestationData, ProposerPreferences,
    RequestAuth,
};
use crate::containers::operations::{
    BlsToExecutionChange, DepositMessage, ValidatorRegistration, VoluntaryExit,
};
use crate::domain::DomainType;
use crate::hex::HexBytes;
use crate::integer::Uint64;
use crate::preset::Limits;
use crate::{Network, PublicKey, RequestError};

/// What a request wants signed, before its fork is known.
pub(super) struct Message {
    pub(super) object_root: Hash256,
    pub(super) duty: Duty,
    pub(super) domain: DomainType,
    pub(super) fork_version: ForkVersion,
    pub(super) named_key: Option<PublicKey>,
}

/// Which fork version goes into the domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ForkVersion {
    /// That of an epoch.
    At(Epoch),
    /// That of an epoch, but never one after Capella's (EIP-7044).
    OfExit(Epoch),
    /// The first one, on the request's chain.
    Genesis,
    /// The first one, with zeros in place of a genesis validators root.
    GenesisOfAnyChain,
}

/// The forks as requests name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Fork {
    Phase0,
    Altair,
    Bellatrix,
    Capella,
    Deneb,
    Electra,
    Fulu,
    Gloas,
}

/// Reads the message of a request of type `kind`.
pub(super) fn read<L: Limits>(
    kind: SigningType,
    body: &Body<'_>,
    network: &Network,
) -> Result<Message, RequestError> {
    match kind {
        SigningType::Block => {
            let block: BeaconBlock<BodyPhase0> = read_part(body.block, "block")?;
            Ok(proposal(block.slot, block.tree_hash_root(), network))
        }
        SigningType::BlockV2 => block::<L>(body.beacon_block, network),
        SigningType::Attestation => attestation(body),
        SigningType::AggregationSlot => aggregation_slot(body, network),
        SigningType::AggregateAndProof | SigningType::AggregateAndProofV2 => {
            aggregate::<L>(body.aggregate_and_proof, network)
        }
        SigningType::RandaoReveal => randao_reveal(body),
        SigningType::VoluntaryExit => voluntary_exit(body),
        SigningType::Deposit => deposit(body, network),
        SigningType::SyncCommitteeMessage => sync_committee_message(body, network),
        SigningType::SyncCommitteeSelectionProof => sync_selection_proof(body, network),
        SigningType::SyncCommitteeContributionAndProof => contribution::<L>(body, network),
        SigningType::ValidatorRegistration => validator_registration(body),
        SigningType::BlsToExecutionChange => bls_to_execution_change(body),
        SigningType::ExecutionPayloadBid => payload_bid(body, network),
        SigningType::ExecutionPayloadEnvelope => payload_envelope(body, network),
        SigningType::PayloadAttestationMessage => payload_attestation(body, network),
        SigningType::ProposerPreferences => proposer_preferences(body, network),
        SigningType::BuilderRequestAuth => builder_request_auth(body),
    }
}

impl Message {
    fn new(duty: Duty, domain: DomainType, version: ForkVersion, object_root: Hash256) -> Self {
        Self { object_root, duty, domain, fork_version: version, named_key: None }
    }

    fn harmless(domain: DomainType, version: ForkVersion, object_root: Hash256) -> Self {
        Self::new(Duty::Harmless, domain, version, object_root)
    }

    fn irrevocable(domain: DomainType, version: ForkVersion, object_root: Hash256) -> Self {
        Self::new(Duty::Irrevocable, domain, version, object_root)
    }

    fn naming(self, key: &HexBytes<48>) -> Self {
        Self { named_key: Some(PublicKey(key.0)), ..self }
    }
}

fn at_slot(slot: Uint64, network: &Network) -> ForkVersion {
    ForkVersion::At(network.epoch_of(Slot(slot.0)))
}

fn proposal(slot: Uint64, root: Hash256, network: &Network) -> Message {
    let duty = Duty::Proposal { slot: Slot(slot.0) };
    Message::new(duty, DomainType::BEACON_PROPOSER, at_slot(slot, network), root)
}

#[derive(Deserialize)]
struct VersionedBlock<'a> {
    version: Fork,
    #[serde(borrow)]
    block: Option<&'a RawValue>,
    #[serde(borrow)]
    block_header: Option<&'a RawValue>,
}

/// From Bellatrix on only the header is sent. For the two forks before it a header is taken as
/// well as the whole block: it has the same root.
fn block<L: Limits>(part: Option<&RawValue>, network: &Network) -> Result<Message, RequestError> {
    const BLOCK: &str = "beacon_block.block";
    let versioned: VersionedBlock<'_> = read_part(part, "beacon_block")?;
    if versioned.block.is_some() && versioned.block_header.is_some() {
        return Err(RequestError::bad(BLOCK, "`block_header` is given too; send one of the two"));
    }
    match (versioned.version, versioned.block) {
        (Fork::Phase0, Some(_)) => {
            let block: BeaconBlock<BodyPhase0> = read_part(versioned.block, BLOCK)?;
            Ok(proposal(block.slot, block.tree_hash_root(), network))
        }
        (Fork::Altair, Some(_)) => {
            let block: BeaconBlock<BodyAltair<L>> = read_part(versioned.block, BLOCK)?;
            Ok(proposal(block.slot, block.tree_hash_root(), network))
        }
        (Fork::Phase0 | Fork::Altair, None) if versioned.block_header.is_none() => {
            Err(RequestError::missing(BLOCK))
        }
        (_, Some(_)) => {
            Err(RequestError::bad(BLOCK, "for this version send `block_header` instead"))
        }
        (_, None) => {
            let header: BeaconBlockHeader =
                read_part(versioned.block_header, "beacon_block.block_header")?;
            Ok(proposal(header.slot, header.tree_hash_root(), network))
        }
    }
}

fn attestation(body: &Body<'_>) -> Result<Message, RequestError> {
    let data: AttestationData = read_part(body.attestation, "attestation")?;
    let (source, target) = (Epoch(data.source.epoch.0), Epoch(data.target.epoch.0));
    let duty = Duty::Attestation { source, target };
    let version = ForkVersion::At(target);
    Ok(Message::new(duty, DomainType::BEACON_ATTESTER, version, data.tree_hash_root()))
}

fn aggregation_slot(body: &Body<'_>, network: &Network) -> Result<Message, RequestError> {
    #[derive(Deserialize)]
    struct AggregationSlot {
        slot: Uint64,
    }
    let AggregationSlot { slot } = read_part(body.aggregation_slot, "aggregation_slot")?;
    let version = at_slot(slot, network);
    Ok(Message::harmless(DomainType::SELECTION_PROOF, version, slot.tree_hash_root()))
}

/// Either `{version, data}` or, in the older form, the data alone.
#[derive(Deserialize)]
struct VersionedAggregate<'a> {
    version: Option<Fork>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

fn aggregate<L: Limits>(
    part: Option<&RawValue>,
    network: &Network,
) -> Result<Message, RequestError> {
    const FIELD: &str = "aggregate_and_proof";
    let versioned: VersionedAggregate<'_> = read_part(part, FIELD)?;
    let (fork, data, path) = match (versioned.version, versioned.data) {
        (Some(fork), Some(data)) => (fork, Some(data), "aggregate_and_proof.data"),
        _ => (unversioned_fork(part, FIELD)?, part, FIELD),
    };
    let (slot, root) = match fork {
        Fork::Phase0 | Fork::Altair | Fork::Bellatrix | Fork::Capella | Fork::Deneb => {
            let proof: AggregateAndProof = read_part(data, path)?;
            (proof.aggregate.data.slot, proof.tree_hash_root())
        }
        Fork::Electra | Fork::Fulu => {
            let proof: AggregateAndProofElectra<L> = read_part(data, path)?;
            (proof.aggregate.data.slot, proof.tree_hash_root())
        }
        Fork::Gloas => {
            let proof: AggregateAndProofElectra<L> = read_part(data, path)?;
            (proof.aggregate.data.slot, proof.gloas_root())
        }
    };
    Ok(Message::harmless(DomainType::AGGREGATE_AND_PROOF, at_slot(slot, network), root))
}

/// The fork of an aggregate without a version: committee bits came with Electra.
fn unversioned_fork(part: Option<&RawValue>, path: &str) -> Result<Fork, RequestError> {
    #[derive(Deserialize)]
    struct Proof {
        aggregate: Option<Aggregate>,
    }
    #[derive(Deserialize)]
    struct Aggregate {
        committee_bits: Option<IgnoredAny>,
    }
    let proof: Proof = read_part(part, path)?;
    let bits = proof.aggregate.and_then(|aggregate| aggregate.committee_bits);
    Ok(if bits.is_some() { Fork::Electra } else { Fork::Phase0 })
}

fn randao_reveal(body: &Body<'_>) -> Result<Message, RequestError> {
    #[derive(Deserialize)]
    struct RandaoReveal {
        epoch: Uint64,
    }
    let RandaoReveal { epoch } = read_part(body.randao_reveal, "randao_reveal")?;
    let version = ForkVersion::At(Epoch(epoch.0));
    Ok(Message::harmless(DomainType::RANDAO, version, epoch.tree_hash_root()))
}

fn voluntary_exit(body: &Body<'_>) -> Result<Message, RequestError> {
    let exit: VoluntaryExit = read_part(body.voluntary_exit, "voluntary_exit")?;
    let version = ForkVersion::OfExit(Epoch(exit.epoch.0));
    Ok(Message::irrevocable(DomainType::VOLUNTARY_EXIT, version, exit.tree_hash_root()))
}

fn deposit(body: &Body<'_>, network: &Network) -> Result<Message, RequestError> {
    #[derive(Deserialize)]
    struct ForChain {
        genesis_fork_version: HexBytes<4>,
    }
    let deposit: DepositMessage = read_part(body.deposit, "deposit")?;
    let chain: ForChain = read_part(body.deposit, "deposit")?;
    if chain.genesis_fork_version.0 != network.genesis_fork_version {
        return Err(RequestError::bad(
            "deposit.genesis_fork_version",
            format!("it is not the one of {}, which this guard signs for", network.name),
        ));
    }
    let version = ForkVersion::GenesisOfAnyChain;
    let message = Message::irrevocable(DomainType::DEPOSIT, version, deposit.tree_hash_root());
    Ok(message.naming(&deposit.pubkey))
}

fn sync_committee_message(body: &Body<'_>, network: &Network) -> Result<Message, RequestError> {
    let duty: SyncCommitteeDuty = read_part(body.sync_committee_message, "sync_committee_message")?;
    let version = at_slot(duty.slot, network);
    let root = duty.beacon_block_root.tree_hash_root();
    Ok(Message::harmless(DomainType::SYNC_COMMITTEE, version, root))
}

fn sync_selection_proof(body: &Body<'_>, network: &Network) -> Result<Message, RequestError> {
    let data: SyncAggregatorSelectionData =
        read_part(body.sync_aggregator_selection_data, "sync_aggregator_selection_data")?;
    let version = at_slot(data.slot, network);
    let domain = DomainType::SYNC_COMMITTEE_SELECTION_PROOF;
    Ok(Message::harmless(domain, version, data.tree_hash_root()))
}

fn contribution<L: Limits>(body: &Body<'_>, network: &Network) -> Result<Message, RequestError> {
    let proof: ContributionAndProof<L> =
        read_part(body.contribution_and_proof, "contribution_and_proof")?;
    let version = at_slot(proof.contribution.slot, network);
    Ok(Message::harmless(DomainType::CONTRIBUTION_AND_PROOF, version, proof.tree_hash_root()))
}

fn validator_registration(body: &Body<'_>) -> Result<Message, RequestError> {
    let registration: ValidatorRegistration =
        read_part(body.validator_registration, "validator_registration")?;
    let version = ForkVersion::GenesisOfAnyChain;
    let root = registration.tree_hash_root();
    let message = Message::harmless(DomainType::APPLICATION_BUILDER, version, root);
    Ok(message.naming(&registration.pubkey))
}

fn bls_to_execution_change(body: &Body<'_>) -> Result<Message, RequestError> {
    let change: BlsToExecutionChange =
        read_part(body.bls_to_execution_change, "bls_to_execution_change")?;
    let domain = DomainType::BLS_TO_EXECUTION_CHANGE;
    let message = Message::irrevocable(domain, ForkVersion::Genesis, change.tree_hash_root());
    Ok(message.naming(&change.from_bls_pubkey))
}

/// Reads `{"version": "GLOAS", "data": {...}}`.
fn gloas<'a, T: Deserialize<'a>>(
    part: Option<&'a RawValue>,
    path: &str,
) -> Result<T, RequestError> {
    #[derive(Deserialize)]
    struct Versioned<'a> {
        version: Fork,
        #[serde(borrow)]
        data: Option<&'a RawValue>,
    }
    let versioned: Versioned<'_> = read_part(part, path)?;
    if versioned.version != Fork::Gloas {
        return Err(RequestError::bad(format!("{path}.version"), "it must be \"GLOAS\""));
    }
    let path = format!("{path}.data");
    let data = versioned.data.ok_or_else(|| RequestError::missing(path.as_str()))?;
    json::read(data.get().as_bytes(), &path)
}

fn payload_bid(body: &Body<'_>, network: &Network) -> Result<Message, RequestError> {
    let bid: ExecutionPayloadBid = gloas(body.execution_payload_bid, "execution_payload_bid")?;
    let version = at_slot(bid.slot, network);
    Ok(Message::harmless(DomainType::BEACON_BUILDER, version, bid.root()))
}

fn payload_envelope(body: &Body<'_>, network: &Network) -> Result<Message, RequestError> {
    let envelope: ExecutionPayloadEnvelope =
        gloas(body.execution_payload_envelope, "execution_payload_envelope")?;
    let version = at_slot(envelope.payload.slot_number, network);
    Ok(Message::harmless(DomainType::BEACON_BUILDER, version, envelope.root()))
}

fn payload_attestation(body: &Body<'_>, network: &Network) -> Result<Message, RequestError> {
    let data: PayloadAttestationData =
        gloas(body.payload_attestation_message, "payload_attestation_message")?;
    let version = at_slot(data.slot, network);
    Ok(Message::harmless(DomainType::PTC_ATTESTER, version, data.tree_hash_root()))
}

fn proposer_preferences(body: &Body<'_>, network: &Network) -> Result<Message, RequestError> {
    let preferences: ProposerPreferences =
        gloas(body.proposer_preferences, "proposer_preferences")?;
    let version = at_slot(preferences.proposal_slot, network);
    let root = preferences.tree_hash_root();
    Ok(Message::harmless(DomainType::PROPOSER_PREFERENCES, version, root))
}

fn builder_request_auth(body: &Body<'_>) -> Result<Message, RequestError> {
    let auth: RequestAuth = gloas(body.builder_request_auth, "builder_request_auth")?;
    let version = ForkVersion::GenesisOfAnyChain;
    Ok(Message::harmless(DomainType::REQUEST_AUTH, version, auth.tree_hash_root()))
}
