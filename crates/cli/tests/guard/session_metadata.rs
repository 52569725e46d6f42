//! New session keys for a runtime whose metadata is given: index, types and order are its own.
//!
//! Decides: the call is what the runtime takes; keys in another order than the runtime's are not
//! made; a file that says nothing makes no key.

use std::fs;

use serde_json::json;

use super::session_keys::{OWNER_HEX, bytes, home, json_of, listed};

/// Of the real runtime of the end-to-end tests: pallet 5 takes `babe`, `grandpa`.
const METADATA: &[u8] = include_bytes!("../../../substrate/tests/fixtures/metadata-14.scale");

const GENERATE: [&str; 6] = ["keys", "generate", "--chain", "substrate:mini", "--owner", OWNER_HEX];

#[test]
fn the_runtime_says_which_keys_it_takes_and_where() {
    let home = home();
    let file = home.beside("metadata");
    let path = file.to_str().unwrap();
    let digits = format!("0x{}", hex::encode(METADATA));
    let answer = json!({ "jsonrpc": "2.0", "id": 1, "result": digits }).to_string();
    for content in [METADATA.to_vec(), format!("{digits}\n").into_bytes(), answer.into_bytes()] {
        fs::write(&file, content).unwrap();
        let made = json_of(&home, &[GENERATE.as_slice(), &["--metadata", path]].concat());
        let types: Vec<_> =
            made["keys"].as_array().unwrap().iter().map(|key| &key["key_type"]).collect();
        assert_eq!(types, ["babe", "gran"]);
        let call = bytes(&made["call"]);
        assert_eq!(call[..2], [5, 0]);
        assert_eq!(call[2..66], bytes(&made["session_keys"]));
        assert_eq!(call.len(), 2 + 64 + 2 + 128);
    }
    // The same keys once more, and one of them from elsewhere.
    let made = json_of(&home, &[GENERATE.as_slice(), &["--metadata", path]].concat());
    let named = |place: usize| {
        let key = &made["keys"][place];
        let text = format!("{}={}", key["key_type"], key["public_key"]).replace('"', "");
        (text.clone(), format!("{text}:{}", key["proof"].as_str().unwrap()))
    };
    let prove = ["keys", "prove", "--chain", "substrate:mini", "--owner", OWNER_HEX];
    let of = |keys: [&str; 2]| {
        home.run(&[prove.as_slice(), &["--json", "--metadata", path], &keys].concat())
    };
    let (babe, (gran, proven)) = (named(0).0, named(1));
    for last in [&gran, &proven] {
        let proven = of([&babe, last]);
        let said: serde_json::Value = serde_json::from_slice(&proven.stdout).unwrap();
        assert_eq!(said["session_keys"], made["session_keys"]);
    }
    let turned = of([&gran, &babe]);
    assert_eq!(turned.status.code(), Some(2));
    let why = String::from_utf8_lossy(&turned.stderr);
    assert!(why.contains("in this order: babe,gran"), "{why}");
}

#[test]
fn what_does_not_agree_with_the_runtime_makes_no_key() {
    let home = home();
    let file = home.beside("metadata");
    let path = file.to_str().unwrap();
    let fails = |more: &[&str], says: &str| {
        let output =
            home.run(&[GENERATE.as_slice(), &["--metadata", path, "--json"], more].concat());
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{why}");
        assert!(why.contains(says), "{says}: {why}");
    };
    fs::write(&file, METADATA).unwrap();
    for keys in ["gran,babe", "babe", "babe,gran,audi", "babe,aura"] {
        fails(&["--keys", keys], "in this order: babe,gran");
    }
    fails(&["--call-index", "5.0"], "cannot be used with");
    let mut other = METADATA.to_vec();
    other[4] = 13;
    fs::write(&file, other).unwrap();
    fails(&[], "version 13");
    for no_metadata in ["", "{}", "0x6d", "{\"error\":{\"code\":-32601}}"] {
        fs::write(&file, no_metadata).unwrap();
        fails(&[], "not the metadata of a runtime");
    }
    fs::remove_file(&file).unwrap();
    let absent = home.run(&[GENERATE.as_slice(), &["--metadata", path]].concat());
    assert_eq!(absent.status.code(), Some(3));
    assert!(listed(&home).is_empty());
}
