//! What the engine remembers of session keys between two requests: headers that wait for their
//! seal, and draws.
//!
//! Invariant: bounded for each key by itself, so that no client can push out what another key
//! announced; keys are those of the ledger, so that nobody outside makes their number grow.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use palisade_protect::{Digest, KeyId, Slot};
use palisade_substrate::Announcement;

/// Announced headers of one key. A key seals one a slot, and two nodes may hold it.
const ANNOUNCEMENTS_A_KEY: usize = 16;

/// Draws of one key within one present slot: two nodes that each look two slots either way and draw
/// twice a slot need twenty.
const DRAWS_A_SLOT: u32 = 32;

/// Headers of each key, the one that was announced last at the end.
#[derive(Default)]
pub(super) struct Announced(Mutex<HashMap<KeyId, VecDeque<Announcement>>>);

/// How often each key drew in the present slot.
#[derive(Default)]
pub(super) struct Draws(Mutex<HashMap<KeyId, (Slot, u32)>>);

/// A key drew as often as it may.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooManyDraws;

impl Announced {
    pub(super) fn keep(&self, key: KeyId, read: Announcement) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = all.entry(key).or_default();
        kept.retain(|earlier| earlier.pre_hash != read.pre_hash);
        if kept.len() == ANNOUNCEMENTS_A_KEY {
            kept.pop_front();
        }
        kept.push_back(read);
    }

    pub(super) fn find(&self, key: KeyId, pre_hash: Digest) -> Option<Announcement> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&key)?.iter().find(|kept| kept.pre_hash == pre_hash).copied()
    }
}

impl Draws {
    pub(super) fn count(&self, key: KeyId, present: Slot) -> Result<(), TooManyDraws> {
        let mut draws = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (slot, count) = draws.entry(key).or_insert((present, 0));
        if *slot != present {
            (*slot, *count) = (present, 0);
        }
        if DRAWS_A_SLOT <= *count {
            return Err(TooManyDraws);
        }
        *count += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use palisade_substrate::Engine;

    use super::*;

    fn header(number: u8) -> Announcement {
        Announcement {
            pre_hash: Digest([number; 32]),
            engine: Engine::Babe,
            slot: Slot(1),
            authority_index: Some(0),
            number: 1,
            parent_hash: Digest([0; 32]),
        }
    }

    #[test]
    fn a_key_pushes_out_its_own_headers_and_no_others() {
        let announced = Announced::default();
        let [mine, other] = [KeyId([1; 32]), KeyId([2; 32])];
        announced.keep(mine, header(255));
        (0..16).for_each(|number| announced.keep(other, header(number)));
        // What is announced again is new again.
        announced.keep(other, header(0));
        announced.keep(other, header(16));
        let here = |key, number| announced.find(key, Digest([number; 32])).is_some();
        assert!(here(mine, 255) && !here(other, 255) && !here(mine, 0));
        assert!(here(other, 0) && !here(other, 1) && here(other, 2) && here(other, 16));
    }

    #[test]
    fn draws_are_counted_for_each_key_and_begin_anew_with_the_slot() {
        let draws = Draws::default();
        let [mine, other] = [KeyId([1; 32]), KeyId([2; 32])];
        let granted = |key, slot| (0..100).filter(|_| draws.count(key, Slot(slot)).is_ok()).count();
        assert_eq!([granted(mine, 1), granted(other, 1), granted(mine, 2)], [32, 32, 32]);
        assert_eq!(draws.count(mine, Slot(2)), Err(TooManyDraws));
    }
}
