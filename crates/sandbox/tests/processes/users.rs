//! Who starts the process, and where: another user, an older kernel, an environment, open files,
//! threads.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use palisade_sandbox::{CleanStart, Measure, Plan, State, harden_early};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

use crate::role::{READY, Scene, say, skip};

/// No user on a usual machine; owns nothing.
const NOBODY: u32 = 65_534;

/// A scene that another user than root plays, with a program of this mode.
pub(crate) fn played_by_nobody(scene: &Scene, mode: u32) -> Command {
    fs::set_permissions(&scene.home, fs::Permissions::from_mode(0o755)).unwrap();
    // SAFETY: takes nothing and cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        return scene.command();
    }
    // The test binary may lie where another user does not look.
    let copy = scene.home.join("processes");
    fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(mode)).unwrap();
    let mut command = Command::new(copy);
    command.args(scene.command().get_args()).uid(NOBODY).gid(NOBODY);
    command
}

pub(crate) fn unreadable_program() {
    let directory = tempfile::tempdir().unwrap();
    let scene = Scene::new("none", "user-clean-start", directory.path(), "1000");
    let mut command = played_by_nobody(&scene, 0o711);
    let output = command.env("SECRET_OF_THE_STARTER", "x").env("KEPT", "z").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = said.lines().collect();
    let closed = "inherited descriptor is closed";
    assert_eq!(lines, ["started", "started", CLEAN, closed], "{output:?}");
}

pub(crate) fn nobody() {
    let directory = tempfile::tempdir().unwrap();
    let scene = Scene::new("none", "user-table", directory.path(), "");
    let mut command = played_by_nobody(&scene, 0o755);
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

/// The table of a process whose kernel answers to these calls that there are none.
fn table_without(calls: &[i64]) -> serde_json::Value {
    let directory = tempfile::tempdir().unwrap();
    let calls: Vec<String> = calls.iter().map(i64::to_string).collect();
    let scene = Scene::new("none", "user-old-kernel", directory.path(), calls.join(" "));
    let output = scene.output();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn row(table: &serde_json::Value, measure: Measure) -> (String, String) {
    let rows = table["measures"].as_array().unwrap();
    let row = rows.iter().find(|row| row["measure"] == measure.name()).unwrap();
    (row["state"].as_str().unwrap().to_owned(), row["reason"].as_str().unwrap().to_owned())
}

pub(crate) fn old_kernel() {
    let table = table_without(&[libc::SYS_landlock_create_ruleset, libc::SYS_memfd_secret]);
    let (state, reason) = row(&table, Measure::LandlockFiles);
    assert_eq!(state, "missing");
    assert_eq!(reason, "the kernel has no Landlock, or it is not switched on");
    assert_eq!(row(&table, Measure::LandlockTcp).0, "off-allowed");
    let (state, reason) = row(&table, Measure::SecretMemory);
    // Root may lock as much as it likes; what others may is the machine's matter.
    if state == "on" {
        assert!(reason.contains("no memfd_secret"), "{reason}");
    } else {
        skip("the fallback of secret memory", &reason);
    }
    assert_eq!(row(&table, Measure::Seccomp).0, "on");
}

pub(crate) fn no_seccomp() {
    let table = table_without(&[libc::SYS_seccomp]);
    let (state, reason) = row(&table, Measure::Seccomp);
    assert_eq!(state, "missing", "{reason}");
    assert!(reason.contains("not implemented"), "{reason}");
}

pub(crate) fn refused_rule() {
    let directory = tempfile::tempdir().unwrap();
    let call = libc::SYS_landlock_add_rule.to_string();
    let scene = Scene::new("none", "user-refused-rule", directory.path(), call);
    if !scene.table().is_on(Measure::LandlockTcp) {
        return skip("a port that the kernel does not take", "the kernel lacks landlock-tcp");
    }
    let output = scene.output();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "landlock-tcp\n", "{output:?}");
}

fn answer_no_such_call(calls: &str) {
    let calls = calls.split(' ').map(|call| (call.parse().unwrap(), Vec::new()));
    let no_such_call = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let here = std::env::consts::ARCH.try_into().unwrap();
    let calls: BTreeMap<i64, _> = calls.collect();
    let filter = SeccompFilter::new(calls, SeccompAction::Allow, no_such_call, here).unwrap();
    seccompiler::apply_filter(&BpfProgram::try_from(filter).unwrap()).unwrap();
}

/// What a process says that is started with a variable and a descriptor too many, by a shell that
/// says this first.
fn started_by(shell: &str, act: &str) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let inherited = File::open("/etc/passwd").unwrap();
    // SAFETY: clears a flag of our own descriptor, so that the child inherits it.
    let answer = unsafe { libc::fcntl(inherited.as_raw_fd(), libc::F_SETFD, 0) };
    assert_eq!(answer, 0);
    let descriptor = inherited.as_raw_fd().to_string();
    let player = Scene::new("none", act, directory.path(), descriptor).command();
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{shell} exec \"$0\" \"$@\"")]);
    command.arg(player.get_program()).args(player.get_args()).env_clear();
    let output = command.env("SECRET_OF_THE_STARTER", "x").env("KEPT", "z").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(ToOwned::to_owned).collect()
}

const CLEAN: &str = "KEPT, PALISADE_CLEAN_START";

pub(crate) fn clean_start() {
    let said = started_by("", "user-clean-start");
    assert_eq!(said, ["started", "started", CLEAN, "inherited descriptor is closed"]);
}

pub(crate) fn half_clean_start() {
    let said = started_by("", "user-clean-start-of-variables");
    assert_eq!(said, ["started", "started", CLEAN, "inherited descriptor is open"]);
    let said = started_by("", "user-clean-start-of-descriptors");
    assert_eq!(&said[..2], ["started", "started"]);
    assert!(said[2].contains("SECRET_OF_THE_STARTER"), "{said:?}");
    assert_eq!(said[3], "inherited descriptor is closed");
    let said = started_by("", "user-clean-start-of-nothing");
    assert!(said[1].contains("SECRET_OF_THE_STARTER"), "{said:?}");
}

pub(crate) fn claimed_clean_start() {
    // Another process's mark means nothing, and its own does not make it clean.
    let said = started_by("PALISADE_CLEAN_START=1", "user-clean-start");
    assert_eq!(said, ["started", "started", CLEAN, "inherited descriptor is closed"]);
    for act in ["user-clean-start-of-descriptors", "user-clean-start-of-variables"] {
        let said = started_by("PALISADE_CLEAN_START=$$", act);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[1].contains("left of the starter"), "{said:?}");
    }
}

pub(crate) fn second_thread() {
    let directory = tempfile::tempdir().unwrap();
    let output = Scene::new("none", "user-second-thread", directory.path(), "").output();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said, format!("{READY}\nthe process has 2 threads already\n"), "{output:?}");
}

pub(crate) fn play(scene: &Scene) {
    match scene.act.as_str() {
        "user-old-kernel" => {
            answer_no_such_call(&scene.detail);
            say(&serde_json::to_string(&scene.table()).unwrap());
        }
        "user-table" => say(&serde_json::to_string(&scene.table()).unwrap()),
        "user-refused-rule" => {
            let table = scene.table();
            answer_no_such_call(&scene.detail);
            // No file has a rule, and one port.
            let plan = Plan { bind_ports: vec![0], ..Plan::default() };
            say(harden_early(&plan, &table).unwrap_err().measure.name());
        }
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
        _ => play_clean_start(scene),
    }
}

fn play_clean_start(scene: &Scene) {
    say("started");
    let started = palisade_sandbox::clean_start(CleanStart {
        variables: ["user-clean-start", "user-clean-start-of-variables"]
            .contains(&scene.act.as_str())
            .then_some(&["KEPT"]),
        closes_descriptors: ["user-clean-start", "user-clean-start-of-descriptors"]
            .contains(&scene.act.as_str()),
    });
    if let Err(error) = started {
        return say(&error.to_string());
    }
    assert_eq!(std::env::var("KEPT").unwrap(), "z");
    let mut names: Vec<String> = std::env::vars().map(|(name, _)| name).collect();
    names.sort();
    say(&names.join(", "));
    let descriptor: i32 = scene.detail.parse().unwrap();
    // SAFETY: asks for the flags of a descriptor, or fails if there is none.
    let flags = unsafe { libc::fcntl(descriptor, libc::F_GETFD) };
    let is = if flags < 0 { "closed" } else { "open" };
    say(&format!("inherited descriptor is {is}"));
}
