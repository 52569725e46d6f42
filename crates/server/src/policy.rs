//! May this client ask this of this key? Client × key set × operation, default deny.
//!
//! Invariants: an operation that no line of the policy allows is refused; a client that is held to
//! key sets neither uses nor sees another key.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use palisade_ethereum::SigningType;
use serde::{Deserialize, Serialize};

use crate::credential::recognise;
pub use crate::credential::{Credential, Fingerprint, NotRecognised, Presented};
use crate::link::message::GateEntry;

/// What a client may be allowed to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Beacon blocks.
    Proposals,
    /// Attestations.
    Attestations,
    /// Aggregation slots and aggregates.
    Aggregation,
    /// Sync committee messages, selection proofs and contributions.
    Sync,
    /// RANDAO reveals.
    Randao,
    /// Builder registrations and other builder (Gloas) messages.
    Registration,
    /// Voluntary exits and changes of withdrawal credentials.
    Exits,
    /// Deposits.
    Deposits,
    /// What Substrate session keys sign: seals, votes, draws.
    SessionDuties,
    /// The key manager API.
    KeyManagement,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 10] = [
        Self::Proposals,
        Self::Attestations,
        Self::Aggregation,
        Self::Sync,
        Self::Randao,
        Self::Registration,
        Self::Exits,
        Self::Deposits,
        Self::SessionDuties,
        Self::KeyManagement,
    ];

    /// The operation that a signing type belongs to.
    #[must_use]
    pub fn of(kind: SigningType) -> Self {
        match kind {
            SigningType::Block | SigningType::BlockV2 => Self::Proposals,
            SigningType::Attestation | SigningType::PayloadAttestationMessage => Self::Attestations,
            SigningType::AggregationSlot
            | SigningType::AggregateAndProof
            | SigningType::AggregateAndProofV2 => Self::Aggregation,
            SigningType::SyncCommitteeMessage
            | SigningType::SyncCommitteeSelectionProof
            | SigningType::SyncCommitteeContributionAndProof => Self::Sync,
            SigningType::RandaoReveal => Self::Randao,
            SigningType::ValidatorRegistration
            | SigningType::ExecutionPayloadBid
            | SigningType::ExecutionPayloadEnvelope
            | SigningType::ProposerPreferences
            | SigningType::BuilderRequestAuth => Self::Registration,
            SigningType::Deposit => Self::Deposits,
            // Exits, changes of credentials, and whatever a later version adds: closed by default.
            _ => Self::Exits,
        }
    }

    /// The name used in `palisade.toml`, in metrics and in answers.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Proposals => "proposals",
            Self::Attestations => "attestations",
            Self::Aggregation => "aggregation",
            Self::Sync => "sync",
            Self::Randao => "randao",
            Self::Registration => "registration",
            Self::Exits => "exits",
            Self::Deposits => "deposits",
            Self::SessionDuties => "session-duties",
            Self::KeyManagement => "key-management",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// Which keys a client may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySet {
    /// Every key of this guard.
    All,
    /// Only these, by the bytes of their public keys: of validators and of sessions alike.
    Only(HashSet<Vec<u8>>),
}

impl KeySet {
    fn contains(&self, key: &[u8]) -> bool {
        match self {
            Self::All => true,
            Self::Only(keys) => keys.contains(key),
        }
    }
}

/// One client and what it may do.
#[derive(Clone, Debug)]
pub struct Client {
    /// The name used in logs, metrics and answers.
    pub name: String,
    /// How it is recognised.
    pub credential: Credential,
    /// What it may ask for.
    pub allow: HashSet<Operation>,
    /// For which keys.
    pub keys: KeySet,
}

impl Client {
    /// Whether it is recognised by having no credential.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.credential == Credential::Anonymous
    }
}

/// A policy's "no".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forbidden {
    /// The client that asked.
    pub client: String,
    /// What it asked for.
    pub operation: Operation,
    /// Whether the operation is closed for every key, or only for this one.
    pub because: ForbiddenBecause,
}

/// Which half of the policy said no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForbiddenBecause {
    /// The client's `allow` list does not name the operation.
    Operation,
    /// The client's key set does not hold the key.
    Key,
}

/// All clients of this guard.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    // Behind a pointer: a client may have 100,000 keys, and each request takes its client along.
    clients: Vec<Arc<Client>>,
}

impl Policy {
    /// A policy of these clients. Two with one name, or one credential, are refused.
    ///
    /// # Errors
    /// The name that stands twice, or whose credential does.
    pub fn new(clients: Vec<Client>) -> Result<Self, String> {
        for (index, client) in clients.iter().enumerate() {
            let clashes =
                |other: &Client| other.name == client.name || other.credential == client.credential;
            if clients.iter().take(index).any(clashes) {
                return Err(client.name.clone());
            }
        }
        Ok(Self { clients: clients.into_iter().map(Arc::new).collect() })
    }

    /// Who is this? A token counts before a certificate, a certificate before nothing.
    ///
    /// # Errors
    /// [`NotRecognised`]; a wrong credential never falls back to the anonymous client.
    pub fn recognise(&self, presented: &Presented) -> Result<&Arc<Client>, NotRecognised> {
        recognise(&self.clients, presented)
    }

    /// May `client` ask for `operation` with the key of these bytes?
    ///
    /// # Errors
    /// [`Forbidden`] says which half of the policy said no.
    pub fn check(
        client: &Client,
        operation: Operation,
        key: Option<&[u8]>,
    ) -> Result<(), Forbidden> {
        let because = if !client.allow.contains(&operation) {
            ForbiddenBecause::Operation
        } else if key.is_some_and(|key| !client.keys.contains(key)) {
            ForbiddenBecause::Key
        } else {
            return Ok(());
        };
        Err(Forbidden { client: client.name.clone(), operation, because })
    }

    /// May `client` have new keys made? They are on no list of keys.
    ///
    /// # Errors
    /// As [`Policy::check`].
    pub fn check_new_keys(client: &Client) -> Result<(), Forbidden> {
        let operation = Operation::KeyManagement;
        Self::check(client, operation, None)?;
        if client.keys == KeySet::All {
            return Ok(());
        }
        let because = ForbiddenBecause::Key;
        Err(Forbidden { client: client.name.clone(), operation, because })
    }

    /// May `client` see that `key` is here?
    #[must_use]
    pub fn sees(client: &Client, key: &[u8]) -> bool {
        client.keys.contains(key)
    }

    /// Whom a front may let in.
    pub(crate) fn gate(&self) -> Vec<GateEntry> {
        let entry = |client: &Arc<Client>| GateEntry {
            name: client.name.clone(),
            credential: client.credential.at_gate(),
        };
        self.clients.iter().map(entry).collect()
    }

    /// Whether anybody without a credential may ask for anything.
    #[must_use]
    pub fn admits_anonymous(&self) -> bool {
        self.clients.iter().any(|client| client.credential == Credential::Anonymous)
    }
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.because {
            ForbiddenBecause::Operation => write!(
                f,
                "client {:?} may not ask for {}; to allow it add the operation to its `allow` \
                 list in palisade.toml and reload",
                self.client, self.operation
            ),
            ForbiddenBecause::Key => write!(
                f,
                "client {:?} may not use this key; to allow it add the key to its key set in \
                 palisade.toml and reload",
                self.client
            ),
        }
    }
}
