//! How often each key drew: whoever has a key's draws for many slots knows when it leads.
//!
//! Invariant: counted for each key by itself; keys are those of the ledger, so that nobody outside
//! makes their number grow.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use palisade_protect::{KeyId, Slot};

/// Draws of one key within one present slot: two nodes that each look two slots either way and draw
/// twice a slot need twenty.
const DRAWS_A_SLOT: u32 = 32;

/// How often each key drew in the present slot.
#[derive(Default)]
pub(super) struct Draws(Mutex<HashMap<KeyId, (Slot, u32)>>);

/// A key drew as often as it may.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooManyDraws;

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
    use super::*;

    #[test]
    fn draws_are_counted_for_each_key_and_begin_anew_with_the_slot() {
        let draws = Draws::default();
        let [mine, other] = [KeyId([1; 32]), KeyId([2; 32])];
        let granted = |key, slot| (0..100).filter(|_| draws.count(key, Slot(slot)).is_ok()).count();
        assert_eq!([granted(mine, 1), granted(other, 1), granted(mine, 2)], [32, 32, 32]);
        assert_eq!(draws.count(mine, Slot(2)), Err(TooManyDraws));
    }
}
