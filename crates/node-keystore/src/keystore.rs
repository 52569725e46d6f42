//! Decides how each question of the node is answered: from the list of keys, by the guard, or not.
//!
//! Invariants: only keys that a guard listed reach the guard; every signature is verified against
//! the key and the payload before the node gets it, so a confused or forged answer costs the duty
//! and nothing else; a payload without a method of its own is refused here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};
use sp_core::crypto::{ByteArray, CryptoTypeId, KeyTypeId, Pair, VrfPublic};
use sp_core::{ecdsa, sr25519};
use sp_keystore::Error;

use crate::announce::Announcements;
use crate::beefy::{CommitmentSource, Commitments};
use crate::config::{BABE, BEEFY, ConfigError, GRANDPA, GuardConfig};
use crate::duty::{Duty, cryptography, duty};
use crate::grandpa::{LostVote, Voters};
use crate::link::{GuardLink, name_of};
use crate::metrics::Metrics;
use crate::vrf::{Claims, EpochSource};
use crate::wire::{GuardError, bytes_of, to_hex};

/// The node's keystore, whose keys are in a guard.
///
/// Give it wherever the node's service passes a `KeystorePtr`. It holds no secret.
pub struct RemoteKeystore {
    pub(crate) config: GuardConfig,
    link: GuardLink,
    voters: Voters,
    claims: Claims,
    commitments: Commitments,
    pub(crate) announcements: Announcements,
}

/// Session keys that a guard has made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionKeys {
    /// The keys in the order that was asked for: type, public key, and the proof for the owner if
    /// one was given.
    pub keys: Vec<(KeyTypeId, Vec<u8>, Option<Vec<u8>>)>,
    /// All public keys one after the other, as `session.setKeys` takes them.
    pub session_keys: Vec<u8>,
    /// All proofs one after the other, if an owner was given.
    pub proof: Option<Vec<u8>>,
}

impl RemoteKeystore {
    /// Checks the configuration and begins to connect in the background.
    ///
    /// # Errors
    /// If the configuration is unsafe or incomplete, a file cannot be used or an address cannot be
    /// bound. That no guard answers is no error: the node starts and waits for one.
    pub fn start(config: GuardConfig) -> Result<Arc<Self>, ConfigError> {
        let link = GuardLink::start(&config)?;
        let voters = Voters::new(config.grandpa_hide, config.grandpa_memory.clone());
        Ok(Arc::new(Self {
            config,
            link,
            voters,
            claims: Claims::default(),
            commitments: Commitments::default(),
            announcements: Announcements::default(),
        }))
    }

    /// Blocks until a guard has listed its keys, for `limit` at most; whether it has.
    ///
    /// Call this before the service starts its voter: GRANDPA decides at the start of a round
    /// whether it votes in it.
    pub fn wait_ready(&self, limit: Duration) -> bool {
        self.link.shared.keys.wait_listed(limit)
    }

    /// Where BABE's VRF inputs are looked up; needed for BABE, not for Aura.
    pub fn provide_epochs(&self, source: Arc<dyn EpochSource>) {
        self.claims.provide(source);
    }

    /// Where BEEFY's commitments are looked up; needed for BEEFY.
    pub fn provide_commitments(&self, source: Arc<dyn CommitmentSource>) {
        self.commitments.provide(source);
    }

    /// Whether a guard is connected.
    pub fn is_connected(&self) -> bool {
        self.link.session() != 0
    }

    /// The address on which the node waits for guards, if it does.
    pub fn listening(&self) -> Option<SocketAddr> {
        self.link.listening()
    }

    /// The counters since the start.
    pub fn metrics(&self) -> Metrics {
        self.link.shared.metrics.snapshot()
    }

    /// Whether the last GRANDPA vote could not be signed, and why.
    pub fn lost_vote(&self) -> Option<LostVote> {
        self.voters.lost()
    }

    /// Lets the guard make new session keys, in this order of types.
    ///
    /// `chain` is the guard's name of the chain, if it serves several; `owner` the account that
    /// will call `set_keys`.
    ///
    /// # Errors
    /// What the guard answers; [`GuardError::Interrupted`] leaves open whether it made them.
    pub fn generate_session_keys(
        &self,
        key_types: &[KeyTypeId],
        chain: Option<&str>,
        owner: Option<&[u8]>,
    ) -> Result<SessionKeys, GuardError> {
        let names: Vec<String> = key_types.iter().map(|key_type| name_of(*key_type)).collect();
        let mut params = Map::from_iter([("keyTypes".to_owned(), json!(names))]);
        if let Some(chain) = chain {
            params.insert("chain".to_owned(), chain.into());
        }
        if let Some(owner) = owner {
            params.insert("owner".to_owned(), to_hex(owner).into());
        }
        let method = "palisade_generateSessionKeys";
        let value = self.link.call_once(method, params.into(), self.config.other_timeout)?;
        let listed = value.get("keys").and_then(Value::as_array).filter(|listed| {
            let shown = listed.iter().map(|key| key.get("keyType").and_then(Value::as_str));
            shown.eq(names.iter().map(|name| Some(name.as_str())))
        });
        let bad = || GuardError::BadAnswer("not the keys that were asked for".to_owned());
        let mut keys = Vec::new();
        for (entry, key_type) in listed.ok_or_else(bad)?.iter().zip(key_types) {
            let proof = optional(entry, "proof")?;
            keys.push((*key_type, bytes_of(entry, "publicKey")?, proof));
        }
        for (key_type, public, _) in &keys {
            self.link.shared.keys.add(*key_type, public);
        }
        let session_keys = bytes_of(&value, "sessionKeys")?;
        Ok(SessionKeys { keys, session_keys, proof: optional(&value, "proof")? })
    }

    pub(crate) fn link(&self) -> &GuardLink {
        &self.link
    }

    pub(crate) fn voters(&self) -> &Voters {
        &self.voters
    }

    /// Whether a guard has listed this key; does not look at hiding.
    pub(crate) fn holds(&self, key_type: KeyTypeId, public: &[u8]) -> bool {
        self.link.shared.keys.holds(key_type, public)
    }

    /// The keys that the node may see.
    pub(crate) fn visible(&self, key_type: KeyTypeId) -> Vec<Vec<u8>> {
        let mut keys = self.link.shared.keys.keys(key_type);
        if key_type == GRANDPA {
            keys.retain(|key| !self.voters.is_hidden(key));
        }
        keys
    }

    pub(crate) fn is_visible(&self, key_type: KeyTypeId, public: &[u8]) -> bool {
        self.holds(key_type, public) && (key_type != GRANDPA || !self.voters.is_hidden(public))
    }

    /// The visible keys of a type, if that type has this cryptography.
    pub(crate) fn listed<P: ByteArray>(&self, key_type: KeyTypeId, kind: CryptoTypeId) -> Vec<P> {
        if cryptography(key_type, self.config.aura_ed25519) != Some(kind) {
            return Vec::new();
        }
        let keys = self.visible(key_type);
        keys.iter().filter_map(|key| P::from_slice(key).ok()).collect()
    }

    /// Lets the guard make one key.
    pub(crate) fn generate<P: ByteArray>(
        &self,
        key_type: KeyTypeId,
        kind: CryptoTypeId,
        seed: Option<&str>,
    ) -> Result<P, Error> {
        if cryptography(key_type, self.config.aura_ed25519) != Some(kind) {
            return Err(Error::KeyNotSupported(key_type));
        }
        if seed.is_some() {
            return Err(Error::ValidationError(
                "a seed must not pass through the node; import it at the guard".to_owned(),
            ));
        }
        let made = self.generate_session_keys(&[key_type], None, None);
        let made = made.map_err(|error| failure(key_type, &error))?;
        let public = made.keys.first().and_then(|(_, public, _)| P::from_slice(public).ok());
        public.ok_or_else(|| Error::Other("the guard made a key of another kind".to_owned()))
    }

    /// Signs a payload that has a method of its own; `None` if the key is not a guard's.
    pub(crate) fn sign<P: Pair>(
        &self,
        key_type: KeyTypeId,
        kind: CryptoTypeId,
        public: &P::Public,
        payload: &[u8],
    ) -> Result<Option<P::Signature>, Error> {
        if !self.holds(key_type, public.as_slice()) {
            return Ok(None);
        }
        let duty = duty(key_type, payload)
            .filter(|_| cryptography(key_type, self.config.aura_ed25519) == Some(kind));
        let Some(duty) = duty else { return Err(self.unknown(key_type, payload.len())) };
        let is_vote = matches!(duty, Duty::Vote(_));
        let signed = self.ask_signature(key_type, public.as_slice(), &duty);
        let signed = signed.and_then(|bytes| {
            let signature = P::Signature::from_slice(&bytes);
            let signature = signature.ok().filter(|signed| P::verify(signed, payload, public));
            signature.ok_or_else(|| GuardError::BadAnswer("the signature does not fit".to_owned()))
        });
        if is_vote {
            self.voters.note(public.as_slice(), signed.as_ref().err());
        }
        signed.map(Some).map_err(|error| failure(key_type, &error))
    }

    fn ask_signature(
        &self,
        key_type: KeyTypeId,
        public: &[u8],
        duty: &Duty<'_>,
    ) -> Result<Vec<u8>, GuardError> {
        let config = &self.config;
        let block = config.block_timeout;
        let other = config.other_timeout;
        let (method, name, bytes, limit) = match duty {
            Duty::Seal(hash) => return self.seal(public, hash),
            Duty::Vote(vote) => ("palisade_grandpaVote", "payload", vote, config.grandpa_timeout),
            Duty::Record(record) => ("palisade_authorityRecord", "payload", record, other),
            Duty::Statement(statement) => ("palisade_paraStatement", "payload", statement, block),
            Duty::Possession(owner) => ("palisade_provePossession", "owner", owner, other),
        };
        let member = if matches!(duty, Duty::Possession(_)) { "proof" } else { "signature" };
        let params = json!({"publicKey": to_hex(public), name: to_hex(bytes)});
        let value = self.link.call(method, params, limit).inspect_err(|error| {
            let name = name_of(key_type);
            log::warn!(target: crate::LOG, "{method} of {name} key {}: {error}", to_hex(public));
        })?;
        bytes_of(&value, member)
    }

    /// BABE's VRF, by slot, epoch and randomness.
    pub(crate) fn vrf(
        &self,
        key_type: KeyTypeId,
        public: &sr25519::Public,
        data: &sr25519::vrf::VrfSignData,
    ) -> Result<Option<sr25519::vrf::VrfSignature>, Error> {
        if !self.holds(key_type, public) {
            return Ok(None);
        }
        if key_type != BABE {
            return Err(self.unknown(key_type, 0));
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let Some(claim) = self.claims.find(data, now) else {
            self.link.shared.metrics.vrf_misses.fetch_add(1, Ordering::Relaxed);
            return Err(Error::ValidationError(
                "no slot near now in a known epoch has this VRF input; are the clock and the epoch \
                 source right?"
                    .to_owned(),
            ));
        };
        let params = json!({
            "publicKey": to_hex(public),
            "slot": claim.slot,
            "epoch": claim.epoch,
            "randomness": to_hex(&claim.randomness),
        });
        let asked = self.link.call("palisade_babeVrf", params, self.config.block_timeout);
        let signed = asked.and_then(|value| {
            let (output, proof) = (bytes_of(&value, "preOutput")?, bytes_of(&value, "proof")?);
            let signature = codec::DecodeAll::decode_all(&mut &[output, proof].concat()[..]).ok();
            let fits = |signed: &sr25519::vrf::VrfSignature| public.vrf_verify(data, signed);
            let bad = || GuardError::BadAnswer("the VRF signature does not fit".to_owned());
            signature.filter(fits).ok_or_else(bad)
        });
        signed.map(Some).map_err(|error| failure(key_type, &error))
    }

    /// BEEFY, by the commitment behind the hash.
    pub(crate) fn commitment(
        &self,
        key_type: KeyTypeId,
        public: &ecdsa::Public,
        hash: &[u8; 32],
    ) -> Result<Option<ecdsa::Signature>, Error> {
        if !self.holds(key_type, public) {
            return Ok(None);
        }
        if key_type != BEEFY {
            return Err(self.unknown(key_type, hash.len()));
        }
        let Some(commitment) = self.commitments.find(hash) else {
            self.link.shared.metrics.commitment_misses.fetch_add(1, Ordering::Relaxed);
            return Err(Error::ValidationError(
                "no recent finalised block of this node has a commitment with this hash".to_owned(),
            ));
        };
        let params = json!({"publicKey": to_hex(public), "commitment": to_hex(&commitment)});
        let limit = self.config.other_timeout;
        let asked = self.link.call("palisade_beefyCommitment", params, limit);
        let signed = asked.and_then(|value| {
            let signature = ecdsa::Signature::from_slice(&bytes_of(&value, "signature")?).ok();
            let fits =
                |signed: &ecdsa::Signature| ecdsa::Pair::verify_prehashed(signed, hash, public);
            let bad = || GuardError::BadAnswer("the signature does not fit".to_owned());
            signature.filter(fits).ok_or_else(bad)
        });
        signed.map(Some).map_err(|error| failure(key_type, &error))
    }

    /// A payload, or a use of a key, that has no method at the guard.
    pub(crate) fn unknown(&self, key_type: KeyTypeId, length: usize) -> Error {
        self.link.shared.metrics.unknown_payloads.fetch_add(1, Ordering::Relaxed);
        let name = name_of(key_type);
        Error::ValidationError(format!(
            "a guard signs nothing of this shape ({length} bytes) with a key of type {name}"
        ))
    }
}

fn optional(value: &Value, member: &str) -> Result<Option<Vec<u8>>, GuardError> {
    match value.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(_) => bytes_of(value, member).map(Some),
    }
}

/// The nearest that the trait's error type has.
pub(crate) fn failure(key_type: KeyTypeId, error: &GuardError) -> Error {
    match error {
        GuardError::NoAnswer { .. } | GuardError::Busy => Error::Unavailable,
        GuardError::UnknownKey => Error::KeyNotSupported(key_type),
        other => Error::Other(other.to_string()),
    }
}
