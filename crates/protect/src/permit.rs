//! The only way to a signature: load, decide, make durable, permit.
//!
//! Invariants: a [`Permit`] exists only for an intent that [`decide_with_stance`] allowed. Whatever
//! changes a record or a stance, or cannot be taken back, is durable by then, with its journal
//! event ([`Ledger::persist`]); only what the durable ones allow without a change needs no write.
//! Others may name and move a permit (the first example shows that the next two fail for no other
//! reason), but not make or copy one:
//!
//! ```
//! use palisade_protect::{Digest, KeyId, Permit};
//! let names = (KeyId([0; 32]), Digest([0; 32]));
//! fn once(permit: Permit) -> [Permit; 1] {
//!     [permit]
//! }
//! ```
//! ```compile_fail,E0451
//! use palisade_protect::{Digest, KeyId, Permit};
//! let forged = Permit { key: KeyId([0; 32]), digest: Digest([0; 32]) };
//! ```
//! ```compile_fail,E0599
//! fn twice(permit: palisade_protect::Permit) -> [palisade_protect::Permit; 2] {
//!     [permit.clone(), permit]
//! }
//! ```

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use crate::journal::Event;
use crate::{Digest, Duty, Intent, KeyId, Record, Refusal, Stance, Subject, decide_with_stance};

/// Proof that signing one digest with one key was decided and made durable. Consumed by signing.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a permit that is dropped is a duty that is missed"]
pub struct Permit {
    key: KeyId,
    digest: Digest,
}

impl Permit {
    /// The key that may sign.
    #[must_use]
    pub fn key(&self) -> KeyId {
        self.key
    }

    /// The digest that may be signed.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

/// Where records are kept. `store` implements it on a file; an implementation that reports
/// durability wrongly breaks every promise of this crate.
pub trait Ledger {
    /// Why the ledger cannot tell, or could not write. Cloned into every answer of the batch.
    type Error: Clone;

    /// The newest durable record of `key`; `None` when the key is not known here.
    ///
    /// # Errors
    /// When the ledger cannot tell.
    fn load(&mut self, key: &KeyId) -> Result<Option<Record>, Self::Error>;

    /// All that `key` said of `subject`, durably; [`Stance::NONE`] when it said nothing. Below the
    /// [`Record::session_floor`] a ledger may have forgotten it.
    ///
    /// # Errors
    /// When the ledger cannot tell.
    fn stance(&mut self, key: &KeyId, subject: &Subject) -> Result<Stance, Self::Error>;

    /// Makes all `changes` and `events` durable, or none of them.
    ///
    /// # Errors
    /// When that is not certain. The ledger must then answer every later call with an error until
    /// it has been opened anew.
    fn persist(&mut self, changes: &Changes, events: Vec<Event>) -> Result<(), Self::Error>;

    /// Keeps an event for the journal without a write of its own; it may be lost in a crash.
    fn defer(&mut self, event: Event);
}

/// What a batch changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The records as they become.
    pub records: BTreeMap<KeyId, Record>,
    /// The stances as they become.
    pub stances: BTreeMap<(KeyId, Subject), Stance>,
}

/// Why there is no permit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied<E> {
    /// A rule says no.
    Refused(Refusal),
    /// The ledger holds no record of this key: its past is unknown, so it does not sign.
    UnknownKey(KeyId),
    /// The ledger cannot tell, or could not write: nothing may be signed.
    Failed(E),
}

/// Decides a batch in order and makes it durable with one [`Ledger::persist`].
///
/// Each answer stands at its request's place. A denial does not touch its neighbours; a failed
/// write denies all that needed it.
pub fn authorise<L: Ledger>(
    ledger: &mut L,
    batch: &[(KeyId, Intent)],
) -> Vec<Result<Permit, Denied<L::Error>>> {
    let mut working = Working::default();
    let decisions: Vec<_> =
        batch.iter().map(|(key, intent)| working.decide_one(ledger, key, intent)).collect();
    let written = working.persist(ledger);
    let permit = |((key, intent), decision): (&(KeyId, Intent), Result<Needs, _>)| {
        if decision? == Needs::Persist {
            written.clone().map_err(Denied::Failed)?;
        }
        Ok(Permit { key: *key, digest: intent.digest })
    };
    batch.iter().zip(decisions).map(permit).collect()
}

/// What must have happened before a positive decision may leave.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    Persist,
}

/// What a batch needs of the ledger, and what it becomes before that is durable.
#[derive(Default)]
struct Working {
    loaded: Changes,
    changed: Changes,
    events: Vec<Event>,
}

impl Working {
    fn decide_one<L: Ledger>(
        &mut self,
        ledger: &mut L,
        key: &KeyId,
        intent: &Intent,
    ) -> Result<Needs, Denied<L::Error>> {
        let record = self.record(ledger, key)?;
        let subject = intent.duty.subject().map(|subject| (*key, subject));
        let stance = self.stance(ledger, subject)?;
        let (next, next_stance) = match decide_with_stance(&record, stance, intent) {
            Ok(next) => next,
            Err(refusal) => {
                ledger.defer(Event::Refused { key: *key, intent: *intent, kind: refusal.kind });
                return Err(Denied::Refused(refusal));
            }
        };
        if (next, next_stance) == (record, stance) && intent.duty != Duty::Irrevocable {
            let durable = self.is_durable(key, subject, intent);
            return Ok(if durable { Needs::Nothing } else { Needs::Persist });
        }
        if next != record {
            self.changed.records.insert(*key, next);
        }
        if let Some(subject) = subject.filter(|_| next_stance != stance) {
            self.changed.stances.insert(subject, next_stance);
        }
        self.events.push(Event::Permitted { key: *key, intent: *intent });
        Ok(Needs::Persist)
    }

    /// Whether a harmless intent, or a repeat, may leave at once: only if what is durable allows it
    /// by itself; a repeat of a message of this batch waits for that message's write.
    fn is_durable(&self, key: &KeyId, subject: Option<(KeyId, Subject)>, intent: &Intent) -> bool {
        let stance = subject.and_then(|subject| self.loaded.stances.get(&subject).copied());
        let stance = stance.unwrap_or_default();
        self.loaded.records.get(key).is_some_and(|record| {
            decide_with_stance(record, stance, intent) == Ok((*record, stance))
        })
    }

    fn stance<L: Ledger>(
        &mut self,
        ledger: &mut L,
        subject: Option<(KeyId, Subject)>,
    ) -> Result<Stance, Denied<L::Error>> {
        let Some(subject) = subject else { return Ok(Stance::NONE) };
        let known = self.changed.stances.get(&subject).or(self.loaded.stances.get(&subject));
        if let Some(stance) = known {
            return Ok(*stance);
        }
        let stance = ledger.stance(&subject.0, &subject.1).map_err(Denied::Failed)?;
        self.loaded.stances.insert(subject, stance);
        Ok(stance)
    }

    fn record<L: Ledger>(
        &mut self,
        ledger: &mut L,
        key: &KeyId,
    ) -> Result<Record, Denied<L::Error>> {
        let known = self.changed.records.get(key).or_else(|| self.loaded.records.get(key));
        if let Some(record) = known {
            return Ok(*record);
        }
        let record = ledger.load(key).map_err(Denied::Failed)?.ok_or(Denied::UnknownKey(*key))?;
        self.loaded.records.insert(*key, record);
        Ok(record)
    }

    fn persist<L: Ledger>(self, ledger: &mut L) -> Result<(), L::Error> {
        if self.events.is_empty() {
            return Ok(());
        }
        ledger.persist(&self.changed, self.events)
    }
}

impl<E: fmt::Display> fmt::Display for Denied<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::UnknownKey(key) => write!(f, "no record of key {key}: its past is unknown"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for Denied<E> {}
