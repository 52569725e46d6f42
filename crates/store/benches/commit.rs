//! Durable commits: this store against a bare append and `fdatasync` on the same disk in the same
//! run, at 1, 64 and 1,024 intents a commit; opening with 10,000 keys.
//!
//! Prints a table, and for each measure one JSON line. `value` and `target` are times the bare
//! append's (commits) or seconds (opening); `limit` is the bare append's median in microseconds,
//! or the seconds that only reading the file takes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends at the first thing that does not work"
)]

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use palisade_protect::{Digest, Duty, Epoch, Intent, KeyId, Record, authorise};
use palisade_store::{Admission, Creation, Store};

const KEYS: u64 = 10_000;
const MEASURED: Duration = Duration::from_secs(2);
/// About what one attestation adds to journal and records.
const BYTES_PER_INTENT: usize = 256;

fn main() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = directory.path().join("store.redb");
    let settings = Creation { network: "mainnet".to_owned(), genesis_validators_root: None };
    let mut store = Store::create(&path, settings).unwrap();
    let admissions: Vec<_> = (0..KEYS).map(admission).collect();
    store.admit(&admissions).unwrap();
    let mut epoch = 1;
    // Twice the largest batch first, so that no measure pays for growing a small file.
    for batch in [1_024, 1_024, 1, 64, 1_024] {
        let bare = bare_append(directory.path(), usize::try_from(batch).unwrap());
        let ours = commits(&mut store, batch, &mut epoch);
        report(batch, &bare, &ours);
    }
    opening(store, &path);
}

fn key(number: u64) -> KeyId {
    let mut bytes = [0; 32];
    // Spread like the digests that they are.
    let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
    bytes.iter_mut().zip(spread).for_each(|(slot, byte)| *slot = byte);
    KeyId(bytes)
}

fn admission(number: u64) -> Admission {
    let record = Record::fresh_ethereum();
    Admission { key: key(number), public_key: vec![7; 48], record }
}

/// Times of one commit each, sorted.
struct Times(Vec<Duration>);

impl Times {
    fn measure(mut once: impl FnMut()) -> Self {
        let end = Instant::now() + MEASURED;
        let mut times = Vec::new();
        while Instant::now() < end {
            let started = Instant::now();
            once();
            times.push(started.elapsed());
        }
        times.sort();
        Self(times)
    }

    fn median_us(&self) -> f64 {
        self.0.get(self.0.len() / 2).map_or(0.0, |time| time.as_secs_f64() * 1e6)
    }

    fn per_second(&self) -> f64 {
        let total: Duration = self.0.iter().sum();
        f64::from(u32::try_from(self.0.len()).unwrap()) / total.as_secs_f64()
    }
}

fn bare_append(directory: &Path, intents: usize) -> Times {
    let mut file = File::create(directory.join("bare")).unwrap();
    let bytes = vec![0xa5; intents * BYTES_PER_INTENT];
    Times::measure(|| {
        file.write_all(&bytes).unwrap();
        file.sync_data().unwrap();
    })
}

fn commits(store: &mut Store, batch: u64, epoch: &mut u64) -> Times {
    let mut first = 0;
    *epoch += 1;
    Times::measure(|| {
        if KEYS < first + batch {
            first = 0;
            *epoch += 1;
        }
        let duty = Duty::Attestation { source: Epoch(*epoch - 1), target: Epoch(*epoch) };
        let intent = Intent { duty, digest: Digest([7; 32]) };
        let batch: Vec<_> = (first..first + batch).map(|number| (key(number), intent)).collect();
        first += u64::try_from(batch.len()).unwrap();
        assert!(authorise(store, &batch).iter().all(Result::is_ok));
    })
}

fn report(batch: u64, bare: &Times, ours: &Times) {
    let ratio = ours.median_us() / bare.median_us();
    println!(
        "batch {batch:>5}: {:>6.0} commits/s, p50 {:>7.0} us; bare append + fdatasync {:>6.0}/s, \
         p50 {:>6.0} us; ratio {ratio:.2}",
        ours.per_second(),
        ours.median_us(),
        bare.per_second(),
        bare.median_us(),
    );
    // redb's two-phase commit on a quiet disk, and a quarter on top.
    let target = match batch {
        1 => 2.5,
        64 => 10.0,
        _ => 40.0,
    };
    println!(
        "{{\"name\":\"store-commit-{batch}\",\"value\":{ratio:.3},\"target\":{target:.1},\
         \"limit\":{:.1}}}",
        bare.median_us()
    );
}

/// How long a start takes: after a clean stop, and after a crash with and without a checkpoint.
fn opening(mut store: Store, path: &Path) {
    let crashed = path.with_extension("crashed");
    std::fs::copy(path, &crashed).unwrap();
    opened("after a crash, no checkpoint", "store-open-10000-crashed", &crashed);
    store.checkpoint().unwrap();
    std::fs::copy(path, &crashed).unwrap();
    opened("after a crash, checkpoint", "store-open-10000-checkpoint", &crashed);
    drop(store);
    let mut store = opened("after a clean stop", "store-open-10000", path);
    let started = Instant::now();
    let summary = store.verify_journal().unwrap();
    println!("verifying {} journal entries: {:?}", summary.entries, started.elapsed());
}

fn opened(what: &str, name: &str, path: &Path) -> Store {
    let started = Instant::now();
    let store = Store::open(path).unwrap();
    let seconds = started.elapsed().as_secs_f64();
    let started = Instant::now();
    let size = std::fs::read(path).unwrap().len();
    let bare = started.elapsed().as_secs_f64();
    let keys = store.records().count();
    println!("opening {keys} keys, {} MiB, {what}: {:.1} ms", size >> 20, seconds * 1e3);
    println!("{{\"name\":\"{name}\",\"value\":{seconds:.4},\"target\":0.5,\"limit\":{bare:.4}}}");
    store
}
