//! What another process finds in the memory of the guard's processes, if it could read it: no
//! secret key, in none of the forms in which one passes by.
#![allow(clippy::print_stderr, reason = "a test that cannot be done says so")]

use std::fs;

use serde_json::json;

use super::key_manager::keystore;
use super::processes::{front_of, is_hidden};
use super::session_keys;
use crate::support::Guard;
use crate::support::duty::{attestation, block};
use crate::support::home::{KEYS, SECRETS, TestHome};

/// Every page of a process that can be read, searched for any of these.
fn has_in_memory(process: u32, wanted: &[Vec<u8>]) -> bool {
    use std::os::unix::fs::FileExt;
    let memory = fs::File::open(format!("/proc/{process}/mem")).unwrap();
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    maps.lines().any(|line| {
        let mut words = line.split_whitespace();
        let (start, end) = words.next().unwrap().split_once('-').unwrap();
        if !words.next().unwrap().starts_with('r') {
            return false;
        }
        let [start, end] = [start, end].map(|text| u64::from_str_radix(text, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
        // Pages that cannot be read so (memfd_secret, vvar) are none that others could read.
        let Ok(read) = memory.read_at(&mut bytes, start) else { return false };
        let bytes = &bytes[..read];
        wanted.iter().any(|wanted| memchr::memmem::find(bytes, wanted).is_some())
    })
}

/// 32 secret bytes, as they pass by.
fn plain_forms_of(digits: &str) -> Vec<Vec<u8>> {
    let big_endian = hex::decode(digits).unwrap();
    let little_endian: Vec<u8> = big_endian.iter().rev().copied().collect();
    vec![big_endian, little_endian, digits.as_bytes().to_vec()]
}

/// A validator's secret key, in every form in which it passes by.
fn forms_of(secret: &str) -> Vec<Vec<u8>> {
    let mut forms = plain_forms_of(secret.trim_start_matches("0x"));
    let scalar = blstrs::Scalar::from_bytes_be(&forms[0].clone().try_into().unwrap()).unwrap();
    // As the library multiplies it: times 2^256, modulo the order of the group.
    forms.push(blst::blst_fr::from(scalar).l.map(u64::to_le_bytes).concat());
    forms
}

#[test]
fn no_page_of_the_front_holds_a_key() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    if is_hidden(guard.id()) {
        return;
    }
    guard.sign(KEYS[0], &block(1, 1)).signature();
    guard.sign(KEYS[0], &attestation(0, 2, 1)).signature();
    let wanted = forms_of(SECRETS[0]);
    assert!(!has_in_memory(front_of(&guard), &wanted), "the front holds the secret key");
    // What passes through the front is found there: the search can find.
    let passed = vec![KEYS[0].as_bytes().to_vec()];
    assert!(has_in_memory(front_of(&guard), &passed), "the search finds nothing");
}

#[test]
fn no_page_of_the_core_that_another_process_reads_holds_a_key_at_rest() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    if is_hidden(guard.id()) {
        return;
    }
    if !has_secret_memory(&guard) {
        return;
    }
    let unlock = fs::read_to_string(home.path().join("unlock.secret")).unwrap();
    let (_, unlock) = unlock.trim().split_once(':').unwrap();
    let shown = has_in_memory(guard.id(), &plain_forms_of(unlock));
    assert!(!shown, "the core shows the secret that opened its keys");
    let forms = forms_of(SECRETS[0]);
    assert!(!has_in_memory(guard.id(), &forms), "the core shows its key right after its start");
    for slot in 1..20 {
        guard.sign(KEYS[0], &block(slot, 1)).signature();
    }
    assert!(!has_in_memory(guard.id(), &forms), "the core shows its key after signing");
    home.import_raw(&SECRETS[1..2], &["--fresh"]);
    post_keystore(&home, &guard, SECRETS[2]);
    guard.sign(KEYS[1], &block(1, 1)).signature();
    for (secret, way) in [(SECRETS[1], "the admin socket"), (SECRETS[2], "the key manager API")] {
        let shown = has_in_memory(guard.id(), &forms_of(secret));
        assert!(!shown, "the core shows a key that came in by {way}");
    }
    let passed = vec![KEYS[0].as_bytes().to_vec(), hex::decode(&KEYS[0][2..]).unwrap()];
    assert!(has_in_memory(guard.id(), &passed), "the search finds nothing");
}

fn post_keystore(home: &TestHome, guard: &Guard, secret: &str) {
    let body = json!({ "keystores": [keystore(secret, "fish")], "passwords": ["fish"] });
    let bearer = format!("Bearer {}", home.token());
    let headers = [("Authorization", bearer.as_str())];
    let answer = guard.request("POST", "/eth/v1/keystores", &headers, &body.to_string());
    assert_eq!(answer.json()["data"][0]["status"], "imported", "{answer:?}");
}

/// Without it, pages for secrets are pages that root can read.
fn has_secret_memory(guard: &Guard) -> bool {
    let on = "palisade_secure_measure{measure=\"secret-memory\",state=\"on\"} 1";
    let has = guard.watch("/metrics").body.contains(on);
    if !has {
        eprintln!("!! SKIPPED: searching the core: the kernel has no memfd_secret");
    }
    has
}

/// One of each scheme: what a library works with differs from scheme to scheme.
#[test]
fn no_page_of_the_core_holds_a_session_key_that_came_in_and_signed() {
    let home = session_keys::home();
    let guard = home.start();
    if is_hidden(guard.id()) || !has_secret_memory(&guard) {
        return;
    }
    let seed = |first: &str| format!("0x{first}{}", &SECRETS[3][4..]);
    for (key_type, first) in [("gran", "11"), ("babe", "12"), ("beef", "13")] {
        let file = home.beside(key_type);
        fs::write(&file, seed(first)).unwrap();
        let arguments = ["keys", "import-raw", "--chain", "substrate:mini", "--fresh", "--type"];
        home.succeeds(&[&arguments[..], &[key_type, file.to_str().unwrap()]].concat());
    }
    let named = session_keys::listed(&home);
    let owner = session_keys::OWNER_HEX;
    let mut arguments = vec!["keys", "prove", "--chain", "substrate:mini", "--owner", owner];
    arguments.extend(named.iter().map(String::as_str));
    assert_eq!(named.len(), 3);
    home.succeeds(&arguments);
    for first in ["11", "12", "13"] {
        let forms = forms_of_seed(&seed(first));
        assert!(!has_in_memory(guard.id(), &forms), "the core shows the key {first}");
    }
}

/// A seed, and what an sr25519 key works with.
fn forms_of_seed(seed: &str) -> Vec<Vec<u8>> {
    let mut forms = plain_forms_of(seed.trim_start_matches("0x"));
    let mini = schnorrkel::MiniSecretKey::from_bytes(&forms[0]).unwrap();
    let expanded = mini.expand_to_keypair(schnorrkel::ExpansionMode::Ed25519).secret.to_bytes();
    forms.extend(expanded.chunks(32).map(<[u8]>::to_vec));
    forms
}
