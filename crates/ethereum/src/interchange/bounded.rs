//! A reader that stops before a JSON parser would have to remember too much.
//!
//! Invariant: no string, number or word longer than [`TOKEN_MAX_BYTES`] and no nesting deeper than
//! [`DEPTH_MAX`] gets through, however large the file is.

use std::fmt;
use std::io::{self, Read};

/// Far more than any value of the format: a public key has 98 characters.
const TOKEN_MAX_BYTES: usize = 1024;
/// The format needs five levels.
const DEPTH_MAX: usize = 16;

/// The input went beyond the limits.
#[derive(Debug)]
pub(super) struct LimitExceeded;

impl fmt::Display for LimitExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("beyond the limits of the format")
    }
}

impl std::error::Error for LimitExceeded {}

/// Where in a JSON text the next byte stands.
#[derive(Clone, Copy)]
enum Place {
    Outside,
    InString,
    AfterBackslash,
}

/// Passes bytes through as long as they stay within the limits.
pub(super) struct BoundedReader<R> {
    inner: R,
    place: Place,
    token_bytes: usize,
    depth: usize,
}

impl<R> BoundedReader<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, place: Place::Outside, token_bytes: 0, depth: 0 }
    }

    fn take(&mut self, byte: u8) -> Result<(), LimitExceeded> {
        self.token_bytes = self.token_bytes.saturating_add(1);
        match (self.place, byte) {
            (Place::AfterBackslash, _) => self.place = Place::InString,
            (Place::InString, b'\\') => self.place = Place::AfterBackslash,
            (Place::InString, b'"') => self.begin(Place::Outside),
            (Place::InString, _) => {}
            (Place::Outside, b'"') => self.begin(Place::InString),
            (Place::Outside, b'[' | b'{') => {
                self.depth = self.depth.saturating_add(1);
                self.begin(Place::Outside);
            }
            (Place::Outside, b']' | b'}') => {
                self.depth = self.depth.saturating_sub(1);
                self.begin(Place::Outside);
            }
            (Place::Outside, b',' | b':' | b' ' | b'\t' | b'\r' | b'\n') => {
                self.begin(Place::Outside);
            }
            (Place::Outside, _) => {}
        }
        if TOKEN_MAX_BYTES < self.token_bytes || DEPTH_MAX < self.depth {
            return Err(LimitExceeded);
        }
        Ok(())
    }

    fn begin(&mut self, place: Place) {
        self.place = place;
        self.token_bytes = 0;
    }
}

impl<R: Read> Read for BoundedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let bytes = buffer.get(..count).unwrap_or(buffer);
        bytes.iter().try_for_each(|byte| self.take(*byte)).map_err(io::Error::other)?;
        Ok(count)
    }
}
