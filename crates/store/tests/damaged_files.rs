//! Files that are not what was written: cut off, empty, foreign, altered, of another version. Each
//! is an error, or the answers are right; never is a record silently missing or laxer.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    unreachable_pub,
    missing_docs,
    reason = "tests fail by panicking, and say loudly what they skip"
)]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use common::{attestation, creation, digest, fresh, key, proposal, statement};
use palisade_protect::{Denied, KeyId, Record, Statement};
use palisade_store::testing::{FaultyDisk, SMALL_LOG_BYTES};
use palisade_store::{Creation, Damage, FaultReason, Standing, Store, StoreError};

const KEYS: u8 = 40;

/// A store with some history, and its records; closed, or as a crash leaves it.
fn image(closed: bool) -> (Vec<u8>, BTreeMap<KeyId, Record>) {
    let disk = FaultyDisk::new();
    let mut store = Store::create_with_backend(disk.clone(), creation(), SMALL_LOG_BYTES).unwrap();
    store.admit(&(1..=KEYS).map(fresh).collect::<Vec<_>>()).unwrap();
    for round in 1..20_u64 {
        for number in 1..=KEYS {
            let root = round * 100 + u64::from(number);
            let intent = match number % 2 {
                0 => proposal(round, root),
                _ => attestation(round - 1, round, root),
            };
            assert!(common::ask(&mut store, number, intent).is_ok());
        }
    }
    let records = store.records().map(|(key, record, _)| (key, record)).collect();
    if closed {
        drop(store);
        return (disk.image(), records);
    }
    let image = disk.image_after_power_cut(None);
    drop(store);
    (image, records)
}

/// Whether the file opens; then every record must be as it was.
fn opens(image: Vec<u8>, records: &BTreeMap<KeyId, Record>) -> Result<bool, String> {
    match Store::open_with_backend(FaultyDisk::from_image(image)) {
        Ok(mut store) => {
            let found: BTreeMap<_, _> = store.records().map(|(k, record, _)| (k, record)).collect();
            // Writing on top of the damage may fail, but never with a panic.
            let asked = common::ask(&mut store, 2, proposal(1_000, 1));
            // Closing may panic in redb; by then nothing depends on it.
            drop(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(store))));
            match asked {
                _ if found != *records => Err("other records".to_owned()),
                Err(Denied::Refused(refusal)) => Err(format!("{refusal:?}")),
                _ => Ok(true),
            }
        }
        Err(error) if ["store-damaged", "store-version"].contains(&error.code()) => Ok(false),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn a_truncated_file_is_damaged() {
    for closed in [true, false] {
        let (image, records) = image(closed);
        for length in (0..image.len()).step_by(4096).chain([1, 64, 511, image.len() - 1]) {
            let opened = opens(image[..length].to_vec(), &records);
            assert_eq!(opened, Ok(false), "{length} of {} bytes", image.len());
        }
    }
}

#[test]
fn an_empty_or_foreign_file_is_damaged_and_not_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    for content in [&b""[..], b"not a store", &[0; 8192], &[0xff; 100_000]] {
        std::fs::write(&path, content).unwrap();
        let error = Store::open(&path).unwrap_err();
        assert_eq!(error.code(), "store-damaged", "{error}");
        assert!(error.to_string().contains("EIP-3076"), "no remedy in: {error}");
        assert_eq!(Store::create(&path, creation()).unwrap_err().code(), "store-exists");
        assert_eq!(std::fs::read(&path).unwrap(), content);
    }
}

/// The one bit of redb's header that says which of the two last commits is the newer: flipped, the
/// older one stands, whole in itself. No check inside the file can tell.
const GOD_BYTE: usize = 9;

#[test]
fn a_flipped_byte_is_noticed_or_without_effect() {
    let hook = std::panic::take_hook();
    // redb panics on some damage; the store makes an error of it.
    std::panic::set_hook(Box::new(|_| {}));
    let (mut opened, mut tried, mut wrong) = (0_u32, 0_u32, Vec::new());
    for closed in [true, false] {
        let (image, records) = image(closed);
        let header = (0..512).filter(|place| *place != GOD_BYTE);
        let written: Vec<usize> = (512..image.len()).filter(|place| image[*place] != 0).collect();
        let step = (written.len() / 1_500).max(1);
        for place in header.chain(written.into_iter().step_by(step)) {
            let mut image = image.clone();
            image[place] ^= 1 << (place % 8);
            tried += 1;
            match opens(image, &records) {
                Ok(did_open) => opened += u32::from(did_open),
                Err(error) => wrong.push((closed, place, error)),
            }
        }
    }
    std::panic::set_hook(hook);
    assert!(wrong.is_empty(), "{} of {tried}: {:?}", wrong.len(), &wrong[..wrong.len().min(20)]);
    assert!(0 < opened && opened < tried, "{opened} of {tried} opened");
    eprintln!("{tried} flipped bytes: {opened} without effect on the records, the others noticed");
}

#[test]
fn an_altered_journal_is_found_by_the_replay() {
    let (image, records) = image(true);
    // The root of an old vote stands in the journal alone.
    let root = digest(5 * 100 + 7).0;
    let places: Vec<_> = image.windows(32).enumerate().filter(|(_, at)| *at == root).collect();
    assert!(!places.is_empty());
    let mut altered = image.clone();
    for (place, _) in places {
        altered[place] ^= 1;
    }
    let mut store = match Store::open_with_backend(FaultyDisk::from_image(altered)) {
        Ok(store) => store,
        Err(error) => panic!("{error}"),
    };
    let found: BTreeMap<_, _> = store.records().map(|(key, record, _)| (key, record)).collect();
    assert_eq!(found, records);
    let fault = store.verify_journal().unwrap_err();
    assert!(matches!(fault.reason(), FaultReason::Replay(_)), "{fault}");
    assert_eq!(fault.entries_that_hold(), 1 + 4 * u64::from(KEYS) + 6);
}

#[test]
fn an_altered_newest_entry_keeps_the_store_shut() {
    let disk = FaultyDisk::new();
    let mut store = Store::create_with_backend(disk.clone(), creation(), SMALL_LOG_BYTES).unwrap();
    store.admit(&[fresh(1)]).unwrap();
    assert!(common::ask(&mut store, 1, proposal(5, 1)).is_ok());
    // The refused root stands in the newest entry, and nowhere else.
    assert!(common::ask(&mut store, 1, proposal(5, 99)).is_err());
    store.checkpoint().unwrap();
    drop(store);
    let mut image = disk.image();
    let root = digest(99).0;
    let places: Vec<_> = (0..image.len() - 32).filter(|at| image[*at..*at + 32] == root).collect();
    assert!(!places.is_empty());
    places.iter().for_each(|place| image[*place] ^= 1);
    let error = Store::open_with_backend(FaultyDisk::from_image(image)).unwrap_err();
    assert!(matches!(error, StoreError::Damaged(Damage::JournalHead)), "{error}");
}

#[test]
fn a_missing_file_and_a_directory_are_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let missing = Store::open(&directory.path().join("store.redb")).unwrap_err();
    assert_eq!(missing.code(), "store-missing");
    assert!(missing.to_string().contains("palisade init"), "{missing}");
    assert_eq!(Store::open(directory.path()).unwrap_err().code(), "store-unavailable");
}

fn golden(version: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/store-v{version}.redb"))
}

fn golden_creation() -> Creation {
    Creation { network: "hoodi".to_owned(), genesis_validators_root: Some(digest(1)) }
}

/// Writes the golden file anew, with the newest writes in the log alone. Run by hand, once for each
/// format version:
/// `PALISADE_WRITE_GOLDEN=1 cargo test -p palisade-store --test damaged_files golden`.
fn write_golden(path: &Path) -> Result<(), StoreError> {
    let disk = FaultyDisk::new();
    let store = Store::create_with_backend(disk.clone(), golden_creation(), SMALL_LOG_BYTES)?;
    let mut store = store.with_clock(|| 1_800_000_000_000);
    store.admit(&[fresh(1), fresh(2), fresh(3)])?;
    assert!(common::ask(&mut store, 1, proposal(7, 70)).is_ok());
    assert!(common::ask(&mut store, 1, proposal(7, 71)).is_err());
    assert!(common::ask(&mut store, 2, attestation(3, 4, 40)).is_ok());
    store.retire(&[key(3)])?;
    store.admit(&[common::fresh_validator(4)])?;
    assert!(common::ask(&mut store, 4, statement(9, 1, Statement::Seconded)).is_ok());
    assert!(common::ask(&mut store, 4, statement(9, 1, Statement::DisputedInvalid)).is_err());
    assert!(common::ask(&mut store, 4, statement(9, 2, Statement::Approved)).is_ok());
    std::fs::write(path, disk.image_after_power_cut(None)).unwrap();
    Ok(())
}

/// What every golden file holds.
fn check_golden(store: &mut Store) {
    assert_eq!(store.network(), "hoodi");
    assert_eq!(store.genesis_validators_root(), Some(digest(1)));
    let infos = store.key_infos().unwrap();
    assert_eq!(infos[2].public_key, [3; 48]);
    let standings: Vec<_> = infos.iter().map(|info| info.standing).collect();
    assert_eq!(standings[..3], [Standing::Active, Standing::Active, Standing::Retired]);
    assert!(common::forbids_twin(store, &key(1), &proposal(7, 70)));
    assert!(common::forbids_twin(store, &key(2), &attestation(3, 4, 40)));
    assert!(common::ask(store, 1, proposal(7, 70)).is_ok());
    assert!(common::ask(store, 1, proposal(8, 80)).is_ok());
}

/// A copy of a golden file under a name of its own, in a directory that goes with the test.
fn golden_copy(version: u32) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    std::fs::copy(golden(version), &path).expect("the golden files are part of the source");
    (directory, path)
}

#[test]
fn the_golden_file_of_format_version_1_is_read_for_ever() {
    let (_directory, path) = golden_copy(1);
    let mut store = Store::open(&path).unwrap();
    let summary = store.verify_journal().unwrap();
    assert_eq!((summary.entries, summary.first_time_unix_ms), (4, Some(1_800_000_000_000)));
    assert_eq!(store.key_infos().unwrap().len(), 3);
    check_golden(&mut store);
    // It is of the present format from here on.
    store.admit(&[common::fresh_validator(4)]).unwrap();
    let said = statement(9, 1, Statement::Seconded);
    assert!(common::ask(&mut store, 4, said).is_ok());
    drop(store);
    let mut store = Store::open(&path).unwrap();
    store.verify_journal().unwrap();
    assert!(common::forbids_twin(&mut store, &key(4), &said));
}

fn check_golden_with_statements(mut store: Store) {
    assert_eq!(store.verify_journal().unwrap().entries, 7);
    check_golden(&mut store);
    assert!(common::forbids_twin(&mut store, &key(4), &statement(9, 1, Statement::Seconded)));
    assert!(common::ask(&mut store, 4, statement(9, 1, Statement::DisputedInvalid)).is_err());
}

#[test]
fn the_golden_file_of_format_version_2_is_read_for_ever() {
    let (_directory, path) = golden_copy(2);
    check_golden_with_statements(Store::open(&path).unwrap());
}

#[test]
fn the_golden_file_of_format_version_3_is_read_for_ever() {
    if std::env::var_os("PALISADE_WRITE_GOLDEN").is_some() {
        write_golden(&golden(3)).unwrap();
    }
    let (_directory, path) = golden_copy(3);
    check_golden_with_statements(Store::open(&path).unwrap());
}

#[cfg(unix)]
#[test]
fn a_file_that_is_laid_out_anew_is_private_and_an_interrupted_attempt_is_made_again() {
    use std::os::unix::fs::PermissionsExt as _;

    let (directory, path) = golden_copy(2);
    std::fs::write(path.with_extension("unfinished"), b"half of a header").unwrap();
    drop(Store::open(&path).unwrap());
    let names: Vec<_> = std::fs::read_dir(directory.path()).unwrap().collect();
    assert_eq!(names.len(), 1, "{names:?}");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    check_golden_with_statements(Store::open(&path).unwrap());
}
