//! What no signer can beat: bare signatures without a server, and a bare durable write.
//!
//! Signatures are timed in thread CPU time, on as many threads at once as there are processors,
//! because that is how the guard runs: on shared processors one busy thread is faster than two.

use std::fs::OpenOptions;
use std::hint::black_box;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use blstrs::{G2Projective, Scalar};
use rustix::time::{ClockId, clock_gettime};

use crate::report::Report;
use crate::statistics::{median, spread};

const CIPHERSUITE: &[u8] = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";
/// Signatures of one reading; about 15 ms.
const SIGNATURES: u32 = 40;
/// Readings of each thread each time.
const READINGS: usize = 5;

/// The bare costs of this run so far, in microseconds of thread CPU time.
pub(crate) struct Limits {
    processors: usize,
    new_message: Vec<f64>,
    cached_point: Vec<f64>,
    counter: u64,
}

/// The medians of one reading on all processors, in microseconds of thread CPU time.
#[derive(Clone, Copy)]
pub(crate) struct Bare {
    /// blst `min_pk` sign of a message that was not seen before, compressed.
    pub(crate) new_message: f64,
    /// blstrs point times scalar, compressed: what is left when the point is known.
    pub(crate) cached_point: f64,
}

impl Bare {
    /// The mean of a reading before and one after.
    pub(crate) fn between(self, after: Self) -> Self {
        Self {
            new_message: f64::midpoint(self.new_message, after.new_message),
            cached_point: f64::midpoint(self.cached_point, after.cached_point),
        }
    }
}

impl Limits {
    pub(crate) fn new() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { processors, new_message: Vec::new(), cached_point: Vec::new(), counter: 0 }
    }

    /// How many processors there are.
    pub(crate) fn processors(&self) -> usize {
        self.processors
    }

    /// Measures both bare signatures now.
    pub(crate) fn read(&mut self) -> Bare {
        let first = self.counter;
        self.counter += self.processors as u64;
        let readings: Vec<(f64, f64)> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..self.processors as u64)
                .map(|thread| scope.spawn(move || read_here(first + thread)))
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        let (new_message, cached_point): (Vec<f64>, Vec<f64>) = readings.into_iter().unzip();
        let bare = Bare { new_message: median(&new_message), cached_point: median(&cached_point) };
        self.new_message.extend(new_message);
        self.cached_point.extend(cached_point);
        bare
    }

    /// The wall time of `count` bare signatures of a cached point on all processors, in seconds:
    /// what a burst can do at best beside everything else that this machine does just now.
    pub(crate) fn cached_wall(&self, count: usize) -> f64 {
        let secret = Scalar::from_bytes_be(&[0x11; 32]).unwrap();
        let point = G2Projective::hash_to_curve(&[0x22; 32], CIPHERSUITE, &[]);
        let left = AtomicUsize::new(count);
        let start = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..self.processors {
                scope.spawn(|| {
                    let take = |left: usize| left.checked_sub(1);
                    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
                        black_box((black_box(point) * secret).to_compressed());
                    }
                });
            }
        });
        start.elapsed().as_secs_f64()
    }

    /// All readings of the run.
    pub(crate) fn report(&self, report: &mut Report) {
        if self.new_message.is_empty() {
            return;
        }
        let on = format!("CPU on {} threads at once", self.processors);
        let bare = |values: &[f64]| format!("{}, {on}", spread(values, " us"));
        report.note("bare blst sign, new message", bare(&self.new_message));
        report.note("bare sign, cached point", bare(&self.cached_point));
    }
}

fn read_here(seed: u64) -> Vec<(f64, f64)> {
    let mut bytes = [0x11; 32];
    bytes[24..].copy_from_slice(&seed.to_be_bytes());
    let secret = blst::min_pk::SecretKey::from_bytes(&bytes).unwrap();
    let scalar = Scalar::from_bytes_be(&bytes).unwrap();
    let point = G2Projective::hash_to_curve(&bytes, CIPHERSUITE, &[]);
    let mut message = bytes;
    (0..READINGS)
        .map(|reading| {
            message[0] = u8::try_from(reading).unwrap();
            let new_message = mean_of(|number| {
                message[1..5].copy_from_slice(&number.to_be_bytes());
                black_box(secret.sign(&message, CIPHERSUITE, &[]).compress());
            });
            let cached_point = mean_of(|_| {
                black_box((black_box(point) * scalar).to_compressed());
            });
            (new_message, cached_point)
        })
        .collect()
}

fn mean_of(mut work: impl FnMut(u32)) -> f64 {
    let start = thread_microseconds();
    (0..SIGNATURES).for_each(&mut work);
    (thread_microseconds() - start) / f64::from(SIGNATURES)
}

/// The CPU time of this thread so far.
pub(crate) fn thread_microseconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

/// The median time of writing 4 KiB in place and `fdatasync`, in microseconds of wall time.
pub(crate) fn durable_write(directory: &Path) -> f64 {
    let path = directory.join("durable-write");
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).open(&path).unwrap();
    let times: Vec<f64> = (0..100_u8)
        .map(|round| {
            let start = Instant::now();
            file.seek(SeekFrom::Start(0)).unwrap();
            file.write_all(&[round; 4_096]).unwrap();
            file.sync_data().unwrap();
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    std::fs::remove_file(path).unwrap();
    median(&times)
}
