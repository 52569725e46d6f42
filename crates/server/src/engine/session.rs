//! Duties of Substrate session keys: one plain message in, one plain outcome out.
//!
//! The way of a request: is the key here, and for this kind of duty → may this client ask → read
//! the payload as one of the key's own chain → is it near the present → ledger → sign with the
//! permit.
//!
//! Invariants: a seal is given only for a header that was announced whole, so that a hash alone is
//! never signed; a statement on several candidates is signed only when each of them is permitted; a
//! key signs for the chain that its record names and for no other; whatever is asked is counted,
//! and what is not signed is told in the log and on the console.

use std::fmt;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use palisade_keys::SessionSignature;
use palisade_protect::{BabeVrf, Digest, Duty, Intent, KeyType, Permit, Refusal, Slot};
use palisade_substrate::{
    Chain, Judged, JudgedParts, PayloadError, Window, authority_record, babe_vrf, beefy_commitment,
    grandpa_vote, ownership, para_statement,
};

use super::draws::TooManyDraws;
use super::recent::Asked;
use super::{Denial, Engine, Keychain, SessionKey};
use crate::policy::{Client, Operation, Policy};

/// The types of keys that seal blocks.
pub(super) const SEALING: [KeyType; 2] = [KeyType::BABE, KeyType::AURA];

/// How much of a key is repeated that is not here.
const MAX_KEY_BYTES: usize = 64;

/// What is asked of a session key.
#[derive(Clone, Copy, Debug)]
pub enum SessionDuty<'a> {
    /// Seal the announced block with this pre-hash.
    Seal(Digest),
    /// Sign this GRANDPA vote.
    GrandpaVote(&'a [u8]),
    /// Draw for this slot.
    BabeVrf(BabeVrf),
    /// Sign this BEEFY commitment.
    BeefyCommitment(&'a [u8]),
    /// Say this of parachains.
    ParaStatement(&'a [u8]),
    /// Sign this record of authority discovery.
    AuthorityRecord(&'a [u8]),
    /// Prove to this account that the key is here.
    Ownership(&'a [u8]),
}

/// Why a session key did not sign.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SessionDenial {
    /// The payload is none, or not for now.
    Payload(PayloadError),
    /// No block with this pre-hash was announced here with this key.
    NotAnnounced(Digest),
    /// The chain of the key is not in `palisade.toml`, or was added since the guard started.
    UnknownChain(Digest),
    /// The operator has not said where the validators of this chain may say that they are.
    NoDiscoveryPolicy(String),
    /// The key was asked for too many draws within one slot.
    TooManyDraws,
    /// As for every other duty.
    Other(Denial),
}

/// What was signed, and where on the chain.
struct Signed {
    signature: SessionSignature,
    duty: Duty,
}

impl SessionDuty<'_> {
    fn key_types(&self) -> &'static [KeyType] {
        match self {
            Self::Seal(_) => &SEALING,
            Self::GrandpaVote(_) => &[KeyType::GRANDPA],
            Self::BabeVrf(_) => &[KeyType::BABE],
            Self::BeefyCommitment(_) => &[KeyType::BEEFY],
            Self::ParaStatement(_) => &[KeyType::PARACHAIN],
            Self::AuthorityRecord(_) => &[KeyType::AUTHORITY_DISCOVERY],
            Self::Ownership(_) => &KeyType::ALL,
        }
    }

    fn operation(&self) -> Operation {
        match self {
            Self::Ownership(_) => Operation::KeyManagement,
            _ => Operation::SessionDuties,
        }
    }

    /// The name of the kind in metrics, in the log and on the console.
    fn kind(&self) -> &'static str {
        match self {
            Self::Seal(_) => "seal",
            Self::GrandpaVote(_) => "grandpa-vote",
            Self::BabeVrf(_) => "babe-vrf",
            Self::BeefyCommitment(_) => "beefy-commitment",
            Self::ParaStatement(_) => "para-statement",
            Self::AuthorityRecord(_) => "authority-record",
            Self::Ownership(_) => "ownership-proof",
        }
    }
}

impl Engine {
    /// The session keys of a type that `client` may see, in order.
    #[must_use]
    pub fn session_public_keys(&self, client: &Client, key_type: KeyType) -> Vec<Vec<u8>> {
        if Policy::check(client, Operation::SessionDuties, None).is_err() {
            return Vec::new();
        }
        let keychain = self.keychain();
        let of_type = keychain.sessions().iter().filter(|key| key.key_type == key_type);
        let keys = of_type.map(|key| key.public_key.as_bytes());
        keys.filter(|key| Policy::sees(client, key)).map(<[u8]>::to_vec).collect()
    }

    /// Signs one duty, or says why not.
    ///
    /// # Errors
    /// [`SessionDenial`].
    pub async fn sign_session(
        &self,
        client: &Client,
        public_key: &[u8],
        duty: SessionDuty<'_>,
    ) -> Result<SessionSignature, SessionDenial> {
        let started = Instant::now();
        let outcome = self.decide_and_sign_session(client, public_key, duty).await;
        let outcome_code = outcome.as_ref().map_or_else(SessionDenial::code, |_| "signed");
        self.metrics.observe_session(duty.kind(), outcome_code, started.elapsed());
        let asked = Asked::of_session(public_key, duty.kind());
        match &outcome {
            Ok(signed) => self.recent.note_signed(client, &asked.about(signed.duty)),
            Err(denial) => self.recent.note_denied(client, &asked, denial),
        }
        outcome.map(|signed| signed.signature)
    }

    async fn decide_and_sign_session(
        &self,
        client: &Client,
        public_key: &[u8],
        duty: SessionDuty<'_>,
    ) -> Result<Signed, SessionDenial> {
        let keychain = self.keychain();
        let key = find(&keychain, public_key, duty.key_types())?;
        Policy::check(client, duty.operation(), Some(public_key)).map_err(Denial::from)?;
        let chain = self.chain_of(&key)?;
        match duty {
            SessionDuty::Seal(pre_hash) => {
                // The key may be for both engines; the header that was announced said for which.
                let sealing = keychain.find_session(public_key).iter();
                let mut sealing = sealing.filter(|key| SEALING.contains(&key.key_type));
                let announced =
                    sealing.find_map(|key| Some((*key, self.announced.find(key.id, pre_hash)?)));
                let (key, block) = announced.ok_or(SessionDenial::NotAnnounced(pre_hash))?;
                Window::SEAL.check(block.header.slot, present(chain))?;
                self.authorise_and_sign(&keychain, &key, block.header.seal()).await
            }
            SessionDuty::GrandpaVote(payload) => {
                self.authorise_and_sign(&keychain, &key, grandpa_vote(payload, chain)?).await
            }
            SessionDuty::BeefyCommitment(bytes) => {
                self.authorise_and_sign(&keychain, &key, beefy_commitment(bytes, chain)?).await
            }
            SessionDuty::ParaStatement(payload) => {
                self.authorise_and_sign_parts(&keychain, &key, para_statement(payload)?).await
            }
            SessionDuty::AuthorityRecord(payload) => {
                let policy = chain.discovery.as_ref();
                let policy =
                    policy.ok_or_else(|| SessionDenial::NoDiscoveryPolicy(chain.name.clone()))?;
                let judged = authority_record(payload, policy, unix_ms())?;
                self.authorise_and_sign(&keychain, &key, judged).await
            }
            SessionDuty::BabeVrf(input) => {
                let now = present(chain);
                Window::VRF.check(Slot(input.slot), now)?;
                let counted = self.draws.count(key.id, now);
                counted.map_err(|TooManyDraws| SessionDenial::TooManyDraws)?;
                self.authorise_and_sign(&keychain, &key, babe_vrf(input)).await
            }
            SessionDuty::Ownership(owner) => {
                let statement = ownership(owner)?;
                self.authorise_and_sign(&keychain, &key, statement.judged()).await
            }
        }
    }

    async fn authorise_and_sign(
        &self,
        keychain: &Keychain,
        key: &SessionKey,
        judged: Judged<'_>,
    ) -> Result<Signed, SessionDenial> {
        let permit = self.permits(key, vec![judged.intent]).await?.pop();
        let permit = permit.ok_or_else(|| Denial::bug("the ledger answered nothing"))?;
        let signed =
            keychain.ring().sign_message(permit, &key.public_key, key.key_type, &judged.message);
        let signature = signed.map_err(Denial::from)?;
        Ok(Signed { signature, duty: judged.intent.duty })
    }

    async fn authorise_and_sign_parts(
        &self,
        keychain: &Keychain,
        key: &SessionKey,
        judged: JudgedParts<'_>,
    ) -> Result<Signed, SessionDenial> {
        let JudgedParts { intents, message } = judged;
        if let [intent] = *intents {
            return self.authorise_and_sign(keychain, key, Judged { intent, message }).await;
        }
        let first = intents.first().ok_or_else(|| Denial::bug("a statement on nothing"))?;
        let duty = first.duty;
        let permits = self.permits(key, intents).await?;
        let ring = keychain.ring();
        let signed = ring.sign_message_in_parts(permits, &key.public_key, key.key_type, &message);
        Ok(Signed { signature: signed.map_err(Denial::from)?, duty })
    }

    /// A permit for each intent, in one commit, or the first denial. What was permitted beside a
    /// denial stays recorded, which only makes the record stricter.
    async fn permits(
        &self,
        key: &SessionKey,
        intents: Vec<Intent>,
    ) -> Result<Vec<Permit>, SessionDenial> {
        let batch = intents.into_iter().map(|intent| (key.id, intent)).collect();
        let authorised = self.authorise(batch).await?.into_iter();
        authorised.map(|answer| answer.map_err(|denied| Denial::from(denied).into())).collect()
    }

    /// How many session keys are for a chain that this guard does not know.
    #[must_use]
    pub fn keys_of_unknown_chains(&self) -> usize {
        let keychain = self.keychain();
        keychain.sessions().iter().filter(|key| self.chain_of(key).is_err()).count()
    }

    pub(super) fn chain_of(&self, key: &SessionKey) -> Result<&Chain, SessionDenial> {
        let known = self.chains.iter().find(|chain| chain.genesis == key.chain);
        known.ok_or(SessionDenial::UnknownChain(key.chain))
    }
}

pub(super) fn find(
    keychain: &Keychain,
    public_key: &[u8],
    types: &[KeyType],
) -> Result<SessionKey, SessionDenial> {
    let named = keychain.find_session(public_key);
    let found = named.iter().find(|key| types.contains(&key.key_type)).copied();
    found.ok_or_else(|| Denial::unknown_key(text_of(public_key)).into())
}

/// The key as asked for, shortened: whole keys are shorter.
pub(super) fn text_of(public_key: &[u8]) -> String {
    hex::encode(public_key.get(..MAX_KEY_BYTES).unwrap_or(public_key))
}

pub(super) fn present(chain: &Chain) -> Slot {
    chain.slot_at(unix_ms())
}

fn unix_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

impl SessionDenial {
    /// A slashing rule's "no", if it is one.
    pub(super) fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Other(denial) => denial.refusal(),
            _ => None,
        }
    }

    /// The stable name of the reason.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Payload(error) => error.code(),
            Self::NotAnnounced(_) => "block-not-announced",
            Self::UnknownChain(_) => "unknown-chain",
            Self::NoDiscoveryPolicy(_) => "no-discovery-policy",
            Self::TooManyDraws => "too-many-draws",
            Self::Other(denial) => denial.code(),
        }
    }
}

impl From<PayloadError> for SessionDenial {
    fn from(error: PayloadError) -> Self {
        Self::Payload(error)
    }
}

impl From<Denial> for SessionDenial {
    fn from(denial: Denial) -> Self {
        Self::Other(denial)
    }
}

impl fmt::Display for SessionDenial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Payload(error) => error.fmt(f),
            Self::NotAnnounced(pre_hash) => write!(
                f,
                "refused: no block with pre-hash {pre_hash} was announced with this key; announce \
                 the header first (palisade_announceBlock)"
            ),
            Self::UnknownChain(genesis) => write!(
                f,
                "the key is for the chain with genesis hash {genesis}, which this guard does not \
                 know; add it with `palisade chain add` and restart the guard"
            ),
            Self::NoDiscoveryPolicy(chain) => write!(
                f,
                "refused: nothing says where validators of chain {chain} may say that they are; \
                 add [chain.authority_discovery] with the node's peer id and addresses to \
                 palisade.toml and restart the guard"
            ),
            Self::TooManyDraws => f.write_str(
                "refused: the key was asked for too many draws within one slot; look for a node \
                 that is not yours",
            ),
            Self::Other(denial) => denial.fmt(f),
        }
    }
}

impl std::error::Error for SessionDenial {}
