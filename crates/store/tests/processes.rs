//! Real processes on real files: killed under load, locked out, without permission, out of room.
//!
//! The other process is this test binary, started again with a role (see `child`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    unreachable_pub,
    missing_docs,
    reason = "tests fail by panicking, and say loudly what they skip"
)]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use common::{attestation, creation, forbids_twin, fresh, key, proposal, twin};
use palisade_protect::journal::Event;
use palisade_protect::{Denied, Duty, Intent, Record};
use palisade_store::{HomeLock, LedgerHandle, LedgerThread, Limits, Store};

const ROLE: &str = "PALISADE_STORE_TEST_ROLE";
const HOME: &str = "PALISADE_STORE_TEST_HOME";
const KEYS: u8 = 8;
const THREADS: u8 = 4;

/// Not a test of its own: what this binary does when another test starts it.
#[test]
fn child() {
    let (Ok(role), Ok(home)) = (std::env::var(ROLE), std::env::var(HOME)) else { return };
    let home = PathBuf::from(home);
    match role.as_str() {
        "load" => load(&home),
        "hold the lock" => hold_the_lock(&home),
        "open without permission" => open_without_permission(&home),
        "fill the disk" => fill_the_disk(&home),
        other => panic!("no role {other}"),
    }
}

fn as_child(role: &str, home: &Path, command: &mut Command) -> (Child, BufReader<ChildStdout>) {
    command.args(["--exact", "child", "--nocapture", "--test-threads=1"]);
    command.env(ROLE, role).env(HOME, home).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    (child, output)
}

fn start(role: &str, home: &Path) -> (Child, BufReader<ChildStdout>) {
    as_child(role, home, &mut Command::new(std::env::current_exe().unwrap()))
}

/// What the child said, without what the test harness says.
fn said(output: impl BufRead) -> Vec<String> {
    let lines = output.lines().map_while(Result::ok);
    lines.filter_map(|line| line.strip_prefix("child: ").map(str::to_owned)).collect()
}

fn wait_until(output: &mut impl BufRead, expected: &str) {
    let mut line = String::new();
    while line.trim_end().rsplit("child: ").next() != Some(expected) {
        line.clear();
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "the child ended before: {expected}");
    }
}

/// One write, so that a kill leaves whole lines but for the last.
fn say(line: &str) {
    let line = format!("\nchild: {line}\n");
    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
}

fn store_in(home: &Path) -> PathBuf {
    home.join("store.redb")
}

// ---- killed under load

fn load(home: &Path) {
    let _lock = HomeLock::acquire(home).unwrap();
    let store = Store::open(&store_in(home)).unwrap();
    let next = store.records().map(|(_, record, _)| next_place(&record)).max().unwrap();
    let (handle, _thread) = LedgerThread::spawn(store, Limits::default());
    say("ready");
    let workers: Vec<_> = (0..THREADS)
        .map(|thread| {
            let handle = handle.clone();
            std::thread::spawn(move || ask_for_ever(&handle, thread, next))
        })
        .collect();
    workers.into_iter().for_each(|worker| worker.join().unwrap());
}

fn next_place(record: &Record) -> u64 {
    let Record::Ethereum(record) = record else { panic!("not Ethereum") };
    let slot = record.proposal.map_or(0, |last| last.slot.0);
    slot.max(record.attestation.map_or(0, |last| last.target.0)) + 1
}

/// Threads 0 and 1 share their keys, so do 2 and 3: some of what they ask for is refused.
fn ask_for_ever(handle: &LedgerHandle, thread: u8, first: u64) {
    for place in first.. {
        let batch: Vec<_> = (1..=KEYS)
            .filter(|number| number % 2 == thread / 2)
            .flat_map(|number| {
                let root = place * 4 + u64::from(thread);
                let number = key(number);
                [(number, proposal(place, root)), (number, attestation(place - 1, place, root))]
            })
            .collect();
        let (sender, receiver) = std::sync::mpsc::channel();
        let asked = batch.clone();
        handle.authorise(batch, move |answers| sender.send(answers).unwrap()).unwrap();
        let answers = receiver.recv().unwrap();
        for ((key, intent), answer) in asked.iter().zip(answers) {
            match answer {
                Ok(_permit) => say(&written(key.0[0], intent)),
                Err(Denied::Refused(_)) => {}
                Err(other) => panic!("{other}"),
            }
        }
    }
}

fn written(number: u8, intent: &Intent) -> String {
    let root = u64::from_le_bytes(intent.digest.0[..8].try_into().unwrap());
    match intent.duty {
        Duty::Proposal { slot } => format!("{number} {} {root} proposal .", slot.0),
        Duty::Attestation { target, .. } => format!("{number} {} {root} attestation .", target.0),
        _ => panic!("not asked for"),
    }
}

fn read(line: &str) -> Option<(u8, Intent)> {
    let words: Vec<&str> = line.split(' ').collect();
    let [number, place, root, kind, "."] = words[..] else { return None };
    let (place, root) = (place.parse().ok()?, root.parse().ok()?);
    let intent = match kind {
        "proposal" => proposal(place, root),
        _ => attestation(place - 1, place, root),
    };
    Some((number.parse().ok()?, intent))
}

fn new_home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let mut store = Store::create(&store_in(home.path()), creation()).unwrap();
    store.admit(&(1..=KEYS).map(fresh).collect::<Vec<_>>()).unwrap();
    home
}

/// Kills the child after a while; returns the permits that it had told of.
fn kill_under_load(home: &Path, after: Duration) -> Vec<(u8, Intent)> {
    let (mut child, mut output) = start("load", home);
    wait_until(&mut output, "ready");
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
    said(output).iter().filter_map(|line| read(line)).collect()
}

#[test]
fn two_hundred_kills_under_load() {
    let (rounds, rounds_per_home) = (200_u64, 20);
    let mut told = 0;
    let mut home = new_home();
    for round in 0..rounds {
        if round % rounds_per_home == 0 {
            home = new_home();
        }
        let permits = kill_under_load(home.path(), Duration::from_millis(5 + round * 37 % 45));
        told += permits.len();
        let mut store = Store::open(&store_in(home.path())).unwrap();
        store.verify_journal().unwrap();
        let events = store.recent_events(permits.len() * 4 + 20_000).unwrap();
        let journaled: std::collections::HashSet<_> = events
            .iter()
            .filter_map(|(_, event)| match event {
                Event::Permitted { key, intent } => Some((*key, *intent)),
                _ => None,
            })
            .collect();
        for (place, (number, intent)) in permits.iter().enumerate() {
            let key = key(*number);
            assert!(journaled.contains(&(key, *intent)), "round {round}: {intent:?} is lost");
            assert!(forbids_twin(&mut store, &key, intent), "round {round}: {intent:?}");
            let conflict = common::ask(&mut store, *number, twin(intent));
            assert!(matches!(conflict, Err(Denied::Refused(_))), "round {round}: {conflict:?}");
            let earlier = permits[..place].iter().filter(|(other, _)| other == number);
            for (_, earlier) in earlier.take(2_000) {
                assert!(!common::is_slashable(earlier, intent), "{earlier:?} {intent:?}");
            }
        }
    }
    assert!(rounds <= told as u64, "the load was no load: {told} permits in {rounds} rounds");
    eprintln!("{rounds} kills, {told} permits told of, none lost");
}

// ---- locked out

fn hold_the_lock(home: &Path) {
    let _lock = HomeLock::acquire(home).unwrap();
    let _store = Store::open(&store_in(home)).unwrap();
    say("held");
    // Until the other side hangs up.
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn a_second_process_on_the_home_is_locked_out_until_the_first_is_gone() {
    let home = new_home();
    let (mut child, mut output) = start("hold the lock", home.path());
    wait_until(&mut output, "held");
    let error = HomeLock::acquire(home.path()).unwrap_err().to_string();
    assert!(error.contains(&format!("in use by process {}", child.id())), "{error}");
    let error = Store::open(&store_in(home.path())).unwrap_err();
    assert_eq!(error.code(), "store-locked", "{error}");
    child.kill().unwrap();
    child.wait().unwrap();
    let lock = HomeLock::acquire(home.path()).unwrap();
    drop(Store::open(&store_in(home.path())).unwrap());
    drop(lock);
}

#[test]
fn one_process_has_one_lock_and_one_store() {
    let home = new_home();
    let lock = HomeLock::acquire(home.path()).unwrap();
    assert!(HomeLock::acquire(home.path()).is_err());
    drop(lock);
    let _lock = HomeLock::acquire(home.path()).unwrap();
    let _store = Store::open(&store_in(home.path())).unwrap();
    assert_eq!(Store::open(&store_in(home.path())).unwrap_err().code(), "store-locked");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&store_in(home.path())), 0o600);
    assert_eq!(mode(&home.path().join("lock")), 0o600);
}

#[test]
fn a_home_that_is_not_there_cannot_be_locked() {
    let error = HomeLock::acquire(Path::new("/nowhere/at/all")).unwrap_err().to_string();
    assert!(error.contains("must be a directory"), "{error}");
}

// ---- without permission

fn open_without_permission(home: &Path) {
    let open = Store::open(&store_in(home)).unwrap_err();
    say(&format!("{}: {open}", open.code()));
    let create = Store::create(&home.join("other.redb"), creation()).unwrap_err();
    say(&format!("{}: {create}", create.code()));
    say(&format!("lock: {}", HomeLock::acquire(home).unwrap_err()));
}

#[test]
fn a_read_only_home_is_named_and_nothing_changes() {
    const NOBODY: u32 = 65_534;
    let home = new_home();
    let set_mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let before = std::fs::read(store_in(home.path())).unwrap();
    set_mode(&store_in(home.path()), 0o444);
    set_mode(home.path(), 0o555);
    let mut command = Command::new(std::env::current_exe().unwrap());
    let is_root =
        std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap()) == 0;
    if is_root {
        // To root every file is writable; a copy, because the build directory may be closed.
        let copy = home.path().join("child");
        std::fs::copy(command.get_program(), &copy).unwrap();
        set_mode(&copy, 0o755);
        command = Command::new(copy);
        command.uid(NOBODY).gid(NOBODY).current_dir("/");
    }
    let (mut child, output) = as_child("open without permission", home.path(), &mut command);
    let lines = said(output);
    assert!(child.wait().unwrap().success(), "{lines:?}");
    assert_eq!(lines.len(), 3, "{lines:?}");
    for line in &lines[..2] {
        assert!(line.starts_with("store-unavailable: "), "{line}");
        assert!(line.contains("readable and writable for this user"), "{line}");
    }
    assert!(lines[2].contains("may write to"), "{}", lines[2]);
    set_mode(home.path(), 0o755);
    assert_eq!(std::fs::read(store_in(home.path())).unwrap(), before);
}

// ---- out of room

fn fill_the_disk(home: &Path) {
    let mut store = Store::open(&store_in(home)).unwrap();
    for place in 1.. {
        for number in 1..=KEYS {
            let intent = proposal(place, place);
            match common::ask(&mut store, number, intent) {
                Ok(_permit) => say(&written(number, &intent)),
                Err(Denied::Failed(error)) => {
                    say(&format!("{}: {error}", error.code()));
                    let again = common::ask(&mut store, number, proposal(place + 1, 1));
                    let Err(Denied::Failed(error)) = again else { panic!("{again:?}") };
                    return say(&format!("{}: {error}", error.code()));
                }
                Err(other) => panic!("{other}"),
            }
        }
    }
}

#[test]
fn a_full_disk_loses_nothing() {
    let home = new_home();
    let mut command = Command::new("sh");
    // A limit on the size of files stands in for a small disk: the same calls fail.
    let script = "trap '' XFSZ; ulimit -f 18492; exec \"$0\" \"$@\"";
    command.args(["-c", script]).arg(std::env::current_exe().unwrap());
    let (mut child, output) = as_child("fill the disk", home.path(), &mut command);
    let mut lines = said(output);
    assert!(child.wait().unwrap().success(), "{lines:?}");
    let dead = lines.pop().unwrap();
    assert!(dead.starts_with("store-dead: "), "{dead}");
    let full = lines.pop().unwrap();
    assert!(full.starts_with("store-unavailable: ") && full.contains("make room"), "{full}");
    let permits: Vec<_> = lines.iter().filter_map(|line| read(line)).collect();
    assert!(permits.len() == lines.len() && 100 < permits.len(), "{}", permits.len());
    let mut store = Store::open(&store_in(home.path())).unwrap();
    store.verify_journal().unwrap();
    assert!(permits.iter().all(|(number, intent)| forbids_twin(&mut store, &key(*number), intent)));
    assert!(common::ask(&mut store, 1, proposal(1 << 40, 1)).is_ok(), "it goes on with room");
}

#[test]
fn a_lock_that_is_no_file_of_the_home_is_refused_and_what_it_leads_to_is_left_alone() {
    let home = new_home();
    let elsewhere = home.path().join("elsewhere");
    std::fs::write(&elsewhere, "precious").unwrap();
    let lock = home.path().join("lock");
    std::os::unix::fs::symlink(&elsewhere, &lock).unwrap();
    let refused = || {
        let error = HomeLock::acquire(home.path()).unwrap_err().to_string();
        assert!(error.contains("not a plain file"), "{error}");
    };
    refused();
    assert_eq!(std::fs::read_to_string(&elsewhere).unwrap(), "precious");
    std::fs::remove_file(&lock).unwrap();
    assert!(Command::new("mkfifo").arg(&lock).status().unwrap().success());
    refused();
    std::fs::remove_file(&lock).unwrap();
    let _lock = HomeLock::acquire(home.path()).unwrap();
}

#[test]
fn a_store_is_not_opened_through_a_link() {
    let home = new_home();
    let store = store_in(home.path());
    let elsewhere = home.path().join("elsewhere");
    std::fs::rename(&store, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &store).unwrap();
    let error = Store::open(&store).err().unwrap();
    assert_eq!(error.code(), "store-unavailable", "{error}");
    std::fs::rename(&elsewhere, &store).unwrap();
    Store::open(&store).unwrap();
}
