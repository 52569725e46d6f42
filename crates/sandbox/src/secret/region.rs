//! Bytes that many secrets share: which address a range has, and reading, filling and wiping it.
//!
//! Invariants: no address outside of the mapping is ever made; a range is read, written and wiped
//! under the rules of the functions here, and by nobody else. Pure arithmetic on a mapping, so that
//! it runs under Miri.

use std::io;

use super::Backing;
use super::mapping::Mapping;

/// Readable and writable bytes.
pub(super) struct Region {
    mapping: Mapping,
}

// SAFETY: the memory belongs to the region alone and is not tied to a thread; ranges are read and
// written under the rules of `read`, `change` and `wipe`.
unsafe impl Send for Region {}
// SAFETY: as above; shared access reads, or writes a range that nobody else has.
unsafe impl Sync for Region {}

impl Region {
    /// At least `length` bytes, all zeroes: secret memory where the kernel has it.
    pub(super) fn map(length: usize) -> io::Result<Self> {
        Mapping::map(length).map(|mapping| Self { mapping })
    }

    /// The same, of the kind that every kernel has.
    #[cfg(test)]
    pub(super) fn map_anonymous(length: usize) -> io::Result<Self> {
        Mapping::map_anonymous(length).map(|mapping| Self { mapping })
    }

    pub(super) fn backing(&self) -> Backing {
        self.mapping.backing()
    }

    fn at(&self, start: usize, length: usize) -> *mut u8 {
        let end = start.checked_add(length);
        assert!(
            end.is_some_and(|end| end <= self.mapping.length()),
            "a range outside of its region"
        );
        // SAFETY: just checked to be within the mapping.
        unsafe { self.mapping.start().add(start) }
    }

    /// The bytes of a range.
    ///
    /// # Safety
    /// Nobody writes the range for as long as the answer lives.
    pub(super) unsafe fn read<const N: usize>(&self, start: usize) -> &[u8; N] {
        let at = self.at(start, N).cast::<[u8; N]>();
        // SAFETY: mapped, initialised (zeroes at first) and, by the caller's word, not written.
        unsafe { &*at }
    }

    /// Shows a range to somebody who writes it.
    ///
    /// # Safety
    /// Nobody else reads or writes the range meanwhile.
    pub(super) unsafe fn change<const N: usize, T>(
        &self,
        start: usize,
        write: impl FnOnce(&mut [u8; N]) -> T,
    ) -> T {
        let at = self.at(start, N).cast::<[u8; N]>();
        // SAFETY: mapped, writable, initialised (zeroes at first), and nobody else's by the
        // caller's word.
        write(unsafe { &mut *at })
    }

    /// Makes a range zeroes, in a way that is not optimised away.
    ///
    /// # Safety
    /// Nobody else reads or writes the range meanwhile.
    pub(super) unsafe fn wipe(&self, start: usize, length: usize) {
        let at = self.at(start, length);
        // SAFETY: mapped and writable, and nobody else's by the caller's word.
        let bytes = unsafe { std::slice::from_raw_parts_mut(at, length) };
        zeroize::Zeroize::zeroize(bytes);
    }
}
