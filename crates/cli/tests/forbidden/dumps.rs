//! Crashes: of a hardened process nothing is left, and of one that may be dumped no key.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use palisade_sandbox::Profile;

use crate::stage::{Outcome, Stage};
use crate::support::duty::{attestation, block};
use crate::support::home::{KEYS, SECRETS};
use crate::trials::skip;

/// The guard as somebody starts it who wants to have its memory in a file.
fn with_core_files(measures: &[&str]) -> Stage {
    let stage = Stage::started_by(measures, |run| {
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -c unlimited && exec \"$0\" \"$@\""]);
        command.arg(run.get_program()).args(run.get_args());
        command
    });
    stage.guard.sign(KEYS[0], &block(1, 1)).signature();
    stage.guard.sign(KEYS[0], &attestation(0, 2, 1)).signature();
    stage
}

/// Files with a name as the kernel gives it.
fn core_files(directory: &Path) -> Vec<Vec<u8>> {
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let is_core = |path: &std::path::PathBuf| {
        path.file_name().unwrap().to_string_lossy().starts_with("core")
            && path.extension().is_none_or(|extension| extension != "hook")
    };
    files.filter(is_core).map(|path| fs::read(path).unwrap()).collect()
}

pub fn none() {
    for profile in [Profile::Core, Profile::Front] {
        let stage = with_core_files(&[]);
        let directory = stage.directory();
        assert_eq!(stage.attempt(profile, "crash", ""), Outcome::Gone);
        let found = core_files(&directory);
        let (status, log) = stage.end_of(profile);
        assert_eq!(status.signal(), Some(libc::SIGABRT), "{status}: {log}");
        assert!(!status.core_dumped() && found.is_empty(), "{status}");
    }
}

/// The control of [`none`], and more: without the measures there is a core, and even so what is in
/// pages for secrets is not in it.
pub fn without_keys() {
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    if pattern.starts_with(['|', '/']) || pattern.contains('%') {
        return skip("looking into a core", &format!("the kernel writes it to {pattern}"));
    }
    let off = ["not-dumpable", "core-dumps-off", "landlock-files"];
    let stage = with_core_files(&off);
    if !stage.has("secret-memory") {
        return skip("looking into a core", "the kernel has no memfd_secret");
    }
    let directory = stage.directory();
    assert_eq!(stage.attempt(Profile::Core, "crash", ""), Outcome::Gone);
    let (cores, (status, log)) = (directory, stage.guard.wait());
    assert!(status.core_dumped(), "{status}: {log}");
    let cores = core_files(&cores);
    let [core] = cores.as_slice() else { panic!("{} cores", cores.len()) };
    let has = |wanted: &[u8]| memchr::memmem::find(core, wanted).is_some();
    let digits = SECRETS[0].trim_start_matches("0x");
    let mut secret = hex::decode(digits).unwrap();
    assert!(!has(&secret) && !has(digits.as_bytes()), "the core holds the key");
    secret.reverse();
    assert!(!has(&secret), "the core holds the key");
    assert!(has(KEYS[0].as_bytes()), "the search finds nothing in the core");
}
