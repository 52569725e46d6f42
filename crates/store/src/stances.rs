//! The rows of stances: what each key said of each candidate, exactly.
//!
//! Invariants: a stance is written in the transaction of the record and the journal entry that go
//! with it, and only ever gains statements; a row goes only when its session lies below the session
//! floor of its key's record, where the rules permit nothing whatever was said. Old rows go a few
//! with each write, so that no write has to wait for a whole session's.

use std::collections::{BTreeMap, HashMap};

use palisade_protect::{Digest, KeyId, Stance, Subject};
use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable, Table, WriteTransaction};

use crate::error::{Damage, StoreError};
use crate::ledger::Known;
use crate::tables::{self, RowsDigest, STANCES};

/// Rows that a write drops beside twice as many as it adds.
const DROPPED_A_WRITE: usize = 64;

type Stances = BTreeMap<(KeyId, Subject), Stance>;
type StanceTable<'a> = Table<'a, &'static [u8; tables::STANCE_KEY_BYTES], u8>;

/// What `key` said of `subject`.
pub(crate) fn read(
    database: &Database,
    key: &KeyId,
    subject: &Subject,
) -> Result<Stance, StoreError> {
    let transaction =
        database.begin_read().map_err(StoreError::while_doing("reading the store"))?;
    read_in(&transaction, key, subject)
}

/// What `key` had said of `subject` at the moment of `transaction`.
pub(crate) fn read_in(
    transaction: &ReadTransaction,
    key: &KeyId,
    subject: &Subject,
) -> Result<Stance, StoreError> {
    let get = || -> Result<Option<u8>, redb::Error> {
        let table = transaction.open_table(STANCES)?;
        Ok(table.get(&tables::stance_key(key, subject))?.map(|row| row.value()))
    };
    match get().map_err(StoreError::while_doing("reading the store"))? {
        None => Ok(Stance::NONE),
        Some(byte) => {
            Stance::from_byte(byte).ok_or_else(|| StoreError::damaged("the row of a stance"))
        }
    }
}

/// Writes the stances and drops some of those that lie below `floors`.
pub(crate) fn put(
    transaction: &WriteTransaction,
    stances: &Stances,
    floor: impl Fn(&KeyId) -> Option<u32>,
    rows: &mut RowsDigest,
) -> Result<(), redb::Error> {
    if stances.is_empty() {
        return Ok(());
    }
    let mut added: BTreeMap<KeyId, usize> = BTreeMap::new();
    let mut table = transaction.open_table(STANCES)?;
    for ((key, subject), stance) in stances {
        let row = tables::stance_key(key, subject);
        let old = table.insert(&row, stance.byte())?.map(|old| old.value());
        if let Some(old) = old {
            if Stance::from_byte(old).is_none_or(|old| !stance.includes(old)) {
                return Err(redb::Error::Corrupted(format!("a stance of key {key} changed")));
            }
            rows.toggle("stances", &row, &[old]);
        }
        rows.toggle("stances", &row, &[stance.byte()]);
        *added.entry(*key).or_default() += 1;
    }
    for (key, added) in added {
        if let Some(floor) = floor(&key) {
            drop_below(&mut table, &key, floor, DROPPED_A_WRITE + 2 * added, rows)?;
        }
    }
    Ok(())
}

fn drop_below(
    table: &mut StanceTable<'_>,
    key: &KeyId,
    floor: u32,
    most: usize,
    rows: &mut RowsDigest,
) -> Result<(), redb::Error> {
    let from = |session| tables::stance_key(key, &Subject { session, candidate: Digest([0; 32]) });
    let mut old = Vec::new();
    for row in table.range::<&[u8; tables::STANCE_KEY_BYTES]>(&from(0)..&from(floor))?.take(most) {
        old.push(*row?.0.value());
    }
    for row in old {
        if let Some(value) = table.remove(&row)? {
            rows.toggle("stances", &row, &[value.value()]);
        }
    }
    Ok(())
}

/// Reads every row, adds it to the digest, and checks that its key is known.
pub(crate) fn check(
    transaction: &ReadTransaction,
    keys: &HashMap<KeyId, Known>,
    rows: &mut RowsDigest,
) -> Result<(), StoreError> {
    each(transaction, |row, (key, _), stance| {
        rows.toggle("stances", row, &[stance.byte()]);
        if keys.contains_key(&key) { Ok(()) } else { Err(StoreError::Damaged(Damage::Rows)) }
    })
}

/// The key of the first stance that is not the one in `expected`, of those in sessions that `floor`
/// lets a key speak about.
pub(crate) fn first_difference(
    transaction: &ReadTransaction,
    expected: &Stances,
    floor: impl Fn(&KeyId) -> Option<u32>,
) -> Result<Option<KeyId>, StoreError> {
    let mut expected = expected.clone();
    let mut different = None;
    each(transaction, |_, (key, subject), stance| {
        let is_remembered = floor(&key).is_none_or(|floor| floor <= subject.session);
        if is_remembered && expected.remove(&(key, subject)) != Some(stance) {
            different.get_or_insert(key);
        }
        Ok(())
    })?;
    Ok(different.or_else(|| expected.first_key_value().map(|((key, _), _)| *key)))
}

fn each(
    transaction: &ReadTransaction,
    mut see: impl FnMut(&[u8], (KeyId, Subject), Stance) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let reading = || StoreError::while_doing("reading the store");
    let table = transaction.open_table(STANCES).map_err(StoreError::while_doing("reading"))?;
    for row in table.iter().map_err(reading())? {
        let (row, value) = row.map_err(reading())?;
        let (subject, stance) = tables::decode_stance_row(row.value(), value.value())?;
        see(row.value(), subject, stance)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use palisade_protect::{
        Duty, Intent, KeyType, Ledger as _, Record, Statement, SubstrateRecord, authorise,
    };
    use redb::ReadableTableMetadata as _;

    use super::*;
    use crate::ledger::{begin_durable, put_state};
    use crate::open::load;
    use crate::testing::{FaultyDisk, SMALL_LOG_BYTES};
    use crate::{Admission, Creation, FaultReason, Store};

    const KEYS: [KeyId; 2] = [KeyId([1; 32]), KeyId([2; 32])];

    fn store() -> (FaultyDisk, Store) {
        let disk = FaultyDisk::new();
        let settings = Creation { network: "minimal".to_owned(), genesis_validators_root: None };
        let mut store =
            Store::create_with_backend(disk.clone(), settings, SMALL_LOG_BYTES).unwrap();
        let record = SubstrateRecord::fresh(Digest([7; 32]), KeyType::PARACHAIN).unwrap();
        let record = Record::Substrate(record);
        let admissions = KEYS.map(|key| Admission { key, public_key: key.0.to_vec(), record });
        store.admit(&admissions).unwrap();
        (disk, store)
    }

    fn about(session: u32, candidate: u32, statement: Statement) -> Intent {
        let mut hash = [0; 32];
        hash[..4].copy_from_slice(&candidate.to_le_bytes());
        let subject = Subject { session, candidate: Digest(hash) };
        hash[4] = statement as u8;
        Intent { duty: Duty::ParaStatement { subject, statement }, digest: Digest(hash) }
    }

    fn say(store: &mut Store, key: KeyId, intents: &[Intent]) {
        let batch: Vec<_> = intents.iter().map(|intent| (key, *intent)).collect();
        assert!(authorise(store, &batch).iter().all(Result::is_ok));
    }

    fn rows(store: &mut Store) -> u64 {
        store.checkpoint().unwrap();
        let transaction = store.database.begin_read().unwrap();
        transaction.open_table(STANCES).unwrap().len().unwrap()
    }

    fn reopened(disk: &FaultyDisk) -> Store {
        Store::open_with_backend(FaultyDisk::from_image(disk.image())).unwrap()
    }

    #[test]
    fn what_was_said_is_known_after_a_restart() {
        let (disk, mut store) = store();
        say(&mut store, KEYS[0], &[about(5, 1, Statement::Seconded)]);
        say(&mut store, KEYS[0], &[about(5, 1, Statement::Approved)]);
        drop(store);
        let mut store = reopened(&disk);
        store.verify_journal().unwrap();
        let subject = about(5, 1, Statement::Seconded).duty.subject().unwrap();
        let stance = Stance::NONE.with(Statement::Seconded).with(Statement::Approved);
        assert_eq!(store.stance(&KEYS[0], &subject).unwrap(), stance);
        assert_eq!(store.stance(&KEYS[1], &subject).unwrap(), Stance::NONE);
        let against = (KEYS[0], about(5, 1, Statement::DisputedInvalid));
        assert!(authorise(&mut store, &[against])[0].is_err());
        say(&mut store, KEYS[1], &[against.1]);
    }

    #[test]
    fn what_lies_below_the_floor_goes_a_few_rows_a_write() {
        let (disk, mut store) = store();
        for key in KEYS {
            let said: Vec<_> =
                (0..200).map(|candidate| about(1, candidate, Statement::Approved)).collect();
            say(&mut store, key, &said);
        }
        say(&mut store, KEYS[0], &[about(7, 0, Statement::Approved)]);
        assert_eq!(rows(&mut store), 401, "session 1 is the last that is remembered");
        let mut left = vec![];
        for candidate in 0..4 {
            say(&mut store, KEYS[0], &[about(8, candidate, Statement::Approved)]);
            left.push(rows(&mut store));
        }
        assert_eq!(left, [336, 271, 206, 205], "66 a write, until all of session 1 are gone");
        drop(store);
        reopened(&disk).verify_journal().unwrap();
    }

    /// Takes a row away as a fault of this program would: the digest of the rows stays true.
    fn lose(store: &mut Store, subject: &Subject) {
        store.checkpoint().unwrap();
        let transaction = begin_durable(&store.database).unwrap();
        let mut state = store.state;
        let row = tables::stance_key(&KEYS[0], subject);
        let value = {
            let mut table = transaction.open_table(STANCES).unwrap();
            table.remove(&row).unwrap().unwrap().value()
        };
        state.rows.toggle("stances", &row, &[value]);
        put_state(&transaction, &state).unwrap();
        transaction.commit().unwrap();
    }

    #[test]
    fn a_stance_that_is_missing_keeps_the_store_shut_or_breaks_the_journal() {
        let said = [about(5, 1, Statement::Seconded), about(5, 2, Statement::Valid)];
        let (_disk, mut before) = store();
        say(&mut before, KEYS[0], &said[..1]);
        say(&mut before, KEYS[0], &said[1..]);
        lose(&mut before, &said[0].duty.subject().unwrap());
        let mut opened = load(before.database, before.log).unwrap();
        let fault = opened.verify_journal().unwrap_err();
        assert!(matches!(fault.reason(), FaultReason::StanceMismatch(KeyId([1, ..]))), "{fault}");

        let (_disk, mut before) = store();
        say(&mut before, KEYS[0], &said);
        lose(&mut before, &said[0].duty.subject().unwrap());
        let error = load(before.database, before.log).unwrap_err();
        assert!(matches!(error, StoreError::Damaged(Damage::JournalAgainstRecord(_))), "{error}");
    }

    #[test]
    fn a_stance_that_the_last_write_did_not_leave_keeps_the_store_shut() {
        let (_disk, mut store) = store();
        say(&mut store, KEYS[0], &[about(5, 1, Statement::Seconded)]);
        store.checkpoint().unwrap();
        let transaction = begin_durable(&store.database).unwrap();
        let subject = about(6, 1, Statement::Seconded).duty.subject().unwrap();
        {
            let mut table = transaction.open_table(STANCES).unwrap();
            table.insert(&tables::stance_key(&KEYS[0], &subject), 1).unwrap();
        }
        transaction.commit().unwrap();
        let error = load(store.database, store.log).unwrap_err();
        assert!(matches!(error, StoreError::Damaged(Damage::Rows)), "{error}");
    }
}
