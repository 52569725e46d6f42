//! Secret pages from outside: another process, even root's, reads the whole memory of one that
//! holds a secret.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;

use palisade_sandbox::{Backing, Measure, Secret, SecretPages};

use crate::role::{READY, Scene, say, skip};
use crate::users::played_by_nobody;

/// What must not be found. Its text stands nowhere: each process computes it.
///
/// It is made where it stays: a value that is returned leaves a copy on the stack.
fn fill(seed: &str, bytes: &mut [u8; 32]) {
    let seed: u8 = seed.parse().unwrap();
    for (index, byte) in (0_u8..).zip(bytes) {
        let mixed = std::hint::black_box(seed).wrapping_mul(31);
        *byte = mixed.wrapping_add(index.wrapping_mul(57)) ^ 0xa5;
    }
}

fn pattern(seed: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    fill(seed, &mut bytes);
    bytes
}

pub(crate) fn unreadable() {
    let home = tempfile::tempdir().unwrap();
    let (kept, address, backing) = search(&Scene::new("none", "secret-in-pages", home.path(), "7"));
    if backing != "MemorySecret" {
        return skip("searching for the secret", "the kernel has no memfd_secret");
    }
    assert_eq!(kept, 0, "the secret is in a page that another process reads");
    assert!(address.is_err(), "its own address can be read: {address:?}");
    let (kept, address, _) = search(&Scene::new("none", "secret-on-heap", home.path(), "7"));
    assert!(kept > 0, "the search does not find what is there");
    assert_eq!(address.unwrap(), pattern("7"));
}

/// How often the pattern is in what can be read of the process, what is at its address, and what
/// the process says that its pages are.
fn search(scene: &Scene) -> (usize, std::io::Result<[u8; 32]>, String) {
    let mut child = scene.spawn();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(said.next().unwrap().unwrap(), READY);
    let address: u64 = said.next().unwrap().unwrap().parse().unwrap();
    let backing = said.next().unwrap().unwrap();
    let memory = File::open(format!("/proc/{}/mem", child.id())).unwrap();
    let maps = fs::read_to_string(format!("/proc/{}/maps", child.id())).unwrap();
    let wanted = pattern(&scene.detail);
    let found = maps.lines().map(|line| occurrences(&memory, line, &wanted)).sum();
    let mut there = [0; 32];
    let read = memory.read_exact_at(&mut there, address).map(|()| there);
    child.stdin.take().unwrap().write_all(b"end\n").unwrap();
    assert!(child.wait().unwrap().success());
    (found, read, backing)
}

fn occurrences(memory: &File, mapping: &str, wanted: &[u8]) -> usize {
    let range = mapping.split(' ').next().unwrap();
    let (start, end) = range.split_once('-').unwrap();
    let start = u64::from_str_radix(start, 16).unwrap();
    let end = u64::from_str_radix(end, 16).unwrap();
    let mut bytes = Vec::new();
    let mut page = [0; 4096];
    for at in (start..end).step_by(page.len()) {
        // Pages without access, and secret ones.
        if memory.read_exact_at(&mut page, at).is_ok() {
            bytes.extend_from_slice(&page);
        }
    }
    bytes.windows(wanted.len()).filter(|window| *window == wanted).count()
}

pub(crate) fn guard_pages() {
    let home = tempfile::tempdir().unwrap();
    for act in ["secret-before", "secret-after"] {
        let output = Scene::new("none", act, home.path(), "7").output();
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{READY}\n"), "{act}");
        assert_eq!(output.status.signal(), Some(libc::SIGSEGV), "{act}: {output:?}");
    }
}

/// A user who may lock one MiB, of which a process that took the measure is told the end, and
/// another one is not.
pub(crate) fn runs_out() {
    let home = tempfile::tempdir().unwrap();
    let said = |profile: &str| {
        let output =
            played_by_nobody(&Scene::new(profile, "secret-runs-out", home.path(), ""), 0o755)
                .output()
                .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let core = said("core");
    if core == "nothing to take\n" {
        return skip("locked memory that runs out", "this user has no secret-memory");
    }
    assert!(core.contains("locked some, then no memory for secrets: "), "{core}");
    assert!(core.contains("LimitMEMLOCK"), "{core}");
    assert_eq!(said("core-but-secret-memory"), "locked some, then unlocked\n");
}

/// Secrets until one is not locked.
fn run_out(scene: &Scene) {
    let table = scene.table();
    if scene.profile == "core" && !table.is_on(Measure::SecretMemory) {
        return say("nothing to take");
    }
    scene.harden(&table);
    let limit = libc::rlimit { rlim_cur: 1 << 20, rlim_max: 1 << 20 };
    // SAFETY: the structure is whole and lives until the call returns.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) }, 0);
    let pages = SecretPages::new();
    let mut kept: Vec<Secret<4096>> = Vec::new();
    let end = loop {
        match pages.store(&mut [1; 4096]) {
            Ok(secret) if secret.backing() == Backing::Unlocked => break "unlocked".to_owned(),
            Ok(secret) => kept.push(secret),
            Err(error) => break error.to_string(),
        }
        assert!(kept.len() < 1024, "the limit does not hold");
    };
    say(&format!("locked {}, then {end}", if kept.is_empty() { "none" } else { "some" }));
}

pub(crate) fn play(scene: &Scene) {
    if scene.act == "secret-runs-out" {
        return run_out(scene);
    }
    let pages = SecretPages::new();
    let mut bytes = Box::new([0; 32]);
    fill(&scene.detail, &mut bytes);
    if scene.act == "secret-on-heap" {
        wait_at(bytes.as_ptr(), Backing::Locked);
        return;
    }
    let secret = pages.store(&mut bytes).unwrap();
    assert_eq!(*bytes, [0; 32], "the source is wiped");
    let at = secret.expose(|held| held.as_ptr());
    let beside = match scene.act.as_str() {
        "secret-before" => at.wrapping_sub(1),
        "secret-after" => at.wrapping_add(64 << 10),
        _ => return wait_at(at, secret.backing()),
    };
    say(READY);
    // SAFETY: none; this must fault, which the test looks for.
    let byte = unsafe { beside.read_volatile() };
    say(&format!("read {byte}"));
}

fn wait_at(at: *const u8, backing: Backing) {
    say(READY);
    say(&(at as usize).to_string());
    say(&format!("{backing:?}"));
    let mut line = [0; 4];
    std::io::stdin().lock().read_exact(&mut line).unwrap();
}
