//! The tamper-evident history of all decisions, and its replay through the same rules.
//!
//! An [`Entry`] holds what one durable write decided. Each entry's head digest covers the head
//! before it, so that changing, dropping or reordering an entry breaks every later head:
//! `head = SHA-256("palisade/journal/v1" ‖ previous head ‖ encoded entry)`; the first previous head
//! is [`GENESIS`].
//!
//! Invariants: an entry has exactly one encoding (version 1), frozen by tests; replaying a whole
//! journal gives exactly the records that the ledger holds, and every permitted duty passes
//! [`decide`] again.
//!
//! What it does not stop: whoever can replace the whole file can write another consistent history.
//! Keep the head digest elsewhere (`journal verify` prints it).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use sha2::{Digest as _, Sha256};

use crate::codec::{Malformed, Reader, put_short_bytes};
use crate::{Digest, Duty, Epoch, Intent, KeyId, Record, Refusal, RefusalKind, Slot, decide};

/// The head before the first entry.
pub const GENESIS: Digest = Digest([0; 32]);

const CHAIN_DOMAIN: &[u8] = b"palisade/journal/v1";
const VERSION: u8 = 1;

const PERMITTED: u8 = 1;
const REFUSED: u8 = 2;
const ADMITTED: u8 = 3;
const RAISED: u8 = 4;
const RETIRED: u8 = 5;
const OMITTED: u8 = 6;

const PROPOSAL: u8 = 1;
const ATTESTATION: u8 = 2;
const IRREVOCABLE: u8 = 3;
const HARMLESS: u8 = 4;

/// The fewest bytes that an event can take; bounds what a length field can make us reserve.
const SMALLEST_EVENT: usize = 5;

/// One thing that happened to one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A duty was permitted; its signature may have left.
    Permitted {
        /// The key that may sign.
        key: KeyId,
        /// What was permitted.
        intent: Intent,
    },
    /// A rule refused a duty.
    Refused {
        /// The key that did not sign.
        key: KeyId,
        /// What was asked.
        intent: Intent,
        /// The rule.
        kind: RefusalKind,
    },
    /// The operator vouched for a key's past; its record starts here.
    Admitted {
        /// The new key.
        key: KeyId,
        /// Its first record.
        record: Record,
    },
    /// A record was raised by an import, by the operator's stop-line or by a start from now.
    Raised {
        /// The key.
        key: KeyId,
        /// The record as it is from here on.
        record: Record,
    },
    /// The key was removed from this guard. Its record stays.
    Retired {
        /// The key.
        key: KeyId,
    },
    /// So many refusals were left out, to bound what a flood of bad requests can write.
    RefusalsOmitted {
        /// How many.
        count: u32,
    },
}

/// What one durable write recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The writer's clock, in milliseconds since the Unix epoch. Informative: clocks may jump.
    pub time_unix_ms: u64,
    /// What happened, in order.
    pub events: Vec<Event>,
}

impl Entry {
    /// The stored form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16 + self.events.len() * 96);
        out.push(VERSION);
        out.extend_from_slice(&self.time_unix_ms.to_le_bytes());
        let count = u32::try_from(self.events.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(&count.to_le_bytes());
        self.events.iter().for_each(|event| event.encode(&mut out));
        out
    }

    /// Reads the stored form back.
    ///
    /// # Errors
    /// [`EntryError`] when the bytes are not exactly one entry of a known version.
    pub fn decode(bytes: &[u8]) -> Result<Self, EntryError> {
        let mut reader = Reader::new(bytes);
        match reader.byte()? {
            VERSION => {}
            other => return Err(EntryError::UnknownVersion(other)),
        }
        let time_unix_ms = reader.u64()?;
        let count = reader.u32()?;
        let possible = reader.remaining() / SMALLEST_EVENT;
        if usize::try_from(count).map_or(true, |count| possible < count) {
            return Err(EntryError::Malformed);
        }
        let events = (0..count).map(|_| Event::decode(&mut reader)).collect::<Result<_, _>>()?;
        reader.finish()?;
        Ok(Self { time_unix_ms, events })
    }
}

/// The head after an entry.
#[must_use]
pub fn chain(previous_head: &Digest, encoded_entry: &[u8]) -> Digest {
    let mut hasher = Sha256::new();
    hasher.update(CHAIN_DOMAIN);
    hasher.update(previous_head.0);
    hasher.update(encoded_entry);
    Digest(hasher.finalize().into())
}

impl Event {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Permitted { key, intent } => {
                put_key(out, PERMITTED, key);
                put_intent(out, intent);
            }
            Self::Refused { key, intent, kind } => {
                put_key(out, REFUSED, key);
                put_intent(out, intent);
                out.push(kind.byte());
            }
            Self::Admitted { key, record } => {
                put_key(out, ADMITTED, key);
                put_short_bytes(out, &record.encode());
            }
            Self::Raised { key, record } => {
                put_key(out, RAISED, key);
                put_short_bytes(out, &record.encode());
            }
            Self::Retired { key } => put_key(out, RETIRED, key),
            Self::RefusalsOmitted { count } => {
                out.push(OMITTED);
                out.extend_from_slice(&count.to_le_bytes());
            }
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let tag = reader.byte()?;
        if tag == OMITTED {
            return Ok(Self::RefusalsOmitted { count: reader.u32()? });
        }
        let key = KeyId(reader.array()?);
        Ok(match tag {
            PERMITTED => Self::Permitted { key, intent: read_intent(reader)? },
            REFUSED => Self::Refused {
                key,
                intent: read_intent(reader)?,
                kind: RefusalKind::from_byte(reader.byte()?).ok_or(Malformed)?,
            },
            ADMITTED => Self::Admitted { key, record: read_record(reader)? },
            RAISED => Self::Raised { key, record: read_record(reader)? },
            RETIRED => Self::Retired { key },
            _ => return Err(Malformed),
        })
    }
}

fn put_key(out: &mut Vec<u8>, tag: u8, key: &KeyId) {
    out.push(tag);
    out.extend_from_slice(&key.0);
}

fn put_intent(out: &mut Vec<u8>, intent: &Intent) {
    match intent.duty {
        Duty::Proposal { slot } => {
            out.push(PROPOSAL);
            out.extend_from_slice(&slot.0.to_le_bytes());
        }
        Duty::Attestation { source, target } => {
            out.push(ATTESTATION);
            out.extend_from_slice(&source.0.to_le_bytes());
            out.extend_from_slice(&target.0.to_le_bytes());
        }
        Duty::Irrevocable => out.push(IRREVOCABLE),
        Duty::Harmless => out.push(HARMLESS),
    }
    out.extend_from_slice(&intent.digest.0);
}

fn read_intent(reader: &mut Reader<'_>) -> Result<Intent, Malformed> {
    let duty = match reader.byte()? {
        PROPOSAL => Duty::Proposal { slot: Slot(reader.u64()?) },
        ATTESTATION => {
            Duty::Attestation { source: Epoch(reader.u64()?), target: Epoch(reader.u64()?) }
        }
        IRREVOCABLE => Duty::Irrevocable,
        HARMLESS => Duty::Harmless,
        _ => return Err(Malformed),
    };
    Ok(Intent { duty, digest: reader.digest()? })
}

fn read_record(reader: &mut Reader<'_>) -> Result<Record, Malformed> {
    Record::decode(reader.short_bytes()?).map_err(|_| Malformed)
}

/// Walks a journal from its first entry and computes every record again.
#[derive(Clone, Debug)]
pub struct Replay {
    head: Digest,
    entries: u64,
    first_time_unix_ms: Option<u64>,
    last_time_unix_ms: Option<u64>,
    records: BTreeMap<KeyId, Record>,
}

impl Default for Replay {
    fn default() -> Self {
        Self::new()
    }
}

impl Replay {
    /// Before the first entry.
    #[must_use]
    pub fn new() -> Self {
        Self {
            head: GENESIS,
            entries: 0,
            first_time_unix_ms: None,
            last_time_unix_ms: None,
            records: BTreeMap::new(),
        }
    }

    /// The head after the entries so far.
    #[must_use]
    pub fn head(&self) -> Digest {
        self.head
    }

    /// How many entries held so far.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// When the first entry was written, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn first_time_unix_ms(&self) -> Option<u64> {
        self.first_time_unix_ms
    }

    /// When the last entry was written, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn last_time_unix_ms(&self) -> Option<u64> {
        self.last_time_unix_ms
    }

    /// The records as they must be after the entries so far.
    #[must_use]
    pub fn records(&self) -> &BTreeMap<KeyId, Record> {
        &self.records
    }

    /// Takes the next entry as it was stored, with the head stored beside it.
    ///
    /// # Errors
    /// [`ReplayError`] names the first thing that does not hold; the replay is of no use after it.
    pub fn apply(&mut self, encoded_entry: &[u8], stored_head: &Digest) -> Result<(), ReplayError> {
        let entry = Entry::decode(encoded_entry).map_err(ReplayError::Entry)?;
        let head = chain(&self.head, encoded_entry);
        if head != *stored_head {
            return Err(ReplayError::BrokenChain);
        }
        entry.events.iter().try_for_each(|event| self.apply_event(event))?;
        self.head = head;
        self.entries = self.entries.saturating_add(1);
        self.first_time_unix_ms.get_or_insert(entry.time_unix_ms);
        self.last_time_unix_ms = Some(entry.time_unix_ms);
        Ok(())
    }

    fn apply_event(&mut self, event: &Event) -> Result<(), ReplayError> {
        match *event {
            Event::Permitted { key, intent } => {
                let record = self.record(&key)?;
                let next = decide(&record, &intent)
                    .map_err(|refusal| ReplayError::AgainstTheRules(key, refusal))?;
                self.records.insert(key, next);
            }
            Event::Refused { key, .. } | Event::Retired { key } => {
                self.record(&key)?;
            }
            Event::Admitted { key, record } => {
                if self.records.insert(key, record).is_some() {
                    return Err(ReplayError::AdmittedTwice(key));
                }
            }
            Event::Raised { key, record } => self.raise(key, record)?,
            Event::RefusalsOmitted { .. } => {}
        }
        Ok(())
    }

    /// A raise may only make a record stricter; only the operator's stop-line may move freely.
    fn raise(&mut self, key: KeyId, record: Record) -> Result<(), ReplayError> {
        let before = without_stop_line(self.record(&key)?);
        let after = without_stop_line(record);
        if before.merge_stricter(after) != Ok(after) {
            return Err(ReplayError::Lowered(key));
        }
        self.records.insert(key, record);
        Ok(())
    }

    fn record(&self, key: &KeyId) -> Result<Record, ReplayError> {
        self.records.get(key).copied().ok_or(ReplayError::UnknownKey(*key))
    }
}

fn without_stop_line(record: Record) -> Record {
    match record {
        Record::Ethereum(mut ethereum) => {
            ethereum.stop_line = crate::StopLine::default();
            Record::Ethereum(ethereum)
        }
    }
}

/// Stored bytes that are not a journal entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EntryError {
    /// Written by a newer version of this program.
    UnknownVersion(u8),
    /// Damaged, or not written by this program.
    Malformed,
}

/// The first thing in a journal that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplayError {
    /// The entry cannot be read.
    Entry(EntryError),
    /// The entry, or one before it, is not the one that was written.
    BrokenChain,
    /// A duty stands as permitted that the rules forbid.
    AgainstTheRules(KeyId, Refusal),
    /// A record was made less strict.
    Lowered(KeyId),
    /// The key was never admitted.
    UnknownKey(KeyId),
    /// The key was admitted a second time, which would forget its record.
    AdmittedTwice(KeyId),
}

impl From<Malformed> for EntryError {
    fn from(Malformed: Malformed) -> Self {
        Self::Malformed
    }
}

impl fmt::Display for EntryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownVersion(version) => {
                write!(f, "entry version {version} is newer than this program understands")
            }
            Self::Malformed => f.write_str("the entry is damaged"),
        }
    }
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entry(error) => error.fmt(f),
            Self::BrokenChain => f.write_str("the hash chain is broken: an entry was altered"),
            Self::AgainstTheRules(key, refusal) => {
                write!(f, "key {key}: a permitted duty breaks a rule: {refusal}")
            }
            Self::Lowered(key) => write!(f, "key {key}: its record was made less strict"),
            Self::UnknownKey(key) => write!(f, "key {key} was never admitted"),
            Self::AdmittedTwice(key) => write!(f, "key {key} was admitted twice"),
        }
    }
}

impl core::error::Error for EntryError {}
impl core::error::Error for ReplayError {}
