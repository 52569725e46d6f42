//! What a runtime's metadata says of `session.set_keys`: where the call stands, and which session
//! keys it takes in which order.
//!
//! Invariants: only metadata that is read whole, in a version that is known, says anything; a call
//! with other arguments than this crate writes ([`crate::session::set_keys_call`]) is refused; what
//! a key is for is told by the path of its type, never guessed from a field's name.
//!
//! Source: `frame-metadata`, versions 14 to 16; `pallet_session::Call`; the `app_crypto!` modules
//! of `sp-consensus-*`, `sp-authority-discovery` and `polkadot-primitives`.

use std::fmt;

use frame_metadata::{RuntimeMetadata, RuntimeMetadataPrefixed};
use palisade_protect::KeyType;
use parity_scale_codec::Decode as _;
use scale_info::form::PortableForm;
use scale_info::{Field, PortableRegistry, Type, TypeDef, TypeDefPrimitive, Variant};

/// The longest metadata; Polkadot's has about 600 kB.
pub const MAX_METADATA_BYTES: usize = 16 << 20;
/// `meta`, little-endian.
const MAGIC: &[u8; 4] = b"meta";
/// The first version with a registry of types, and the last that is known here.
const VERSIONS: std::ops::RangeInclusive<u8> = 14..=16;
const MAX_KEYS: usize = 64;

/// The call by which a chain takes session keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetKeysCall {
    /// The pallet's index in the runtime.
    pub pallet: u8,
    /// The call's index in the pallet.
    pub call: u8,
    /// The keys that it takes, in order.
    pub keys: Vec<RuntimeKey>,
}

/// One of the runtime's session keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeKey {
    /// The runtime's name for it.
    pub name: String,
    /// What it is for, if its type is one that is known here.
    pub key_type: Option<KeyType>,
    /// Whether it is the ed25519 kind of a type that has two.
    pub is_ed25519: bool,
}

/// Why metadata says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetadataError {
    /// Longer than [`MAX_METADATA_BYTES`].
    TooLong,
    /// It does not begin as metadata, or does not decode whole.
    Malformed,
    /// Another version than 14, 15 or 16.
    Version(u8),
    /// No pallet has a call `set_keys` with session keys and their proof.
    NoSetKeys,
    /// More than one has.
    Ambiguous,
}

/// The types of a runtime, and of each pallet its index and the type of its calls. The versions
/// have the same names for them, and no type in common.
macro_rules! calls_of {
    ($metadata:expr) => {{
        let calls = $metadata.pallets.iter();
        let calls = calls.filter_map(|it| Some((it.index, it.calls.as_ref()?.ty.id)));
        let calls = calls.collect();
        ($metadata.types, calls)
    }};
}

/// Reads SCALE metadata, as `state_getMetadata` gives it.
///
/// # Errors
/// [`MetadataError`].
pub fn set_keys(metadata: &[u8]) -> Result<SetKeysCall, MetadataError> {
    if MAX_METADATA_BYTES < metadata.len() {
        return Err(MetadataError::TooLong);
    }
    let behind = metadata.strip_prefix(MAGIC).ok_or(MetadataError::Malformed)?;
    let version = *behind.first().ok_or(MetadataError::Malformed)?;
    if !VERSIONS.contains(&version) {
        return Err(MetadataError::Version(version));
    }
    let mut rest = metadata;
    let read = RuntimeMetadataPrefixed::decode(&mut rest).map_err(|_| MetadataError::Malformed)?;
    if !rest.is_empty() {
        return Err(MetadataError::Malformed);
    }
    let (types, calls): (_, Vec<(u8, u32)>) = match read.1 {
        RuntimeMetadata::V14(read) => calls_of!(read),
        RuntimeMetadata::V15(read) => calls_of!(read),
        RuntimeMetadata::V16(read) => calls_of!(read),
        _ => return Err(MetadataError::Malformed),
    };
    let mut found = calls.into_iter().filter_map(|(pallet, calls)| call_in(&types, pallet, calls));
    let call = found.next().ok_or(MetadataError::NoSetKeys)?;
    if found.next().is_some() { Err(MetadataError::Ambiguous) } else { Ok(call) }
}

fn call_in(types: &PortableRegistry, pallet: u8, calls: u32) -> Option<SetKeysCall> {
    let TypeDef::Variant(calls) = &types.resolve(calls)?.type_def else { return None };
    let is_it = |call: &&Variant<PortableForm>| call.name == "set_keys";
    let call = calls.variants.iter().find(is_it)?;
    let [keys, proof] = call.fields.as_slice() else { return None };
    if !is_bytes(types, types.resolve(proof.ty.id)?) {
        return None;
    }
    let TypeDef::Composite(keys) = &types.resolve(keys.ty.id)?.type_def else { return None };
    if !(1..=MAX_KEYS).contains(&keys.fields.len()) {
        return None;
    }
    let keys = keys.fields.iter().map(|field| runtime_key(types, field)).collect::<Option<_>>()?;
    Some(SetKeysCall { pallet, call: call.index, keys })
}

fn is_bytes(types: &PortableRegistry, bytes: &Type<PortableForm>) -> bool {
    let TypeDef::Sequence(items) = &bytes.type_def else { return false };
    let item = types.resolve(items.type_param.id).map(|item| &item.type_def);
    item == Some(&TypeDef::Primitive(TypeDefPrimitive::U8))
}

fn runtime_key(types: &PortableRegistry, field: &Field<PortableForm>) -> Option<RuntimeKey> {
    let path = &types.resolve(field.ty.id)?.path.segments;
    let has = |segment: &str| path.iter().any(|other| other == segment);
    let key_type = match path.first().map(String::as_str) {
        Some("sp_consensus_babe") => Some(KeyType::BABE),
        Some("sp_consensus_aura") => Some(KeyType::AURA),
        Some("sp_consensus_grandpa" | "sp_finality_grandpa") => Some(KeyType::GRANDPA),
        Some("sp_consensus_beefy" | "sp_beefy" | "beefy_primitives") => Some(KeyType::BEEFY),
        Some("sp_authority_discovery") => Some(KeyType::AUTHORITY_DISCOVERY),
        Some("polkadot_primitives") if has("assignment_app") => Some(KeyType::ASSIGNMENT),
        Some("polkadot_primitives") if has("validator_app") => Some(KeyType::PARACHAIN),
        Some("pallet_im_online") => Some(KeyType(*b"imon")),
        _ => None,
    };
    let is_ed25519 = key_type == Some(KeyType::AURA) && has("ed25519");
    let name = field.name.clone().unwrap_or_default();
    Some(RuntimeKey { name, key_type, is_ed25519 })
}

impl fmt::Display for RuntimeKey {
    /// As it is named to `keys generate`; the runtime's name for one that is not known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key_type {
            Some(key_type) if self.is_ed25519 => write!(f, "{key_type}:ed25519"),
            Some(key_type) => key_type.fmt(f),
            None => write!(f, "{:?}", self.name),
        }
    }
}

impl fmt::Display for MetadataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = "write the answer of state_getMetadata to a file, as it is";
        match self {
            Self::TooLong => write!(f, "it has more than {MAX_METADATA_BYTES} bytes; {how}"),
            Self::Malformed => write!(f, "it is not the metadata of a runtime; {how}"),
            Self::Version(version) => write!(
                f,
                "it is version {version}, and this program reads 14, 15 and 16; give --call-index \
                 and --keys yourself"
            ),
            Self::NoSetKeys => f.write_str(
                "no pallet of the runtime has a call set_keys that takes session keys and their \
                 proof; is it the right chain?",
            ),
            Self::Ambiguous => f.write_str(
                "more than one pallet of the runtime has a call set_keys; give --call-index \
                 yourself",
            ),
        }
    }
}

impl std::error::Error for MetadataError {}
