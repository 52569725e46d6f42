//! Opening all keystores of a plan, in parallel.
//!
//! Invariants: all or nothing; at most one derivation a core, and at most half of the machine's
//! available memory for their working space (one derivation always runs).

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use zeroize::Zeroizing;

use super::plan::{PasswordSource, Plan, Planned};
use super::{BadFile, BadFiles, FileProblem};
use crate::keystore::{Keystore, KeystoreError};
use crate::{BlsPublicKey, BlsSecretKey, Password};

/// Taken as available where the system does not say.
const MEMORY_IF_UNKNOWN: u64 = 1 << 30;

/// A key that came out of a keystore.
pub struct ImportedKey {
    /// The secret.
    pub secret: BlsSecretKey,
    /// Its public key.
    pub public_key: BlsPublicKey,
    /// The keystore.
    pub source: PathBuf,
}

/// Opens every keystore of the plan. `progress` is told how many of how many are done, from several
/// threads.
///
/// # Errors
/// [`BadFiles`] lists every file that is not a keystore, has no password or a wrong one, or holds a
/// key that another file holds; then no key is returned.
pub fn decrypt_all(
    plan: Plan,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Vec<ImportedKey>, BadFiles> {
    let total = plan.len();
    let Plan { keystores, mut bad, passwords, .. } = plan;
    let done = AtomicUsize::new(bad.len());
    let open_one = |planned: Planned| {
        let result = open(planned, &passwords);
        let finished = done.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        progress(finished, total);
        result
    };
    let pool = pool_for(processors(), keystores.iter().map(|planned| &planned.keystore));
    let results: Vec<_> = match pool {
        Ok(pool) => pool.install(|| keystores.into_par_iter().map(open_one).collect()),
        Err(_) => keystores
            .into_iter()
            .map(|planned| Err(BadFile { path: planned.path, problem: FileProblem::Threads }))
            .collect(),
    };
    let mut keys = Vec::with_capacity(results.len());
    let mut holders: HashMap<BlsPublicKey, PathBuf> = HashMap::new();
    for result in results {
        match result.and_then(|key| refuse_duplicate(key, &mut holders)) {
            Ok(key) => keys.push(key),
            Err(file) => bad.push(file),
        }
    }
    if bad.is_empty() { Ok(keys) } else { Err(sorted(bad)) }
}

/// Opens keystores that were sent to a running guard: one result for each, in order. Takes half of
/// the processors at most, because signing goes on meanwhile.
#[must_use]
pub fn decrypt_each(
    keystores: &[(Zeroizing<String>, Password)],
) -> Vec<Result<BlsSecretKey, KeystoreError>> {
    let parsed: Vec<_> =
        keystores.iter().map(|(json, _)| Keystore::parse(json.as_bytes())).collect();
    let open_one =
        |(keystore, (_, password)): (Result<Keystore, KeystoreError>, &(_, Password))| {
            keystore.and_then(|keystore| keystore.open(password))
        };
    let pool = pool_for(processors().div_ceil(2), parsed.iter().flatten());
    match pool {
        Ok(pool) => pool.install(|| parsed.into_par_iter().zip(keystores).map(open_one).collect()),
        // Without threads: one after the other.
        Err(_) => parsed.into_iter().zip(keystores).map(open_one).collect(),
    }
}

fn open(planned: Planned, passwords: &PasswordSource) -> Result<ImportedKey, BadFile> {
    let Planned { path, keystore } = planned;
    let opened =
        passwords.with(&path, |password| keystore.open(password).map_err(FileProblem::Keystore));
    match opened {
        Ok(secret) => Ok(ImportedKey { public_key: secret.public_key(), secret, source: path }),
        Err(problem) => Err(BadFile { path, problem }),
    }
}

fn refuse_duplicate(
    key: ImportedKey,
    holders: &mut HashMap<BlsPublicKey, PathBuf>,
) -> Result<ImportedKey, BadFile> {
    match holders.get(&key.public_key) {
        Some(first) => {
            Err(BadFile { path: key.source, problem: FileProblem::SameKeyAs(first.clone()) })
        }
        None => {
            holders.insert(key.public_key, key.source.clone());
            Ok(key)
        }
    }
}

fn sorted(mut bad: Vec<BadFile>) -> BadFiles {
    bad.sort_by(|left, right| left.path.cmp(&right.path));
    BadFiles(bad)
}

/// Threads of its own, so that slow derivations never stand before a signature in a shared pool.
fn pool_for<'a>(
    cores: usize,
    keystores: impl Iterator<Item = &'a Keystore>,
) -> Result<ThreadPool, ThreadPoolBuildError> {
    let memory_each = keystores.map(|keystore| keystore.kdf.working_memory()).max();
    let threads = fitting(cores, available_memory(), memory_each.unwrap_or(0));
    ThreadPoolBuilder::new().num_threads(threads).build()
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// As many as there are cores and as half of the memory holds, but one at least.
fn fitting(cores: usize, available_memory: u64, memory_each: u64) -> usize {
    let in_memory = (available_memory / 2).checked_div(memory_each).unwrap_or(u64::MAX);
    cores.min(usize::try_from(in_memory).unwrap_or(usize::MAX)).max(1)
}

/// `MemAvailable` of `/proc/meminfo` (proc_meminfo(5)), in bytes.
fn available_memory() -> u64 {
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.map_or(MEMORY_IF_UNKNOWN, |kibibytes| kibibytes.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivations_at_once_are_bounded_by_cores_and_by_memory() {
        const MEBIBYTE: u64 = 1 << 20;
        assert_eq!(fitting(4, 16_384 * MEBIBYTE, 256 * MEBIBYTE), 4, "by cores");
        assert_eq!(fitting(64, 4096 * MEBIBYTE, 256 * MEBIBYTE), 8, "by memory");
        assert_eq!(fitting(64, 100 * MEBIBYTE, 256 * MEBIBYTE), 1, "never none");
        assert_eq!(fitting(8, 0, 0), 8, "PBKDF2 needs no memory");
    }
}
