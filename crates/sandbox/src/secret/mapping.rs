//! One mapping between two pages without access.
//!
//! Invariants: `start` points at `length` mapped, readable and writable bytes until drop, and
//! nobody else's; the bytes are zeroes when the mapping is new.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};

use super::Backing;

/// How much one region holds, in bytes: 2,048 secrets of 32 bytes.
pub(super) const REGION_BYTES: usize = 64 << 10;

/// Readable and writable bytes, and the pages around them.
pub(super) struct Mapping {
    whole: NonNull<u8>,
    whole_length: usize,
    start: NonNull<u8>,
    length: usize,
    backing: Backing,
}

impl Mapping {
    /// Maps `length` bytes (rounded up to pages): secret memory where the kernel has it.
    pub(super) fn map(length: usize) -> io::Result<Self> {
        let mut mapping = Self::reserve(length)?;
        mapping.backing = match mapping.fill_with_secret_memory() {
            Ok(()) => Backing::MemorySecret,
            Err(_) => mapping.fill_with_anonymous_pages()?,
        };
        Ok(mapping)
    }

    /// Maps `length` bytes of the kind that every kernel has.
    #[cfg(test)]
    pub(super) fn map_anonymous(length: usize) -> io::Result<Self> {
        let mut mapping = Self::reserve(length)?;
        mapping.backing = mapping.fill_with_anonymous_pages()?;
        Ok(mapping)
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

    /// The first byte.
    pub(super) fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// How many bytes there are.
    pub(super) fn length(&self) -> usize {
        self.length
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
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // Each secret wiped its own range; the pages themselves are zeroed by the kernel before
        // anybody else gets them.
        // SAFETY: the reservation is ours, and with its last owner every borrow has ended.
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
