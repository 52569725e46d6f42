//! What one durable write recorded, its bytes, and the chain of heads over them.
//!
//! Invariants: an entry is written in one encoding; no input makes [`Entry::decode`] panic or
//! reserve more than the input's own length allows.

use alloc::vec::Vec;
use core::fmt;

use sha2::{Digest as _, Sha256};

use crate::codec::{Malformed, Reader, put_short_bytes};
use crate::{
    Digest, Duty, Epoch, GrandpaStage, Intent, KeyId, Record, RefusalKind, Slot, Statement, Subject,
};

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
const GRANDPA_VOTE: u8 = 5;
const SEAL: u8 = 6;
const BEEFY_VOTE: u8 = 7;
const PARA_STATEMENT: u8 = 8;

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
        Duty::GrandpaVote { stage, set_id, round } => {
            out.extend([GRANDPA_VOTE, stage as u8]);
            out.extend_from_slice(&set_id.to_le_bytes());
            out.extend_from_slice(&round.to_le_bytes());
        }
        Duty::Seal { slot } => {
            out.push(SEAL);
            out.extend_from_slice(&slot.0.to_le_bytes());
        }
        Duty::BeefyVote { set_id, block } => {
            out.push(BEEFY_VOTE);
            out.extend_from_slice(&set_id.to_le_bytes());
            out.extend_from_slice(&block.to_le_bytes());
        }
        Duty::ParaStatement { subject, statement } => {
            out.extend([PARA_STATEMENT, statement as u8]);
            out.extend_from_slice(&subject.session.to_le_bytes());
            out.extend_from_slice(&subject.candidate.0);
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
        GRANDPA_VOTE => Duty::GrandpaVote {
            stage: GrandpaStage::from_byte(reader.byte()?).ok_or(Malformed)?,
            set_id: reader.u64()?,
            round: reader.u64()?,
        },
        SEAL => Duty::Seal { slot: Slot(reader.u64()?) },
        BEEFY_VOTE => Duty::BeefyVote { set_id: reader.u64()?, block: reader.u64()? },
        PARA_STATEMENT => Duty::ParaStatement {
            statement: Statement::from_byte(reader.byte()?).ok_or(Malformed)?,
            subject: Subject { session: reader.u32()?, candidate: reader.digest()? },
        },
        IRREVOCABLE => Duty::Irrevocable,
        HARMLESS => Duty::Harmless,
        _ => return Err(Malformed),
    };
    Ok(Intent { duty, digest: reader.digest()? })
}

fn read_record(reader: &mut Reader<'_>) -> Result<Record, Malformed> {
    Record::decode(reader.short_bytes()?).map_err(|_| Malformed)
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

impl core::error::Error for EntryError {}
