//! The root of a block's extrinsics: the guard takes what the chain's own trie computes, in both of
//! its layouts, and nothing else.

use codec::Encode as _;
use palisade_protect::{Digest, Slot};
use palisade_substrate::{Announcement, BlockBody, BlockNumberBits, Engine, GivenBody};
use proptest::prelude::*;
use sp_core::Blake2Hasher;
use sp_runtime::OpaqueExtrinsic;
use sp_trie::{LayoutV0, LayoutV1, TrieConfiguration as _};

use crate::support::chain;

fn is_taken(root: [u8; 32], extrinsics: &[OpaqueExtrinsic]) -> bool {
    let header = Announcement {
        pre_hash: Digest([1; 32]),
        engine: Engine::Babe,
        slot: Slot(1),
        authority_index: Some(0),
        number: 1,
        parent_hash: Digest([2; 32]),
        extrinsics_root: Digest(root),
    };
    let extrinsics = Some(extrinsics.encode());
    let given = GivenBody { extrinsics, ..GivenBody::default() };
    BlockBody::check(&header, given, &chain(BlockNumberBits::U32)).is_ok()
}

proptest! {
    #[test]
    fn the_root_is_that_of_the_chains_own_trie(
        lengths in prop::collection::vec(0_usize..100, 0..400),
        content in any::<u8>(),
    ) {
        let of = |(place, length): (usize, &usize)| {
            OpaqueExtrinsic::from_blob(vec![content ^ place as u8; *length])
        };
        let extrinsics: Vec<_> = lengths.iter().enumerate().map(of).collect();
        let leaves: Vec<_> = extrinsics.iter().map(|extrinsic| extrinsic.encode()).collect();
        let mut roots = [
            LayoutV0::<Blake2Hasher>::ordered_trie_root(leaves.clone()).0,
            LayoutV1::<Blake2Hasher>::ordered_trie_root(leaves).0,
        ];
        for root in &mut roots {
            prop_assert!(is_taken(*root, &extrinsics));
            root[0] ^= 1;
            prop_assert!(!is_taken(*root, &extrinsics));
        }
    }
}
