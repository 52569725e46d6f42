//! From the bytes of a request to an intent.
//!
//! # What is read
//! One JSON object as Web3Signer takes it. `type` says which other field holds the message; fields
//! that belong to other types are not looked into, and unknown fields are ignored. `null` counts
//! as absent. A known field that is given twice is an error.
//!
//! # Fork versions
//! The version in the domain is the one of `fork_info` for the epoch of the message:
//! `previous_version` before `fork.epoch`, else `current_version` (consensus-specs
//! `phase0/beacon-chain.md`, `get_domain`). Real clients set `fork.epoch` to the epoch of the
//! message, so it is not compared with any schedule. Three exceptions:
//! - An exit whose version is of a fork after Capella is signed with Capella's (EIP-7044). Some
//!   clients send Capella's version, others that of the active fork; both get the same signature.
//! - A change of withdrawal credentials is signed with the genesis fork version and the genesis
//!   validators root of `fork_info`.
//! - Deposits, registrations and authentications towards builders have no `fork_info`: the
//!   genesis fork version of the network, and zeros for the root. A deposit that names another
//!   genesis fork version is an error, because it would be for another chain.

mod batch;
mod json;
mod kind;
mod message;

use palisade_protect::{Digest, Epoch, Intent};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::containers::Root;
use crate::domain::signing_root;
use crate::error::excerpt;
use crate::hex::HexBytes;
use crate::integer::Uint64;
use crate::preset::{MainnetLimits, MinimalLimits};
use crate::{Network, Preset, PublicKey, RequestError};

pub use batch::{BatchRequest, MAX_IDENTIFIERS, parse_batch};
pub use kind::SigningType;
use message::{ForkVersion, Message};

/// A request, reduced to what the guard decides on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SigningRequest {
    /// The request's type.
    pub kind: SigningType,
    /// The duty and its signing root.
    pub intent: Intent,
    /// The chain that the request says it is for; `None` for the types without `fork_info`.
    /// It is part of what is signed. Whether it is the right one is for the caller to check.
    pub genesis_validators_root: Option<Digest>,
    /// The key that the content names (deposits, registrations).
    pub named_key: Option<PublicKey>,
}

impl SigningRequest {
    /// Checks that the content does not name another key than the one that is to sign.
    ///
    /// A signature by another key is worthless, so this protects nobody; it tells a client of
    /// its mistake.
    ///
    /// # Errors
    /// [`RequestError::PublicKeyMismatch`].
    pub fn check_key(&self, signing: &PublicKey) -> Result<(), RequestError> {
        match self.named_key {
            Some(named) if named != *signing => {
                Err(RequestError::PublicKeyMismatch { named, signing: *signing })
            }
            _ => Ok(()),
        }
    }
}

/// Reads the body of a request to sign with one key.
///
/// # Errors
/// [`RequestError`]; all of its causes are the client's to repair.
pub fn parse_request(body: &[u8], network: &Network) -> Result<SigningRequest, RequestError> {
    let body: Body<'_> = json::read(body, "")?;
    let kind = match &body.kind {
        Some(TypeName::Known(kind)) => *kind,
        Some(TypeName::Unknown(given)) => {
            return Err(RequestError::UnknownType { given: given.clone() });
        }
        None => return Err(RequestError::missing("type")),
    };
    let message = match network.preset {
        Preset::Mainnet | Preset::Gnosis => message::read::<MainnetLimits>(kind, &body, network)?,
        Preset::Minimal => message::read::<MinimalLimits>(kind, &body, network)?,
    };
    let (version, root) = body.fork(&message, network)?;
    let computed =
        signing_root(message.object_root, message.domain, version, root.unwrap_or(NO_ROOT));
    if let Some(given) = body.given_root()?.filter(|given| *given != computed) {
        return Err(RequestError::SigningRootMismatch { given, computed });
    }
    Ok(SigningRequest {
        kind,
        intent: Intent { duty: message.duty, digest: computed },
        genesis_validators_root: root,
        named_key: message.named_key,
    })
}

/// In the domain of messages that are for no chain in particular.
const NO_ROOT: Digest = Digest([0; 32]);

/// A request's fields; the messages stay unread until the type is known.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: Option<TypeName>,
    signing_root: Option<Root>,
    #[serde(rename = "signingRoot")]
    signing_root_camel_case: Option<Root>,
    fork_info: Option<ForkInfo>,
    #[serde(borrow)]
    block: Option<&'a RawValue>,
    #[serde(borrow)]
    beacon_block: Option<&'a RawValue>,
    #[serde(borrow)]
    attestation: Option<&'a RawValue>,
    #[serde(borrow)]
    aggregation_slot: Option<&'a RawValue>,
    #[serde(borrow)]
    aggregate_and_proof: Option<&'a RawValue>,
    #[serde(borrow)]
    randao_reveal: Option<&'a RawValue>,
    #[serde(borrow)]
    voluntary_exit: Option<&'a RawValue>,
    #[serde(borrow)]
    deposit: Option<&'a RawValue>,
    #[serde(borrow)]
    sync_committee_message: Option<&'a RawValue>,
    #[serde(borrow)]
    sync_aggregator_selection_data: Option<&'a RawValue>,
    #[serde(borrow)]
    contribution_and_proof: Option<&'a RawValue>,
    #[serde(borrow)]
    validator_registration: Option<&'a RawValue>,
    /// Lodestar names this field like the type.
    #[serde(borrow, alias = "BLS_TO_EXECUTION_CHANGE")]
    bls_to_execution_change: Option<&'a RawValue>,
    #[serde(borrow)]
    execution_payload_bid: Option<&'a RawValue>,
    #[serde(borrow)]
    execution_payload_envelope: Option<&'a RawValue>,
    #[serde(borrow)]
    payload_attestation_message: Option<&'a RawValue>,
    #[serde(borrow)]
    proposer_preferences: Option<&'a RawValue>,
    #[serde(borrow)]
    builder_request_auth: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ForkInfo {
    fork: Fork,
    genesis_validators_root: Root,
}

#[derive(Deserialize)]
struct Fork {
    previous_version: HexBytes<4>,
    current_version: HexBytes<4>,
    epoch: Uint64,
}

enum TypeName {
    Known(SigningType),
    Unknown(String),
}

impl<'de> Deserialize<'de> for TypeName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Ok(SigningType::from_code(&name).map_or_else(|| Self::Unknown(excerpt(&name)), Self::Known))
    }
}

impl Body<'_> {
    /// The fork version and the genesis validators root that the message is signed for.
    fn fork(
        &self,
        message: &Message,
        network: &Network,
    ) -> Result<([u8; 4], Option<Digest>), RequestError> {
        if message.fork_version == ForkVersion::GenesisOfAnyChain {
            return Ok((network.genesis_fork_version, None));
        }
        let info = self.fork_info.as_ref().ok_or_else(|| RequestError::missing("fork_info"))?;
        let version = match message.fork_version {
            ForkVersion::At(epoch) => info.fork.version_at(epoch),
            ForkVersion::OfExit(epoch) => network.exit_fork_version(info.fork.version_at(epoch)),
            ForkVersion::Genesis | ForkVersion::GenesisOfAnyChain => network.genesis_fork_version,
        };
        Ok((version, Some(Digest(info.genesis_validators_root.0))))
    }

    /// The signing root that the client sent along, under either name.
    fn given_root(&self) -> Result<Option<Digest>, RequestError> {
        match (self.signing_root, self.signing_root_camel_case) {
            (Some(one), Some(other)) if one != other => Err(RequestError::bad(
                "signingRoot",
                "it differs from `signing_root`; send one of the two",
            )),
            (one, other) => Ok(one.or(other).map(|root| Digest(root.0))),
        }
    }
}

impl Fork {
    fn version_at(&self, epoch: Epoch) -> [u8; 4] {
        if epoch.0 < self.epoch.0 { self.previous_version.0 } else { self.current_version.0 }
    }
}
