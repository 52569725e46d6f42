//! Reading a history, in one pass and without keeping it.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufReader, Read};

use palisade_protect::{Attestation, Digest, Epoch, EthereumRecord, Proposal, Slot, StopLine};
use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::bounded::BoundedReader;
use super::{FORMAT_VERSION, InterchangeError};
use crate::containers::Root;
use crate::error::excerpt;
use crate::integer::Uint64;
use crate::public_key::PublicKey;

/// The most keys that one history may hold.
pub const MAX_KEYS: usize = 1_000_000;

/// Reads a whole history and reduces it to one record for each key.
///
/// A key that comes more than once gets the strictest record of all its entries. A key without
/// any message gets an empty record. The records have no signing roots, so nothing in them is
/// ever signed again.
///
/// # Errors
/// [`InterchangeError`]; nothing is taken from a file that cannot be read to its end, that is of
/// another version, or whose genesis validators root is not `expected`.
pub fn read(
    source: impl Read,
    expected: &Digest,
) -> Result<BTreeMap<PublicKey, EthereumRecord>, InterchangeError> {
    let reader = BufReader::new(BoundedReader::new(source));
    let mut deserializer = serde_json::Deserializer::from_reader(reader);
    let mut records = Records::default();
    let metadata = Document { records: &mut records }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    if metadata.interchange_format_version.0 != FORMAT_VERSION {
        return Err(InterchangeError::WrongVersion {
            found: metadata.interchange_format_version.0,
        });
    }
    let found = Digest(metadata.genesis_validators_root.0);
    if found != *expected {
        return Err(InterchangeError::WrongGenesisValidatorsRoot { found, expected: *expected });
    }
    if records.overflowed {
        return Err(InterchangeError::TooManyKeys);
    }
    Ok(records.by_key.into_iter().map(|(key, highest)| (key, highest.record())).collect())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    interchange_format_version: ShortText,
    genesis_validators_root: Root,
}

/// A string of which an error may repeat the start.
struct ShortText(String);

impl<'de> Deserialize<'de> for ShortText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(excerpt(&text)))
    }
}

/// What was read so far.
#[derive(Default)]
struct Records {
    by_key: BTreeMap<PublicKey, Highest>,
    overflowed: bool,
}

/// The highest message of each kind, which forbids all of them.
#[derive(Clone, Copy, Default)]
struct Highest {
    slot: Option<u64>,
    source: Option<u64>,
    target: Option<u64>,
}

impl Highest {
    fn and(self, other: Self) -> Self {
        // `None` is below every number.
        Self {
            slot: self.slot.max(other.slot),
            source: self.source.max(other.source),
            target: self.target.max(other.target),
        }
    }

    fn record(self) -> EthereumRecord {
        let attestation = self.source.zip(self.target).map(|(source, target)| Attestation {
            source: Epoch(source),
            target: Epoch(target),
            root: None,
        });
        EthereumRecord {
            proposal: self.slot.map(|slot| Proposal { slot: Slot(slot), root: None }),
            attestation,
            stop_line: StopLine::default(),
        }
    }
}

impl Records {
    fn add(&mut self, key: PublicKey, highest: Highest) {
        if self.by_key.len() == MAX_KEYS && !self.by_key.contains_key(&key) {
            self.overflowed = true;
            return;
        }
        let known = self.by_key.entry(key).or_default();
        *known = known.and(highest);
    }
}

/// The outermost object. Its two fields may come in any order.
struct Document<'r> {
    records: &'r mut Records,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum DocumentField {
    Metadata,
    Data,
}

impl<'de> DeserializeSeed<'de> for Document<'_> {
    type Value = Metadata;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Metadata, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Document<'_> {
    type Value = Metadata;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `metadata` and `data`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metadata, A::Error> {
        let (mut metadata, mut data) = (None, None);
        while let Some(field) = map.next_key()? {
            match field {
                DocumentField::Metadata => once("metadata", &mut metadata, map.next_value()?)?,
                DocumentField::Data => {
                    if data.is_some() {
                        return Err(de::Error::duplicate_field("data"));
                    }
                    data = Some(map.next_value_seed(Data { records: &mut *self.records })?);
                }
            }
        }
        data.ok_or_else(|| de::Error::missing_field("data"))?;
        metadata.ok_or_else(|| de::Error::missing_field("metadata"))
    }
}

fn once<T, E: de::Error>(name: &'static str, place: &mut Option<T>, value: T) -> Result<(), E> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(E::duplicate_field(name)),
    }
}

/// The list of keys, each added as it is read.
struct Data<'r> {
    records: &'r mut Records,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyHistory {
    pubkey: PublicKey,
    signed_blocks: HighestBlock,
    signed_attestations: HighestAttestation,
}

impl<'de> DeserializeSeed<'de> for Data<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Data<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of key histories")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        while let Some(history) = sequence.next_element::<KeyHistory>()? {
            let KeyHistory { pubkey, signed_blocks, signed_attestations } = history;
            self.records.add(pubkey, signed_blocks.0.and(signed_attestations.0));
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignedBlock {
    slot: Uint64,
    #[serde(rename = "signing_root")]
    _signing_root: Option<Root>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignedAttestation {
    source_epoch: Uint64,
    target_epoch: Uint64,
    #[serde(rename = "signing_root")]
    _signing_root: Option<Root>,
}

impl From<SignedBlock> for Highest {
    fn from(block: SignedBlock) -> Self {
        Self { slot: Some(block.slot.0), ..Self::default() }
    }
}

impl From<SignedAttestation> for Highest {
    fn from(vote: SignedAttestation) -> Self {
        let (source, target) = (Some(vote.source_epoch.0), Some(vote.target_epoch.0));
        Self { slot: None, source, target }
    }
}

/// The list `signed_blocks`, folded.
struct HighestBlock(Highest);

/// The list `signed_attestations`, folded.
struct HighestAttestation(Highest);

/// Folds a list of messages while it is read.
struct Fold<T>(std::marker::PhantomData<T>);

impl<'de, T: Deserialize<'de> + Into<Highest>> Visitor<'de> for Fold<T> {
    type Value = Highest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of signed messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Highest, A::Error> {
        let mut highest = Highest::default();
        while let Some(message) = sequence.next_element::<T>()? {
            highest = highest.and(message.into());
        }
        Ok(highest)
    }
}

impl<'de> Deserialize<'de> for HighestBlock {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fold = Fold::<SignedBlock>(std::marker::PhantomData);
        deserializer.deserialize_seq(fold).map(Self)
    }
}

impl<'de> Deserialize<'de> for HighestAttestation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fold = Fold::<SignedAttestation>(std::marker::PhantomData);
        deserializer.deserialize_seq(fold).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_too_many_is_noticed_and_a_known_one_is_not_too_many() {
        let key = |number: usize| {
            let mut bytes = [0; 48];
            bytes.iter_mut().zip(number.to_le_bytes()).for_each(|(place, byte)| *place = byte);
            PublicKey(bytes)
        };
        let mut records = Records::default();
        (0..MAX_KEYS).for_each(|number| records.add(key(number), Highest::default()));
        records.add(key(0), Highest { slot: Some(5), ..Highest::default() });
        assert!(!records.overflowed);
        assert_eq!(records.by_key.get(&key(0)).and_then(|highest| highest.slot), Some(5));
        records.add(key(MAX_KEYS), Highest::default());
        assert!(records.overflowed);
        assert_eq!(records.by_key.len(), MAX_KEYS);
    }
}
