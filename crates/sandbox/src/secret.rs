//! Pages for secrets: outside of what the kernel itself maps where it can, else locked and left out
//! of core dumps and of forked children, and at worst only left out. Many short secrets share a
//! page.
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
    /// moment goes on so; whether a guard may is for [`crate::judge`] to say.
    Unlocked,
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
        const { assert!(N <= REGION_BYTES, "a secret fits into one region") };
        let stored = self.store_copy(bytes);
        bytes.zeroize();
        stored
    }

    fn store_copy<const N: usize>(&self, bytes: &[u8; N]) -> Result<Secret<N>, SecretError> {
        let room = N.next_multiple_of(ALIGNMENT);
        let mut filling = self.filling.lock().unwrap_or_else(PoisonError::into_inner);
        let open = filling.take().filter(|filling| room <= REGION_BYTES - filling.used);
        let open = match open {
            Some(open) => open,
            None => Filling { region: Arc::new(map()?), used: 0 },
        };
        let secret = Secret { region: Arc::clone(&open.region), start: open.used };
        *filling = Some(Filling { used: open.used + room, ..open });
        // SAFETY: the range was never handed out before, as `used` only grows and is changed under
        // the lock; nobody else has `secret` yet.
        unsafe { secret.region.write(secret.start, bytes) };
        Ok(secret)
    }
}

fn map() -> Result<Region, SecretError> {
    Region::map(REGION_BYTES).map_err(|error| SecretError { reason: error.to_string() })
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
             unit, ulimit -l)",
            self.reason
        )
    }
}

impl std::error::Error for SecretError {}

#[cfg(test)]
mod tests;
