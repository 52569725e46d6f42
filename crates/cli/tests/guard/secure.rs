//! Secure mode of the real guard: what both processes gave up, what is said of it, and what the
//! operator can leave out.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use serde_json::Value;

use super::bad_homes::{NOBODY, as_nobody, give, give_all};
use super::processes::front_of;
use crate::support::Guard;
use crate::support::duty::block;
use crate::support::home::{KEYS, SECRETS, TestHome, text};

/// A field of `/proc/PID/status`.
fn field(process: u32, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(&format!("{name}:")));
    line.unwrap().trim().to_owned()
}

fn checked(home: &TestHome) -> Value {
    serde_json::from_slice(&home.run(&["secure", "check", "--json"]).stdout).unwrap()
}

fn state_of(table: &Value, measure: &str) -> String {
    let rows = table["measures"].as_array().unwrap();
    let row = rows.iter().find(|row| row["measure"] == measure).unwrap();
    row["state"].as_str().unwrap().to_owned()
}

fn status(home: &TestHome) -> Value {
    serde_json::from_str(&home.succeeds(&["status", "--json"])).unwrap()
}

fn runs_as_root(guard: &Guard) -> bool {
    field(guard.id(), "Uid").starts_with("0\t")
}

#[test]
fn a_check_a_guard_and_its_metrics_say_the_same() {
    let home = TestHome::with_keys(1);
    let output = home.run(&["secure", "check"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    assert!(text(&output.stdout).ends_with("A guard may start here.\n"));
    let checked = checked(&home);
    assert_eq!(checked["holds"], true);
    let guard = home.start();
    let status = status(&home);
    let metrics = guard.watch("/metrics").body;
    let measures = checked["measures"].as_array().unwrap();
    assert!(measures.len() > 10, "{measures:?}");
    for row in measures {
        let (measure, state) = (row["measure"].as_str().unwrap(), row["state"].as_str().unwrap());
        assert_eq!(state_of(&status, measure), state, "{measure}");
        let series =
            format!("palisade_secure_measure{{measure=\"{measure}\",state=\"{state}\"}} 1\n");
        assert!(metrics.contains(&series), "{series} is not in {metrics}");
    }
    let log = guard.log();
    assert_eq!(log.matches("secure mode").count(), measures.len(), "{log}");
    assert_eq!(log.contains("RUNS AS ROOT"), runs_as_root(&guard), "{log}");
}

#[test]
fn both_processes_have_given_up_what_the_table_says() {
    let home = TestHome::with_keys(1);
    let mut command = home.run_command();
    command.env("SECRET_OF_THE_STARTER", "x");
    let guard = Guard::start(command);
    let table = checked(&home);
    for process in [guard.id(), front_of(&guard)] {
        assert_eq!(field(process, "NoNewPrivs"), "1");
        let filter = if state_of(&table, "seccomp") == "on" { "2" } else { "0" };
        assert_eq!(field(process, "Seccomp"), filter);
        let limits = fs::read_to_string(format!("/proc/{process}/limits")).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert!(core.split_whitespace().eq(["Max", "core", "file", "size", "0", "0", "bytes"]));
        // Files of a process that is not dumpable are root's.
        assert_eq!(fs::metadata(format!("/proc/{process}/environ")).unwrap().uid(), 0);
        if let Ok(environment) = fs::read(format!("/proc/{process}/environ")) {
            assert!(!text(&environment).contains("STARTER"), "{}", text(&environment));
        }
    }
    assert_eq!(guard.sign(KEYS[0], &block(1, 1)).status, 200);
}

#[test]
fn a_measure_that_is_named_is_left_off_in_both_processes() {
    let home = TestHome::with_keys(1);
    let mut command = home.run_command();
    command.args(["--allow-unhardened=seccomp", "--allow-unhardened=memory-locked"]);
    let guard = Guard::start(command);
    for process in [guard.id(), front_of(&guard)] {
        assert_eq!(field(process, "Seccomp"), "0");
        assert_eq!(field(process, "NoNewPrivs"), "1");
    }
    let status = status(&home);
    assert_eq!(state_of(&status, "seccomp"), "off-allowed");
    assert_eq!(state_of(&status, "memory-locked"), "off-allowed");
    let shown = home.succeeds(&["status"]);
    assert!(shown.contains("off: ") && shown.contains("seccomp"), "{shown}");
}

#[test]
fn an_unknown_measure_is_a_usage_error_that_lists_the_known_ones() {
    let home = TestHome::empty();
    let output = home.run(&["run", "--allow-unhardened=selinux"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("landlock-files"), "{}", text(&output.stderr));
}

/// Root on a home of another user: a service that was meant for that user.
#[test]
fn a_missing_measure_stops_the_start_with_exit_3_unless_it_is_named() {
    let home = TestHome::with_keys(1);
    if !give(&home.path(), NOBODY) {
        return;
    }
    let output = home.run_command().output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("not-root: it runs as root"), "{said}");
    assert!(said.contains("--allow-unhardened=not-root"), "{said}");
    assert!(said.contains("state=\"missing\""), "the table is in the log: {said}");
    let output = home.run(&["secure", "check"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    let mut command = home.run_command();
    command.arg("--allow-unhardened=seccomp");
    assert_eq!(command.output().unwrap().status.code(), Some(3), "another name does not help");
    let mut command = home.run_command();
    command.arg("--allow-unhardened=not-root");
    let guard = Guard::start(command);
    assert_eq!(guard.sign(KEYS[0], &block(1, 1)).status, 200);
    assert!(guard.log().contains("RUNS AS ROOT"), "{}", guard.log());
}

/// A guard under a tracer, which does as it is told.
fn traced(home: &TestHome, tracer: &[&str], more: &[&str]) -> Command {
    let run = home.run_command();
    let mut command = Command::new("strace");
    // The guard is the process that was started; the tracer is a child of its own.
    command.args(["-D", "-q", "-o", "/dev/null"]).args(tracer);
    command.arg(run.get_program()).args(run.get_args()).args(more);
    command
}

/// A tracer that answers to one call as a kernel does that has no such call.
#[test]
fn a_kernel_without_landlock_or_seccomp_gets_no_guard_unless_that_is_allowed() {
    let home = TestHome::with_keys(1);
    for (call, measure, why, remedy) in [
        ("landlock_create_ruleset", "landlock-files", "the kernel has no Landlock", "Linux 5.19"),
        ("seccomp", "seccomp", "Function not implemented", "CONFIG_SECCOMP_FILTER"),
    ] {
        let inject = format!("inject={call}:error=ENOSYS");
        let tracer = ["-f", "-e", &format!("trace={call}"), "-e", &inject];
        let allow = |measure| format!("--allow-unhardened={measure}");
        let (traced_is_allowed, measure_is_allowed) = (allow("ptrace-refused"), allow(measure));
        let Ok(output) = traced(&home, &tracer, &[&traced_is_allowed]).output() else {
            eprintln!("!! SKIPPED: a guard without {call}: there is no strace");
            return;
        };
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{said}");
        for part in [&format!("{measure}: "), why, remedy, &measure_is_allowed] {
            assert!(said.contains(part), "{part:?} is not in: {said}");
        }
        let mut allowed = vec![traced_is_allowed.as_str(), &measure_is_allowed];
        if call == "seccomp" {
            // What stands in for these on a kernel before 6.7.
            allowed.push("--allow-unhardened=landlock-tcp");
            allowed.push("--allow-unhardened=write-xor-execute");
        }
        let guard = Guard::start(traced(&home, &tracer, &allowed));
        assert_eq!(state_of(&status(&home), measure), "off-allowed");
        drop(guard);
    }
}

/// A debugger that was there before the guard could refuse it stays attached to it.
#[test]
fn a_guard_that_is_traced_from_its_start_reads_no_secret_unless_that_is_allowed() {
    let traced = |home: &TestHome, more: &[&str]| traced(home, &["-e", "trace=none"], more);
    let home = TestHome::with_keys(1);
    let secret = home.path().join("unlock.secret");
    let away = home.beside("unlock.secret");
    fs::rename(&secret, &away).unwrap();
    let Ok(output) = traced(&home, &[]).output() else {
        eprintln!("!! SKIPPED: tracing a guard: there is no strace");
        return;
    };
    // It does not come to miss its secret.
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("ptrace-refused") && said.contains("traces this one"), "{said}");
    assert!(!said.contains("unlock"), "{said}");
    fs::rename(&away, &secret).unwrap();
    assert_eq!(traced(&home, &[]).output().unwrap().status.code(), Some(3));
    let guard = Guard::start(traced(&home, &["--allow-unhardened=ptrace-refused"]));
    assert_ne!(field(guard.id(), "TracerPid"), "0");
    assert_eq!(guard.sign(KEYS[0], &block(1, 1)).status, 200);
}

#[test]
fn a_starter_that_claims_a_clean_start_does_not_get_one() {
    let home = TestHome::with_keys(1);
    let run = home.run_command();
    let mut command = Command::new("sh");
    command.args(["-c", "PALISADE_CLEAN_START=$$ SECRET_OF_THE_STARTER=x exec \"$0\" \"$@\""]);
    command.arg(run.get_program()).args(run.get_args());
    let output = command.output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("left of the starter"), "{said}");
}

/// What a user may lock without a word of the administrator, on a new kernel.
const LOCKABLE: u64 = 8 << 20;

/// Lets a running guard lock so many bytes from here on. Its own user may say so.
fn let_lock(guard: &Guard, bytes: u64) {
    let mut command = Command::new("prlimit");
    command.arg(format!("--pid={}", guard.id())).arg(format!("--memlock={bytes}:"));
    assert!(command.uid(NOBODY).gid(NOBODY).status().unwrap().success());
}

/// Imports the second key into the guard that runs on this home.
fn import_second(home: &TestHome) -> std::process::Output {
    let file = home.beside("secret");
    fs::write(&file, SECRETS[1]).unwrap();
    let mut command = home.command(&["keys", "import-raw", "--chain", "ethereum", "--type", "bls"]);
    command.arg("--fresh").arg(file).output().unwrap()
}

#[test]
fn a_key_for_which_no_memory_can_be_locked_is_not_admitted_and_the_guard_goes_on() {
    let home = TestHome::with_keys(1);
    // Root may lock what it likes.
    if !give_all(&home.path(), NOBODY) {
        return;
    }
    let start = |allowed: &[&str]| {
        let mut command = as_nobody(&home, home.run_command());
        command.args(allowed);
        Guard::start(command)
    };
    let guard = start(&[]);
    let_lock(&guard, 64 << 10);
    let output = import_second(&home);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    for part in ["no memory for secrets", "LimitMEMLOCK", "--allow-unhardened=secret-memory"] {
        assert!(said.contains(part), "{part:?} is not in: {said}");
    }
    assert!(!home.succeeds(&["keys", "list"]).contains(KEYS[1]));
    guard.sign(KEYS[1], &block(1, 1)).is_error(404, "unknown-key", "");
    guard.sign(KEYS[0], &block(1, 1)).signature();
    assert_eq!(guard.watch("/readyz").status, 200);
    let_lock(&guard, LOCKABLE);
    let output = import_second(&home);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(home.succeeds(&["keys", "list"]).contains(KEYS[1]));
    guard.stop();
    // Whoever says that the measure may be off has said so.
    home.succeeds(&["keys", "remove", KEYS[1]]);
    give_all(&home.path(), NOBODY);
    let guard = start(&["--allow-unhardened=secret-memory", "--allow-unhardened=memory-locked"]);
    let_lock(&guard, 64 << 10);
    let output = import_second(&home);
    assert!(output.status.success(), "{}", text(&output.stderr));
}
