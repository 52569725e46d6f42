//! What a computation with a secret leaves on the stack: copies that compiler and libraries make
//! and that nobody wipes. Here they are overwritten.
//!
//! Invariants: the frames of the computation lie below the caller's, and whatever was in the first
//! [`ROOM`] bytes of them is zeroes before the caller goes on; what is handed back must not hold a
//! secret in itself, but on the heap. A promise of this program as it is compiled, and not of the
//! language: tests search the memory of real processes.

use std::hint::black_box;

/// Deeper than any computation with a key here writes, in bytes: a multiplication takes about
/// 26 KiB without optimisation.
const ROOM: usize = 64 << 10;

/// Does `work`, and overwrites the stack that it used.
pub(crate) fn forgetting<T>(work: impl FnOnce() -> T) -> T {
    let done = in_frames_below(work);
    overwrite_below();
    done
}

#[inline(never)]
fn in_frames_below<T>(work: impl FnOnce() -> T) -> T {
    work()
}

#[inline(never)]
fn overwrite_below() {
    // Whoever might look at it keeps it from being left out.
    black_box(&mut [0_u8; ROOM]);
}
