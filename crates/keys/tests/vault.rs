//! The vault on a real disk: all or nothing, private, and clear about what is wrong.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use palisade_keys::{
    BlsSecretKey, NewKey, Password, PublicKey, UnlockError, UnlockKind, UnlockSecret, Vault,
    VaultError,
};
use tempfile::TempDir;

fn secret(number: u8) -> BlsSecretKey {
    BlsSecretKey::from_bytes(&[number; 32]).unwrap()
}

fn new_keys(numbers: impl IntoIterator<Item = u8>) -> Vec<NewKey> {
    numbers.into_iter().map(|number| NewKey::bls(secret(number))).collect()
}

fn public_keys(numbers: impl IntoIterator<Item = u8>) -> Vec<PublicKey> {
    numbers.into_iter().map(|number| PublicKey::Bls(secret(number).public_key())).collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// A home with an empty vault in `keys` and its secret in `unlock`.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(TempDir::new().unwrap());
        Vault::generate_unlock_file(&home.0.path().join("unlock")).unwrap();
        Vault::create(&home.keys(), &home.unlock()).unwrap();
        home
    }

    fn keys(&self) -> std::path::PathBuf {
        self.0.path().join("keys")
    }

    fn file(&self) -> std::path::PathBuf {
        self.keys().join("keys.sealed")
    }

    fn unlock(&self) -> UnlockSecret {
        UnlockSecret::from_file(&self.0.path().join("unlock")).unwrap()
    }

    fn open(&self) -> Vault {
        Vault::open(&self.keys(), &self.unlock()).unwrap()
    }
}

fn passphrase(text: &str) -> UnlockSecret {
    UnlockSecret::from_passphrase(Password::new(text.to_owned())).ok().unwrap()
}

#[test]
fn keys_are_there_after_reopening_and_sign() {
    let home = Home::new();
    let added = home.open().add(new_keys(1..=5)).unwrap();
    assert_eq!((added.added, added.duplicates), (public_keys(1..=5), vec![]));
    let vault = home.open();
    assert_eq!(vault.public_keys().collect::<Vec<_>>(), public_keys(1..=5));
    let ring = vault.load_ring().unwrap();
    let held: BTreeSet<_> = ring.public_keys().collect();
    let held: BTreeSet<_> = held.into_iter().map(PublicKey::Bls).collect();
    assert_eq!(held, public_keys(1..=5).into_iter().collect());
}

#[test]
fn duplicates_are_told_and_stored_once() {
    let home = Home::new();
    let mut vault = home.open();
    vault.add(new_keys([1, 2])).unwrap();
    let before = fs::read(home.file()).unwrap();
    let outcome = vault.add(new_keys([2, 1])).unwrap();
    assert_eq!((outcome.added, outcome.duplicates), (vec![], public_keys([2, 1])));
    assert_eq!(fs::read(home.file()).unwrap(), before, "nothing to write");
    let outcome = vault.add(new_keys([3, 1, 3])).unwrap();
    assert_eq!((outcome.added, outcome.duplicates), (public_keys([3]), public_keys([1, 3])));
    assert_eq!(home.open().len(), 3);
}

#[test]
fn removed_keys_are_gone_and_unknown_ones_are_told() {
    let home = Home::new();
    let mut vault = home.open();
    vault.add(new_keys(1..=3)).unwrap();
    let [present, absent] = [secret(2).public_key().id(), secret(9).public_key().id()];
    let outcome = vault.remove(&[present, absent, present]).unwrap();
    assert_eq!((outcome.removed, outcome.unknown), (public_keys([2]), vec![absent]));
    assert!(!vault.contains(&present));
    assert_eq!(home.open().public_keys().collect::<Vec<_>>(), public_keys([1, 3]));
}

#[test]
fn everything_is_created_for_its_owner_alone() {
    let home = Home::new();
    home.open().add(new_keys([1])).unwrap();
    assert_eq!(mode(&home.keys()), 0o700);
    assert_eq!(mode(&home.file()), 0o600);
    assert_eq!(mode(&home.0.path().join("unlock")), 0o600);
}

#[test]
fn no_secret_is_in_the_file_in_clear() {
    let home = Home::new();
    home.open().add(new_keys([7])).unwrap();
    let bytes = fs::read(home.file()).unwrap();
    assert!(!bytes.windows(8).any(|window| window == [7; 8]));
}

#[test]
fn an_existing_vault_or_unlock_file_is_never_overwritten() {
    let home = Home::new();
    let before = fs::read(home.file()).unwrap();
    let again = Vault::create(&home.keys(), &home.unlock()).err().unwrap();
    assert!(matches!(again, VaultError::AlreadyExists { .. }));
    assert_eq!(fs::read(home.file()).unwrap(), before);
    let unlock = home.0.path().join("unlock");
    assert!(matches!(Vault::generate_unlock_file(&unlock), Err(UnlockError::Io { .. })));
    home.open();
}

#[test]
fn a_home_without_a_vault_says_so() {
    let home = Home::new();
    fs::remove_file(home.file()).unwrap();
    let error = Vault::open(&home.keys(), &home.unlock()).err().unwrap();
    assert!(matches!(error, VaultError::NotFound { .. }), "{error}");
}

#[test]
fn a_wrong_unlock_secret_is_told_from_a_damaged_file() {
    let home = Home::new();
    let other = home.0.path().join("other");
    Vault::generate_unlock_file(&other).unwrap();
    let other = UnlockSecret::from_file(&other).unwrap();
    let error = Vault::open(&home.keys(), &other).err().unwrap();
    assert!(matches!(error, VaultError::WrongUnlockSecret { kind: UnlockKind::GeneratedFile, .. }));
    let error = Vault::open(&home.keys(), &passphrase("anything")).err().unwrap();
    assert!(matches!(error, VaultError::OtherUnlockKind { kind: UnlockKind::GeneratedFile, .. }));
    let mut bytes = fs::read(home.file()).unwrap();
    bytes[60] ^= 1;
    fs::write(home.file(), bytes).unwrap();
    let error = Vault::open(&home.keys(), &home.unlock()).err().unwrap();
    assert!(matches!(error, VaultError::Damaged { .. }), "{error}");
}

#[test]
fn a_passphrase_opens_in_any_spelling_and_another_does_not() {
    let home = TempDir::new().unwrap();
    let keys = home.path().join("keys");
    Vault::create(&keys, &passphrase("caf\u{e9}")).unwrap();
    Vault::open(&keys, &passphrase("cafe\u{301}\n")).unwrap();
    let error = Vault::open(&keys, &passphrase("cafe")).err().unwrap();
    assert!(matches!(error, VaultError::WrongUnlockSecret { kind: UnlockKind::Passphrase, .. }));
}

#[test]
fn a_new_unlock_secret_replaces_the_old_one() {
    let home = Home::new();
    let mut vault = home.open();
    vault.add(new_keys(1..=3)).unwrap();
    vault.rewrap(&passphrase("a new one")).unwrap();
    let old = Vault::open(&home.keys(), &home.unlock()).err().unwrap();
    assert!(matches!(old, VaultError::OtherUnlockKind { kind: UnlockKind::Passphrase, .. }));
    vault.add(new_keys([4])).unwrap();
    let reopened = Vault::open(&home.keys(), &passphrase("a new one")).unwrap();
    assert_eq!(reopened.load_ring().unwrap().len(), 4);
}

#[test]
fn a_file_left_by_a_crash_is_ignored_and_then_replaced() {
    let home = Home::new();
    home.open().add(new_keys([1])).unwrap();
    let left_over = home.keys().join("keys.sealed.new");
    fs::write(&left_over, "half of somethi").unwrap();
    fs::set_permissions(&left_over, Permissions::from_mode(0o644)).unwrap();
    let mut vault = home.open();
    assert_eq!(vault.len(), 1);
    vault.add(new_keys([2])).unwrap();
    assert!(!left_over.exists());
    assert_eq!(mode(&home.file()), 0o600);
    assert_eq!(home.open().len(), 2);
}

/// Permissions do not stop root, so the write fails on a directory in the place of its file.
#[test]
fn a_failed_write_leaves_the_old_file_and_the_vault_as_they_were() {
    let home = Home::new();
    let mut vault = home.open();
    vault.add(new_keys([1])).unwrap();
    let before = fs::read(home.file()).unwrap();
    let obstacle = home.keys().join("keys.sealed.new");
    fs::create_dir(&obstacle).unwrap();
    assert!(matches!(vault.add(new_keys([2])), Err(VaultError::Io { .. })));
    assert!(matches!(vault.remove(&[secret(1).public_key().id()]), Err(VaultError::Io { .. })));
    assert!(matches!(vault.rewrap(&passphrase("x")), Err(VaultError::Io { .. })));
    assert_eq!(fs::read(home.file()).unwrap(), before);
    assert_eq!(vault.public_keys().collect::<Vec<_>>(), public_keys([1]));
    assert_eq!(vault.load_ring().unwrap().len(), 1);
    fs::remove_dir(&obstacle).unwrap();
    vault.add(new_keys([2])).unwrap();
    assert_eq!(home.open().len(), 2);
}

#[test]
fn a_vault_that_another_process_changed_refuses_to_write() {
    let home = Home::new();
    let [mut first, mut second] = [home.open(), home.open()];
    first.add(new_keys([1])).unwrap();
    let error = second.add(new_keys([2])).unwrap_err();
    assert!(matches!(error, VaultError::ChangedMeanwhile { .. }), "{error}");
    assert_eq!(second.len(), 0);
    assert_eq!(home.open().public_keys().collect::<Vec<_>>(), public_keys([1]));
}

#[test]
fn a_vault_that_is_being_changed_is_busy() {
    let home = Home::new();
    let mut vault = home.open();
    let lock = File::open(home.keys().join("keys.lock")).unwrap();
    lock.lock().unwrap();
    assert!(matches!(vault.add(new_keys([1])), Err(VaultError::Busy { .. })));
    drop(lock);
    vault.add(new_keys([1])).unwrap();
}

#[test]
fn no_link_and_no_pipe_stands_in_for_the_vaults_own_files() {
    let home = Home::new();
    let mut vault = home.open();
    vault.add(new_keys([1])).unwrap();
    let victim = home.0.path().join("victim");
    fs::write(&victim, "kept").unwrap();
    let lock = home.keys().join("keys.lock");
    let refuses = |vault: &mut Vault| {
        let error = vault.add(new_keys([2])).unwrap_err().to_string();
        assert!(error.contains("keys.lock: it is a link, or no plain file"), "{error}");
        assert_eq!(home.open().len(), 1);
    };
    for target in [victim.clone(), home.0.path().join("absent")] {
        fs::remove_file(&lock).unwrap();
        std::os::unix::fs::symlink(&target, &lock).unwrap();
        refuses(&mut vault);
    }
    assert_eq!(fs::read_to_string(&victim).unwrap(), "kept");
    assert!(!home.0.path().join("absent").exists(), "a file was made where the link leads");
    fs::remove_file(&lock).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&lock).status().unwrap().success());
    refuses(&mut vault);
    fs::remove_file(&lock).unwrap();
    vault.add(new_keys([2])).unwrap();
    let elsewhere = home.0.path().join("elsewhere");
    fs::rename(home.file(), &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, home.file()).unwrap();
    let error = Vault::open(&home.keys(), &home.unlock()).err().unwrap().to_string();
    assert!(error.contains("keys.sealed: it is a link, or no plain file"), "{error}");
}

#[test]
fn an_unlock_file_that_others_may_read_is_refused() {
    let home = Home::new();
    let path = home.0.path().join("unlock");
    for bits in [0o640, 0o604, 0o620, 0o601, 0o666] {
        fs::set_permissions(&path, Permissions::from_mode(bits)).unwrap();
        let error = UnlockSecret::from_file(&path).err().unwrap();
        assert!(matches!(error, UnlockError::NotPrivate { mode, .. } if mode == bits), "{error}");
    }
    fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
    home.open();
}

/// systemd shows the access control list of a credential as group read.
#[test]
fn a_credential_may_be_group_readable_and_nothing_more() {
    let home = Home::new();
    let path = home.0.path().join("unlock");
    for (bits, accepted) in [(0o400, true), (0o440, true), (0o460, false), (0o444, false)] {
        fs::set_permissions(&path, Permissions::from_mode(bits)).unwrap();
        assert_eq!(UnlockSecret::from_credential(&path).is_ok(), accepted, "{bits:o}");
    }
}

#[test]
fn an_unlock_file_is_read_strictly() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("unlock");
    let read = |content: &[u8]| {
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        UnlockSecret::from_file(&path)
    };
    let digits = "0f".repeat(32);
    assert!(matches!(
        read(format!("palisade-unlock-1:{digits}\n").as_bytes()),
        Ok(UnlockSecret::Generated(_))
    ));
    for damaged in ["", "0f", &"0g".repeat(32), &"0f".repeat(33), &format!("{digits} x")] {
        let result = read(format!("palisade-unlock-1:{damaged}").as_bytes());
        assert!(matches!(result, Err(UnlockError::Malformed { .. })), "{damaged}");
    }
    assert!(matches!(read(b"correct horse\n"), Ok(UnlockSecret::Passphrase(_))));
    assert!(matches!(read(b"\n\x00\n"), Err(UnlockError::Empty)));
    assert!(matches!(read(b"\xff\xfe"), Err(UnlockError::NotText(_))));
    assert!(matches!(read(&[b'a'; 5000]), Err(UnlockError::Io { .. })));
    assert!(matches!(UnlockSecret::from_file(home.path()), Err(UnlockError::Io { .. })));
}

#[test]
fn two_generated_unlock_files_differ() {
    let home = TempDir::new().unwrap();
    let texts = ["a", "b"].map(|name| {
        let path = home.path().join(name);
        Vault::generate_unlock_file(&path).unwrap();
        fs::read_to_string(path).unwrap()
    });
    assert_ne!(texts[0], texts[1]);
}
