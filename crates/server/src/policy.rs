//! May this client ask this of this key? Client × key set × operation, default deny.
//!
//! Invariants: an operation that no line of the policy allows is refused; a wrong credential is
//! never treated as no credential; credentials are compared as digests, in constant time, and are
//! never kept in clear.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use palisade_ethereum::SigningType;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

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

/// A SHA-256 digest of a bearer token or of a client certificate (DER).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// The digest of a credential.
    #[must_use]
    pub fn of(credential: &[u8]) -> Self {
        Self(Sha256::digest(credential).into())
    }

    /// Reads 64 hex digits, with or without `0x`.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits = text.trim().trim_start_matches("0x").replace(':', "");
        hex::decode(digits).ok()?.try_into().ok().map(Self)
    }

    /// What a front recognises the credential by. It does not give the digest that the core
    /// recognises it by: a front that was broken into knows only what passed by.
    fn at_gate(&self) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"palisade/gate/v1");
        hash.update(self.0);
        Self(hash.finalize().into())
    }

    fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", hex::encode(self.0))
    }
}

/// How a client is recognised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Credential {
    /// No credential at all: whoever can reach the listener.
    Anonymous,
    /// `Authorization: Bearer …`, by the token's digest.
    Token(Fingerprint),
    /// A client certificate, by the digest of its DER form.
    Certificate(Fingerprint),
}

impl Credential {
    fn at_gate(&self) -> Self {
        match self {
            Self::Anonymous => Self::Anonymous,
            Self::Token(digest) => Self::Token(digest.at_gate()),
            Self::Certificate(digest) => Self::Certificate(digest.at_gate()),
        }
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

/// What a connection and a request brought along.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presented {
    /// The digest of the client certificate, if TLS asked for one.
    pub certificate: Option<Fingerprint>,
    /// The digest of the bearer token, if the request had one.
    pub token: Option<Fingerprint>,
}

impl Presented {
    /// What is compared with the entries of a gate.
    pub(crate) fn at_gate(&self) -> Self {
        Self {
            certificate: self.certificate.as_ref().map(Fingerprint::at_gate),
            token: self.token.as_ref().map(Fingerprint::at_gate),
        }
    }
}

/// The answer to "who is this?".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRecognised {
    /// Nothing was presented, and there is no anonymous client.
    NoCredential,
    /// Something was presented that nobody here has.
    WrongCredential,
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

/// Whoever is recognised by a credential.
pub(crate) trait HasCredential {
    /// What recognises it.
    fn credential(&self) -> &Credential;
}

impl HasCredential for Arc<Client> {
    fn credential(&self) -> &Credential {
        &self.credential
    }
}

impl HasCredential for GateEntry {
    fn credential(&self) -> &Credential {
        &self.credential
    }
}

/// Who of `known` is this? A token counts before a certificate, a certificate before nothing.
pub(crate) fn recognise<'a, C: HasCredential>(
    known: &'a [C],
    presented: &Presented,
) -> Result<&'a C, NotRecognised> {
    let find = |wanted: &dyn Fn(&Credential) -> bool| {
        known.iter().find(|client| wanted(client.credential()))
    };
    if let Some(token) = &presented.token {
        return find(&|known| matches!(known, Credential::Token(t) if t.matches(token)))
            .ok_or(NotRecognised::WrongCredential);
    }
    if let Some(shown) = &presented.certificate {
        return find(&|known| matches!(known, Credential::Certificate(c) if c.matches(shown)))
            .ok_or(NotRecognised::WrongCredential);
    }
    find(&|known| *known == Credential::Anonymous).ok_or(NotRecognised::NoCredential)
}

impl NotRecognised {
    /// The stable name of the reason.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::NoCredential => "credential-missing",
            Self::WrongCredential => "credential-wrong",
        }
    }
}

impl fmt::Display for NotRecognised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoCredential => {
                "this guard serves only clients with a bearer token or a client certificate"
            }
            Self::WrongCredential => {
                "no client of this guard has that token or certificate; check [[client]] in \
                 palisade.toml"
            }
        })
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
