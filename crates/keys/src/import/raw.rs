//! Secrets in clear, one a line.
//!
//! Invariants: an error names the line's number and never its content; input and buffers are
//! bounded, and the buffers are wiped.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, Read};

use zeroize::Zeroizing;

use crate::{BlsPublicKey, BlsSecretKey, SecretKeyError};

const MAX_LINE_BYTES: usize = 256;
const MAX_LINES: usize = 1_000_000;
const CHUNK_BYTES: usize = 4096;

/// Why raw secrets were not read; none of them was taken.
#[derive(Debug)]
pub struct RawHexError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: RawHexProblem,
}

/// What is wrong with a line.
#[derive(Debug)]
#[non_exhaustive]
pub enum RawHexProblem {
    /// Reading failed on it.
    Unreadable(io::Error),
    /// Longer than any secret.
    TooLong,
    /// Not a secret key.
    NotASecretKey(SecretKeyError),
    /// The same key as on an earlier line.
    SameKeyAsLine(usize),
    /// More lines than an import takes.
    TooManyLines,
}

/// Reads secret keys: 32 bytes in big-endian hexadecimal on each line, with or without `0x`. Blank
/// lines and lines that start with `#` are skipped.
///
/// # Errors
/// [`RawHexError`] for the first line at fault; then no key is returned.
pub fn raw_hex(reader: impl Read) -> Result<Vec<BlsSecretKey>, RawHexError> {
    let mut keys = Vec::new();
    let mut lines: HashMap<BlsPublicKey, usize> = HashMap::new();
    for_each_line(reader, |number, line| {
        let Some(secret) = secret_on(line)? else { return Ok(()) };
        if let Some(earlier) = lines.insert(secret.public_key(), number) {
            return Err(RawHexProblem::SameKeyAsLine(earlier));
        }
        keys.push(secret);
        Ok(())
    })?;
    Ok(keys)
}

fn secret_on(line: &[u8]) -> Result<Option<BlsSecretKey>, RawHexProblem> {
    let line = line.trim_ascii();
    if line.is_empty() || line.starts_with(b"#") {
        return Ok(None);
    }
    let text = std::str::from_utf8(line).map_err(|_| SecretKeyError::NotHex);
    let secret = text.and_then(BlsSecretKey::from_hex);
    secret.map(Some).map_err(RawHexProblem::NotASecretKey)
}

/// Calls `take` with each line and its number, from buffers of fixed size that are wiped: a growing
/// or borrowed buffer would leave copies of secrets behind.
fn for_each_line(
    mut reader: impl Read,
    mut take: impl FnMut(usize, &[u8]) -> Result<(), RawHexProblem>,
) -> Result<(), RawHexError> {
    let mut chunk = Zeroizing::new(vec![0; CHUNK_BYTES]);
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_LINE_BYTES));
    let mut number = 1;
    loop {
        let at = |problem| RawHexError { line: number, problem };
        let length = read_some(&mut reader, &mut chunk).map_err(RawHexProblem::Unreadable);
        let length = length.map_err(at)?;
        if length == 0 {
            return take(number, &line).map_err(at);
        }
        for byte in chunk.iter().take(length) {
            let at = |problem| RawHexError { line: number, problem };
            if *byte == b'\n' {
                take(number, &line).map_err(at)?;
                line.clear();
                number = number.saturating_add(1);
            } else if line.len() < MAX_LINE_BYTES {
                line.push(*byte);
            } else {
                return Err(at(RawHexProblem::TooLong));
            }
        }
        if number > MAX_LINES {
            return Err(RawHexError { line: number, problem: RawHexProblem::TooManyLines });
        }
    }
}

fn read_some(reader: &mut impl Read, chunk: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

impl fmt::Display for RawHexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nothing was imported; line {}: ", self.line)?;
        match &self.problem {
            RawHexProblem::Unreadable(error) => error.fmt(f),
            RawHexProblem::TooLong => {
                write!(f, "longer than {MAX_LINE_BYTES} bytes; write one secret a line")
            }
            RawHexProblem::NotASecretKey(error) => error.fmt(f),
            RawHexProblem::SameKeyAsLine(earlier) => {
                write!(f, "the same key as on line {earlier}; leave one of them out")
            }
            RawHexProblem::TooManyLines => {
                write!(f, "more than {MAX_LINES} lines; import them in parts")
            }
        }
    }
}

impl std::error::Error for RawHexError {}
