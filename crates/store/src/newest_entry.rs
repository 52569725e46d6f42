//! The pair assertion at the start: the newest journal entry and the records that it touched.
//!
//! Invariant: a store opens only when its newest entry continues the hash chain of the one before
//! it and says the same as the records. The whole journal is checked on demand
//! ([`Snapshot::verify_journal`](crate::Snapshot::verify_journal)).

use std::collections::{HashMap, HashSet};
use std::mem::{Discriminant, discriminant};

use palisade_protect::journal::{self, Entry, Event};
use palisade_protect::{
    Digest, Duty, EthereumRecord, GrandpaStage, Intent, KeyId, Record, Stance, Subject, decide,
};
use redb::{ReadTransaction, ReadableTable};

use crate::error::{Damage, StoreError};
use crate::ledger::Known;
use crate::stances;
use crate::tables::{self, JOURNAL, State};

/// Checks the newest entry against `state` and `keys`.
pub(crate) fn check(
    transaction: &ReadTransaction,
    state: &State,
    keys: &HashMap<KeyId, Known>,
) -> Result<(), StoreError> {
    let ends = Ends::read(transaction, state.entries)
        .map_err(StoreError::while_doing("reading the journal"))?;
    let damaged = || StoreError::Damaged(Damage::JournalHead);
    if ends.last_number != state.entries {
        return Err(damaged());
    }
    let Some(newest) = &ends.newest else {
        return if state.head == journal::GENESIS { Ok(()) } else { Err(damaged()) };
    };
    let head_before = ends.head_before(state.entries).ok_or_else(damaged)?;
    let (head, encoded) = tables::decode_journal_row(newest).ok_or_else(damaged)?;
    if head != state.head || journal::chain(&head_before, encoded) != head {
        return Err(damaged());
    }
    let entry = Entry::decode(encoded).map_err(|_| damaged())?;
    check_entry(&entry.events, keys, |key, subject| stances::read_in(transaction, key, subject))
}

/// Checks the events of the newest entry against the records and stances after it.
pub(crate) fn check_entry(
    events: &[Event],
    keys: &HashMap<KeyId, Known>,
    stance: impl Fn(&KeyId, &Subject) -> Result<Stance, StoreError>,
) -> Result<(), StoreError> {
    check_stances(events, keys, stance)?;
    check_events(events, keys).map_err(|key| StoreError::Damaged(Damage::JournalAgainstRecord(key)))
}

/// The last two rows of the journal.
struct Ends {
    last_number: u64,
    before: Option<Vec<u8>>,
    newest: Option<Vec<u8>>,
}

impl Ends {
    fn read(transaction: &ReadTransaction, newest: u64) -> Result<Self, redb::Error> {
        let table = transaction.open_table(JOURNAL)?;
        let row = |number: u64| -> Result<Option<Vec<u8>>, redb::Error> {
            Ok(table.get(number)?.map(|row| row.value().to_vec()))
        };
        Ok(Self {
            last_number: table.last()?.map_or(0, |(number, _)| number.value()),
            before: row(newest.saturating_sub(1))?,
            newest: row(newest)?,
        })
    }

    fn head_before(&self, newest: u64) -> Option<Digest> {
        match &self.before {
            Some(row) => tables::decode_journal_row(row).map(|(head, _)| head),
            None => (newest == 1).then_some(journal::GENESIS),
        }
    }
}

/// Each event must stand in the record, unless a later one of the entry says it anew. From the
/// back, so that what is superseded is known when it comes: an import can have 100,000 events.
fn check_events(events: &[Event], keys: &HashMap<KeyId, Known>) -> Result<(), KeyId> {
    let mut later = Later::default();
    events.iter().rev().try_for_each(|event| {
        let record = |key: &KeyId| keys.get(key).map(|known| known.record).ok_or(*key);
        let (key, holds) = match event {
            Event::Permitted { key, intent } => {
                let superseded = later.supersedes(key, intent);
                later.note_permit(*key, intent);
                (key, superseded || stands_in(&record(key)?, intent))
            }
            Event::Admitted { key, record: given } | Event::Raised { key, record: given } => {
                let superseded = later.changes(key);
                if matches!(event, Event::Raised { .. }) {
                    later.raised.insert(*key);
                }
                (key, superseded || record(key)? == *given)
            }
            Event::Refused { key, .. } | Event::Retired { key } => (key, keys.contains_key(key)),
            _ => return Ok(()),
        };
        if holds { Ok(()) } else { Err(*key) }
    })
}

/// Each permitted statement must stand in its stance, unless its session lies below the floor.
fn check_stances(
    events: &[Event],
    keys: &HashMap<KeyId, Known>,
    stance: impl Fn(&KeyId, &Subject) -> Result<Stance, StoreError>,
) -> Result<(), StoreError> {
    for event in events {
        let Event::Permitted { key, intent } = event else { continue };
        let Duty::ParaStatement { subject, statement } = intent.duty else { continue };
        let floor = keys.get(key).and_then(|known| known.record.session_floor());
        let is_remembered = floor.is_some_and(|floor| floor <= subject.session);
        if is_remembered && !stance(key, &subject)?.contains(statement) {
            return Err(StoreError::Damaged(Damage::JournalAgainstRecord(*key)));
        }
    }
    Ok(())
}

/// What the events behind the current one changed.
#[derive(Default)]
struct Later {
    raised: HashSet<KeyId>,
    permitted: HashSet<KeyId>,
    permitted_kinds: HashSet<(KeyId, Kind)>,
}

/// What a record holds one message of each: a duty's kind, of GRANDPA's votes each stage by itself.
type Kind = (Discriminant<Duty>, Option<GrandpaStage>);

fn kind(duty: &Duty) -> Kind {
    let stage = match duty {
        Duty::GrandpaVote { stage, .. } => Some(*stage),
        _ => None,
    };
    (discriminant(duty), stage)
}

impl Later {
    fn note_permit(&mut self, key: KeyId, intent: &Intent) {
        self.permitted.insert(key);
        self.permitted_kinds.insert((key, kind(&intent.duty)));
    }

    fn supersedes(&self, key: &KeyId, intent: &Intent) -> bool {
        self.raised.contains(key) || self.permitted_kinds.contains(&(*key, kind(&intent.duty)))
    }

    fn changes(&self, key: &KeyId) -> bool {
        self.raised.contains(key) || self.permitted.contains(key)
    }
}

fn stands_in(record: &Record, intent: &Intent) -> bool {
    match record {
        // Its stance is held against the statement by itself; the record has a floor by then.
        Record::Substrate(_) if intent.duty.subject().is_some() => record.session_floor().is_some(),
        Record::Ethereum(record) => stands_in_ethereum(record, intent),
        // The rules themselves say so: the last message again changes nothing.
        Record::Substrate(_) => decide(record, intent) == Ok(*record),
        _ => false,
    }
}

fn stands_in_ethereum(record: &EthereumRecord, intent: &Intent) -> bool {
    let root = Some(intent.digest);
    match intent.duty {
        Duty::Proposal { slot } => {
            record.proposal.is_some_and(|last| (last.slot, last.root) == (slot, root))
        }
        Duty::Attestation { source, target } => record
            .attestation
            .is_some_and(|last| (last.source, last.target, last.root) == (source, target, root)),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use palisade_protect::{KeyType, SubstrateRecord};

    use super::*;
    use crate::tables::Standing;

    const KEY: KeyId = KeyId([1; 32]);

    fn vote(stage: GrandpaStage, round: u64, content: u8) -> Event {
        let duty = Duty::GrandpaVote { stage, set_id: 1, round };
        Event::Permitted { key: KEY, intent: Intent { duty, digest: Digest([content; 32]) } }
    }

    /// A ledger in which these, and nothing else, were permitted.
    fn keys_after(events: &[Event]) -> HashMap<KeyId, Known> {
        let fresh = SubstrateRecord::fresh(Digest([9; 32]), KeyType::GRANDPA).unwrap();
        let mut record = Record::Substrate(fresh);
        for event in events {
            let Event::Permitted { intent, .. } = event else { panic!("{event:?}") };
            record = decide(&record, intent).unwrap();
        }
        HashMap::from([(KEY, Known { standing: Standing::Active, record })])
    }

    #[test]
    fn a_vote_of_another_stage_does_not_excuse_a_missing_one() {
        use GrandpaStage::{Precommit, Prevote, PrimaryPropose};
        let entry = [
            vote(PrimaryPropose, 5, 1),
            vote(Prevote, 4, 2),
            vote(Prevote, 5, 3),
            vote(Precommit, 5, 4),
        ];
        assert_eq!(check_events(&entry, &keys_after(&entry)), Ok(()));
        for lost in [0, 2, 3] {
            let mut written = entry.to_vec();
            written.remove(lost);
            assert_eq!(check_events(&entry, &keys_after(&written)), Err(KEY), "without {lost}");
        }
        // A later vote of the same stage says it anew.
        let mut written = entry.to_vec();
        written.remove(1);
        assert_eq!(check_events(&entry, &keys_after(&written)), Ok(()));
    }
}
