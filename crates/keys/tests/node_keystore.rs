//! A Substrate node's keystore directory: all of it or nothing, each file at fault named, nothing
//! changed and no secret repeated.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use palisade_keys::import::{
    FileProblem, NodeKeystore, NodeKeystoreError, node_keystore, secret_lines,
};
use palisade_keys::{Password, Scheme, SessionSecretKey};
use palisade_protect::KeyType;
use proptest::prelude::*;
use tempfile::TempDir;

const PHRASE: &str = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";

fn name(key_type: KeyType, scheme: Scheme, uri: &str) -> String {
    let key = SessionSecretKey::from_uri(scheme, uri).unwrap().public_key();
    format!("{}{}", hex::encode(key_type.0), hex::encode(key.as_bytes()))
}

/// As `sc-keystore` writes it: the name in hex, the content a JSON string, mode 0600.
fn write(directory: &Path, name: &str, uri: &str) -> PathBuf {
    let path = directory.join(name);
    fs::write(&path, serde_json::to_vec(uri).unwrap()).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// A validator's keys, all of one secret.
fn validator() -> TempDir {
    let directory = TempDir::new().unwrap();
    for (key_type, scheme) in [
        (KeyType::BABE, Scheme::Sr25519),
        (KeyType::GRANDPA, Scheme::Ed25519),
        (KeyType::BEEFY, Scheme::Ecdsa),
        (KeyType::AUTHORITY_DISCOVERY, Scheme::Sr25519),
    ] {
        write(directory.path(), &name(key_type, scheme, "//Alice"), "//Alice");
    }
    directory
}

fn read(directory: &TempDir) -> Result<NodeKeystore, NodeKeystoreError> {
    node_keystore(directory.path(), &[], None)
}

fn types(keystore: &NodeKeystore) -> Vec<String> {
    keystore.keys.iter().map(|key| key.key_type.to_string()).collect()
}

fn problems(directory: &TempDir) -> BTreeMap<String, FileProblem> {
    let Err(NodeKeystoreError::Files(bad)) = read(directory) else { panic!("it was read") };
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    bad.0.into_iter().map(|file| (name(&file.path), file.problem)).collect()
}

#[test]
fn a_validators_keys_are_read_with_their_types() {
    let keystore = read(&validator()).unwrap();
    assert_eq!(types(&keystore), ["audi", "babe", "beef", "gran"]);
    assert!(keystore.left_out.is_empty() && keystore.open_to_others.is_empty());
    let alice = SessionSecretKey::from_uri(Scheme::Ed25519, "//Alice").unwrap().public_key();
    assert_eq!(keystore.keys[3].secret.public_key(), alice);
    let again = SessionSecretKey::from_uri(Scheme::Ed25519, &keystore.keys[3].secret.to_uri());
    assert_eq!(again.unwrap().public_key(), alice, "what is handed on is the same key");
}

#[test]
fn a_key_of_aura_is_of_either_kind() {
    let directory = TempDir::new().unwrap();
    for scheme in [Scheme::Sr25519, Scheme::Ed25519] {
        write(directory.path(), &name(KeyType::AURA, scheme, "//Bob"), "//Bob");
    }
    let keystore = read(&directory).unwrap();
    let mut schemes: Vec<_> =
        keystore.keys.iter().map(|key| key.secret.public_key().scheme()).collect();
    schemes.sort();
    assert_eq!(schemes, [Scheme::Sr25519, Scheme::Ed25519]);
}

#[test]
fn only_the_types_that_were_asked_for_come_in() {
    let directory = validator();
    let foreign = write(directory.path(), &format!("696d6f6e{}", "11".repeat(32)), "//Alice");
    let keystore = node_keystore(directory.path(), &[KeyType::GRANDPA], None).unwrap();
    assert_eq!(types(&keystore), ["gran"]);
    assert_eq!(keystore.left_out.len(), 4);
    assert!(keystore.left_out.contains(&foreign));
    assert!(matches!(
        problems(&directory).into_values().next(),
        Some(FileProblem::OtherKeyType(_))
    ));
}

#[test]
fn every_file_at_fault_is_named() {
    let directory = validator();
    let at = directory.path();
    let alice = name(KeyType::BABE, Scheme::Sr25519, "//Alice");
    let of = |key_type: &str| format!("{}{}", hex::encode(key_type), &alice[8..]);
    fs::remove_file(at.join(&alice)).unwrap();
    // The secret of another key; a key of ed25519 where sr25519 belongs.
    write(at, &alice, "//Bob");
    write(at, &name(KeyType::BABE, Scheme::Ed25519, "//Alice"), "//Alice");
    write(at, &of("beef"), "//Alice");
    write(at, &of("aura")[..70], "//Alice");
    write(at, "notes.txt", "//Alice");
    write(at, "6261", "//Alice");
    let with_content = |name: &str, content: &[u8]| {
        fs::write(at.join(name), content).unwrap();
        name.to_owned()
    };
    let eve = |number: u8| format!("{}{}", hex::encode("babe"), hex::encode([number; 32]));
    with_content(&eve(1), b"//Alice");
    with_content(&eve(2), b"\"//Alice\" \"//Alice\"");
    with_content(&eve(3), b"\"correct horse battery staple\"");
    with_content(&eve(4), &vec![b' '; 5000]);
    with_content(&eve(5), b"");
    fs::create_dir(at.join(eve(6))).unwrap();
    symlink(at.join(&alice), at.join(eve(7))).unwrap();
    let problems = problems(&directory);
    assert_eq!(problems.len(), 13, "{problems:?}");
    assert!(matches!(problems[&alice], FileProblem::OtherKey));
    let crossed = name(KeyType::BABE, Scheme::Ed25519, "//Alice");
    assert!(matches!(problems[&crossed], FileProblem::OtherKey));
    for odd in [of("beef"), of("aura")[..70].to_owned(), "notes.txt".into(), "6261".into()] {
        assert!(matches!(problems[&odd], FileProblem::NotOfANode), "{odd}");
    }
    for no_json in [1, 2, 5] {
        assert!(matches!(problems[&eve(no_json)], FileProblem::NotAString), "{no_json}");
    }
    assert!(matches!(problems[&eve(3)], FileProblem::Uri(_)));
    assert!(matches!(problems[&eve(4)], FileProblem::Unreadable(_)));
    for odd in [6, 7] {
        assert!(matches!(problems[&eve(odd)], FileProblem::NotAFile), "{odd}");
    }
    let shown = read(&directory).err().unwrap().to_string();
    assert!(shown.contains(&eve(7)) && !shown.contains("horse") && !shown.contains("Alice"));
}

#[test]
fn directories_without_keys_are_no_keystores() {
    let empty = TempDir::new().unwrap();
    assert!(matches!(read(&empty), Err(NodeKeystoreError::Nothing(_))));
    let none_of_these = node_keystore(validator().path(), &[KeyType::AURA], None);
    assert!(matches!(none_of_these, Err(NodeKeystoreError::Nothing(_))));
    let absent = node_keystore(&empty.path().join("absent"), &[], None);
    assert!(matches!(absent, Err(NodeKeystoreError::Unreadable { .. })));
    let file = write(empty.path(), "file", "");
    assert!(matches!(node_keystore(&file, &[], None), Err(NodeKeystoreError::Unreadable { .. })));
}

#[test]
fn what_others_may_read_is_told() {
    let directory = validator();
    let gran = directory.path().join(name(KeyType::GRANDPA, Scheme::Ed25519, "//Alice"));
    fs::set_permissions(&gran, fs::Permissions::from_mode(0o640)).unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(read(&directory).unwrap().open_to_others, std::slice::from_ref(&gran));
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o775)).unwrap();
    assert_eq!(read(&directory).unwrap().open_to_others, [directory.path().to_owned(), gran]);
}

/// As `sp_core::Pair::from_string` takes a password: part of a phrase, and no part of a seed; what
/// the text names itself counts first.
#[test]
fn a_nodes_password_is_part_of_its_phrases() {
    let directory = TempDir::new().unwrap();
    let with_password = format!("{PHRASE}//0///secret");
    let seed = format!("0x{}", "07".repeat(32));
    for (uri, content) in [
        (with_password.as_str(), format!("{PHRASE}//0")),
        (seed.as_str(), seed.clone()),
        ("//Bob///own", "//Bob///own".to_owned()),
    ] {
        write(directory.path(), &name(KeyType::BABE, Scheme::Sr25519, uri), &content);
    }
    assert!(matches!(
        problems(&directory).remove(&name(KeyType::BABE, Scheme::Sr25519, &with_password)),
        Some(FileProblem::OtherKey)
    ));
    let password = Password::new("secret\n".to_owned());
    let keystore = node_keystore(directory.path(), &[], Some(&password)).unwrap();
    assert_eq!(keystore.keys.len(), 3);
}

#[test]
fn lines_of_secrets_are_read_without_what_is_around_them() {
    let long = format!("{PHRASE}//{}", "a".repeat(900));
    let text = format!("# comment\n\n  //Alice\t\r\n{long}\n//Bob");
    let lines = secret_lines(text.as_bytes()).unwrap();
    let lines: Vec<&str> = lines.iter().map(|line| line.as_str()).collect();
    assert_eq!(lines, ["//Alice", &long, "//Bob"]);
    for (bad, number) in [(vec![b'a'; 1025], 2), (vec![0xff, 0xfe], 2)] {
        let text = [b"//Alice\n".as_slice(), &bad, b"\n"].concat();
        let error = secret_lines(text.as_slice()).err().unwrap();
        assert_eq!(error.line, number);
        assert!(!error.to_string().contains("aaa"), "{error}");
    }
    assert!(secret_lines(&b"\n#\n"[..]).unwrap().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever lies there: all of it is read, or nothing, and no error repeats a content.
    #[test]
    fn any_directory_is_read_whole_or_refused(
        files in proptest::collection::btree_map(
            prop_oneof!["[0-9a-f]{72}", "(62616265|6772616e)[0-9a-f]{64}", "[ -.0-~]{1,40}"],
            prop_oneof!["\"[0-9a-zA-Z/ ]{0,60}\"", "\"0x[0-9a-f]{64}\"", "[ -~]{20,80}"],
            0..6,
        ),
    ) {
        let directory = validator();
        for (name, content) in files.iter().filter(|(name, _)| !name.starts_with('.')) {
            fs::write(directory.path().join(name), content).unwrap();
        }
        let count = fs::read_dir(directory.path()).unwrap().count();
        match read(&directory) {
            Ok(keystore) => prop_assert_eq!(keystore.keys.len(), count),
            Err(error) => {
                let shown = error.to_string();
                let inner = |content: &str| content.trim_matches('"').trim().to_owned();
                for content in files.values().map(|content| inner(content)) {
                    let told = 12 < content.len() && shown.contains(&content);
                    prop_assert!(!told, "{} stands in {}", content, shown);
                }
            }
        }
    }
}
