//! Import: all keystores or none, every one at fault listed; raw hex with line numbers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use palisade_keys::import::{
    BadFiles, FileProblem, ImportedKey, LineProblem, Passwords, PlanError, decrypt_all, plan,
    raw_hex,
};
use palisade_keys::keystore::{self, Kdf, KeystoreError};
use palisade_keys::{BlsSecretKey, Password};
use tempfile::TempDir;

const CHEAP: Kdf = Kdf::Pbkdf2 { rounds: 1 };

fn secret(number: u16) -> BlsSecretKey {
    let mut bytes = [0; 32];
    bytes[30..].copy_from_slice(&(number + 1).to_be_bytes());
    BlsSecretKey::from_bytes(&bytes).unwrap()
}

fn write_keystore(path: &Path, number: u16, password: &str) {
    let password = Password::new(password.to_owned());
    fs::write(path, keystore::encrypt(&secret(number), &password, CHEAP).unwrap()).unwrap();
}

fn one_password(directory: &TempDir) -> Passwords {
    let path = directory.path().join("password.txt");
    fs::write(&path, "right\n").unwrap();
    Passwords::OneFile(path)
}

fn import(paths: &[PathBuf], passwords: Passwords) -> Result<Vec<ImportedKey>, BadFiles> {
    decrypt_all(plan(paths, passwords).unwrap(), &|_, _| ())
}

fn bad_names(bad: &BadFiles) -> Vec<String> {
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    bad.0.iter().map(|file| name(&file.path)).collect()
}

/// A directory of keystores 0, 1, … as `0000.json`, `0001.json`, …
fn directory_of(count: u16) -> TempDir {
    let directory = TempDir::new().unwrap();
    for number in 0..count {
        let path = directory.path().join(format!("{number:04}.json"));
        write_keystore(&path, number, "right");
    }
    directory
}

#[test]
fn a_thousand_keystores_come_in_together() {
    let directory = directory_of(1000);
    let told = Mutex::new(Vec::new());
    let progress = |done, total| told.lock().unwrap().push((done, total));
    let plan = plan(&[directory.path().to_owned()], one_password(&directory)).unwrap();
    assert_eq!(plan.len(), 1000);
    let keys = decrypt_all(plan, &progress).unwrap();
    assert_eq!(keys.len(), 1000);
    for (number, key) in (0..).zip(&keys) {
        assert!(key.secret == secret(number), "key {number}");
        assert_eq!(key.public_key, key.secret.public_key());
        assert_eq!(key.source, directory.path().join(format!("{number:04}.json")));
    }
    let mut told = told.into_inner().unwrap();
    told.sort_unstable();
    assert_eq!(told, (1..=1000).map(|done| (done, 1000)).collect::<Vec<_>>());
}

#[test]
fn one_wrong_password_among_a_thousand_stops_all_and_is_named() {
    let directory = directory_of(1000);
    write_keystore(&directory.path().join("0707.json"), 707, "another");
    let bad = import(&[directory.path().to_owned()], one_password(&directory)).err().unwrap();
    assert_eq!(bad_names(&bad), ["0707.json"]);
    assert!(matches!(bad.0[0].problem, FileProblem::Keystore(KeystoreError::WrongPassword)));
    let text = bad.to_string();
    assert!(text.starts_with("nothing was imported; 1 file is at fault"), "{text}");
    assert!(!text.contains("right") && !text.contains("another"));
}

#[test]
fn every_file_at_fault_is_listed_with_its_own_reason() {
    let directory = directory_of(8);
    let inside = |name: &str| directory.path().join(name);
    write_keystore(&inside("0001.json"), 1, "another");
    fs::write(inside("0002.json"), "{}").unwrap();
    fs::write(inside("0003.json"), "").unwrap();
    fs::write(inside("0004.json"), " ".repeat(10_000_000)).unwrap();
    write_keystore(&inside("0005.json"), 0, "right");
    let bad = import(&[directory.path().to_owned()], one_password(&directory)).err().unwrap();
    assert_eq!(bad_names(&bad), ["0001.json", "0002.json", "0003.json", "0004.json", "0005.json"]);
    let problems: Vec<_> = bad.0.iter().map(|file| &file.problem).collect();
    assert!(matches!(problems[0], FileProblem::Keystore(KeystoreError::WrongPassword)));
    assert!(matches!(problems[1], FileProblem::Keystore(KeystoreError::Malformed { .. })));
    assert!(matches!(problems[2], FileProblem::Keystore(KeystoreError::Malformed { .. })));
    assert!(matches!(problems[3], FileProblem::Unreadable(_)));
    assert!(matches!(problems[4], FileProblem::SameKeyAs(path) if *path == inside("0000.json")));
}

#[test]
fn duplicate_keystores_are_known_before_any_password_is_tried() {
    let directory = directory_of(3);
    let copy = directory.path().join("copy.json");
    fs::copy(directory.path().join("0001.json"), &copy).unwrap();
    let plan = plan(&[directory.path().to_owned()], one_password(&directory)).unwrap();
    let duplicates = plan.duplicates();
    let original = directory.path().join("0001.json");
    assert_eq!(duplicates, [(secret(1).public_key(), vec![original.as_path(), copy.as_path()])]);
    drop(duplicates);
    let bad = decrypt_all(plan, &|_, _| ()).err().unwrap();
    assert_eq!(bad_names(&bad), ["copy.json"]);
}

#[test]
fn the_same_file_named_twice_is_one_file() {
    let directory = directory_of(2);
    let file = directory.path().join("0000.json");
    let link = directory.path().join("link.json");
    symlink(&file, &link).unwrap();
    let paths = [file, link, directory.path().to_owned(), directory.path().join(".")];
    assert_eq!(import(&paths, one_password(&directory)).unwrap().len(), 2);
}

#[test]
fn passwords_by_stem_and_a_missing_one_is_named() {
    let directory = directory_of(3);
    let passwords = TempDir::new().unwrap();
    write_keystore(&directory.path().join("0001.json"), 1, "its own");
    fs::write(passwords.path().join("0000.txt"), "right").unwrap();
    fs::write(passwords.path().join("0001.txt"), "its own\r\n").unwrap();
    let paths = [directory.path().to_owned()];
    let by_stem = || Passwords::Directory(passwords.path().to_owned());
    let bad = import(&paths, by_stem()).err().unwrap();
    assert_eq!(bad_names(&bad), ["0002.json"]);
    let missing = passwords.path().join("0002.txt");
    assert!(matches!(&bad.0[0].problem, FileProblem::NoPassword { path, .. } if *path == missing));
    fs::write(missing, "right").unwrap();
    assert_eq!(import(&paths, by_stem()).unwrap().len(), 3);
}

#[test]
fn a_password_file_that_is_not_text_or_not_there_is_an_error_of_the_plan() {
    let directory = directory_of(1);
    let path = directory.path().join("password.txt");
    let paths = [directory.path().to_owned()];
    let absent = plan(&paths, Passwords::OneFile(path.clone())).err().unwrap();
    assert!(matches!(absent, PlanError::Password { problem: FileProblem::NoPassword { .. }, .. }));
    fs::write(&path, [0xff]).unwrap();
    let not_text = plan(&paths, Passwords::OneFile(path)).err().unwrap();
    assert!(matches!(not_text, PlanError::Password { problem: FileProblem::Password(_), .. }));
}

#[test]
fn directories_are_searched_and_loops_of_links_end() {
    let directory = directory_of(2);
    let nested = directory.path().join("validators/0x93");
    fs::create_dir_all(&nested).unwrap();
    write_keystore(&nested.join("voting-keystore.json"), 7, "right");
    symlink(directory.path(), nested.join("loop")).unwrap();
    symlink("itself", nested.join("itself")).unwrap();
    fs::write(nested.join("notes.txt"), "not a keystore").unwrap();
    let keys = import(&[directory.path().to_owned()], one_password(&directory)).unwrap();
    assert_eq!(keys.len(), 3);
}

#[test]
fn directories_too_deep_are_refused() {
    let directory = directory_of(1);
    let deep = (0..40).fold(directory.path().to_owned(), |path, _| path.join("d"));
    fs::create_dir_all(deep).unwrap();
    let result = plan(&[directory.path().to_owned()], one_password(&directory));
    assert!(matches!(result, Err(PlanError::TooMany { .. })));
}

#[test]
fn a_dangling_keystore_link_and_a_path_that_is_not_there_are_errors() {
    let directory = directory_of(1);
    let absent = directory.path().join("absent.json");
    let named = plan(std::slice::from_ref(&absent), one_password(&directory));
    assert!(matches!(named, Err(PlanError::Unreadable { path, .. }) if path == absent));
    let link = directory.path().join("link.json");
    symlink(absent, &link).unwrap();
    let found = plan(&[directory.path().to_owned()], one_password(&directory));
    assert!(matches!(found, Err(PlanError::Unreadable { path, .. }) if path == link));
}

#[test]
fn deposit_data_beside_keystores_is_left_out_and_said() {
    let directory = directory_of(1);
    let deposit_data = directory.path().join("deposit_data-1700000000.json");
    fs::write(&deposit_data, "[]").unwrap();
    let found = plan(&[directory.path().to_owned()], one_password(&directory)).unwrap();
    assert_eq!((found.len(), found.left_out()), (1, &[deposit_data.clone()][..]));
    let named = plan(&[deposit_data], one_password(&directory)).unwrap();
    assert_eq!(named.len(), 1, "a file that is named is taken at its word");
    assert!(decrypt_all(named, &|_, _| ()).is_err());
}

#[test]
fn an_empty_directory_is_nothing_to_import() {
    let directory = directory_of(0);
    let result = plan(&[directory.path().to_owned()], one_password(&directory));
    assert!(matches!(result, Err(PlanError::Nothing)));
}

#[test]
fn raw_hex_reads_every_spelling() {
    let [first, second] = [secret(0).to_hex(), secret(1).to_hex()];
    let bare = first.strip_prefix("0x").unwrap();
    let text =
        format!("# two keys\n\n  {bare}\r\n\t{} ", second.to_uppercase().replace("0X", "0x"));
    let keys = raw_hex(text.as_bytes()).unwrap();
    assert!(keys == [secret(0), secret(1)]);
    assert!(raw_hex(&b""[..]).unwrap().is_empty());
}

#[test]
fn raw_hex_names_the_line_and_never_its_content() {
    let good = secret(0).to_hex();
    let order = "73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001";
    let bad_lines = [
        "zz00000000000000000000000000000000000000000000000000000000000000",
        "1234",
        "12345678901234567890123456789012345678901234567890123456789012345",
        "0x0000000000000000000000000000000000000000000000000000000000000000",
        order,
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "caf\u{e9}",
        &"a".repeat(100_000),
        &good,
    ];
    for bad in bad_lines {
        let text = format!("{}\n# comment\n{bad}\n", good.as_str());
        let error = raw_hex(text.as_bytes()).err().unwrap();
        assert_eq!(error.line, 3, "{error}");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(bad), "{shown}");
    }
}

#[test]
fn raw_hex_reads_secrets_that_cross_its_buffer() {
    let lines: Vec<_> = (0..200).map(|number| secret(number).to_hex()).collect();
    let text = lines.iter().map(|line| format!("{}\n", line.as_str())).collect::<String>();
    assert!(text.len() > 8192);
    assert_eq!(raw_hex(text.as_bytes()).unwrap().len(), 200);
}

#[test]
fn raw_hex_refuses_a_key_given_twice() {
    let line = secret(0).to_hex();
    let text = format!("{0}\n\n{0}", line.as_str());
    let error = raw_hex(text.as_bytes()).err().unwrap();
    assert!(matches!((error.line, error.problem), (3, LineProblem::SameKeyAsLine(1))));
}
