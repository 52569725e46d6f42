//! Secrets in clear, one a line.
//!
//! Invariants: an error names the line's number and never its content; input and buffers are
//! bounded, and the buffers are wiped.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, Read};

use zeroize::Zeroizing;

use crate::{BlsPublicKey, BlsSecretKey, SecretKeyError};

const MAX_KEY_LINE_BYTES: usize = 256;
/// A phrase of 24 words has at most 215 letters; junctions and a password come behind it.
const MAX_LINE_BYTES: usize = 1024;
const MAX_LINES: usize = 1_000_000;
const CHUNK_BYTES: usize = 4096;

/// Why raw secrets were not read; none of them was taken.
#[derive(Debug)]
pub struct LineError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: LineProblem,
}

/// What is wrong with a line.
#[derive(Debug)]
#[non_exhaustive]
pub enum LineProblem {
    /// Reading failed on it.
    Unreadable(io::Error),
    /// Longer than this many bytes, and than any secret.
    TooLong(usize),
    /// Not UTF-8.
    NotText,
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
/// [`LineError`] for the first line at fault; then no key is returned.
pub fn raw_hex(reader: impl Read) -> Result<Vec<BlsSecretKey>, LineError> {
    let mut keys = Vec::new();
    let mut lines: HashMap<BlsPublicKey, usize> = HashMap::new();
    for_each_line(reader, MAX_KEY_LINE_BYTES, |number, line| {
        let Some(secret) = secret_on(line)? else { return Ok(()) };
        if let Some(earlier) = lines.insert(secret.public_key(), number) {
            return Err(LineProblem::SameKeyAsLine(earlier));
        }
        keys.push(secret);
        Ok(())
    })?;
    Ok(keys)
}

/// Reads secrets that are text, one on each line, without the spaces around them. Blank lines and
/// lines that start with `#` are skipped.
///
/// # Errors
/// [`LineError`] for the first line that is too long or no text; then no secret is returned.
pub fn secret_lines(reader: impl Read) -> Result<Vec<Zeroizing<String>>, LineError> {
    let mut secrets = Vec::new();
    for_each_line(reader, MAX_LINE_BYTES, |_, line| {
        let text = std::str::from_utf8(line).map_err(|_| LineProblem::NotText)?.trim();
        if !text.is_empty() && !text.starts_with('#') {
            secrets.push(Zeroizing::new(text.to_owned()));
        }
        Ok(())
    })?;
    Ok(secrets)
}

fn secret_on(line: &[u8]) -> Result<Option<BlsSecretKey>, LineProblem> {
    let line = line.trim_ascii();
    if line.is_empty() || line.starts_with(b"#") {
        return Ok(None);
    }
    let text = std::str::from_utf8(line).map_err(|_| SecretKeyError::NotHex);
    let secret = text.and_then(BlsSecretKey::from_hex);
    secret.map(Some).map_err(LineProblem::NotASecretKey)
}

/// Calls `take` with each line and its number, from buffers of fixed size that are wiped: a growing
/// or borrowed buffer would leave copies of secrets behind.
fn for_each_line(
    mut reader: impl Read,
    most: usize,
    mut take: impl FnMut(usize, &[u8]) -> Result<(), LineProblem>,
) -> Result<(), LineError> {
    let mut chunk = Zeroizing::new(vec![0; CHUNK_BYTES]);
    let mut line = Zeroizing::new(Vec::with_capacity(most));
    let mut number = 1;
    loop {
        let at = |problem| LineError { line: number, problem };
        let length = read_some(&mut reader, &mut chunk).map_err(LineProblem::Unreadable);
        let length = length.map_err(at)?;
        if length == 0 {
            return take(number, &line).map_err(at);
        }
        for byte in chunk.iter().take(length) {
            let at = |problem| LineError { line: number, problem };
            if *byte == b'\n' {
                take(number, &line).map_err(at)?;
                line.clear();
                number = number.saturating_add(1);
            } else if line.len() < most {
                line.push(*byte);
            } else {
                return Err(at(LineProblem::TooLong(most)));
            }
        }
        if number > MAX_LINES {
            return Err(LineError { line: number, problem: LineProblem::TooManyLines });
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

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nothing was imported; line {}: ", self.line)?;
        match &self.problem {
            LineProblem::Unreadable(error) => error.fmt(f),
            LineProblem::TooLong(most) => {
                write!(f, "longer than {most} bytes; write one secret a line")
            }
            LineProblem::NotText => f.write_str("not text; write one secret a line"),
            LineProblem::NotASecretKey(error) => error.fmt(f),
            LineProblem::SameKeyAsLine(earlier) => {
                write!(f, "the same key as on line {earlier}; leave one of them out")
            }
            LineProblem::TooManyLines => {
                write!(f, "more than {MAX_LINES} lines; import them in parts")
            }
        }
    }
}

impl std::error::Error for LineError {}
