//! Session keys into a home and out of it through the real process: from a node's keystore, into a
//! file of their history, and back.
//!
//! Decides: a keystore comes in whole or not at all, and is left as it is; a key that left is
//! judged by its past.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::session_keys::{ED25519_ALICE, OWNER_HEX, home, json_of, listed, vote};
use crate::support::home::TestHome;

fn node_keystore(home: &TestHome) -> PathBuf {
    let directory = home.beside("keystore");
    fs::create_dir(&directory).unwrap();
    let files = [("6772616e", ED25519_ALICE), ("62616265", OWNER_HEX), ("61756469", OWNER_HEX)];
    for (key_type, public_key) in files {
        let path = directory.join(format!("{key_type}{}", &public_key[2..]));
        fs::write(&path, "\"//Alice\"").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    directory
}

fn contents(directory: &Path) -> Vec<(PathBuf, Vec<u8>, u32)> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let of_path = |path: PathBuf| {
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        (path.clone(), fs::read(&path).unwrap(), mode)
    };
    let mut contents: Vec<_> = entries.map(of_path).collect();
    contents.sort();
    contents
}

#[test]
fn a_nodes_keystore_comes_in_whole_or_not_at_all() {
    let home = home();
    let guard = home.start();
    let directory = node_keystore(&home);
    let text = directory.to_str().unwrap();
    let odd = directory.join("notes.txt");
    fs::write(&odd, "//Alice").unwrap();
    let import = ["keys", "import", "--chain", "substrate:mini", "--fresh", text];
    let refused = home.run(&import);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("notes.txt"));
    assert!(listed(&home).is_empty());
    fs::remove_file(&odd).unwrap();
    let before = contents(&directory);
    let imported = home.run(&import);
    assert_eq!(imported.status.code(), Some(0), "{imported:?}");
    let said = String::from_utf8_lossy(&imported.stderr);
    assert!(said.contains("No node may run with these keys"), "{said}");
    assert!(!said.contains("others than its owner"), "{said}");
    assert_eq!(contents(&directory), before, "the node's files are left as they are");
    let expected = [("audi", OWNER_HEX), ("babe", OWNER_HEX), ("gran", ED25519_ALICE)];
    let expected = expected.map(|(key_type, key)| format!("{key_type}={key}"));
    assert_eq!(listed(&home), BTreeSet::from(expected));
    assert!(vote(&guard, ED25519_ALICE, 1, 1)["result"].is_object());
    fs::set_permissions(&before[0].0, fs::Permissions::from_mode(0o644)).unwrap();
    let again = home.run(&import);
    let said = String::from_utf8_lossy(&again.stderr);
    assert!(said.contains("others than its owner"), "{said}");
}

#[test]
fn a_key_that_left_is_judged_by_its_past() {
    let home = home();
    let guard = home.start();
    let directory = node_keystore(&home);
    let import = |past: &[&str]| {
        let what = ["keys", "import", "--chain", "substrate:mini", "--keys", "gran", "--json"];
        let output = home.succeeds(&[&what, past, &[directory.to_str().unwrap()]].concat());
        serde_json::from_str::<Value>(&output).unwrap()
    };
    import(&["--fresh"]);
    assert!(vote(&guard, ED25519_ALICE, 1, 9)["result"].is_object());
    let refused = home.run(&["keys", "remove", ED25519_ALICE]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(vote(&guard, ED25519_ALICE, 1, 9)["result"].is_object(), "it still serves");
    let remove = ["keys", "remove", "--after-session-change", ED25519_ALICE];
    let removed = json_of(&home, &remove);
    assert_eq!(removed["removed"], json!([ED25519_ALICE]));
    let history = removed["history"].as_str().unwrap();
    let file: Value = serde_json::from_slice(&fs::read(history).unwrap()).unwrap();
    assert_eq!(file["format"], "palisade-session-history");
    assert_eq!(file["keys"][0]["summary"]["last_place"], json!([4, 9]));
    assert_eq!(fs::metadata(history).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(listed(&home).is_empty());
    assert_eq!(vote(&guard, ED25519_ALICE, 1, 9)["error"]["code"], -32011);
    assert_eq!(home.run(&remove).status.code(), Some(1), "it is not here any more");

    assert_eq!(import(&["--fresh"])["from_now"], json!([ED25519_ALICE]), "it is not fresh");
    assert_eq!(vote(&guard, ED25519_ALICE, 2, 10)["error"]["data"]["code"], "awaits-floor");
    home.succeeds(&["keys", "floor", ED25519_ALICE, "--set-id", "4", "--number", "0"]);
    let behind = vote(&guard, ED25519_ALICE, 2, 9);
    assert_eq!(behind["error"]["data"]["code"], "double-grandpa-vote", "{behind}");

    // In another home, the file is all that is known.
    let elsewhere = super::session_keys::home();
    let directory = directory.to_str().unwrap();
    let bring = |past: &str, chain: &str| {
        let what = ["keys", "import", "--chain", chain, "--keys", "gran"];
        elsewhere.run(&[what.as_slice(), &["--history", past, directory]].concat())
    };
    let wrong_chain = bring(history, "substrate:other");
    assert_eq!(wrong_chain.status.code(), Some(2), "{wrong_chain:?}");
    let no_history = elsewhere.beside("no-history.json");
    fs::write(&no_history, fs::read_to_string(history).unwrap().replace("6772616e", "62616265"))
        .unwrap();
    let damaged = bring(no_history.to_str().unwrap(), "substrate:mini");
    assert_eq!(damaged.status.code(), Some(2), "{damaged:?}");
    assert!(listed(&elsewhere).is_empty());
    assert_eq!(bring(history, "substrate:mini").status.code(), Some(0));
    let guard = elsewhere.start();
    assert_eq!(vote(&guard, ED25519_ALICE, 2, 9)["error"]["data"]["code"], "double-grandpa-vote");
    assert!(vote(&guard, ED25519_ALICE, 1, 9)["result"].is_object(), "the same vote again");
    assert!(vote(&guard, ED25519_ALICE, 2, 10)["result"].is_object());
}

/// What is said of a file, and what was changed in it.
type Change<'a> = (&'a str, &'a dyn Fn(&mut Value));

#[test]
fn a_history_that_was_changed_is_refused_whole() {
    let home = home();
    let directory = node_keystore(&home);
    let directory = directory.to_str().unwrap();
    let import = |home: &TestHome, past: &[&str]| {
        let what = ["keys", "import", "--chain", "substrate:mini", "--keys", "gran,babe"];
        home.run(&[&what, past, &[directory]].concat())
    };
    assert!(import(&home, &["--fresh"]).status.success());
    let remove = ["keys", "remove", "--after-session-change", ED25519_ALICE, OWNER_HEX];
    let history = json_of(&home, &remove)["history"].as_str().unwrap().to_owned();
    let right: Value = serde_json::from_slice(&fs::read(&history).unwrap()).unwrap();
    assert_eq!(right["keys"].as_array().unwrap().len(), 2);
    let elsewhere = super::session_keys::home();
    let file = elsewhere.beside("changed.json");
    let other = json!(format!("0x{}", "cd".repeat(32)));
    let of_other_key = right["keys"][1]["public_key"].clone();
    let changes: [Change<'_>; 14] = [
        ("version 3", &|file| file["version"] = json!(3)),
        ("does not bind", &|file| file["version"] = json!(1)),
        ("its digest", &|file| file["keys"][0]["public_key"] = of_other_key.clone()),
        ("its digest", &|file| file["keys"][0]["digest"] = file["keys"][1]["digest"].clone()),
        ("its digest", &|file| file["time_unix_ms"] = json!(1)),
        ("eip-3076", &|file| file["format"] = json!("eip-3076")),
        ("does not read", &|file| file["keys"][0]["extra"] = json!(1)),
        ("does not read", &|file| file["keys"] = json!({})),
        ("is not hex", &|file| file["keys"][0]["public_key"] = json!("0x0")),
        ("its record is not one", &|file| file["keys"][0]["record"] = json!("0x0102")),
        ("its record is not one", &|file| file["keys"][0]["record"] = json!("?")),
        ("another chain", &|file| file["keys"][0]["summary"]["genesis"] = other.clone()),
        ("before", &|file| file["keys"][1] = file["keys"][0].clone()),
        ("does not name", &|file| drop(file["keys"].as_array_mut().unwrap().pop())),
    ];
    for (said, change) in changes {
        let mut changed = right.clone();
        change(&mut changed);
        fs::write(&file, changed.to_string()).unwrap();
        let refused = import(&elsewhere, &["--history", file.to_str().unwrap()]);
        let error = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{said}: {error}");
        assert!(error.contains(said), "{said}: {error}");
    }
    assert!(listed(&elsewhere).is_empty());
    let since_1970 = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    let present = u64::try_from(since_1970 / 6_000).unwrap();
    assert!(import(&elsewhere, &["--history", &history]).status.success());
    // A file can be old: seals start behind the present whatever it says.
    let rows = json_of(&elsewhere, &["keys", "list"]);
    let is_babe = |row: &&Value| row["session"]["key_type"] == "babe";
    let babe = rows.as_array().unwrap().iter().find(is_babe).unwrap();
    assert!(present <= babe["session"]["last_slot"].as_u64().unwrap(), "{babe}");
}

#[test]
fn a_place_where_no_chain_is_yet_must_be_said_twice() {
    let home = home();
    let directory = node_keystore(&home);
    let what = ["keys", "import", "--chain", "substrate:mini", "--keys", "gran"];
    let import = |past: &str| {
        let output = home
            .succeeds(&[what.as_slice(), &["--json", past, directory.to_str().unwrap()]].concat());
        serde_json::from_str::<Value>(&output).unwrap()
    };
    assert_eq!(import("--from-now")["await_floor"], json!([ED25519_ALICE]));
    // Also as one that is here already, and of which nothing new is said.
    let again = import("--fresh");
    assert_eq!(again["duplicates"], json!([ED25519_ALICE]));
    assert_eq!(again["await_floor"], json!([ED25519_ALICE]));
    let floor = |set_id: &str, number: &str, more: &[&str]| {
        let floor = ["keys", "floor", ED25519_ALICE, "--set-id", set_id, "--number", number];
        let output = home.run(&[&floor, more].concat());
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for (set_id, number) in [("18446744073709551615", "0"), ("4", "18446744073709551000")] {
        let (status, why) = floor(set_id, number, &[]);
        assert_eq!(status, Some(1), "{why}");
        assert!(why.contains("no chain is there yet") && why.contains("at most"), "{why}");
    }
    assert_eq!(floor("4", "9", &[]).0, Some(0));
    let again = import("--fresh");
    assert_eq!(again["await_floor"], json!([]), "it waits no more");
    let (status, why) = floor("4", "100000000", &[]);
    assert_eq!(status, Some(1), "{why}");
    assert!(why.contains("record says"), "{why}");
    let guard = home.start();
    assert!(vote(&guard, ED25519_ALICE, 1, 10)["result"].is_object(), "nothing was raised");
    assert_eq!(floor("4", "100000000", &["--accept-far-ahead"]).0, Some(0));
    assert_eq!(vote(&guard, ED25519_ALICE, 1, 11)["error"]["data"]["code"], "grandpa-vote-behind");

    // The file says the same, and it is another home's turn to doubt it.
    home.succeeds(&[
        "keys",
        "floor",
        ED25519_ALICE,
        "--set-id",
        "4",
        "--number",
        "99999999999",
        "--accept-far-ahead",
    ]);
    let remove = ["keys", "remove", "--after-session-change", ED25519_ALICE];
    let removed = json_of(&home, &remove);
    let history = removed["history"].as_str().unwrap();
    let elsewhere = super::session_keys::home();
    let bring = |more: &[&str]| {
        let with = ["--history", history, directory.to_str().unwrap()];
        elsewhere.run(&[what.as_slice(), more, &with].concat())
    };
    let refused = bring(&[]);
    let why = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{why}");
    assert!(why.contains("round 99999999999; by this clock at most"), "{why}");
    assert!(listed(&elsewhere).is_empty());
    assert!(bring(&["--accept-far-ahead"]).status.success());
}
