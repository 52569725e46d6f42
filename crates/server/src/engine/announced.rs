//! Headers that wait for their seal, with what came with them.
//!
//! This is the one place from which whoever verifies a block takes its parts: a header with its
//! checked [`BlockBody`], by key and pre-hash ([`Announced::find`]).
//!
//! Invariants: headers are bounded for each key by itself, so that no client can push out what
//! another key announced; keys are those of the ledger, so that nobody outside makes their number
//! grow. Bodies are bounded for each key and in all; the oldest go first, and leave their header,
//! which is all that a seal needs.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use palisade_protect::{Digest, KeyId};
use palisade_substrate::{Announcement, BlockBody};

/// Announced headers of one key. A key seals one a slot, and two nodes may hold it.
const HEADERS_A_KEY: usize = 16;

/// Bytes of bodies of one key: one of the longest fits, and many of the usual.
const BODY_BYTES_A_KEY: usize = 32 << 20;

/// Bytes of bodies in all.
const BODY_BYTES_IN_ALL: usize = 64 << 20;

/// A header that waits for its seal.
#[derive(Clone, Debug)]
pub(super) struct AnnouncedBlock {
    /// What the seal needs.
    pub(super) header: Announcement,
    /// What came with it, as far as it is still here.
    pub(super) body: Arc<BlockBody>,
    /// Its place in the order of all announcements.
    order: u64,
}

/// How much is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Announced headers.
    pub headers: usize,
    /// Bytes of what came with them.
    pub body_bytes: usize,
}

/// What was announced.
#[derive(Default)]
pub(super) struct Announced(Mutex<Blocks>);

#[derive(Default)]
struct Blocks {
    /// Of each key, the one that was announced last at the end.
    of_key: HashMap<KeyId, VecDeque<AnnouncedBlock>>,
    /// Whose body came when, of those that are still here.
    bodies: BTreeMap<u64, KeyId>,
    body_bytes: usize,
    next_order: u64,
}

impl Announced {
    /// Keeps a header, in the place of the same one if it was announced before.
    pub(super) fn keep(&self, key: KeyId, header: Announcement, body: BlockBody) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).keep(key, header, body);
    }

    /// The header that `key` announced with this pre-hash, and its body.
    pub(super) fn find(&self, key: KeyId, pre_hash: Digest) -> Option<AnnouncedBlock> {
        let blocks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        blocks.of_key.get(&key)?.iter().find(|kept| kept.header.pre_hash == pre_hash).cloned()
    }

    /// How much is held.
    pub(super) fn held(&self) -> Held {
        let blocks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let headers = blocks.of_key.values().map(VecDeque::len).sum();
        Held { headers, body_bytes: blocks.body_bytes }
    }
}

impl Blocks {
    fn keep(&mut self, key: KeyId, header: Announcement, body: BlockBody) {
        let order = self.next_order;
        self.next_order += 1;
        let kept = self.of_key.entry(key).or_default();
        let again = kept.iter().position(|earlier| earlier.header.pre_hash == header.pre_hash);
        let full = (kept.len() == HEADERS_A_KEY).then_some(0);
        if let Some(gone) = again.or(full).and_then(|place| kept.remove(place)) {
            self.forget_body(&gone);
        }
        self.body_bytes += body.bytes();
        if 0 < body.bytes() {
            self.bodies.insert(order, key);
        }
        let block = AnnouncedBlock { header, body: Arc::new(body), order };
        self.of_key.entry(key).or_default().push_back(block);
        self.make_room(key);
    }

    fn make_room(&mut self, key: KeyId) {
        while BODY_BYTES_A_KEY < self.bytes_of(key) {
            let oldest = self.bodies.iter().find(|(_, owner)| **owner == key);
            let Some(order) = oldest.map(|(order, _)| *order) else { break };
            self.drop_body(order);
        }
        while BODY_BYTES_IN_ALL < self.body_bytes {
            let Some(order) = self.bodies.keys().next().copied() else { break };
            self.drop_body(order);
        }
    }

    fn bytes_of(&self, key: KeyId) -> usize {
        self.of_key.get(&key).into_iter().flatten().map(|block| block.body.bytes()).sum()
    }

    fn drop_body(&mut self, order: u64) {
        let Some(key) = self.bodies.get(&order).copied() else { return };
        let blocks = self.of_key.entry(key).or_default();
        if let Some(block) = blocks.iter_mut().find(|block| block.order == order) {
            let gone = block.clone();
            block.body = Arc::default();
            self.forget_body(&gone);
        }
    }

    fn forget_body(&mut self, block: &AnnouncedBlock) {
        self.bodies.remove(&block.order);
        self.body_bytes = self.body_bytes.saturating_sub(block.body.bytes());
    }
}

#[cfg(test)]
mod tests {
    use palisade_protect::Slot;
    use palisade_substrate::{BlockNumberBits, Chain, Engine, GivenBody};

    use super::*;

    const KEYS: [KeyId; 4] = [KeyId([1; 32]), KeyId([2; 32]), KeyId([3; 32]), KeyId([4; 32])];

    fn header(number: u8) -> Announcement {
        Announcement {
            pre_hash: Digest([number; 32]),
            engine: Engine::Babe,
            slot: Slot(1),
            authority_index: Some(0),
            number: 1,
            parent_hash: Digest([0; 32]),
            extrinsics_root: Digest([0; 32]),
        }
    }

    /// A body of nearly ten megabytes, or of none.
    fn body(header: &Announcement, megabytes: usize) -> BlockBody {
        let chain = Chain {
            name: "test".to_owned(),
            genesis: Digest([9; 32]),
            slot_ms: 6_000,
            block_number: BlockNumberBits::U32,
            discovery: None,
        };
        let length = u32::try_from((megabytes << 20) - 5).unwrap();
        let mut proof = vec![4];
        proof.extend((length << 2 | 2).to_le_bytes());
        proof.resize(megabytes << 20, 0);
        let given = GivenBody { storage_proof: Some(proof), ..GivenBody::default() };
        BlockBody::check(header, given, &chain).unwrap()
    }

    fn keep(announced: &Announced, key: KeyId, number: u8) {
        announced.keep(key, header(number), BlockBody::default());
    }

    fn keep_large(announced: &Announced, key: KeyId, number: u8) {
        announced.keep(key, header(number), body(&header(number), 10));
    }

    fn has_body(announced: &Announced, key: KeyId, number: u8) -> bool {
        announced.find(key, Digest([number; 32])).unwrap().body.proof_nodes().is_some()
    }

    #[test]
    fn a_key_pushes_out_its_own_headers_and_no_others() {
        let announced = Announced::default();
        let [mine, other, ..] = KEYS;
        keep(&announced, mine, 255);
        (0..16).for_each(|number| keep(&announced, other, number));
        // What is announced again is new again.
        keep(&announced, other, 0);
        keep(&announced, other, 16);
        let here = |key, number| announced.find(key, Digest([number; 32])).is_some();
        assert!(here(mine, 255) && !here(other, 255) && !here(mine, 0));
        assert!(here(other, 0) && !here(other, 1) && here(other, 2) && here(other, 16));
        assert_eq!(announced.held(), Held { headers: 17, body_bytes: 0 });
    }

    #[test]
    fn the_oldest_body_of_a_key_goes_first_and_leaves_its_header() {
        let announced = Announced::default();
        let [key, other, ..] = KEYS;
        keep_large(&announced, other, 9);
        (0..3).for_each(|number| keep_large(&announced, key, number));
        assert_eq!(announced.held(), Held { headers: 4, body_bytes: 40 << 20 });
        keep_large(&announced, key, 3);
        let here = [0, 1, 2, 3].map(|number| has_body(&announced, key, number));
        assert_eq!(here, [false, true, true, true]);
        assert!(has_body(&announced, other, 9));
        // The same block again, with less.
        keep(&announced, key, 3);
        assert_eq!(announced.held(), Held { headers: 5, body_bytes: 30 << 20 });
        keep_large(&announced, key, 4);
        assert!(has_body(&announced, key, 1), "there was room again");
    }

    #[test]
    fn all_bodies_together_are_bounded_and_the_oldest_goes_first() {
        let announced = Announced::default();
        for key in KEYS {
            (0..2).for_each(|number| keep_large(&announced, key, number));
        }
        assert_eq!(announced.held(), Held { headers: 8, body_bytes: 60 << 20 });
        let here = KEYS.map(|key| [0, 1].map(|number| has_body(&announced, key, number)));
        assert_eq!(here, [[false; 2], [true; 2], [true; 2], [true; 2]]);
        // A header that is pushed out takes its body along.
        (2..17).for_each(|number| keep(&announced, KEYS[1], number));
        assert_eq!(announced.held().body_bytes, 50 << 20);
        (17..40).for_each(|number| keep(&announced, KEYS[1], number));
        assert_eq!(announced.held(), Held { headers: 22, body_bytes: 40 << 20 });
    }
}
