//! Pages for secrets: outside of what the kernel itself maps where it can, else locked and left out
//! of core dumps and of forked children. Many short secrets share a page.
//!
//! ```text
//! no access │ secret, secret, secret … unused │ no access
//! ```
//!
//! Invariants: each secret has its own bytes, which nobody writes between the moment it is handed
//! out and the moment it is dropped, and which are zeroes after that; a region lives as long as a
//! secret in it; nothing here is `Debug` or `Clone`; a byte before or after a region faults.

mod region;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use region::Region;
use zeroize::Zeroize;

/// What the pages of a secret are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backing {
    /// `memfd_secret`: no other process, no core dump, no swap, no kernel reads them.
    MemorySecret,
    /// Anonymous pages: locked, in no core dump, zeroes in a forked child.
    Locked,
}

/// How much one region holds, in bytes: 2,048 secrets of 32 bytes.
const REGION_BYTES: usize = 64 << 10;

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

/// One secret. Its bytes are wiped when it is dropped.
pub struct Secret {
    region: Arc<Region>,
    start: u32,
    length: u32,
}

/// A secret could not be put away.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecretError {
    /// It is longer than a region.
    TooLong {
        /// What there is room for, in bytes.
        limit: usize,
    },
    /// The kernel gave no pages.
    NoPages {
        /// Why, in its words.
        reason: String,
    },
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
    pub fn store(&self, bytes: &mut [u8]) -> Result<Secret, SecretError> {
        let stored = self.store_copy(bytes);
        bytes.zeroize();
        stored
    }

    fn store_copy(&self, bytes: &[u8]) -> Result<Secret, SecretError> {
        let too_long = SecretError::TooLong { limit: REGION_BYTES };
        if REGION_BYTES < bytes.len() {
            return Err(too_long);
        }
        let room = bytes.len().next_multiple_of(ALIGNMENT);
        let mut filling = self.filling.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = filling.as_ref().is_some_and(|filling| room <= REGION_BYTES - filling.used);
        if !fits {
            let region = Region::map(REGION_BYTES).map_err(|error| SecretError::NoPages {
                reason: format!(
                    "{error}; is the limit on locked memory too low (LimitMEMLOCK, ulimit -l)?"
                ),
            })?;
            *filling = Some(Filling { region: Arc::new(region), used: 0 });
        }
        let Some(filling) = filling.as_mut() else { return Err(too_long) };
        let start = filling.used;
        filling.used += room;
        let region = Arc::clone(&filling.region);
        let as_u32 = |number: usize| u32::try_from(number).map_err(|_| too_long.clone());
        let secret = Secret { start: as_u32(start)?, length: as_u32(bytes.len())?, region };
        // SAFETY: the range was never handed out before, as `used` only grows and is changed under
        // the lock; nobody else has `secret` yet.
        unsafe { secret.region.write(start, bytes) };
        Ok(secret)
    }
}

impl Secret {
    /// Shows the bytes to `look`. Copies that it makes are its own to wipe.
    pub fn expose<T>(&self, look: impl FnOnce(&[u8]) -> T) -> T {
        // SAFETY: the bytes were written before this secret was handed out, and are written again
        // only by its drop, which no borrow outlives.
        let bytes = unsafe { self.region.read(self.start as usize, self.length as usize) };
        look(bytes)
    }

    /// What its pages are.
    #[must_use]
    pub fn backing(&self) -> Backing {
        self.region.backing()
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        // SAFETY: the range is this secret's own, and nobody borrows a value that is dropped.
        unsafe { self.region.wipe(self.start as usize, self.length as usize) };
    }
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { limit } => write!(f, "a secret may have {limit} bytes at most"),
            Self::NoPages { reason } => write!(f, "no memory for secrets: {reason}"),
        }
    }
}

impl std::error::Error for SecretError {}

#[cfg(test)]
mod tests;
