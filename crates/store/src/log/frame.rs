//! The bytes of one write in the log.
//!
//! `number (8) ‖ length (4) ‖ head before (32) ‖ body ‖ digest (32)`, little-endian; the digest is
//! SHA-256 of a domain, the file's salt, and all before. The body: the journal entry, then the
//! records, then the stances that the write left, each list behind its count. Invariants: a frame
//! is taken only when its digest holds, and says which journal entry it brings and which head that
//! entry continues; what is read is what was written, to the byte; who does not know the file's
//! salt can make no bytes that pass for a frame, whatever of a body is its own choice (the hashes
//! of candidates are).

use std::collections::BTreeMap;

use palisade_protect::{Digest, KeyId, Record, Stance, Subject};
use sha2::{Digest as _, Sha256};

use crate::error::StoreError;
use crate::layout::Salt;
use crate::tables;

const DOMAIN: &[u8] = b"palisade/store/frame/v1";
const HEAD_BYTES: usize = 8 + 4 + DIGEST_BYTES;
const DIGEST_BYTES: usize = 32;

/// One write, as it is in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The number of the journal entry.
    pub(crate) number: u64,
    /// The journal's head before it.
    pub(crate) head_before: Digest,
    /// The encoded journal entry.
    pub(crate) entry: Vec<u8>,
    /// The records that changed, as they are after it.
    pub(crate) records: BTreeMap<KeyId, Record>,
    /// The stances that changed, as they are after it.
    pub(crate) stances: BTreeMap<(KeyId, Subject), Stance>,
}

impl Frame {
    pub(crate) fn encode(&self, salt: &Salt) -> Vec<u8> {
        let body = self.body();
        let mut out = Vec::with_capacity(HEAD_BYTES + body.len() + DIGEST_BYTES);
        out.extend_from_slice(&self.number.to_le_bytes());
        put_length(&mut out, body.len());
        out.extend_from_slice(&self.head_before.0);
        out.extend_from_slice(&body);
        let digest = digest(salt, &out);
        out.extend_from_slice(&digest);
        out
    }

    fn body(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_length(&mut out, self.entry.len());
        out.extend_from_slice(&self.entry);
        put_length(&mut out, self.records.len());
        for (key, record) in &self.records {
            let record = record.encode();
            out.extend_from_slice(&key.0);
            put_length(&mut out, record.len());
            out.extend_from_slice(&record);
        }
        put_length(&mut out, self.stances.len());
        for ((key, subject), stance) in &self.stances {
            out.extend_from_slice(&tables::stance_key(key, subject));
            out.push(stance.byte());
        }
        out
    }

    /// The frame that `bytes` begin with, and how long it is. `None`: there is no whole frame.
    ///
    /// # Errors
    /// When the digest holds over something that is no frame.
    pub(crate) fn decode(bytes: &[u8], salt: &Salt) -> Option<Result<(Self, usize), StoreError>> {
        let (number, rest) = bytes.split_first_chunk::<8>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (head_before, rest) = rest.split_first_chunk::<DIGEST_BYTES>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (body, rest) = rest.split_at_checked(length)?;
        let found = rest.first_chunk::<DIGEST_BYTES>()?;
        let end = HEAD_BYTES.checked_add(length)?;
        if digest(salt, bytes.get(..end)?) != *found {
            return None;
        }
        let (number, head_before) = (u64::from_le_bytes(*number), Digest(*head_before));
        let frame = Self::from_body(number, head_before, body);
        Some(frame.map(|frame| (frame, end.saturating_add(DIGEST_BYTES))))
    }

    fn from_body(number: u64, head_before: Digest, body: &[u8]) -> Result<Self, StoreError> {
        let mut body = Body(body);
        let length = body.length()?;
        let entry = body.take(length)?.to_vec();
        let mut records = BTreeMap::new();
        for _ in 0..body.length()? {
            let key = KeyId(*body.chunk()?);
            let length = body.length()?;
            records.insert(key, tables::decode_record(&key, body.take(length)?)?);
        }
        let mut stances = BTreeMap::new();
        for _ in 0..body.length()? {
            let row = body.chunk::<{ tables::STANCE_KEY_BYTES }>()?;
            let [value] = *body.chunk::<1>()?;
            let (about, stance) = tables::decode_stance_row(row, value)?;
            stances.insert(about, stance);
        }
        if body.0.is_empty() {
            Ok(Self { number, head_before, entry, records, stances })
        } else {
            Err(malformed())
        }
    }
}

/// What is left to read of a body.
struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], StoreError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn chunk<const N: usize>(&mut self) -> Result<&'a [u8; N], StoreError> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or_else(malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn length(&mut self) -> Result<usize, StoreError> {
        usize::try_from(u32::from_le_bytes(*self.chunk()?)).map_err(|_| malformed())
    }
}

fn malformed() -> StoreError {
    StoreError::damaged("a frame of the log")
}

/// A length beyond 32 bits cannot be read back; such a frame has no room in any log.
fn put_length(out: &mut Vec<u8>, length: usize) {
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
}

fn digest(salt: &Salt, bytes: &[u8]) -> [u8; DIGEST_BYTES] {
    Sha256::new().chain_update(DOMAIN).chain_update(salt).chain_update(bytes).finalize().into()
}

#[cfg(test)]
mod tests {
    use palisade_protect::{EthereumRecord, Slot, Statement};

    use super::*;

    const SALT: Salt = [3; 32];

    fn frame() -> Frame {
        let record = EthereumRecord::from_now(Slot(7), palisade_protect::Epoch(3));
        let subject = Subject { session: 5, candidate: Digest([6; 32]) };
        Frame {
            number: 9,
            head_before: Digest([8; 32]),
            entry: b"an entry".to_vec(),
            records: [(KeyId([1; 32]), Record::Ethereum(record))].into(),
            stances: [((KeyId([2; 32]), subject), Stance::NONE.with(Statement::Valid))].into(),
        }
    }

    #[test]
    fn a_frame_is_read_as_it_was_written_with_anything_behind_it() {
        let mut bytes = frame().encode(&SALT);
        let length = bytes.len();
        bytes.extend_from_slice(&[0xaa; 700]);
        assert_eq!(Frame::decode(&bytes, &SALT).unwrap().unwrap(), (frame(), length));
        assert!(Frame::decode(&bytes, &[4; 32]).is_none(), "another file's");
    }

    #[test]
    fn every_flipped_bit_and_every_cut_leaves_no_frame() {
        let bytes = frame().encode(&SALT);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Frame::decode(&flipped, &SALT).is_none(), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(Frame::decode(&bytes[..length], &SALT).is_none(), "{length} bytes");
        }
    }

    #[test]
    fn a_body_with_a_rest_or_a_wrong_count_is_damage() {
        let body = frame().body();
        let read = |body: &[u8]| Frame::from_body(9, Digest([8; 32]), body);
        assert_eq!(read(&body).unwrap(), frame());
        assert!(read(&[&body[..], &[0]].concat()).is_err());
        for length in 0..body.len() {
            assert!(read(&body[..length]).is_err(), "{length} bytes");
        }
    }
}
