//! Who starts the process, and with what: another user, an environment, open files, threads.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use palisade_sandbox::{Measure, Plan, State, harden_early};

use crate::role::{READY, Scene, say, skip};

/// No user on a usual machine; owns nothing.
const NOBODY: u32 = 65_534;

pub(crate) fn nobody() {
    // SAFETY: takes nothing and cannot fail.
    let user = unsafe { libc::geteuid() };
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let scene = Scene::new("none", "user-table", directory.path(), "");
    let mut command = scene.command();
    if user == 0 {
        // The test binary may lie where another user does not look.
        let copy = directory.path().join("processes");
        fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
        let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        command = Command::new(copy);
        command.args(arguments).uid(NOBODY).gid(NOBODY);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let table: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for row in table["measures"].as_array().unwrap() {
        let may_be_off = ["memory-locked", "landlock-tcp", "landlock-scope", "write-xor-execute"];
        let name = row["measure"].as_str().unwrap();
        if may_be_off.contains(&name) && row["state"] == "off-allowed" {
            skip(name, row["reason"].as_str().unwrap());
        } else {
            assert_eq!(row["state"], "on", "{row}");
        }
    }
}

pub(crate) fn clean_start() {
    let directory = tempfile::tempdir().unwrap();
    let inherited = File::open("/etc/passwd").unwrap();
    // SAFETY: clears a flag of our own descriptor, so that the child inherits it.
    let answer = unsafe { libc::fcntl(inherited.as_raw_fd(), libc::F_SETFD, 0) };
    assert_eq!(answer, 0);
    let descriptor = inherited.as_raw_fd().to_string();
    let mut command =
        Scene::new("none", "user-clean-start", directory.path(), descriptor).command();
    command.env("SECRET_OF_THE_STARTER", "x").env("KEPT", "z");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = said.lines().collect();
    let [before, kept, names, open] = lines.as_slice() else { panic!("{output:?}") };
    assert_eq!(*before, "process started");
    assert_eq!(*kept, "KEPT=z");
    assert_eq!(*names, "[\"KEPT\", \"PALISADE_CLEAN_START\"]");
    assert_eq!(*open, "inherited descriptor is closed");
}

pub(crate) fn second_thread() {
    let directory = tempfile::tempdir().unwrap();
    let output = Scene::new("none", "user-second-thread", directory.path(), "").output();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said, format!("{READY}\nthe process has 2 threads already\n"), "{output:?}");
}

pub(crate) fn play(scene: &Scene) {
    match scene.act.as_str() {
        "user-table" => say(&serde_json::to_string(&scene.table()).unwrap()),
        "user-second-thread" => {
            let table = scene.table();
            assert!(table.measures.iter().any(|row| row.state == State::On));
            let waiting = std::thread::spawn(std::thread::park);
            say(READY);
            let error = harden_early(&Plan::default(), &table).unwrap_err();
            assert_eq!(error.measure, Measure::LandlockFiles);
            say(&error.reason);
            waiting.thread().unpark();
        }
        _ => {
            // Only the first of the two processes has this variable.
            if std::env::var_os("SECRET_OF_THE_STARTER").is_some() {
                say("process started");
            }
            palisade_sandbox::clean_start(&["KEPT"]).unwrap();
            say(&format!("KEPT={}", std::env::var("KEPT").unwrap()));
            let mut names: Vec<String> = std::env::vars().map(|(name, _)| name).collect();
            names.sort();
            say(&format!("{names:?}"));
            let descriptor: i32 = scene.detail.parse().unwrap();
            // SAFETY: asks for the flags of a descriptor, or fails if there is none.
            let flags = unsafe { libc::fcntl(descriptor, libc::F_GETFD) };
            let is = if flags < 0 { "closed" } else { "open" };
            say(&format!("inherited descriptor is {is}"));
        }
    }
}
