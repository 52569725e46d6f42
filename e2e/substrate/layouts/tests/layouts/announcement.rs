//! Session keys as they are announced, against the types and the check of `session.setKeys`.

use codec::{Decode as _, Encode as _};
use palisade_keys::{Scheme, SessionSignature};
use palisade_protect::KeyType;
use palisade_substrate::{account, ownership, session};
use proptest::prelude::*;
use sp_core::crypto::{AccountId32, Ss58AddressFormat, Ss58Codec as _};
use sp_core::{Pair as _, ecdsa, ed25519, sr25519};
use sp_runtime::traits::OpaqueKeys as _;

use crate::support::{ALICE, Guard};

/// What the command line printed for the development account of Alice.
const TRANSCRIPT: &str = include_str!("../../../../../crates/cli/tests/cli/session_keys.txt");

mod of_three {
    #![allow(missing_docs, reason = "written by the chain's own macro")]
    sp_runtime::impl_opaque_keys! {
        pub struct SessionKeys {
            pub grandpa: sp_consensus_grandpa::AuthorityId,
            pub babe: sp_consensus_babe::AuthorityId,
            pub beefy: sp_consensus_beefy::ecdsa_crypto::AuthorityId,
        }
    }
}

mod of_two {
    #![allow(missing_docs, reason = "written by the chain's own macro")]
    sp_runtime::impl_opaque_keys! {
        pub struct SessionKeys {
            pub grandpa: sp_consensus_grandpa::AuthorityId,
            pub babe: sp_consensus_babe::AuthorityId,
        }
    }
}

/// Alice's keys behind one another, and their proofs of this owner.
fn announced(owner: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let statement = ownership(owner).unwrap();
    let prove = |scheme, key_type| Guard::new(scheme, key_type).sign(&statement.judged()).unwrap();
    let proofs: Vec<SessionSignature> = vec![
        prove(Scheme::Ed25519, KeyType::GRANDPA),
        prove(Scheme::Sr25519, KeyType::BABE),
        prove(Scheme::Ecdsa, KeyType::BEEFY),
    ];
    let keys = session::session_keys([
        ed25519::Pair::from_string(ALICE, None).unwrap().public().0.as_slice(),
        sr25519::Pair::from_string(ALICE, None).unwrap().public().0.as_slice(),
        ecdsa::Pair::from_string(ALICE, None).unwrap().public().0.as_slice(),
    ]);
    (keys, proofs.iter().flat_map(|proof| proof.as_bytes().to_vec()).collect())
}

#[test]
fn the_proofs_are_what_set_keys_takes() {
    let owner = AccountId32::new([9; 32]).encode();
    let (keys, proof) = announced(&owner);
    let keys = of_three::SessionKeys::decode(&mut keys.as_slice()).unwrap();
    assert!(keys.ownership_proof_is_valid(&owner, &proof));
    assert!(!keys.ownership_proof_is_valid(&[8; 32], &proof));
    assert!(!keys.ownership_proof_is_valid(&owner, &proof[1..]));
    assert!(!keys.ownership_proof_is_valid(&owner, &[proof.as_slice(), &[0]].concat()));
    assert!(!keys.ownership_proof_is_valid(&owner, &announced(&[8; 32]).1));
}

#[test]
fn the_call_is_that_of_a_runtime() {
    let (keys, proof) = announced(&[9; 32]);
    let call = session::set_keys_call(6, 0, &keys, &proof);
    let typed = of_three::SessionKeys::decode(&mut keys.as_slice()).unwrap();
    assert_eq!(call, (6_u8, 0_u8, typed, proof).encode());
}

/// Key by key what the command line printed, read as a runtime with these two keys reads it.
#[test]
fn what_the_command_line_prints_is_taken_on_chain() {
    let (_, behind) = TRANSCRIPT.split_once("Call session.setKeys:\n  0x060").unwrap();
    let call = format!("060{}", behind.lines().next().unwrap());
    let digit = |place: usize| u8::from_str_radix(&call[place..place + 2], 16).unwrap();
    let call: Vec<u8> = (0..call.len()).step_by(2).map(digit).collect();
    let mut rest = call.as_slice();
    let (pallet, index, keys, proof) =
        <(u8, u8, of_two::SessionKeys, Vec<u8>)>::decode(&mut rest).unwrap();
    assert!(rest.is_empty());
    assert_eq!((pallet, index), (6, 0));
    let alice = sr25519::Pair::from_string(ALICE, None).unwrap().public();
    assert_eq!(keys.babe, alice.into());
    assert!(keys.ownership_proof_is_valid(&AccountId32::from(alice).encode(), &proof));
}

proptest! {
    #[test]
    fn addresses_are_read_as_the_chains_write_them(bytes in any::<[u8; 32]>(), format in 0_u16..16_384) {
        let format = Ss58AddressFormat::custom(format);
        let address = AccountId32::new(bytes).to_ss58check_with_version(format);
        prop_assert_eq!(account(&address), Ok(bytes.to_vec()));
    }

    /// What one side takes, the other takes: no text is an account here and none there.
    #[test]
    fn texts_are_accounts_on_both_sides_or_on_none(
        bytes in any::<[u8; 32]>(), place in 0_usize..48, letter in "[1-9A-HJ-NP-Za-km-z]",
    ) {
        let mut text = AccountId32::new(bytes).to_ss58check();
        if place < text.len() {
            text.replace_range(place..=place, &letter);
        }
        let theirs = AccountId32::from_ss58check_with_version(&text).ok();
        let theirs = theirs.map(|(account, _)| account.encode());
        prop_assert_eq!(account(&text).ok(), theirs, "{}", text);
    }
}

/// The paths of the chains' own types, which are all that metadata says of a key's type.
#[test]
fn the_types_of_keys_are_told_from_metadata_as_the_chains_write_it() {
    use scale_info::TypeInfo as _;
    let first = |path: scale_info::Path| path.segments.join("::");
    for (path, expected) in [
        (sp_consensus_grandpa::AuthorityId::type_info().path, "sp_consensus_grandpa::app::Public"),
        (sp_consensus_babe::AuthorityId::type_info().path, "sp_consensus_babe::app::Public"),
        (
            sp_consensus_aura::sr25519::AuthorityId::type_info().path,
            "sp_consensus_aura::sr25519::app_sr25519::Public",
        ),
        (
            sp_consensus_aura::ed25519::AuthorityId::type_info().path,
            "sp_consensus_aura::ed25519::app_ed25519::Public",
        ),
        (
            sp_consensus_beefy::ecdsa_crypto::AuthorityId::type_info().path,
            "sp_consensus_beefy::ecdsa_crypto::Public",
        ),
        (
            polkadot_primitives::ValidatorId::type_info().path,
            "polkadot_primitives::v9::validator_app::Public",
        ),
        (
            polkadot_primitives::AssignmentId::type_info().path,
            "polkadot_primitives::v9::assignment_app::Public",
        ),
    ] {
        assert_eq!(first(path), expected);
    }
}
