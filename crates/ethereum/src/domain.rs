//! Domains and signing roots.
//!
//! Source: consensus-specs `phase0/beacon-chain.md`, `compute_domain` and `compute_signing_root`.

use palisade_protect::Digest;
use tree_hash::{Hash256, TreeHash};
use tree_hash_derive::TreeHash;

/// What kind of message a signature is for; part of what is signed, so that a signature of one
/// kind is of no use as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DomainType([u8; 4]);

impl DomainType {
    // consensus-specs phase0/beacon-chain.md
    pub(crate) const BEACON_PROPOSER: Self = Self([0x00, 0, 0, 0]);
    pub(crate) const BEACON_ATTESTER: Self = Self([0x01, 0, 0, 0]);
    pub(crate) const RANDAO: Self = Self([0x02, 0, 0, 0]);
    pub(crate) const DEPOSIT: Self = Self([0x03, 0, 0, 0]);
    pub(crate) const VOLUNTARY_EXIT: Self = Self([0x04, 0, 0, 0]);
    pub(crate) const SELECTION_PROOF: Self = Self([0x05, 0, 0, 0]);
    pub(crate) const AGGREGATE_AND_PROOF: Self = Self([0x06, 0, 0, 0]);
    // altair/beacon-chain.md
    pub(crate) const SYNC_COMMITTEE: Self = Self([0x07, 0, 0, 0]);
    pub(crate) const SYNC_COMMITTEE_SELECTION_PROOF: Self = Self([0x08, 0, 0, 0]);
    pub(crate) const CONTRIBUTION_AND_PROOF: Self = Self([0x09, 0, 0, 0]);
    // capella/beacon-chain.md
    pub(crate) const BLS_TO_EXECUTION_CHANGE: Self = Self([0x0a, 0, 0, 0]);
    // gloas/beacon-chain.md
    pub(crate) const BEACON_BUILDER: Self = Self([0x0b, 0, 0, 0]);
    pub(crate) const PTC_ATTESTER: Self = Self([0x0c, 0, 0, 0]);
    pub(crate) const PROPOSER_PREFERENCES: Self = Self([0x0d, 0, 0, 0]);
    // builder-specs bellatrix/builder.md, DOMAIN_APPLICATION_BUILDER
    pub(crate) const APPLICATION_BUILDER: Self = Self([0, 0, 0, 1]);
    // builder-specs gloas/builder.md, DOMAIN_REQUEST_AUTH
    pub(crate) const REQUEST_AUTH: Self = Self([0x0b, 0, 0, 1]);
}

#[derive(TreeHash)]
struct ForkData {
    current_version: [u8; 4],
    genesis_validators_root: Hash256,
}

#[derive(TreeHash)]
struct SigningData {
    object_root: Hash256,
    domain: Hash256,
}

/// The digest that a signature covers.
pub(crate) fn signing_root(
    object_root: Hash256,
    domain_type: DomainType,
    fork_version: [u8; 4],
    genesis_validators_root: Digest,
) -> Digest {
    let fork_data = ForkData {
        current_version: fork_version,
        genesis_validators_root: Hash256::from(genesis_validators_root.0),
    };
    // The domain is the type followed by the first 28 bytes of the fork data root.
    let mut domain = [0; 32];
    let bytes = domain_type.0.into_iter().chain(fork_data.tree_hash_root().0);
    domain.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
    Digest(SigningData { object_root, domain: Hash256::from(domain) }.tree_hash_root().0)
}
