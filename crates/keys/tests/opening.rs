//! A vault that is opened again and again, and a thread that reads the whole memory of the process
//! meanwhile: at no moment does ordinary memory hold more than the key that is looked at.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    missing_docs,
    reason = "tests fail by panicking"
)]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};

use palisade_keys::{BlsSecretKey, NewKey, Scheme, SessionSecretKey, UnlockSecret, Vault};
use palisade_sandbox::{Backing, SecretPages};

/// Keys of each kind.
const KEYS: u64 = 300;

/// The first word of each secret as it lies in memory: of a seed, and of a number.
const SEED: u64 = 0x5eed_0f5e_5510_4ed1;
const NUMBER: u64 = 0x5ca1_a70f_b15c_0d25;

/// One at work, and what its constructors left on the stack.
const AT_MOST: usize = 4;

fn words(kind: u64, index: u64) -> [u64; 4] {
    [kind, index, !index, index]
}

fn digits(kind: u64, index: u64) -> String {
    format!("0x{}", hex::encode(words(kind, index).map(u64::to_le_bytes).concat()))
}

fn session(index: u64) -> SessionSecretKey {
    SessionSecretKey::from_uri(Scheme::Ed25519, &digits(SEED, index)).unwrap()
}

fn validator(index: u64) -> BlsSecretKey {
    BlsSecretKey::from_hex(&digits(NUMBER, index)).unwrap()
}

fn all() -> Vec<NewKey> {
    let sessions = (0..KEYS).map(|index| NewKey::session(session(index)));
    sessions.chain((0..KEYS).map(|index| NewKey::bls(validator(index)))).collect()
}

/// Reads every page of this process that can be written, and remembers nothing but numbers.
struct Search {
    memory: File,
    buffer: Vec<u8>,
}

impl Search {
    fn new() -> Self {
        Self { memory: File::open("/proc/self/mem").unwrap(), buffer: vec![0; 1 << 20] }
    }

    /// Which secrets are anywhere.
    fn pass(&mut self) -> BTreeSet<(u64, u64)> {
        let mut found = BTreeSet::new();
        for line in fs::read_to_string("/proc/self/maps").unwrap().lines() {
            let mut fields = line.split(' ');
            let (start, end) = fields.next().unwrap().split_once('-').unwrap();
            if fields.next().unwrap().starts_with("rw") {
                let [start, end] = [start, end].map(|text| u64::from_str_radix(text, 16).unwrap());
                self.look(start, end, &mut found);
            }
        }
        // What is seen is not to be seen again there.
        self.buffer.fill(0);
        found
    }

    fn look(&mut self, start: u64, end: u64, found: &mut BTreeSet<(u64, u64)>) {
        for at in (start..end).step_by(self.buffer.len()) {
            let length = self.buffer.len().min(usize::try_from(end - at).unwrap());
            // Secret pages, and those that are gone by now.
            let Ok(read) = self.memory.read_at(&mut self.buffer[..length], at) else { continue };
            for place in self.buffer[..read].windows(24).step_by(8) {
                let [kind, index, mark] = [0, 8, 16]
                    .map(|from| u64::from_le_bytes(place[from..from + 8].try_into().unwrap()));
                if (kind == SEED || kind == NUMBER) && index < KEYS && mark == !index {
                    found.insert((kind, index));
                }
            }
        }
    }
}

#[test]
fn opening_a_vault_shows_ordinary_memory_one_key_at_a_time() {
    let backing = SecretPages::new().store(&mut [0; 32]).unwrap().backing();
    if backing != Backing::MemorySecret {
        eprintln!("!! SKIPPED: searching memory while keys are opened: no memfd_secret");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let unlock = directory.path().join("unlock");
    Vault::generate_unlock_file(&unlock).unwrap();
    let unlock = UnlockSecret::from_file(&unlock).unwrap();
    let mut vault = Vault::create(&directory.path().join("keys"), &unlock).unwrap();
    let mut search = Search::new();
    let keys = all();
    let there = search.pass().len();
    assert_eq!(there, usize::try_from(2 * KEYS).unwrap(), "the search does not find what is there");
    vault.add(keys).unwrap();
    let before = search.pass();
    assert!(before.len() <= AT_MOST, "left behind before a vault was opened: {before:?}");
    let done = AtomicBool::new(false);
    let (passes, most) = std::thread::scope(|scope| {
        let searching = scope.spawn(|| {
            let (mut passes, mut most) = (0, BTreeSet::new());
            while !done.load(Ordering::Relaxed) {
                let found = search.pass();
                passes += 1;
                if most.len() < found.len() {
                    most = found;
                }
            }
            (passes, most)
        });
        for _ in 0..40 {
            assert_eq!(vault.load_ring().unwrap().len(), there);
        }
        done.store(true, Ordering::Relaxed);
        searching.join().unwrap()
    });
    assert!(10 < passes, "too few looks: {passes}");
    assert!(most.len() <= AT_MOST, "{} keys at once in ordinary memory", most.len());
}
