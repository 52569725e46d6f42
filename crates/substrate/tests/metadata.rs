//! `session.set_keys` in the metadata of runtimes: of a real one in each version, and of others
//! that are written here.
//!
//! Decides: index, order and types are those of the runtime; a runtime without the call, or with
//! another of that name, gives none; whatever is no metadata is refused without a panic.
//!
//! `fixtures/metadata-14.scale` to `-16.scale` are what the node of the end-to-end tests answered
//! to `state_getMetadata` and to `state_call` of `Metadata_metadata_at_version`, without the length
//! in front.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests fail by panicking"
)]

use frame_metadata::v14::{ExtrinsicMetadata, PalletCallMetadata, PalletMetadata};
use frame_metadata::{RuntimeMetadataPrefixed, v14::RuntimeMetadataV14};
use palisade_protect::KeyType;
use palisade_substrate::metadata::{
    MAX_METADATA_BYTES, MetadataError, RuntimeKey, SetKeysCall, set_keys,
};
use parity_scale_codec::Encode as _;
use proptest::prelude::*;
use scale_info::form::PortableForm;
use scale_info::interner::UntrackedSymbol;
use scale_info::{
    Field, Path, PortableRegistry, PortableRegistryBuilder, Type, TypeDef, TypeDefComposite,
    TypeDefPrimitive, TypeDefSequence, TypeDefVariant, Variant,
};

fn real(version: u8) -> Vec<u8> {
    let path = format!("{}/tests/fixtures/metadata-{version}.scale", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap()
}

fn path(text: &str) -> Path<PortableForm> {
    Path::from_segments_unchecked(text.split("::").map(str::to_owned))
}

fn field(name: &str, ty: u32) -> Field<PortableForm> {
    let ty = UntrackedSymbol::from(ty);
    Field { name: Some(name.to_owned()), ty, type_name: None, docs: vec![] }
}

fn variant(name: &str, index: u8, fields: Vec<Field<PortableForm>>) -> Variant<PortableForm> {
    Variant { name: name.to_owned(), fields, index, docs: vec![] }
}

struct Runtime(PortableRegistryBuilder);

impl Runtime {
    fn add(&mut self, name: &str, definition: impl Into<TypeDef<PortableForm>>) -> u32 {
        self.0.register_type(Type::new(path(name), vec![], definition, vec![]))
    }

    fn composite(&mut self, name: &str, fields: Vec<Field<PortableForm>>) -> u32 {
        self.add(name, TypeDefComposite { fields })
    }

    /// `Vec<u8>`.
    fn bytes(&mut self) -> u32 {
        let byte = self.add("", TypeDefPrimitive::U8);
        self.add("", TypeDefSequence { type_param: UntrackedSymbol::from(byte) })
    }

    /// The session keys of these types.
    fn keys(&mut self, types: &[&str]) -> u32 {
        let fields = types.iter().map(|name| field("key", self.composite(name, vec![])));
        let fields = fields.collect();
        self.composite("runtime::SessionKeys", fields)
    }

    /// With pallets 3, 4, … that have these calls.
    fn metadata(mut self, pallets: Vec<Vec<Variant<PortableForm>>>) -> Vec<u8> {
        let unit = self.composite("unit", vec![]);
        let mut described = Vec::new();
        for (index, variants) in (3..).zip(pallets) {
            let ty = UntrackedSymbol::from(self.add("Call", TypeDefVariant { variants }));
            described.push(PalletMetadata {
                name: "Pallet".to_owned(),
                storage: None,
                calls: Some(PalletCallMetadata { ty }),
                event: None,
                constants: vec![],
                error: None,
                index,
            });
        }
        let unit = UntrackedSymbol::from(unit);
        let extrinsic = ExtrinsicMetadata { ty: unit, version: 4, signed_extensions: vec![] };
        let types: PortableRegistry = self.0.finish();
        let runtime = RuntimeMetadataV14 { types, pallets: described, extrinsic, ty: unit };
        RuntimeMetadataPrefixed::from(runtime).encode()
    }
}

fn runtime() -> Runtime {
    Runtime(PortableRegistryBuilder::new())
}

#[test]
fn the_call_of_a_real_runtime_is_found_in_every_version() {
    let key = |name: &str, key_type| RuntimeKey {
        name: name.to_owned(),
        key_type: Some(key_type),
        is_ed25519: false,
    };
    for version in 14..=16 {
        let found = set_keys(&real(version)).unwrap();
        let keys = vec![key("babe", KeyType::BABE), key("grandpa", KeyType::GRANDPA)];
        assert_eq!(found, SetKeysCall { pallet: 5, call: 0, keys }, "version {version}");
    }
}

#[test]
fn each_type_of_key_is_told_by_its_path() {
    let types = [
        ("sp_consensus_grandpa::app::Public", "gran"),
        ("sp_finality_grandpa::app::Public", "gran"),
        ("sp_consensus_babe::app::Public", "babe"),
        ("sp_consensus_aura::sr25519::app_sr25519::Public", "aura"),
        ("sp_consensus_aura::ed25519::app_ed25519::Public", "aura:ed25519"),
        ("sp_consensus_beefy::ecdsa_crypto::Public", "beef"),
        ("beefy_primitives::crypto::Public", "beef"),
        ("sp_authority_discovery::app::Public", "audi"),
        ("polkadot_primitives::v9::validator_app::Public", "para"),
        ("polkadot_primitives::v9::assignment_app::Public", "asgn"),
        ("pallet_im_online::sr25519::app_sr25519::Public", "imon"),
        ("polkadot_primitives::v9::Id", "\"key\""),
        ("my_chain::babe::Public", "\"key\""),
    ];
    let mut runtime = runtime();
    let keys = runtime.keys(&types.map(|(path, _)| path));
    let proof = runtime.bytes();
    let call = variant("set_keys", 9, vec![field("keys", keys), field("proof", proof)]);
    let metadata = runtime.metadata(vec![vec![], vec![variant("purge_keys", 1, vec![]), call]]);
    let found = set_keys(&metadata).unwrap();
    assert_eq!((found.pallet, found.call), (4, 9));
    let names: Vec<String> = found.keys.iter().map(ToString::to_string).collect();
    assert_eq!(names, types.map(|(_, name)| name));
}

/// What a call takes, in a runtime.
type Arguments<'a> = &'a dyn Fn(&mut Runtime) -> Vec<Field<PortableForm>>;

#[test]
fn a_call_that_takes_something_else_is_none() {
    let babe = "sp_consensus_babe::app::Public";
    let with = |fields: Arguments<'_>, times: usize| {
        let mut runtime = runtime();
        let call = variant("set_keys", 0, fields(&mut runtime));
        set_keys(&runtime.metadata(vec![vec![call]; times]))
    };
    let right = |runtime: &mut Runtime| {
        vec![field("keys", runtime.keys(&[babe])), field("proof", runtime.bytes())]
    };
    assert!(with(&right, 1).is_ok());
    assert_eq!(with(&right, 2), Err(MetadataError::Ambiguous));
    assert_eq!(with(&right, 0), Err(MetadataError::NoSetKeys));
    let wrong: [Arguments<'_>; 6] = [
        &|runtime| vec![field("keys", runtime.keys(&[babe]))],
        &|runtime| [right(runtime), right(runtime)].concat(),
        &|runtime| right(runtime).into_iter().rev().collect(),
        &|runtime| vec![field("keys", runtime.keys(&[])), field("proof", runtime.bytes())],
        &|runtime| vec![field("keys", runtime.keys(&[babe; 65])), field("proof", runtime.bytes())],
        &|runtime| vec![field("keys", 999), field("proof", runtime.bytes())],
    ];
    for (place, fields) in wrong.into_iter().enumerate() {
        assert_eq!(with(fields, 1), Err(MetadataError::NoSetKeys), "{place}");
    }
}

#[test]
fn what_is_no_metadata_of_a_known_version_is_refused() {
    let real = real(14);
    for version in [0, 12, 13, 17, 255] {
        let mut other = real.clone();
        other[4] = version;
        assert_eq!(set_keys(&other), Err(MetadataError::Version(version)));
    }
    for cut in [0, 3, 4, 5, 100, real.len() - 1] {
        assert_eq!(set_keys(&real[..cut]), Err(MetadataError::Malformed), "{cut}");
    }
    assert_eq!(set_keys(&[real.as_slice(), &[0]].concat()), Err(MetadataError::Malformed));
    assert_eq!(set_keys(b"0x6d657461"), Err(MetadataError::Malformed));
    assert_eq!(set_keys(&vec![0; MAX_METADATA_BYTES + 1]), Err(MetadataError::TooLong));
    // Promises of more than there is reserve nothing.
    assert_eq!(set_keys(b"meta\x0e\xfe\xff\xff\xff"), Err(MetadataError::Malformed));
}

proptest! {
    #[test]
    fn no_change_of_a_byte_makes_it_panic(at in 5_usize..49_000, bit in 0_u8..8) {
        let mut changed = real(14);
        changed[at] ^= 1_u8 << bit;
        drop(set_keys(&changed));
    }
}
