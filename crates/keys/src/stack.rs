//! The stack below a call that had a secret: libraries copy secrets by value, and leave the copies
//! where the next call may or may not overwrite them.
//!
//! Invariant: when [`wiped_after`] returns, nothing of what the work had on the stack is left
//! there, as long as it went no deeper than [`ROOM_BYTES`].

use std::hint::black_box;

use zeroize::Zeroize as _;

/// How deep a multiplication goes, with room to spare: about 26 KiB without optimisation.
const ROOM_BYTES: usize = 64 << 10;

/// Does the work, and wipes the stack that it had.
#[inline(never)]
pub(crate) fn wiped_after<T>(work: impl FnOnce() -> T) -> T {
    // A frame of its own, which begins where the one of `wipe` will begin.
    #[inline(never)]
    fn done<T>(work: impl FnOnce() -> T) -> T {
        black_box(work())
    }
    let answer = done(work);
    wipe();
    answer
}

/// Numbers instead of bytes: each is written for itself, so that no write is left out.
#[inline(never)]
fn wipe() {
    let mut room = [0_u64; ROOM_BYTES / size_of::<u64>()];
    room.zeroize();
    black_box(&room);
}
