//! The guard's two processes: what each holds, and that neither lives without the other.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::duty::{attestation, block};
use crate::support::home::{KEYS, TestHome};
use crate::support::http::Connection;
use crate::support::{Guard, eventually};

/// The process that meets the network.
pub fn front_of(guard: &Guard) -> u32 {
    let core = guard.id();
    let children = fs::read_to_string(format!("/proc/{core}/task/{core}/children")).unwrap();
    let children: Vec<u32> = children.split_whitespace().map(|id| id.parse().unwrap()).collect();
    let [front] = children[..] else { panic!("children of the core: {children:?}") };
    front
}

pub fn send(signal: &str, process: u32) {
    let id = process.to_string();
    assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
}

/// SIGSTOP, and waits until every thread of the core stands still.
pub fn stop_core(guard: &Guard) {
    guard.signal("STOP");
    let tasks = format!("/proc/{}/task", guard.id());
    eventually("the core stands still", || {
        let tasks = fs::read_dir(&tasks).unwrap();
        let mut stats = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("stat")));
        stats.all(|stat| stat.unwrap().contains(") T "))
    });
}

pub fn is_gone(process: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/stat"));
    status.is_err() || status.is_ok_and(|stat| stat.contains(") Z "))
}

/// What the open descriptors of a process lead to.
pub fn descriptors(process: u32) -> BTreeSet<String> {
    let entries = fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    let targets = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    targets.map(|path: PathBuf| path.display().to_string()).collect()
}

/// Memory and descriptors of a process that is not dumpable are shown to root alone.
#[allow(clippy::print_stderr, reason = "a test that cannot be done says so")]
pub fn is_hidden(process: u32) -> bool {
    let hidden = fs::read_dir(format!("/proc/{process}/fd")).is_err();
    if hidden {
        eprintln!("!! SKIPPED: looking into the guard's processes: only root can");
    }
    hidden
}

fn holds(process: u32, home: &Path) -> bool {
    let home = home.display().to_string();
    descriptors(process).iter().any(|target| target.starts_with(&home))
}

#[test]
fn a_front_that_is_killed_takes_the_core_along_and_a_restart_is_safe() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    guard.sign(KEYS[0], &block(1, 1)).signature();
    send("KILL", front_of(&guard));
    let (status, log) = guard.wait();
    assert_eq!(status.code(), Some(3), "{log}");
    assert!(log.contains("the front process has ended"), "{log}");
    let guard = home.start();
    assert_eq!(guard.sign(KEYS[0], &block(1, 2)).status, 412);
}

#[test]
fn a_front_that_is_killed_in_the_middle_of_a_request_gives_no_second_signature() {
    let home = TestHome::with_keys(1);
    for slot in 1..6 {
        let guard = home.start();
        let front = front_of(&guard);
        let path = format!("/api/v1/eth2/sign/{}", KEYS[0]);
        let listen = guard.listen;
        let asking = std::thread::spawn(move || {
            let mut connection = Connection::try_open(listen).ok()?;
            connection.exchange("POST", &path, &[], &block(slot, 1).to_string()).ok()
        });
        send("KILL", front);
        let answered = asking.join().unwrap().filter(|answer| answer.status == 200);
        assert_eq!(guard.wait().0.code(), Some(3));
        let guard = home.start();
        let twin = guard.sign(KEYS[0], &block(slot, 2)).status;
        // Whatever became of the first, at most one of both was given out.
        assert!(answered.is_none() || twin == 412, "slot {slot}: both were signed");
        guard.stop();
    }
}

#[test]
fn a_core_that_is_killed_takes_the_front_along_and_the_duty_is_judged_by_the_record() {
    let home = TestHome::with_keys(1);
    let mut errors = 0;
    for target in 2..12 {
        let guard = home.start();
        let front = front_of(&guard);
        let path = format!("/api/v1/eth2/sign/{}", KEYS[0]);
        let listen = guard.listen;
        let (asked, is_asked) = std::sync::mpsc::channel();
        let asking = std::thread::spawn(move || {
            let mut connection = Connection::open(listen);
            asked.send(()).unwrap();
            let vote = attestation(0, target, 1).to_string();
            connection.exchange("POST", &path, &[], &vote).ok()
        });
        is_asked.recv().unwrap();
        guard.kill();
        let answered = asking.join().unwrap();
        let signed = match answered {
            Some(answer) if answer.status == 200 => true,
            Some(answer) => {
                assert_eq!(answer.status, 503, "{answer:?}");
                assert!(answer.body.contains("\"code\":\"core-gone\""), "{answer:?}");
                errors += 1;
                false
            }
            None => {
                errors += 1;
                false
            }
        };
        eventually("the front ends with its core", || is_gone(front));
        let guard = home.start();
        let twin = guard.sign(KEYS[0], &attestation(0, target, 2)).status;
        assert!(!signed || twin == 412, "target {target}: both were signed");
        guard.stop();
    }
    assert!(0 < errors, "no request was under way when its core was killed");
}

#[test]
fn a_stop_ends_both() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    let front = front_of(&guard);
    // A service manager that signals the whole group reaches the front as well.
    send("TERM", front);
    assert_eq!(guard.sign(KEYS[0], &block(1, 1)).status, 200);
    let (status, log) = guard.stop();
    assert!(status.success(), "{log}");
    eventually("the front is gone", || is_gone(front));
}

#[test]
fn the_front_holds_no_file_of_the_home_and_the_core_no_listener() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    if is_hidden(guard.id()) {
        return;
    }
    let front = front_of(&guard);
    assert!(holds(guard.id(), &home.path()), "the search finds nothing even in the core");
    assert!(!holds(front, &home.path()), "{:?}", descriptors(front));
    let environment = fs::read(format!("/proc/{front}/environ")).unwrap();
    let allowed = environment.is_empty() || environment.starts_with(b"RUST_LOG=");
    assert!(allowed, "{}", String::from_utf8_lossy(&environment));
    let arguments = fs::read(format!("/proc/{front}/cmdline")).unwrap();
    let arguments = String::from_utf8_lossy(&arguments).into_owned();
    assert!(!arguments.contains("home"), "{arguments}");
    for address in [guard.listen, guard.metrics] {
        let inode = listening_inode(address.port());
        assert!(descriptors(front).contains(&format!("socket:[{inode}]")));
        assert!(!descriptors(guard.id()).contains(&format!("socket:[{inode}]")));
    }
}

fn listening_inode(port: u16) -> String {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let local = format!(":{port:04X}");
    let listens = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields[1].ends_with(&local) && fields[3] == "0A"
    };
    let line = table.lines().skip(1).find(listens).unwrap();
    line.split_whitespace().nth(9).unwrap().to_owned()
}

#[test]
fn one_process_can_be_had_by_name_and_judges_alike() {
    let home = TestHome::with_keys(1);
    let mut command = home.run_command();
    command.arg("--allow-unhardened=two-processes");
    let guard = Guard::start(command);
    let core = guard.id();
    let children = fs::read_to_string(format!("/proc/{core}/task/{core}/children")).unwrap();
    assert_eq!(children, "");
    guard.sign(KEYS[0], &block(1, 1)).signature();
    assert_eq!(guard.sign(KEYS[0], &block(1, 2)).status, 412);
    let measures = guard.watch("/metrics").body;
    let off = r#"palisade_secure_measure{measure="two-processes",state="off-allowed"} 1"#;
    assert!(measures.contains(off), "{measures}");
    let (status, log) = guard.stop();
    assert!(status.success(), "{log}");
}
