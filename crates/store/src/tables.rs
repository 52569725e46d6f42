//! The file's tables and rows, format version 3.
//!
//! | table | key | value |
//! |---|---|---|
//! | `meta` | name | bytes; see the `META_` constants |
//! | `keys` | key id (32) | standing (1) ‖ public key |
//! | `records` | key id (32) | [`Record::encode`] |
//! | `stances` | key id (32) ‖ session (4, big-endian) ‖ candidate (32) | [`Stance::byte`] |
//! | `journal` | number, from 1 | head (32) ‖ [`Entry::encode`](palisade_protect::journal::Entry) |
//!
//! Invariants: [`State`] is written with every change and says how far the journal reaches and
//! what all other rows are together ([`RowsDigest`]), so that a row that was lost, altered or is a
//! leftover of an older write is noticed when the file is opened. Against whoever can write the
//! file on purpose it does not help.

use std::ops::Deref;

use palisade_protect::{Digest, KeyId, Record, Stance, Subject, journal};
use redb::{ReadableTable, Table, TableDefinition};
use sha2::{Digest as _, Sha256};

use crate::error::{Damage, StoreError};

/// The format that this program writes.
pub(crate) const FORMAT_VERSION: u32 = 3;

pub(crate) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
pub(crate) const KEYS: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("keys");
pub(crate) const RECORDS: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("records");
pub(crate) const STANCES: TableDefinition<'_, &[u8; STANCE_KEY_BYTES], u8> =
    TableDefinition::new("stances");
pub(crate) const JOURNAL: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("journal");

/// Format version, `u32` little-endian. Every version of the format has it.
pub(crate) const META_VERSION: &str = "format version";
/// The network's name, UTF-8.
pub(crate) const META_NETWORK: &str = "network";
/// The genesis validators root, once it is known.
pub(crate) const META_GENESIS: &str = "genesis validators root";
/// When the store was created, milliseconds since the Unix epoch, `u64` little-endian.
pub(crate) const META_CREATED: &str = "created";
/// [`State`]; the one row that is not part of the digest.
pub(crate) const META_STATE: &str = "state";

const ROW_DOMAIN: &[u8] = b"palisade/store/row/v1";
const DIGEST_BYTES: usize = 32;
pub(crate) const STANCE_KEY_BYTES: usize = 32 + 4 + 32;

/// Whether a key may sign here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Standing {
    /// The key was admitted and may sign.
    Active,
    /// Only the key's history is here: it was removed, or its history came before it did.
    Retired,
}

impl Standing {
    fn byte(self) -> u8 {
        match self {
            Self::Active => 1,
            Self::Retired => 2,
        }
    }
}

/// The value of a row of `keys`.
pub(crate) fn encode_key_row(standing: Standing, public_key: &[u8]) -> Vec<u8> {
    let mut row = Vec::with_capacity(1 + public_key.len());
    row.push(standing.byte());
    row.extend_from_slice(public_key);
    row
}

/// Standing and public key out of a row of `keys`.
pub(crate) fn decode_key_row(row: &[u8]) -> Result<(Standing, &[u8]), StoreError> {
    match row.split_first() {
        Some((1, public_key)) => Ok((Standing::Active, public_key)),
        Some((2, public_key)) => Ok((Standing::Retired, public_key)),
        _ => Err(StoreError::damaged("the row of a key")),
    }
}

/// The record out of a row of `records`.
pub(crate) fn decode_record(key: &KeyId, row: &[u8]) -> Result<Record, StoreError> {
    Record::decode(row).map_err(|error| StoreError::Damaged(Damage::Record(*key, error)))
}

/// The key of a row of `stances`; the rows of one key and session stand together.
pub(crate) fn stance_key(key: &KeyId, subject: &Subject) -> [u8; STANCE_KEY_BYTES] {
    let mut out = [0; STANCE_KEY_BYTES];
    let session = subject.session.to_be_bytes();
    let bytes = key.0.into_iter().chain(session).chain(subject.candidate.0);
    out.iter_mut().zip(bytes).for_each(|(slot, byte)| *slot = byte);
    out
}

/// Whose stance on what it is, out of a row of `stances`.
pub(crate) fn decode_stance_row(
    key: &[u8; STANCE_KEY_BYTES],
    value: u8,
) -> Result<((KeyId, Subject), Stance), StoreError> {
    let malformed = || StoreError::damaged("the row of a stance");
    let (owner, rest) = key.split_first_chunk::<32>().ok_or_else(malformed)?;
    let (session, candidate) = rest.split_first_chunk::<4>().ok_or_else(malformed)?;
    let candidate = Digest(<[u8; 32]>::try_from(candidate).map_err(|_| malformed())?);
    let subject = Subject { session: u32::from_be_bytes(*session), candidate };
    let stance = Stance::from_byte(value).ok_or_else(malformed)?;
    Ok(((KeyId(*owner), subject), stance))
}

/// Head and encoded entry out of a row of `journal`.
pub(crate) fn decode_journal_row(row: &[u8]) -> Option<(Digest, &[u8])> {
    let (head, entry) = row.split_first_chunk::<DIGEST_BYTES>()?;
    Some((Digest(*head), entry))
}

/// The exclusive or of the digests of all rows: cheap to keep, blind to their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RowsDigest([u8; DIGEST_BYTES]);

impl RowsDigest {
    /// Adds a row that is not in it, or takes out one that is.
    pub(crate) fn toggle(&mut self, table: &str, key: &[u8], value: &[u8]) {
        let mut hasher = Sha256::new();
        hasher.update(ROW_DOMAIN);
        for part in [table.as_bytes(), key, value] {
            hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            hasher.update(part);
        }
        self.0.iter_mut().zip(hasher.finalize()).for_each(|(ours, theirs)| *ours ^= theirs);
    }
}

/// What the last write left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// How many entries the journal has; also the number of the newest.
    pub(crate) entries: u64,
    /// The head after the newest entry.
    pub(crate) head: Digest,
    /// All rows but this one and the journal's.
    pub(crate) rows: RowsDigest,
}

impl State {
    const BYTES: usize = 8 + 2 * DIGEST_BYTES;

    /// Of an empty store.
    pub(crate) fn empty() -> Self {
        Self { entries: 0, head: journal::GENESIS, rows: RowsDigest::default() }
    }

    pub(crate) fn encode(&self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        let bytes = self.entries.to_le_bytes().into_iter().chain(self.head.0).chain(self.rows.0);
        out.iter_mut().zip(bytes).for_each(|(slot, byte)| *slot = byte);
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let malformed = || StoreError::damaged("the state row");
        let (entries, rest) = bytes.split_first_chunk::<8>().ok_or_else(malformed)?;
        let (head, rest) = rest.split_first_chunk::<DIGEST_BYTES>().ok_or_else(malformed)?;
        let rows = <[u8; DIGEST_BYTES]>::try_from(rest).map_err(|_| malformed())?;
        Ok(Self {
            entries: u64::from_le_bytes(*entries),
            head: Digest(*head),
            rows: RowsDigest(rows),
        })
    }
}

/// Writes a row of `meta` and keeps the digest true.
pub(crate) fn put_meta(
    table: &mut Table<'_, &'static str, &'static [u8]>,
    name: &'static str,
    value: &[u8],
    rows: &mut RowsDigest,
) -> Result<(), redb::Error> {
    if let Some(old) = table.insert(name, value)? {
        rows.toggle("meta", name.as_bytes(), old.value());
    }
    rows.toggle("meta", name.as_bytes(), value);
    Ok(())
}

/// Writes a row of `keys` or `records` and keeps the digest true. Returns the old value.
pub(crate) fn put_by_key(
    table: &mut Table<'_, &'static [u8; 32], &'static [u8]>,
    name: &'static str,
    key: &KeyId,
    value: &[u8],
    rows: &mut RowsDigest,
) -> Result<Option<Vec<u8>>, redb::Error> {
    let old = table.insert(&key.0, value)?.map(|old| old.value().to_vec());
    if let Some(old) = &old {
        rows.toggle(name, &key.0, old);
    }
    rows.toggle(name, &key.0, value);
    Ok(old)
}

/// A row of `meta`, or the damage that it is missing.
pub(crate) fn meta_row(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
    name: &'static str,
) -> Result<Vec<u8>, StoreError> {
    let row = table.get(name).map_err(StoreError::while_doing("reading the store"))?;
    row.map(|value| value.value().to_vec()).ok_or_else(|| StoreError::damaged(name))
}

/// Reads a fixed number of bytes out of a row of `meta`.
pub(crate) fn fixed<const N: usize>(
    row: impl Deref<Target = [u8]>,
    name: &'static str,
) -> Result<[u8; N], StoreError> {
    <[u8; N]>::try_from(&*row).map_err(|_| StoreError::damaged(name))
}
