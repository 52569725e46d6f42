//! Pages for secrets: outside of what the kernel itself maps where it can, else locked and left out
//! of core dumps and of forked children. At worst they are only left out, and not even that in a
//! process that has taken the measure `secret-memory`. Many short secrets share a page.
//!
//! ```text
//! no access │ secret, secret, secret … unused │ no access
//! ```
//!
//! Invariants: each secret has its own bytes, which nobody writes between the moment it is handed
//! out and the moment it is dropped, and which are zeroes after that; a region lives as long as a
//! secret in it; nothing here is `Debug` or `Clone`; a byte before or after a region faults.

#[cfg_attr(miri, path = "secret/heap_mapping.rs")]
mod mapping;
mod region;

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mapping::REGION_BYTES;
use region::Region;
use zeroize::Zeroize;

/// What the pages of a secret are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backing {
    /// `memfd_secret`: no other process, no core dump, no swap, no kernel reads them.
    MemorySecret,
    /// Anonymous pages: locked, in no core dump, zeroes in a forked child.
    Locked,
    /// The same, but they may go to swap: this user may not lock more memory. What holds keys for a
    /// moment goes on so; a guard does only where `secret-memory` is allowed to be off.
    Unlocked,
}

/// Whether this process does without pages that it could not lock.
static UNLOCKED_IS_REFUSED: AtomicBool = AtomicBool::new(false);

/// From here on no secret of this process goes to a page that could go to swap: there is an error
/// instead. The measure `secret-memory` for a process that lives on.
pub(crate) fn refuse_unlocked_pages() -> io::Result<()> {
    UNLOCKED_IS_REFUSED.store(true, Ordering::Relaxed);
    Ok(())
}

/// Secrets start at multiples of this.
const ALIGNMENT: usize = 16;

/// Hands out room for secrets; asks the kernel for another region when one is full.
pub struct SecretPages {
    filling: Mutex<Option<Filling>>,
}

struct Filling {
    region: Arc<Region>,
    used: usize,
}

/// One secret of `N` bytes. They are wiped when it is dropped.
pub struct Secret<const N: usize> {
    region: Arc<Region>,
    start: usize,
}

/// A secret could not be put away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretError {
    /// Why the kernel gave no pages, in its words.
    pub reason: String,
}

impl Default for SecretPages {
    fn default() -> Self {
        Self::new()
    }
}

impl SecretPages {
    /// Without a page yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { filling: Mutex::new(None) }
    }

    /// Copies `bytes` into secret pages, and wipes them here, also when it fails.
    ///
    /// # Errors
    /// [`SecretError`].
    pub fn store<const N: usize>(&self, bytes: &mut [u8; N]) -> Result<Secret<N>, SecretError> {
        let stored = self.fill(|room| {
            room.copy_from_slice(bytes);
            Ok(())
        });
        bytes.zeroize();
        stored
    }

    /// Shows `write` zeroes in secret pages, for a secret that is to be nowhere else.
    ///
    /// # Errors
    /// [`SecretError`], and `write` is not called; or what `write` says, and the room is wiped.
    pub fn fill<const N: usize, E: From<SecretError>>(
        &self,
        write: impl FnOnce(&mut [u8; N]) -> Result<(), E>,
    ) -> Result<Secret<N>, E> {
        let secret = self.room()?;
        // SAFETY: the range was never handed out before, and nobody else has `secret` yet.
        unsafe { secret.region.change(secret.start, write) }?;
        Ok(secret)
    }

    /// A range that nobody had before: `used` only grows, and is changed under the lock.
    fn room<const N: usize>(&self) -> Result<Secret<N>, SecretError> {
        const { assert!(N <= REGION_BYTES, "a secret fits into one region") };
        let room = N.next_multiple_of(ALIGNMENT);
        let mut filling = self.filling.lock().unwrap_or_else(PoisonError::into_inner);
        let open = filling.take().filter(|filling| room <= REGION_BYTES - filling.used);
        let open = match open {
            Some(open) => open,
            None => Filling { region: Arc::new(map()?), used: 0 },
        };
        let secret = Secret { region: Arc::clone(&open.region), start: open.used };
        *filling = Some(Filling { used: open.used + room, ..open });
        Ok(secret)
    }
}

fn map() -> Result<Region, SecretError> {
    let region = Region::map(REGION_BYTES);
    let region = region.map_err(|error| SecretError { reason: error.to_string() })?;
    if region.backing() == Backing::Unlocked && UNLOCKED_IS_REFUSED.load(Ordering::Relaxed) {
        let reason = "this user may lock no more memory than it has locked".to_owned();
        return Err(SecretError { reason });
    }
    Ok(region)
}

impl<const N: usize> Secret<N> {
    /// Shows the bytes to `look`. Copies that it makes are its own to wipe.
    pub fn expose<T>(&self, look: impl FnOnce(&[u8; N]) -> T) -> T {
        // SAFETY: the bytes were written before this secret was handed out, and are written again
        // only by its drop, which no borrow outlives.
        look(unsafe { self.region.read(self.start) })
    }

    /// What its pages are.
    #[must_use]
    pub fn backing(&self) -> Backing {
        self.region.backing()
    }
}

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        // SAFETY: the range is this secret's own, and nobody borrows a value that is dropped.
        unsafe { self.region.wipe(self.start, N) };
    }
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no memory for secrets: {}; raise the limit on locked memory (LimitMEMLOCK in the \
             unit, ulimit -l), or run without: --allow-unhardened=secret-memory",
            self.reason
        )
    }
}

impl std::error::Error for SecretError {}

#[cfg(test)]
mod tests;
