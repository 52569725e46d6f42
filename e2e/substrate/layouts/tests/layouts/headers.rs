//! Headers: the claim that the guard reads is the one that BABE or Aura wrote.

use codec::Encode as _;
use palisade_substrate::{BlockNumberBits, Engine, announcement};
use proptest::prelude::*;
use sp_consensus_aura::digests::CompatibleDigestItem as AuraItem;
use sp_consensus_aura::sr25519::AuthoritySignature as AuraSignature;
use sp_consensus_babe::digests::{
    CompatibleDigestItem as BabeItem, PreDigest, PrimaryPreDigest, SecondaryPlainPreDigest,
    SecondaryVRFPreDigest,
};
use sp_core::sr25519::vrf::{VrfSignature, VrfTranscript};
use sp_core::{H256, Pair as _, crypto::VrfSecret as _, sr25519};
use sp_runtime::traits::BlakeTwo256;
use sp_runtime::{Digest, DigestItem, generic::Header};

use crate::support::{ALICE, chain};

type Narrow = Header<u32, BlakeTwo256>;
type Wide = Header<u64, BlakeTwo256>;

/// Any draw: the guard does not look into it when it reads a header.
fn draw() -> VrfSignature {
    let pair = sr25519::Pair::from_string(ALICE, None).unwrap();
    pair.vrf_sign(&VrfTranscript::new(b"any", &[]).into_sign_data())
}

fn pre_digest(kind: u8, authority_index: u32, slot: u64) -> PreDigest {
    let slot = slot.into();
    match kind {
        0 => PreDigest::Primary(PrimaryPreDigest { authority_index, slot, vrf_signature: draw() }),
        1 => PreDigest::SecondaryPlain(SecondaryPlainPreDigest { authority_index, slot }),
        _ => PreDigest::SecondaryVRF(SecondaryVRFPreDigest {
            authority_index,
            slot,
            vrf_signature: draw(),
        }),
    }
}

/// The digests that ride along on real chains: set changes, MMR roots, upgrades, foreign engines.
fn others() -> impl Strategy<Value = Vec<DigestItem>> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..200);
    let item = prop_oneof![
        (any::<[u8; 4]>(), bytes()).prop_map(|(engine, data)| DigestItem::Consensus(engine, data)),
        bytes().prop_map(DigestItem::Other),
        Just(DigestItem::RuntimeEnvironmentUpdated),
        bytes().prop_map(|data| DigestItem::PreRuntime(*b"RELY", data)),
    ];
    prop::collection::vec(item, 0..4)
}

fn header<H>(number: H::Number, parent: [u8; 32], logs: Vec<DigestItem>) -> H
where
    H: sp_runtime::traits::Header<Hash = H256>,
{
    H::new(number, H256([1; 32]), H256([2; 32]), H256(parent), Digest { logs })
}

proptest! {
    #[test]
    fn a_babe_header_reads_as_babe_wrote_it(
        number in any::<u64>(),
        parent in any::<[u8; 32]>(),
        (kind, index, slot) in (0..3_u8, any::<u32>(), any::<u64>()),
        (before, after) in (others(), others()),
        narrow in any::<bool>(),
    ) {
        let claim = BabeItem::babe_pre_digest(pre_digest(kind, index, slot));
        let logs = [before, vec![claim], after].concat();
        let (bytes, hash, number, bits) = if narrow {
            let header: Narrow = header(number as u32, parent, logs);
            (header.encode(), header.hash(), u64::from(header.number), BlockNumberBits::U32)
        } else {
            let header: Wide = header(number, parent, logs);
            (header.encode(), header.hash(), number, BlockNumberBits::U64)
        };
        let read = announcement(&bytes, &chain(bits)).unwrap();
        prop_assert_eq!(read.pre_hash.0, hash.0);
        prop_assert_eq!(read.engine, Engine::Babe);
        prop_assert_eq!(read.slot.0, slot);
        prop_assert_eq!(read.authority_index, Some(index));
        prop_assert_eq!(read.number, number);
        prop_assert_eq!(read.parent_hash.0, parent);
    }

    #[test]
    fn an_aura_header_reads_as_aura_wrote_it(
        number in any::<u32>(),
        slot in any::<u64>(),
        after in others(),
    ) {
        let claim = <DigestItem as AuraItem<AuraSignature>>::aura_pre_digest(slot.into());
        let header: Narrow = header(number, [3; 32], [vec![claim], after].concat());
        let read = announcement(&header.encode(), &chain(BlockNumberBits::U32)).unwrap();
        prop_assert_eq!(read.pre_hash.0, header.hash().0);
        prop_assert_eq!(read.engine, Engine::Aura);
        prop_assert_eq!(read.slot.0, slot);
        prop_assert_eq!(read.authority_index, None);
    }

    #[test]
    fn a_sealed_or_twofold_header_is_refused(slot in any::<u64>(), kind in 0..3_u8) {
        let claim: DigestItem = BabeItem::babe_pre_digest(pre_digest(kind, 0, slot));
        let seal = BabeItem::babe_seal(sr25519::Signature::default().into());
        let aura = <DigestItem as AuraItem<AuraSignature>>::aura_pre_digest(slot.into());
        for more in [seal, claim.clone(), aura] {
            let header: Narrow = header(1, [3; 32], vec![claim.clone(), more]);
            prop_assert!(announcement(&header.encode(), &chain(BlockNumberBits::U32)).is_err());
        }
    }
}
