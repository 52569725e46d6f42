//! What no guard of session keys can beat: bare signatures without a server, one bare durable
//! write.
//!
//! Signatures are timed in thread CPU time on as many threads at once as there are processors, as
//! in `limits`; the write in wall time for latencies, and in thread CPU time for costs.

use std::hint::black_box;
use std::path::Path;

use ed25519_dalek::{Signer, SigningKey};
use schnorrkel::{ExpansionMode, MiniSecretKey, signing_context};

use crate::limits::{durable_write, thread_microseconds};
use crate::statistics::median;

/// Signatures of one reading.
const SIGNATURES: u32 = 200;
/// Readings of each thread each time.
const READINGS: usize = 5;
/// The context of Substrate's sr25519 signatures.
const CONTEXT: &[u8] = b"substrate";
/// Of a GRANDPA vote, with block numbers of 32 bits.
const VOTE_BYTES: usize = 53;
/// Of a header's hash.
const PRE_HASH_BYTES: usize = 32;

/// One reading, in microseconds.
#[derive(Clone, Copy)]
pub(crate) struct Bare {
    /// ed25519-dalek sign of a vote, CPU.
    pub(crate) ed25519: f64,
    /// schnorrkel sign of a pre-hash, CPU.
    pub(crate) sr25519: f64,
    /// 4 KiB in place and `fdatasync`, wall.
    pub(crate) sync: f64,
    /// The same, CPU.
    pub(crate) sync_cpu: f64,
}

impl Bare {
    /// Measures all of them now.
    pub(crate) fn read(processors: usize) -> Self {
        let readings: Vec<[f64; 2]> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..processors).map(|_| scope.spawn(signatures)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        let of = |scheme: usize| {
            median(&readings.iter().map(|reading| reading[scheme]).collect::<Vec<_>>())
        };
        let disk = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let start = thread_microseconds();
        let sync = durable_write(disk);
        let sync_cpu = (thread_microseconds() - start) / 100.0;
        Self { ed25519: of(0), sr25519: of(1), sync, sync_cpu }
    }

    /// The mean of a reading before and one after.
    pub(crate) fn between(self, after: Self) -> Self {
        Self {
            ed25519: f64::midpoint(self.ed25519, after.ed25519),
            sr25519: f64::midpoint(self.sr25519, after.sr25519),
            sync: f64::midpoint(self.sync, after.sync),
            sync_cpu: f64::midpoint(self.sync_cpu, after.sync_cpu),
        }
    }
}

fn signatures() -> Vec<[f64; 2]> {
    let ed25519 = SigningKey::from_bytes(&[7; 32]);
    let mini = MiniSecretKey::from_bytes(&[7; 32]).unwrap();
    let sr25519 = mini.expand_to_keypair(ExpansionMode::Ed25519);
    let context = signing_context(CONTEXT);
    let mut vote = [1; VOTE_BYTES];
    let mut pre_hash = [1; PRE_HASH_BYTES];
    (0..READINGS)
        .map(|_| {
            let votes = mean_of(|number| {
                vote[1..5].copy_from_slice(&number.to_le_bytes());
                black_box(ed25519.sign(&vote));
            });
            let seals = mean_of(|number| {
                pre_hash[1..5].copy_from_slice(&number.to_le_bytes());
                black_box(sr25519.sign(context.bytes(&pre_hash)));
            });
            [votes, seals]
        })
        .collect()
}

fn mean_of(mut work: impl FnMut(u32)) -> f64 {
    let start = thread_microseconds();
    (0..SIGNATURES).for_each(&mut work);
    (thread_microseconds() - start) / f64::from(SIGNATURES)
}
