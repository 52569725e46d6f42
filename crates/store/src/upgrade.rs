//! From one format version to the next.
//!
//! Invariants: an upgrade is one transaction, all steps or none; a version without a way to the
//! current one is refused; every upgraded row is checked by the opening that follows.

use redb::{Database, WriteTransaction};

use crate::error::StoreError;
use crate::ledger::{begin_durable, put_state};
use crate::open::begin_read;
use crate::tables::{
    self, FORMAT_VERSION, META, META_STATE, META_VERSION, RowsDigest, STANCES, State,
};

/// A step from one format version to the next.
struct Migration {
    from: u32,
    apply: fn(&WriteTransaction, &mut RowsDigest) -> Result<(), StoreError>,
}

/// Every step that this program knows, oldest first.
const MIGRATIONS: &[Migration] =
    &[Migration { from: 1, apply: add_stances }, Migration { from: 2, apply: keep_rows }];

/// Format version 2 has the table of stances.
fn add_stances(transaction: &WriteTransaction, _: &mut RowsDigest) -> Result<(), StoreError> {
    let opened = transaction.open_table(STANCES).map(drop);
    opened.map_err(StoreError::while_doing("upgrading the store"))
}

/// Format version 3 has the same rows, behind a log: [`crate::relocate`] has made room for it.
fn keep_rows(_: &WriteTransaction, _: &mut RowsDigest) -> Result<(), StoreError> {
    Ok(())
}

/// Brings the file to the format that this program writes.
pub(crate) fn to_current(database: &Database) -> Result<(), StoreError> {
    upgrade(database, MIGRATIONS, FORMAT_VERSION)
}

/// Brings the file to format version `target` in one transaction.
fn upgrade(database: &Database, migrations: &[Migration], target: u32) -> Result<(), StoreError> {
    let found = format_version(database)?;
    if found == target {
        return Ok(());
    }
    let transaction = begin_durable(database)?;
    let mut state = read_state(database)?;
    let mut version = found;
    while version != target {
        let step = migrations
            .iter()
            .find(|step| step.from == version && version < target)
            .ok_or(StoreError::Version { found, supported: target })?;
        (step.apply)(&transaction, &mut state.rows)?;
        version += 1;
    }
    let put = |rows: &mut RowsDigest| -> Result<(), redb::Error> {
        let mut meta = transaction.open_table(META)?;
        tables::put_meta(&mut meta, META_VERSION, &version.to_le_bytes(), rows)
    };
    put(&mut state.rows).map_err(StoreError::while_doing("upgrading the store"))?;
    put_state(&transaction, &state)?;
    transaction.commit().map_err(StoreError::while_doing("upgrading the store"))
}

fn format_version(database: &Database) -> Result<u32, StoreError> {
    let transaction = begin_read(database)?;
    let meta =
        transaction.open_table(META).map_err(StoreError::while_doing("reading the store"))?;
    let row = tables::meta_row(&meta, META_VERSION)?;
    tables::fixed(row, META_VERSION).map(u32::from_le_bytes)
}

fn read_state(database: &Database) -> Result<State, StoreError> {
    let transaction = begin_read(database)?;
    let meta =
        transaction.open_table(META).map_err(StoreError::while_doing("reading the store"))?;
    State::decode(&tables::meta_row(&meta, META_STATE)?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use palisade_protect::{
        Digest, Duty, Intent, KeyId, KeyType, Record, Slot, SubstrateRecord, authorise,
    };
    use redb::Builder;

    use super::*;
    use crate::layout::{DatabasePart, Disk, Layout};
    use crate::log::Log;
    use crate::open::{load, open_parts};
    use crate::tables::{META_NETWORK, RECORDS};
    use crate::testing::{FaultyDisk, SMALL_LOG_BYTES};
    use crate::{Admission, Creation, Store};

    fn image() -> Vec<u8> {
        let disk = FaultyDisk::new();
        let settings = Creation { network: "old".to_owned(), genesis_validators_root: None };
        let mut store =
            Store::create_with_backend(disk.clone(), settings, SMALL_LOG_BYTES).unwrap();
        let key = KeyId([1; 32]);
        let record = Record::fresh_ethereum();
        store.admit(&[Admission { key, public_key: vec![1; 48], record }]).unwrap();
        for (key, record) in session_records() {
            store.admit(&[Admission { key, public_key: vec![2; 32], record }]).unwrap();
        }
        drop(store);
        disk.image()
    }

    fn database(image: Vec<u8>) -> (FaultyDisk, Database, Log) {
        let disk = FaultyDisk::from_image(image);
        let (database, log) = open_parts(Arc::new(disk.clone())).unwrap();
        (disk, database, log)
    }

    fn rename(transaction: &WriteTransaction, rows: &mut RowsDigest) -> Result<(), StoreError> {
        let mut meta = transaction.open_table(META).unwrap();
        tables::put_meta(&mut meta, META_NETWORK, b"new", rows).unwrap();
        Ok(())
    }

    fn set_version(txn: &WriteTransaction, rows: &mut RowsDigest, version: u8) {
        let mut table = txn.open_table(RECORDS).unwrap();
        for (key, record) in session_records() {
            let mut other = record.encode();
            other[0] = version;
            tables::put_by_key(&mut table, "records", &key, &other, rows).unwrap();
        }
    }

    /// As homes from before version 2 have them.
    fn records_of_version_1(t: &WriteTransaction, r: &mut RowsDigest) -> Result<(), StoreError> {
        set_version(t, r, 1);
        Ok(())
    }

    fn records_of_version_3(t: &WriteTransaction, r: &mut RowsDigest) -> Result<(), StoreError> {
        set_version(t, r, 3);
        Ok(())
    }

    fn session_records() -> [(KeyId, Record); 1] {
        let record = SubstrateRecord::fresh(Digest([7; 32]), KeyType::BABE).unwrap();
        [(KeyId([2; 32]), Record::Substrate(record))]
    }

    fn give_up(_: &WriteTransaction, _: &mut RowsDigest) -> Result<(), StoreError> {
        Err(StoreError::Bug("this step fails"))
    }

    #[test]
    fn an_older_format_is_upgraded_step_by_step_and_checked() {
        let (disk, old, log) = database(image());
        let steps =
            [Migration { from: 4, apply: rename }, Migration { from: 3, apply: |_, _| Ok(()) }];
        upgrade(&old, &steps, 5).unwrap();
        let store = load(old, log).unwrap();
        assert_eq!(store.network(), "new");
        assert_eq!(store.records().count(), 2);
        drop(store);
        let error = Store::open_with_backend(FaultyDisk::from_image(disk.image())).unwrap_err();
        assert!(matches!(error, StoreError::Version { found: 5, supported: 3 }), "{error}");
        assert!(error.to_string().contains("newer version of palisade"), "{error}");
    }

    #[test]
    fn a_row_with_a_record_of_version_1_is_read_and_written_anew() {
        let (disk, old, log) = database(image());
        upgrade(&old, &[Migration { from: 3, apply: records_of_version_1 }], 4).unwrap();
        let mut store = load(old, log).unwrap();
        let [(key, _)] = session_records();
        let seal =
            |slot| (key, Intent { duty: Duty::Seal { slot: Slot(slot) }, digest: Digest([1; 32]) });
        assert!(authorise(&mut store, &[seal(5), seal(6)]).iter().all(Result::is_ok));
        store.checkpoint().unwrap();
        drop(store);
        let (_, database, log) = database(disk.image());
        let mut store = load(database, log).unwrap();
        store.verify_journal().unwrap();
        let Some(Record::Substrate(record)) = store.record(&key) else { panic!("no record") };
        assert!(record.has_a_past());
    }

    #[test]
    fn a_row_of_a_newer_program_is_not_called_damaged() {
        let (_disk, old, log) = database(image());
        upgrade(&old, &[Migration { from: 3, apply: records_of_version_3 }], 4).unwrap();
        let error = load(old, log).unwrap_err().to_string();
        assert!(error.contains("run the newer version") && !error.contains("damaged"), "{error}");
    }

    #[test]
    fn an_upgrade_that_fails_changes_nothing() {
        let before = image();
        let steps = [Migration { from: 2, apply: rename }, Migration { from: 3, apply: give_up }];
        let (disk, old, _) = database(before);
        assert!(matches!(upgrade(&old, &steps, 4), Err(StoreError::Bug(_))));
        drop(old);
        let store = Store::open_with_backend(FaultyDisk::from_image(disk.image())).unwrap();
        assert_eq!(store.network(), "old");
    }

    #[test]
    fn a_format_without_a_way_up_is_refused() {
        let (_disk, old, _) = database(image());
        let error = upgrade(&old, &[Migration { from: 4, apply: rename }], 5).unwrap_err();
        assert!(matches!(error, StoreError::Version { found: 3, supported: 5 }), "{error}");
        assert!(error.to_string().contains("older palisade"), "{error}");
    }

    /// Whether redb walks through the whole file when it opens `image`.
    fn is_walked_through(image: Vec<u8>) -> bool {
        let walked = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&walked);
        let disk: Disk = Arc::new(FaultyDisk::from_image(image));
        let layout = Layout::read(&disk).unwrap();
        Builder::new()
            .set_repair_callback(move |_| seen.store(true, Ordering::SeqCst))
            .create_with_backend(DatabasePart::new(disk, &layout))
            .unwrap();
        walked.load(Ordering::SeqCst)
    }

    #[test]
    fn no_start_after_a_crash_walks_through_the_whole_file() {
        let disk = FaultyDisk::from_image(image());
        let mut store = Store::open_with_backend(disk.clone()).unwrap();
        assert!(!store.is_checkpoint_due());
        store.retire(&[KeyId([1; 32])]).unwrap();
        assert!(!is_walked_through(disk.image_after_power_cut(None)));
        let [(key, _)] = session_records();
        let seal = Intent { duty: Duty::Seal { slot: Slot(5) }, digest: Digest([1; 32]) };
        assert!(authorise(&mut store, &[(key, seal)])[0].is_ok());
        assert!(store.is_checkpoint_due());
        assert!(!is_walked_through(disk.image_after_power_cut(None)));
        store.checkpoint().unwrap();
        assert!(!store.is_checkpoint_due());
        assert!(!is_walked_through(disk.image_after_power_cut(None)));
    }

    #[test]
    fn a_file_of_a_newer_layout_is_not_called_damaged() {
        let mut image = image();
        let disk: Disk = Arc::new(FaultyDisk::from_image(image.clone()));
        let header = Layout::read(&disk).unwrap().header_of(9);
        image[..header.len()].copy_from_slice(&header);
        let error = Store::open_with_backend(FaultyDisk::from_image(image)).unwrap_err();
        assert!(matches!(error, StoreError::Version { found: 9, supported: 3 }), "{error}");
    }
}
