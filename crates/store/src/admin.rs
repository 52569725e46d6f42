//! What the operator does to the keys' rows: admit, raise, retire, stop-line, pin.
//!
//! Invariants: each call is one transaction, all or nothing; a record is only ever made stricter,
//! except for its stop-line, which the operator may move freely; a row is never deleted, so that
//! a key that comes back finds its past.

use std::collections::BTreeMap;

use palisade_protect::journal::Event;
use palisade_protect::{
    Digest, KeyId, Record, RecordError, StopLine, SubstrateHistory, SubstrateRecord,
};

use crate::error::StoreError;
use crate::ledger::{Change, Known, Store};
use crate::tables::Standing;

/// A key's past, as the operator vouches for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The key's name in the ledger.
    pub key: KeyId,
    /// The public key in its chain's usual encoding (Ethereum: 48 bytes).
    pub public_key: Vec<u8>,
    /// The least that it must not sign again.
    pub record: Record,
}

/// What became of an [`Admission`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Admitted {
    /// The key was not known; its record is the given one.
    New,
    /// The key was known; its record is now the stricter of both.
    Raised,
    /// The key was known, and forbade at least as much before.
    Unchanged,
}

impl Store {
    /// The name of the network that this store is pinned to.
    #[must_use]
    pub fn network(&self) -> &str {
        &self.network
    }

    /// The genesis validators root that this store is pinned to, once it is known.
    #[must_use]
    pub fn genesis_validators_root(&self) -> Option<Digest> {
        self.genesis_validators_root
    }

    /// Pins the genesis validators root, for good. The same root again is no change.
    ///
    /// # Errors
    /// [`StoreError::PinnedElsewhere`] when another one is pinned; otherwise a failed write.
    pub fn pin_genesis_validators_root(&mut self, root: Digest) -> Result<(), StoreError> {
        self.check_alive()?;
        match self.genesis_validators_root {
            Some(pinned) if pinned == root => Ok(()),
            Some(pinned) => Err(StoreError::PinnedElsewhere { pinned, given: root }),
            None => self.write(Change { genesis_validators_root: Some(root), ..Change::default() }),
        }
    }

    /// Lets keys sign from here on. A key that is known already, or was retired, keeps whatever
    /// its record forbids, and takes on what the given one forbids.
    ///
    /// # Errors
    /// [`StoreError`]; then none was admitted.
    pub fn admit(&mut self, admissions: &[Admission]) -> Result<Vec<Admitted>, StoreError> {
        self.bring(admissions, Some(Standing::Active))
    }

    /// Raises records to the stricter of the stored and the given one (an EIP-3076 import). The
    /// history of a key that is not here is kept for the day when the key comes; until then it
    /// stands as retired.
    ///
    /// # Errors
    /// [`StoreError`]; then none was raised.
    pub fn raise(&mut self, histories: &[Admission]) -> Result<Vec<Admitted>, StoreError> {
        self.bring(histories, None)
    }

    /// Takes keys out of service. Their records stay, and a retired key is refused as unknown.
    ///
    /// # Errors
    /// [`StoreError::UnknownKey`] or a failed write; then none was retired.
    pub fn retire(&mut self, keys: &[KeyId]) -> Result<(), StoreError> {
        self.check_alive()?;
        let mut change = Change::default();
        for key in keys {
            let known = self.known(key)?;
            if known.standing == Standing::Retired || change.keys.contains_key(key) {
                continue;
            }
            let read = self.database_as_it_is().and_then(|snapshot| snapshot.public_key(key));
            let public_key = read.map_err(|error| self.die(error))?;
            change.keys.insert(*key, (Standing::Retired, public_key));
            change.events.push(Event::Retired { key: *key });
        }
        self.write_if_any(change)
    }

    /// Replaces the stop-line of keys; `StopLine::default()` takes it away.
    ///
    /// # Errors
    /// [`StoreError::UnknownKey`] or a failed write; then no line was moved.
    pub fn set_stop_line(&mut self, keys: &[KeyId], line: StopLine) -> Result<(), StoreError> {
        self.check_alive()?;
        let mut change = Change::default();
        for key in keys {
            let before = self.known(key)?.record;
            let Record::Ethereum(mut record) = before else {
                return Err(StoreError::Bug("a stop-line for a chain without one"));
            };
            record.stop_line = line;
            let record = Record::Ethereum(record);
            if record != before && change.records.insert(*key, record).is_none() {
                change.events.push(Event::Raised { key: *key, record });
            }
        }
        self.write_if_any(change)
    }

    /// Ends the waiting of a session key of unknown past, and raises its record to `history`.
    ///
    /// # Errors
    /// [`StoreError::UnknownKey`], [`StoreError::Record`] for the history of another kind of key,
    /// or a failed write; then nothing changed.
    pub fn set_floor(&mut self, key: &KeyId, history: SubstrateHistory) -> Result<(), StoreError> {
        self.check_alive()?;
        let before = self.known(key)?.record;
        let Record::Substrate(waiting) = before else {
            return Err(StoreError::Record(*key, RecordError::OfAnotherChain));
        };
        let floor = Record::Substrate(SubstrateRecord { history, ..waiting });
        let merged = before.merge_stricter(floor);
        let mut record = merged.map_err(|error| StoreError::Record(*key, error))?;
        if let Record::Substrate(raised) = &mut record {
            raised.awaits_floor = false;
        }
        let mut change = Change::default();
        if record != before {
            change.records.insert(*key, record);
            change.events.push(Event::Raised { key: *key, record });
        }
        self.write_if_any(change)
    }

    /// The record of a key, retired or not.
    #[must_use]
    pub fn record(&self, key: &KeyId) -> Option<Record> {
        self.keys.get(key).map(|known| known.record)
    }

    /// How many of `keys` may not sign here: not admitted, or retired.
    ///
    /// # Errors
    /// [`StoreError::Dead`].
    pub fn missing_records(&self, keys: &[KeyId]) -> Result<usize, StoreError> {
        self.check_alive()?;
        Ok(keys.iter().filter(|key| !self.is_active(key)).count())
    }

    /// Whether the key may sign here: admitted, and not retired.
    #[must_use]
    pub fn is_active(&self, key: &KeyId) -> bool {
        self.keys.get(key).is_some_and(|known| known.standing == Standing::Active)
    }

    /// All records, in no order.
    pub fn records(&self) -> impl Iterator<Item = (KeyId, Record, Standing)> + '_ {
        self.keys.iter().map(|(key, known)| (*key, known.record, known.standing))
    }

    fn known(&self, key: &KeyId) -> Result<Known, StoreError> {
        self.keys.get(key).copied().ok_or(StoreError::UnknownKey(*key))
    }

    /// Merges records in; gives the keys the `standing`, or leaves them the one they have.
    fn bring(
        &mut self,
        admissions: &[Admission],
        standing: Option<Standing>,
    ) -> Result<Vec<Admitted>, StoreError> {
        self.check_alive()?;
        let public_keys = self.public_keys_of(admissions).map_err(|error| self.die(error))?;
        let mut change = Change::default();
        let mut outcomes = Vec::with_capacity(admissions.len());
        for admission in admissions {
            let key = &admission.key;
            if public_keys.get(key) != Some(&admission.public_key) {
                return Err(StoreError::Bug("one key id for two public keys"));
            }
            outcomes.push(self.bring_one(admission, standing, &mut change)?);
        }
        self.write_if_any(change)?;
        Ok(outcomes)
    }

    fn bring_one(
        &self,
        admission: &Admission,
        standing: Option<Standing>,
        change: &mut Change,
    ) -> Result<Admitted, StoreError> {
        let key = admission.key;
        let known = self.keys.get(&key);
        let before = change.records.get(&key).copied().or(known.map(|known| known.record));
        let had = change.keys.get(&key).map(|(had, _)| *had).or(known.map(|known| known.standing));
        let has = standing.or(had).unwrap_or(Standing::Retired);
        if had != Some(has) {
            change.keys.insert(key, (has, admission.public_key.clone()));
        }
        let Some(before) = before else {
            change.records.insert(key, admission.record);
            change.events.push(Event::Admitted { key, record: admission.record });
            if has == Standing::Retired {
                change.events.push(Event::Retired { key });
            }
            return Ok(Admitted::New);
        };
        let merged = before.merge_stricter(admission.record);
        let record = merged.map_err(|error| StoreError::Record(key, error))?;
        if record != before {
            change.records.insert(key, record);
        }
        if record != before || had != Some(has) {
            change.events.push(Event::Raised { key, record });
        }
        Ok(if record == before { Admitted::Unchanged } else { Admitted::Raised })
    }

    /// The public keys that belong to the ids: the stored ones first, else the first given.
    fn public_keys_of(
        &self,
        admissions: &[Admission],
    ) -> Result<BTreeMap<KeyId, Vec<u8>>, StoreError> {
        let snapshot = self.database_as_it_is()?;
        let mut found = BTreeMap::new();
        for admission in admissions {
            if found.contains_key(&admission.key) {
                continue;
            }
            let public_key = match self.keys.contains_key(&admission.key) {
                true => snapshot.public_key(&admission.key)?,
                false => admission.public_key.clone(),
            };
            found.insert(admission.key, public_key);
        }
        Ok(found)
    }

    fn write_if_any(&mut self, change: Change) -> Result<(), StoreError> {
        if change.events.is_empty() { Ok(()) } else { self.write(change) }
    }
}
