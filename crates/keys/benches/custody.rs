//! What signing and starting cost, each beside its own limit measured in the same run.
//!
//! Prints a table for people on stderr and one JSON line for each measure on stdout: `value` and
//! `target` are ratios to `limit`, or milliseconds for the load. `cargo bench -p palisade-keys`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs,
    reason = "a benchmark prints, and fails by panicking"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use palisade_keys::{BlsSecretKey, KeyRing, NewKey, UnlockSecret, Vault};
use palisade_protect::journal::Event;
use palisade_protect::{
    Changes, Digest, Duty, Intent, KeyId, Ledger, Permit, Record, Stance, Subject, authorise,
};

const CIPHERSUITE: &[u8] = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";
const WINDOWS: usize = 20;
const SIGNATURES: u32 = 50;
const KEYS: u32 = 10_000;

/// A ledger without a disk: what is measured comes after the permit.
struct MemoryLedger;

impl Ledger for MemoryLedger {
    type Error = String;

    fn load(&mut self, _: &KeyId) -> Result<Option<Record>, String> {
        Ok(Some(Record::fresh_ethereum()))
    }

    fn stance(&mut self, _: &KeyId, _: &Subject) -> Result<Stance, String> {
        Ok(Stance::NONE)
    }

    fn persist(&mut self, _: &Changes, _: Vec<Event>) -> Result<(), String> {
        Ok(())
    }

    fn defer(&mut self, _: Event) {}
}

fn main() {
    let bytes = secret_bytes(1);
    let secret = BlsSecretKey::from_bytes(&bytes).unwrap();
    let id = secret.public_key().id();
    let ring = KeyRing::new([secret]).unwrap();
    let bare = blst::min_pk::SecretKey::from_bytes(&bytes).unwrap();
    let mut counter = 0;
    // Interleaved, so that another load on the machine touches all of them alike.
    let mut best = [Duration::MAX; 3];
    for _ in 0..WINDOWS {
        let measured = [
            window(|| bare.sign(&digest(&mut counter).0, CIPHERSUITE, &[]).compress()),
            window_of(&ring, id, || digest(&mut counter)),
            window_of(&ring, id, || Digest([0; 32])),
        ];
        best = best_of(best, measured);
    }
    let [bare, fresh, shared] = best.map(|time| time.as_secs_f64() * 1e6);
    eprintln!(
        "bare blst sign {bare:.1} us; new message {fresh:.1} us; shared message {shared:.1} us"
    );
    report("keys_bare_blst_sign_us", bare, bare, bare);
    report("keys_sign_new_message_over_bare_blst", fresh / bare, 1.05, 1.0);
    report("keys_sign_shared_message_over_bare_blst", shared / bare, 0.55, 0.5);
    report("keys_load_10000_ms", load_milliseconds(), 500.0, 1000.0);
}

fn best_of(left: [Duration; 3], right: [Duration; 3]) -> [Duration; 3] {
    let mut best = left;
    best.iter_mut().zip(right).for_each(|(best, time)| *best = time.min(*best));
    best
}

/// The time of one call, as the mean of a window.
fn window<T>(mut work: impl FnMut() -> T) -> Duration {
    let start = Instant::now();
    (0..SIGNATURES).for_each(|_| drop(black_box(work())));
    start.elapsed() / SIGNATURES
}

fn window_of(ring: &KeyRing, key: KeyId, mut digest: impl FnMut() -> Digest) -> Duration {
    let mut permits: Vec<_> = (0..SIGNATURES).map(|_| permit(key, digest())).collect();
    window(|| ring.sign(permits.pop().unwrap()).unwrap())
}

/// Opens a vault of 10,000 keys and loads its ring: the whole of what a start pays for keys.
fn load_milliseconds() -> f64 {
    let home = tempfile::tempdir().unwrap();
    let (unlock, keys) = (home.path().join("unlock"), home.path().join("keys"));
    Vault::generate_unlock_file(&unlock).unwrap();
    let secret = UnlockSecret::from_file(&unlock).unwrap();
    let new_keys = (1..=KEYS)
        .map(|number| NewKey::bls(BlsSecretKey::from_bytes(&secret_bytes(number)).unwrap()))
        .collect();
    let start = Instant::now();
    Vault::create(&keys, &secret).unwrap().add(new_keys).unwrap();
    eprintln!("sealing {KEYS} keys durably {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    let before = resident_kibibytes();
    let start = Instant::now();
    let secret = UnlockSecret::from_file(&unlock).unwrap();
    let vault = Vault::open(&keys, &secret).unwrap();
    let ring = vault.load_ring().unwrap();
    let milliseconds = start.elapsed().as_secs_f64() * 1e3;
    assert_eq!(ring.len(), KEYS as usize);
    let grown = resident_kibibytes().saturating_sub(before);
    eprintln!(
        "loading {KEYS} keys {milliseconds:.1} ms; {:.2} KiB a key",
        f64::from(grown) / f64::from(KEYS)
    );
    milliseconds
}

fn resident_kibibytes() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn report(name: &str, value: f64, target: f64, limit: f64) {
    println!(
        "{{\"name\":\"{name}\",\"value\":{value:.3},\"target\":{target:.3},\"limit\":{limit:.3}}}"
    );
}

fn permit(key: KeyId, digest: Digest) -> Permit {
    let intent = Intent { duty: Duty::Harmless, digest };
    authorise(&mut MemoryLedger, &[(key, intent)]).remove(0).unwrap()
}

/// A digest that was not seen before.
fn digest(counter: &mut u64) -> Digest {
    *counter += 1;
    let mut bytes = [0xd1; 32];
    for (place, byte) in bytes.iter_mut().zip(counter.to_le_bytes()) {
        *place = byte;
    }
    Digest(bytes)
}

fn secret_bytes(number: u32) -> [u8; 32] {
    let mut bytes = [0x11; 32];
    for (place, byte) in bytes.iter_mut().rev().zip(number.to_le_bytes()) {
        *place = byte;
    }
    bytes
}
