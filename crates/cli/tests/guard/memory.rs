//! Where the bytes of a key are while a guard serves: in no page of the front, in no page of the
//! core that another process reads, and in none that may go to swap.
//!
//! Each search also looks for what passes through the process, so that it is seen to find. Only
//! root can look into a guard; without it that is said aloud.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use palisade_substrate::mmr_commitment;
use serde_json::json;

use super::openrpc::ECDSA_ALICE;
use super::processes::{front_of, is_hidden};
use super::substrate::{self, announce, call, draw, present_slot, seal, vote};
use crate::support::Guard;
use crate::support::duty::{attestation, block};
use crate::support::home::{KEYS, SECRETS};

/// The development keys of the session key types, as seeds: `//Alice`.
const SR25519_SEED: &str = "e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a";
const ED25519_SEED: &str = "abf8e5bdbe30c65656c0a3cbd181ff8a56294a69dfedd27982aace4a76909115";
const ECDSA_SEED: &str = "cb6df9de1efca7a3998a8ead4e02159d5fa99c3e0d4fd6432667390bb4726854";

const NOTHING: [&str; 0] = [];

/// One mapping of a process.
struct Mapping {
    start: u64,
    bytes: usize,
    /// What it shows: a file, a name of the kernel's, or nothing.
    name: String,
    is_readable: bool,
    /// No page of it goes to swap.
    is_locked: bool,
}

impl Mapping {
    /// The kernel's own, which have no pages that anybody could write away.
    fn is_kernels(&self) -> bool {
        self.name.starts_with("[v")
    }
}

fn mappings(process: u32) -> Vec<Mapping> {
    let text = fs::read_to_string(format!("/proc/{process}/smaps")).unwrap();
    let mut found: Vec<Mapping> = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words[0] == "VmFlags:" {
            found.last_mut().unwrap().is_locked = words.contains(&"lo");
        } else if let Some((start, end)) = words[0].split_once('-') {
            let [start, end] = [start, end].map(|text| u64::from_str_radix(text, 16).unwrap());
            let bytes = usize::try_from(end - start).unwrap();
            let name = words.get(5).copied().unwrap_or_default().to_owned();
            let is_readable = words[1].starts_with('r');
            found.push(Mapping { start, bytes, name, is_readable, is_locked: false });
        }
    }
    assert!(found.len() > 20, "{text}");
    found
}

/// What is searched for, and what it is.
type Wanted = (String, Vec<u8>);

/// What of this is in the pages of these mappings that can be read, and where.
fn found(process: u32, wanted: &[Wanted], which: impl Fn(&Mapping) -> bool) -> Vec<String> {
    let memory = File::open(format!("/proc/{process}/mem")).unwrap();
    let mut found = Vec::new();
    for mapping in mappings(process).iter().filter(|one| one.is_readable && which(one)) {
        let mut bytes = vec![0; mapping.bytes];
        // Pages that cannot be read so (memfd_secret, vvar) are none that others could read.
        let Ok(read) = memory.read_at(&mut bytes, mapping.start) else { continue };
        for (name, wanted) in wanted {
            let places = memchr::memmem::find_iter(&bytes[..read], wanted);
            let inside = &mapping.name;
            found.extend(places.map(|at| format!("{name}: {:x}+{at:x} {inside}", mapping.start)));
        }
    }
    found
}

fn any(_: &Mapping) -> bool {
    true
}

/// Each key in every form in which it could lie about: as bytes in both orders, as digits, and as
/// what its library makes of it.
fn forms_of_the_keys() -> Vec<Wanted> {
    let mut forms = Vec::new();
    let bls = SECRETS[0].trim_start_matches("0x");
    let keys =
        [("bls", bls), ("sr25519", SR25519_SEED), ("ed25519", ED25519_SEED), ("ecdsa", ECDSA_SEED)];
    for (name, digits) in keys {
        let bytes = hex::decode(digits).unwrap();
        forms.push((format!("{name} backwards"), bytes.iter().rev().copied().collect()));
        forms.push((name.to_owned(), bytes));
        forms.push((format!("{name} as digits"), digits.as_bytes().to_vec()));
    }
    let expanded = schnorrkel_secret();
    forms.push(("sr25519 expanded".to_owned(), expanded.to_bytes()[..32].to_vec()));
    forms.push(("sr25519 as ed25519".to_owned(), expanded.to_ed25519_bytes()[..32].to_vec()));
    forms
}

fn schnorrkel_secret() -> schnorrkel::SecretKey {
    let seed = schnorrkel::MiniSecretKey::from_bytes(&hex::decode(SR25519_SEED).unwrap()).unwrap();
    seed.expand(schnorrkel::ExpansionMode::Ed25519)
}

/// Serves one signature of each kind of key.
fn serve(guard: &Guard) {
    for slot in 1..20 {
        guard.sign(KEYS[0], &block(slot, 1)).signature();
    }
    guard.sign(KEYS[0], &attestation(0, 2, 1)).signature();
    assert!(vote(guard, 0, 1, 4, 1)["result"].is_object());
    let slot = present_slot();
    assert!(draw(guard, slot)["result"].is_object());
    let commitment = format!("0x{}", hex::encode(mmr_commitment([1; 32], 5, 1)));
    let params = json!({ "publicKey": ECDSA_ALICE, "commitment": commitment });
    assert!(call(guard, "palisade_beefyCommitment", params)["result"].is_object());
    let announced = announce(guard, slot, 1);
    assert!(seal(guard, &announced)["result"].is_object());
}

/// What the core says of a measure.
#[allow(clippy::print_stderr, reason = "a test that cannot be done says so")]
fn is_on(guard: &Guard, measure: &str) -> bool {
    let on = format!("palisade_secure_measure{{measure=\"{measure}\",state=\"on\"}} 1\n");
    let is_on = guard.watch("/metrics").body.contains(&on);
    if !is_on {
        eprintln!("!! SKIPPED: searching memory: this machine lacks {measure}");
    }
    is_on
}

/// What a search must find: a public key, in the form in which it passes by.
fn passed() -> Vec<Wanted> {
    let bytes = hex::decode(&KEYS[0][2..]).unwrap();
    [KEYS[0].as_bytes().to_vec(), bytes].map(|bytes| ("a public key".to_owned(), bytes)).into()
}

#[test]
fn the_seeds_are_those_of_the_keys_that_serve() {
    let [ed25519, ecdsa] = [ED25519_SEED, ECDSA_SEED].map(|seed| hex::decode(seed).unwrap());
    let ed25519 = ed25519_dalek::SigningKey::from_bytes(&ed25519.try_into().unwrap());
    let public = ed25519.verifying_key().to_bytes();
    assert_eq!(format!("0x{}", hex::encode(public)), substrate::ED25519_ALICE);
    let public = schnorrkel_secret().to_public().to_bytes();
    assert_eq!(format!("0x{}", hex::encode(public)), substrate::SR25519_ALICE);
    let ecdsa = k256::ecdsa::SigningKey::from_slice(&ecdsa).unwrap();
    let public = ecdsa.verifying_key().to_encoded_point(true);
    let home = substrate::home("--fresh");
    let listed = home.succeeds(&["keys", "list", "--json"]);
    assert!(listed.contains(&hex::encode(public.as_bytes())), "{listed}");
}

#[test]
fn no_page_of_the_front_holds_a_key() {
    let home = substrate::home("--fresh");
    let guard = home.start();
    if is_hidden(guard.id()) {
        return;
    }
    serve(&guard);
    let front = front_of(&guard);
    let unlock = fs::read_to_string(home.path().join("unlock.secret")).unwrap();
    let mut wanted = forms_of_the_keys();
    wanted.push(("the unlock secret".to_owned(), unlock.trim().as_bytes().to_vec()));
    assert_eq!(found(front, &wanted, any), NOTHING);
    assert_ne!(found(front, &passed(), any), NOTHING, "the search can find");
}

#[test]
fn no_page_of_the_core_that_another_process_reads_holds_a_key_at_rest() {
    let home = substrate::home("--fresh");
    let guard = home.start();
    if is_hidden(guard.id()) || !is_on(&guard, "secret-memory") {
        return;
    }
    serve(&guard);
    assert_eq!(found(guard.id(), &forms_of_the_keys(), any), NOTHING);
    assert_ne!(found(guard.id(), &passed(), any), NOTHING, "the search can find");
}

#[test]
fn no_page_of_either_process_may_go_to_swap() {
    let home = substrate::home("--fresh");
    let guard = home.start();
    if is_hidden(guard.id()) || !is_on(&guard, "memory-locked") {
        return;
    }
    serve(&guard);
    for process in [guard.id(), front_of(&guard)] {
        let all = mappings(process);
        let swappable = all.iter().filter(|mapping| !mapping.is_locked && !mapping.is_kernels());
        let swappable = swappable.map(|mapping| format!("{:x} {}", mapping.start, mapping.name));
        assert_eq!(swappable.collect::<Vec<_>>(), NOTHING);
    }
}

/// A user who may not lock all of a process's memory still has pages for secrets.
#[test]
fn without_locked_memory_no_page_that_may_go_to_swap_holds_a_key() {
    let home = substrate::home("--fresh");
    let mut command = home.run_command();
    command.arg("--allow-unhardened=memory-locked");
    let guard = Guard::start(command);
    if is_hidden(guard.id()) || !is_on(&guard, "secret-memory") {
        return;
    }
    serve(&guard);
    let is_swappable = |mapping: &Mapping| !mapping.is_locked;
    for process in [guard.id(), front_of(&guard)] {
        assert_eq!(found(process, &forms_of_the_keys(), is_swappable), NOTHING);
        assert_ne!(found(process, &passed(), is_swappable), NOTHING, "the search can find");
    }
    let secret: Vec<Mapping> = mappings(guard.id())
        .into_iter()
        .filter(|mapping| mapping.name.contains("secretmem"))
        .collect();
    assert!(!secret.is_empty() && secret.iter().all(|mapping| mapping.is_locked));
}
