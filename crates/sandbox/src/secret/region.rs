//! One mapping between two pages without access.
//!
//! Invariants: `start` points at `length` mapped, readable and writable bytes until drop; the bytes
//! are zeroes when the region is new; everything is wiped before it is unmapped.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};

use super::Backing;

/// Readable and writable bytes, and the pages around them.
pub(super) struct Region {
    whole: NonNull<u8>,
    whole_length: usize,
    start: NonNull<u8>,
    length: usize,
    backing: Backing,
}

// SAFETY: the memory belongs to the region alone and is not tied to a thread; ranges are read and
// written under the rules of `read`, `change` and `wipe`.
unsafe impl Send for Region {}
// SAFETY: as above; shared access reads, or writes a range that nobody else has.
unsafe impl Sync for Region {}

impl Region {
    /// Maps `length` bytes (rounded up to pages): secret memory where the kernel has it.
    pub(super) fn map(length: usize) -> io::Result<Self> {
        let mut region = Self::reserve(length)?;
        region.backing = match region.fill_with_secret_memory() {
            Ok(()) => Backing::MemorySecret,
            Err(_) => region.fill_with_anonymous_pages()?,
        };
        Ok(region)
    }

    /// Maps `length` bytes of the kind that every kernel has.
    #[cfg(test)]
    pub(super) fn map_anonymous(length: usize) -> io::Result<Self> {
        let mut region = Self::reserve(length)?;
        region.backing = region.fill_with_anonymous_pages()?;
        Ok(region)
    }

    /// Addresses for `length` bytes and a page before and after, without access yet. Dropping it
    /// gives them back.
    fn reserve(length: usize) -> io::Result<Self> {
        let page = page_size()?;
        let length = length.next_multiple_of(page);
        let whole_length = length + 2 * page;
        let whole = reserve(whole_length)?;
        // SAFETY: one page is within the reservation, which has two more than `length`.
        let start = unsafe { whole.add(page) };
        Ok(Self { whole, whole_length, start, length, backing: Backing::Unlocked })
    }

    pub(super) fn backing(&self) -> Backing {
        self.backing
    }

    fn fill_with_secret_memory(&self) -> io::Result<()> {
        let flags = libc::c_ulong::from(libc::O_CLOEXEC.unsigned_abs());
        // SAFETY: takes flags only.
        let answer = unsafe { libc::syscall(libc::SYS_memfd_secret, flags) };
        let descriptor = i32::try_from(answer).unwrap_or(-1);
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel just made this descriptor, and nobody else knows it.
        let file = unsafe { OwnedFd::from_raw_fd(descriptor) };
        let length = libc::off_t::try_from(self.length).map_err(io::Error::other)?;
        // SAFETY: changes the size of our own file.
        check(unsafe { libc::ftruncate(file.as_raw_fd(), length) })?;
        self.map_over(libc::MAP_SHARED, file.as_raw_fd())?;
        // A forked child has no use for them. The kernel leaves them out of core dumps by itself.
        self.advise(libc::MADV_DONTFORK)
    }

    fn fill_with_anonymous_pages(&self) -> io::Result<Backing> {
        self.map_over(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1)?;
        self.advise(libc::MADV_DONTDUMP)?;
        self.advise(libc::MADV_WIPEONFORK)?;
        // SAFETY: the range is ours; locking changes no byte.
        let locked = check(unsafe { libc::mlock(self.start.as_ptr().cast(), self.length) });
        Ok(if locked.is_ok() { Backing::Locked } else { Backing::Unlocked })
    }

    /// Puts readable and writable pages in the place of the middle of the reservation.
    fn map_over(&self, kind: libc::c_int, descriptor: libc::c_int) -> io::Result<()> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = kind | libc::MAP_FIXED;
        let at = self.start.as_ptr().cast();
        // SAFETY: the range lies within our own reservation, into which nothing points yet.
        let mapped = unsafe { libc::mmap(at, self.length, access, flags, descriptor, 0) };
        if mapped == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    fn advise(&self, advice: libc::c_int) -> io::Result<()> {
        // SAFETY: the range is ours, and none of the advices used here changes a byte in this
        // process.
        check(unsafe { libc::madvise(self.start.as_ptr().cast(), self.length, advice) })
    }

    fn at(&self, start: usize, length: usize) -> *mut u8 {
        let end = start.checked_add(length);
        assert!(end.is_some_and(|end| end <= self.length), "a range outside of its region");
        // SAFETY: just checked to be within the mapping.
        unsafe { self.start.as_ptr().add(start) }
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

impl Drop for Region {
    fn drop(&mut self) {
        // Each secret wiped its own range; the pages themselves are zeroed by the kernel before
        // anybody else gets them.
        // SAFETY: the reservation is ours, and with the region's last owner every borrow has ended.
        unsafe { libc::munmap(self.whole.as_ptr().cast(), self.whole_length) };
    }
}

/// Addresses without access.
fn reserve(length: usize) -> io::Result<NonNull<u8>> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: the kernel chooses an unused range.
    let at = unsafe { libc::mmap(ptr::null_mut(), length, libc::PROT_NONE, flags, -1, 0) };
    if at == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(at.cast()).ok_or_else(|| io::Error::other("no address"))
}

fn page_size() -> io::Result<usize> {
    // SAFETY: takes a number and reads a constant.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).map_err(|_| io::Error::last_os_error())
}

fn check(answer: libc::c_int) -> io::Result<()> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
