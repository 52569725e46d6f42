//! The front's part of the log: marked, bounded, whole at the end; and a front whose event loop is
//! stuck.
//!
//! The tests write into the front's own standard error, as a front does that is broken into. Only
//! root can reach it.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;

use serde_json::Value;

use super::processes::{descriptors, front_of, is_gone, is_hidden, send, stop_core};
use crate::support::home::TestHome;
use crate::support::http::{Connection, head};
use crate::support::{Guard, eventually};

/// As each line of the front's begins, after time and level.
const MARK: &str = "palisade_server::front:";

/// The front's end of its pipe.
fn stderr_of(front: u32, options: &mut OpenOptions) -> File {
    options.write(true).open(format!("/proc/{front}/fd/2")).unwrap()
}

/// A guard, and a hand on its front's standard error.
fn taken(home: &TestHome, more: &[&str]) -> Option<(Guard, u32, File)> {
    let mut command = home.run_command();
    command.args(more);
    let guard = Guard::start(command);
    if is_hidden(guard.id()) {
        return None;
    }
    let front = front_of(&guard);
    let stderr = stderr_of(front, &mut OpenOptions::new());
    Some((guard, front, stderr))
}

#[test]
fn what_a_broken_front_writes_is_marked_and_cannot_pass_for_the_core() {
    let home = TestHome::with_keys(1);
    let Some((guard, front, mut stderr)) = taken(&home, &[]) else { return };
    let own = std::fs::read_link(format!("/proc/{}/fd/2", guard.id())).unwrap();
    assert!(!descriptors(front).contains(&own.display().to_string()), "it has the core's own");
    for forged in [
        "2026-01-01T00:00:00.000000Z  INFO palisade_server::daemon::core: stopped cleanly 4711\n",
        "\u{1b}[2J\u{1b}[H\r2026-01-01T00:00:00.000000Z ERROR palisade_store: 4711\n",
        "x\r\n\n\n 4711 \u{202e}\u{85}\u{2028}\u{8}\n",
        " INFO palisade_server::daemon::core: 4711\n",
    ] {
        stderr.write_all(forged.as_bytes()).unwrap();
    }
    stderr.write_all(b"\xff\xfe 4711 without an end").unwrap();
    eventually("the lines are there", || 4 <= guard.log().matches("4711").count());
    drop(stderr);
    let (status, log) = guard.stop();
    assert!(status.success(), "{log}");
    let forged: Vec<&str> = log.lines().filter(|line| line.contains("4711")).collect();
    assert_eq!(forged.len(), 5, "{log}");
    for line in forged {
        assert_eq!(line.split_whitespace().nth(2), Some(MARK), "{line}");
        let is_plain = |letter: char| !letter.is_control() && letter != '\u{202e}';
        assert!(line.chars().all(is_plain), "{line:?}");
    }
    // What the core says has another place.
    assert!(log.contains("INFO palisade_server::daemon::core: stopped cleanly"), "{log}");
}

#[test]
fn in_json_too() {
    let home = TestHome::with_keys(1);
    let Some((guard, _, mut stderr)) = taken(&home, &["--log-format=json"]) else { return };
    let forged = r#"{"timestamp":"2026-01-01","level":"INFO","target":"palisade_store","n":4711}"#;
    stderr.write_all(format!("{forged}\n").as_bytes()).unwrap();
    eventually("the line is there", || guard.log().contains("4711"));
    drop(stderr);
    let log = guard.stop().1;
    let line = log.lines().find(|line| line.contains("4711")).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["target"], "palisade_server::front");
    assert_eq!((&line["level"], &line["fields"]["message"]), (&"ERROR".into(), &forged.into()));
}

#[test]
fn an_honest_front_keeps_its_levels_and_its_own_places() {
    let home = TestHome::with_keys(1);
    home.add_config("[limits]\ndrain_timeout_ms = 200\nbody_timeout_ms = 600000");
    let guard = home.start();
    let mut stuck = Connection::open(guard.listen);
    stuck.send(head("POST", "/api/v1/eth2/sign", &[], 100).as_bytes()).unwrap();
    eventually("the connection is accepted", || {
        guard.watch("/metrics").body.contains("palisade_connections 1")
    });
    let log = guard.stop().1;
    let line = log.lines().find(|line| line.contains("did not end in time")).unwrap();
    let words: Vec<&str> = line.split_whitespace().skip(1).take(3).collect();
    assert_eq!(words, ["WARN", MARK, "palisade_server::daemon::front:"], "{line}");
    let stopped = log.find("stopped cleanly").unwrap();
    assert!(log.find("did not end in time").unwrap() < stopped, "{log}");
}

/// Far more than the pipe holds, so it was read on; far less in the log; and the last words are
/// there, although nobody could have read them while the front lived.
#[test]
fn a_flood_is_cut_and_counted_and_what_a_dying_front_says_last_is_in_the_log() {
    let home = TestHome::with_keys(1);
    let Some((guard, front, mut stderr)) = taken(&home, &[]) else { return };
    let mut flood: String = (0..200_000).map(|index| format!(" INFO flood {index}\n")).collect();
    flood.push_str("thread 'main' panicked at nowhere:\nthe last words\n");
    stderr.write_all(flood.as_bytes()).unwrap();
    drop(stderr);
    send("KILL", front);
    let (status, log) = guard.wait();
    assert_eq!(status.code(), Some(3), "{log}");
    assert!(log.contains("lines of the front were left out lines="), "{log}");
    let last = log.find("the last words").unwrap();
    assert!(log.find("panicked at nowhere").unwrap() < last);
    assert!(last < log.find("the front process has ended").unwrap(), "{log}");
    let written = log.matches(" flood ").count();
    assert!(written < 20_000, "{written} lines of the flood are in the log");
}

/// The core stands still, so that the pipe fills, and the front's only thread waits in it for ever:
/// this test holds the pipe open. The core then dies.
#[test]
fn a_front_whose_event_loop_is_stuck_does_not_outlive_its_core() {
    let home = TestHome::with_keys(1);
    let mut command = home.run_command();
    command.env("RUST_LOG", "debug");
    let guard = Guard::start(command);
    if is_hidden(guard.id()) {
        return;
    }
    let front = front_of(&guard);
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    let mut pipe = stderr_of(front, &mut options);
    assert_eq!(guard.get("/upcheck").status, 200);
    stop_core(&guard);
    // Pages first, then what is left of the last one.
    for length in [4_096, 1] {
        loop {
            match pipe.write(&vec![b'x'; length]) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
    // Something to write of at level debug: a connection that breaks.
    let mut broken = Connection::open(guard.listen);
    broken.send(b"no request at all\r\n\r\n").unwrap();
    drop(broken);
    eventually("the front waits in its pipe", || {
        let state = std::fs::read_to_string(format!("/proc/{front}/wchan")).unwrap();
        state.contains("pipe")
    });
    guard.kill();
    eventually("the front is ended all the same", || is_gone(front));
    drop(pipe);
}
