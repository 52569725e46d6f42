//! For Miri alone, which knows no mappings: the same from the allocator.
//!
//! Invariants: as of the mapping that it stands for; every byte outside of it is out of bounds, so
//! that Miri finds what would fault.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::io;
use std::ptr::NonNull;

use super::Backing;

/// Less than a real region, because each byte takes its time: 64 secrets of 32 bytes.
pub(super) const REGION_BYTES: usize = 2 << 10;

/// Readable and writable bytes.
pub(super) struct Mapping {
    start: NonNull<u8>,
    layout: Layout,
}

impl Mapping {
    /// Allocates `length` bytes.
    pub(super) fn map(length: usize) -> io::Result<Self> {
        let layout = Layout::from_size_align(length.max(1), 4096).map_err(io::Error::other)?;
        // SAFETY: the layout has a size.
        let start = unsafe { alloc_zeroed(layout) };
        let start = NonNull::new(start).ok_or_else(|| io::Error::other("no memory"))?;
        Ok(Self { start, layout })
    }

    /// The same.
    #[cfg(test)]
    pub(super) fn map_anonymous(length: usize) -> io::Result<Self> {
        Self::map(length)
    }

    /// The first byte.
    pub(super) fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// How many bytes there are.
    pub(super) fn length(&self) -> usize {
        self.layout.size()
    }

    pub(super) fn backing(&self) -> Backing {
        Backing::Locked
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and with its last owner every borrow has ended.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}
