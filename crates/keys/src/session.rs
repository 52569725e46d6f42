//! Session keys of Substrate chains: sr25519, ed25519 and ECDSA keys, and how each signs.
//!
//! Invariants: a [`SessionSecretKey`] can be neither printed nor copied, and is wiped when dropped;
//! one key and one message give one signature, byte for byte, in every process and release: two
//! different seals of one block would be an equivocation on the chain. Each signature and each draw
//! is verified before it leaves: two that share a nonce and differ by a fault give the key away.

use std::fmt;

use ed25519_dalek::{Signer as _, Verifier as _};
use k256::ecdsa::VerifyingKey;
use palisade_protect::{BabeVrf, KeyId, KeyType, Message};
use schnorrkel::context::attach_rng;
use schnorrkel::{ExpansionMode, Keypair, MiniSecretKey, signing_context};
use sha3::Digest as _;
use zeroize::Zeroizing;

use crate::any::in_clear;
use crate::secret_uri::{self, SecretUriError, Seed};
use crate::stack::forgetting;
use crate::{Scheme, SignError, key_id};

/// The context of every sr25519 signature (`sp_core::sr25519`).
const SIGNING_CONTEXT: &[u8] = b"substrate";
/// The transcript of a draw's proof (`sp_core::sr25519::Pair::vrf_sign` without extra data).
const VRF_CONTEXT: &[u8] = b"VRF";
const LONGEST_PUBLIC_KEY: usize = 33;
const PRE_HASH_BYTES: usize = 32;

/// A session key's public half: 32 bytes, or 33 for ECDSA (compressed).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionPublicKey {
    scheme: Scheme,
    bytes: [u8; LONGEST_PUBLIC_KEY],
}

/// The bytes are not a session public key of the scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionPublicKeyError;

/// Why no new key was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GenerateError {
    /// The operating system gave no randomness.
    NoRandomness,
    /// What it gave is no key of the scheme: never, in practice.
    NotAKey(SecretUriError),
}

/// A session key's secret half.
pub struct SessionSecretKey {
    seed: Box<Seed>,
    pair: Pair,
    public_key: SessionPublicKey,
}

enum Pair {
    Sr25519(Box<Keypair>),
    Ed25519(Box<ed25519_dalek::SigningKey>),
    Ecdsa(Box<k256::ecdsa::SigningKey>),
}

/// What a session key made: a signature of 64 bytes (65 for ECDSA, the recovery byte last), or a
/// VRF's pre-output 32 and proof 64.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionSignature(Vec<u8>);

/// Gives zeros. The nonce is then a function of the secret nonce seed and of everything in the
/// transcript (message and public key), as in RFC 8032, and of nothing else.
struct Zeros;

impl rand_core::RngCore for Zeros {
    fn next_u32(&mut self) -> u32 {
        0
    }

    fn next_u64(&mut self) -> u64 {
        0
    }

    fn fill_bytes(&mut self, out: &mut [u8]) {
        out.fill(0);
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), rand_core::Error> {
        out.fill(0);
        Ok(())
    }
}

// Says that `Zeros` may stand where a nonce is made; see there why it may.
impl rand_core::CryptoRng for Zeros {}

impl SessionPublicKey {
    /// A public key of this scheme. Whether it is a point of the curve is not checked.
    ///
    /// # Errors
    /// [`SessionPublicKeyError`] for another length, or a scheme without session keys.
    pub fn new(scheme: Scheme, bytes: &[u8]) -> Result<Self, SessionPublicKeyError> {
        if scheme == Scheme::Bls12381 || bytes.len() != scheme.public_key_bytes() {
            return Err(SessionPublicKeyError);
        }
        let mut padded = [0; LONGEST_PUBLIC_KEY];
        padded.get_mut(..bytes.len()).ok_or(SessionPublicKeyError)?.copy_from_slice(bytes);
        Ok(Self { scheme, bytes: padded })
    }

    /// Its scheme.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.scheme.public_key_bytes()).unwrap_or(&self.bytes)
    }

    /// Whether `signature` is this key's of these bytes, as a chain verifies it.
    #[must_use]
    pub fn verifies(&self, payload: &[u8], signature: &[u8]) -> bool {
        let verified = match self.scheme {
            Scheme::Sr25519 => verify_sr25519(self.as_bytes(), payload, signature),
            Scheme::Ed25519 => verify_ed25519(self.as_bytes(), payload, signature),
            Scheme::Ecdsa => signer_of(&ecdsa_hash(payload), signature)
                .map(|signer| signer.to_encoded_point(true).as_bytes() == self.as_bytes()),
            Scheme::Bls12381 => None,
        };
        verified == Some(true)
    }

    /// The vault's name for it.
    #[must_use]
    pub fn id(&self) -> KeyId {
        key_id(self.scheme, self.as_bytes())
    }

    /// The ledger's name for it as a key of this type: one key may be for several, and each has a
    /// record of its own. `SHA-256("palisade/session-key/v1" ‖ type ‖ vault's name)`.
    #[must_use]
    pub fn ledger_id(&self, key_type: KeyType) -> KeyId {
        use sha2::Digest as _;
        let digest = sha2::Sha256::new()
            .chain_update(b"palisade/session-key/v1")
            .chain_update(key_type.0)
            .chain_update(self.id().0);
        KeyId(digest.finalize().into())
    }
}

impl SessionSecretKey {
    /// Reads a secret URI: `0x` seed, or phrase with hard junctions and password.
    ///
    /// # Errors
    /// [`SecretUriError`]; it does not repeat the text.
    pub fn from_uri(scheme: Scheme, uri: &str) -> Result<Self, SecretUriError> {
        forgetting(|| Self::from_seed(scheme, secret_uri::seed(scheme, uri)?))
    }

    /// A new key from the operating system's randomness.
    ///
    /// # Errors
    /// [`GenerateError`]
    pub fn generate(scheme: Scheme) -> Result<Self, GenerateError> {
        forgetting(|| {
            let mut seed = Zeroizing::new([0; 32]);
            getrandom::fill(&mut *seed).map_err(|_| GenerateError::NoRandomness)?;
            Self::from_seed(scheme, seed).map_err(GenerateError::NotAKey)
        })
    }

    pub(crate) fn from_seed(scheme: Scheme, seed: Seed) -> Result<Self, SecretUriError> {
        let out_of_range = SecretUriError::OutOfRange;
        let pair = Pair::of(scheme, &seed)?;
        let bytes = pair.public_key_bytes();
        let public_key = SessionPublicKey::new(scheme, &bytes).map_err(|_| out_of_range)?;
        Ok(Self { seed: Box::new(seed), pair, public_key })
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> SessionPublicKey {
        self.public_key
    }

    /// The secret in clear, as the secret URI of its seed: for handing a key to another process of
    /// this guard. It must never reach a log, an argument or a file.
    #[must_use]
    pub fn to_uri(&self) -> Zeroizing<String> {
        in_clear(&self.seed)
    }

    /// The 32 bytes to seal.
    pub(crate) fn seed(&self) -> &[u8; 32] {
        &self.seed
    }

    /// Signs what the permit for `permitted` allows.
    pub(crate) fn sign(
        &self,
        permitted: KeyId,
        message: &Message<'_>,
    ) -> Result<SessionSignature, SignError> {
        let other_scheme = SignError::OtherScheme(permitted);
        // Signed as it is, it would be a seal as well, of a block that no rule has judged. No
        // payload that a chain knows has this length.
        if matches!(message, Message::Payload(bytes) if bytes.len() == PRE_HASH_BYTES) {
            return Err(other_scheme);
        }
        let verified = match (&self.pair, message) {
            (Pair::Sr25519(pair), Message::PreHash(hash)) => sign_sr25519(pair, hash),
            (Pair::Sr25519(pair), Message::Payload(bytes)) => sign_sr25519(pair, bytes),
            (Pair::Sr25519(pair), Message::BabeVrf(input)) => draw(pair, input),
            (Pair::Ed25519(key), Message::PreHash(hash)) => sign_ed25519(key, hash),
            (Pair::Ed25519(key), Message::Payload(bytes)) => sign_ed25519(key, bytes),
            (Pair::Ecdsa(key), Message::Keccak(bytes)) => {
                sign_ecdsa(key, &sha3::Keccak256::digest(bytes))
            }
            (Pair::Ecdsa(key), Message::Payload(bytes)) => sign_ecdsa(key, &ecdsa_hash(bytes)),
            _ => return Err(other_scheme),
        };
        verified.map(SessionSignature).ok_or(SignError::DoesNotVerify(permitted))
    }
}

impl Pair {
    fn of(scheme: Scheme, seed: &Seed) -> Result<Self, SecretUriError> {
        let out_of_range = SecretUriError::OutOfRange;
        Ok(match scheme {
            Scheme::Sr25519 => {
                let mini = MiniSecretKey::from_bytes(&**seed).map_err(|_| out_of_range)?;
                Self::Sr25519(Box::new(mini.expand_to_keypair(ExpansionMode::Ed25519)))
            }
            Scheme::Ed25519 => Self::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(seed))),
            Scheme::Ecdsa => {
                let key = k256::ecdsa::SigningKey::from_slice(&**seed).map_err(|_| out_of_range)?;
                Self::Ecdsa(Box::new(key))
            }
            Scheme::Bls12381 => return Err(SecretUriError::WrongScheme),
        })
    }

    fn public_key_bytes(&self) -> Vec<u8> {
        match self {
            Self::Sr25519(pair) => pair.public.to_bytes().to_vec(),
            Self::Ed25519(key) => key.verifying_key().to_bytes().to_vec(),
            Self::Ecdsa(key) => key.verifying_key().to_encoded_point(true).as_bytes().to_vec(),
        }
    }
}

fn sign_sr25519(pair: &Keypair, message: &[u8]) -> Option<Vec<u8>> {
    let context = signing_context(SIGNING_CONTEXT);
    let signature = pair.sign(attach_rng(context.bytes(message), Zeros));
    pair.verify(context.bytes(message), &signature).ok()?;
    Some(signature.to_bytes().to_vec())
}

fn sign_ed25519(key: &ed25519_dalek::SigningKey, message: &[u8]) -> Option<Vec<u8>> {
    let signature = key.sign(message);
    key.verifying_key().verify(message, &signature).ok()?;
    Some(signature.to_vec())
}

fn verify_sr25519(public_key: &[u8], message: &[u8], signature: &[u8]) -> Option<bool> {
    let public_key = schnorrkel::PublicKey::from_bytes(public_key).ok()?;
    let signature = schnorrkel::Signature::from_bytes(signature).ok()?;
    Some(public_key.verify_simple(SIGNING_CONTEXT, message, &signature).is_ok())
}

fn verify_ed25519(public_key: &[u8], message: &[u8], signature: &[u8]) -> Option<bool> {
    let public_key = ed25519_dalek::VerifyingKey::try_from(public_key).ok()?;
    let signature = ed25519_dalek::Signature::from_slice(signature).ok()?;
    Some(public_key.verify_strict(message, &signature).is_ok())
}

/// What `sp_core::ecdsa` signs of a message; BEEFY signs the Keccak-256 hash instead.
fn ecdsa_hash(message: &[u8]) -> [u8; 32] {
    use blake2::digest::consts::U32;
    blake2::Blake2b::<U32>::digest(message).into()
}

/// Who signed this hash; the recovery byte is the last of 65.
fn signer_of(hash: &[u8], signature: &[u8]) -> Option<VerifyingKey> {
    let (recovery, signature) = signature.split_last()?;
    let recovery = k256::ecdsa::RecoveryId::from_byte(*recovery)?;
    let signature = k256::ecdsa::Signature::from_slice(signature).ok()?;
    VerifyingKey::recover_from_prehash(hash, &signature, recovery).ok()
}

/// RFC 6979 nonces.
fn sign_ecdsa(key: &k256::ecdsa::SigningKey, hash: &[u8]) -> Option<Vec<u8>> {
    let (signature, recovery) = key.sign_prehash_recoverable(hash).ok()?;
    let mut bytes = signature.to_bytes().to_vec();
    bytes.push(recovery.to_byte());
    (signer_of(hash, &bytes)? == *key.verifying_key()).then_some(bytes)
}

/// `sp_consensus_babe::make_vrf_transcript` and `sp_core::sr25519::Pair::vrf_sign`.
fn draw(pair: &Keypair, input: &BabeVrf) -> Option<Vec<u8>> {
    let output = pair.vrf_create_hash(vrf_input(input));
    let extra = attach_rng(merlin::Transcript::new(VRF_CONTEXT), Zeros);
    let (proof, _) = pair.dleq_proove(extra, &output, true);
    let pre_output = output.to_preout();
    // From the input again, so that a fault in the point itself does not verify.
    let output = pre_output.attach_input_hash(&pair.public, vrf_input(input)).ok()?;
    let extra = merlin::Transcript::new(VRF_CONTEXT);
    pair.public.dleq_verify(extra, &output, &proof, true).ok()?;
    Some([pre_output.to_bytes().as_slice(), &proof.to_bytes()].concat())
}

fn vrf_input(input: &BabeVrf) -> merlin::Transcript {
    let mut transcript = merlin::Transcript::new(b"BABE");
    transcript.append_message(b"slot number", &input.slot.to_le_bytes());
    transcript.append_message(b"current epoch", &input.epoch.to_le_bytes());
    transcript.append_message(b"chain randomness", &input.randomness);
    transcript
}

impl SessionSignature {
    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for SessionSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(&self.0))
    }
}

impl fmt::Debug for SessionSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for SessionPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.as_bytes()))
    }
}

impl fmt::Debug for SessionPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for GenerateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRandomness => f.write_str("the operating system gave no randomness"),
            Self::NotAKey(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for GenerateError {}

impl fmt::Display for SessionPublicKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a session public key has 32 bytes, or 33 for ECDSA")
    }
}

impl std::error::Error for SessionPublicKeyError {}
