//! Disks that fail, homes that are in use, clocks that jump, stops in the middle of work: nothing
//! is lost, and each message says what to do.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use palisade_protect::{Bound, Epoch, Slot, StopLine};
use palisade_store::Store;
use serde_json::Value;

use super::key_manager::keystore;
use crate::support::duty::{attestation, block};
use crate::support::home::{KEYS, SECRETS, TestHome, text};
use crate::support::http::{Connection, head};
use crate::support::{Guard, eventually};

/// The status of a start that must fail, and what it said.
#[track_caller]
fn refuses_to_start(home: &TestHome) -> (Option<i32>, String) {
    let output = home.run_command().output().unwrap();
    assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
    (output.status.code(), text(&output.stderr))
}

#[test]
fn a_second_process_on_one_home_is_refused_and_told_which_is_the_first() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    let (status, said) = refuses_to_start(&home);
    assert_eq!(status, Some(3));
    assert!(said.contains(&format!("in use by process {}", guard.id())), "{said}");
    assert!(said.contains("stop it, or choose another home"), "{said}");
    assert_eq!(guard.sign(KEYS[0], &block(1, 1)).status, 200);
    guard.kill();
    assert_eq!(home.start().sign(KEYS[0], &block(1, 1)).status, 200);
}

#[test]
fn a_home_that_others_may_write_is_not_served() {
    use std::os::unix::fs::PermissionsExt;
    let home = TestHome::with_keys(1);
    let set = |mode| {
        std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    for mode in [0o777, 0o720, 0o702] {
        set(mode);
        let (status, said) = refuses_to_start(&home);
        assert_eq!(status, Some(3));
        assert!(said.contains(&format!("has mode {mode:04o}")), "{said}");
        assert!(said.contains("chmod 700"), "{said}");
    }
    set(0o750);
    home.start();
}

#[test]
fn an_address_in_use_is_told_with_what_to_do() {
    let home = TestHome::with_keys(1);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = home.run(&["run", "--listen", &address, "--metrics", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(3));
    let said = text(&output.stderr);
    assert!(said.contains(&address) && said.contains("--listen"), "{said}");
}

#[test]
fn a_truncated_store_does_not_open_and_says_not_to_sign_elsewhere() {
    let home = TestHome::with_keys(1);
    let guard = home.start();
    guard.sign(KEYS[0], &block(1, 1)).signature();
    guard.stop();
    let store = home.path().join("store.redb");
    let length = std::fs::metadata(&store).unwrap().len();
    for kept in [length / 2, 4_096, 100, 0] {
        std::fs::OpenOptions::new().write(true).open(&store).unwrap().set_len(kept).unwrap();
        let (status, said) = refuses_to_start(&home);
        assert_eq!(status, Some(3), "{kept}: {said}");
        assert!(said.contains("do not sign with these keys elsewhere"), "{kept}: {said}");
    }
}

#[test]
fn a_lost_store_is_not_replaced_by_an_empty_one() {
    let home = TestHome::with_keys(1);
    std::fs::remove_file(home.path().join("store.redb")).unwrap();
    let (status, said) = refuses_to_start(&home);
    assert_eq!(status, Some(3));
    assert!(said.contains("there is no store at"), "{said}");
}

#[test]
fn one_wrong_password_among_1000_keystores_imports_nothing_and_is_named() {
    let home = TestHome::empty();
    let keystores = home.beside("keystores");
    std::fs::create_dir(&keystores).unwrap();
    for index in 1..=1_000_u32 {
        let password = if index == 617 { "another" } else { "the usual" };
        let text = keystore(&format!("{index:064x}"), password);
        std::fs::write(keystores.join(format!("key-{index}.json")), text).unwrap();
    }
    let password = home.beside("password.txt");
    std::fs::write(&password, "the usual\n").unwrap();
    let import = |paths: &Path| {
        home.command(&["keys", "import", "--fresh", "--password-file"])
            .args([&password, paths])
            .output()
            .unwrap()
    };
    let output = import(&keystores);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    let said = text(&output.stderr);
    assert!(said.contains("key-617.json") && said.contains("password"), "{said}");
    assert!(said.to_lowercase().contains("nothing was imported"), "{said}");
    assert!(!said.contains("key-616.json"), "only the bad ones are listed: {said}");
    assert_eq!(home.succeeds(&["keys", "list", "--json"]).trim(), "[]");
    std::fs::remove_file(keystores.join("key-617.json")).unwrap();
    assert!(import(&keystores).status.success());
    let listed: Value = serde_json::from_str(&home.succeeds(&["keys", "list", "--json"])).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 999);
}

#[test]
fn keystores_of_one_key_are_told_apart_and_none_is_imported() {
    let home = TestHome::empty();
    let password = home.beside("password.txt");
    std::fs::write(&password, "p4ssword\n").unwrap();
    let files = ["a.json", "b.json"].map(|name| home.beside(name));
    for file in &files {
        std::fs::write(file, keystore(SECRETS[0], "p4ssword")).unwrap();
    }
    let import = |files: &[PathBuf]| {
        let mut command = home.command(&["keys", "import", "--fresh", "--json"]);
        command.arg("--password-file").arg(&password).args(files).output().unwrap()
    };
    let both = import(&files);
    assert_eq!(both.status.code(), Some(2));
    let said = text(&both.stderr);
    assert!(
        said.contains("holds the same key as") && said.contains("leave one of them out"),
        "{said}"
    );
    assert_eq!(home.succeeds(&["keys", "list", "--json"]).trim(), "[]");
    // A key that is here already is no mistake: its record is kept or made stricter.
    let imported = |file: usize| -> Value {
        serde_json::from_slice(&import(&files[file..=file]).stdout).unwrap()
    };
    assert_eq!(imported(0)["imported"][0], KEYS[0]);
    assert_eq!(imported(1)["duplicates"][0], KEYS[0]);
    let listed: Value = serde_json::from_str(&home.succeeds(&["keys", "list", "--json"])).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 1);
}

/// The limit on a file's size makes writes fail as a full disk does, and needs no mount.
#[test]
fn a_full_disk_is_503_until_a_restart_and_loses_nothing() {
    let home = TestHome::with_keys(1);
    // Room for the file as it is, in blocks of 1 KiB, and a little for entries.
    let size = std::fs::metadata(home.path().join("store.redb")).unwrap().len();
    let limit = size / 1_024 + 64;
    let run = home.run_command();
    let mut shell = Command::new("bash");
    // The signal of the limit is ignored, so that a write fails instead of ending the process.
    shell.args(["-c", "trap '' XFSZ; ulimit -f \"$0\" && exec \"$@\"", &limit.to_string()]);
    shell.arg(run.get_program()).args(run.get_args()).env_remove("RUST_LOG");
    let guard = Guard::start(shell);
    let mut last_signed = 0;
    let failure = (1..20_000)
        .find_map(|slot| {
            let answer = guard.sign(KEYS[0], &block(slot, 1));
            if answer.status == 200 {
                last_signed = slot;
                return None;
            }
            Some(answer)
        })
        .expect("the limit is never reached");
    assert!(0 < last_signed);
    failure.is_error(503, "store-unavailable", "make room on the disk");
    let next = guard.sign(KEYS[0], &block(last_signed + 1_000, 1));
    next.is_error(503, "store-dead", "restart the guard");
    let ready = guard.watch("/readyz");
    ready.is_error(503, "not-ready", "the store cannot be written");
    assert_eq!(guard.get("/healthcheck").status, 503);
    guard.kill();
    let guard = home.start();
    guard.sign(KEYS[0], &block(last_signed, 2)).is_error(412, "double-proposal", "");
    assert_eq!(guard.sign(KEYS[0], &block(last_signed + 2, 1)).status, 200);
    guard.stop();
    home.succeeds(&["journal", "verify"]);
}

/// A mount of its own in a namespace of its own: root may write where permissions forbid it, so
/// that only a read-only file system is a test for root as well.
#[test]
fn a_read_only_disk_is_told_before_anything_is_served() {
    let home = TestHome::with_keys(1);
    let script = "mount --bind \"$0\" \"$0\" && mount -o remount,ro,bind \"$0\" && exec \"$@\"";
    let run = home.run_command();
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "bash", "-c", script]);
    command.arg(home.path()).arg(run.get_program()).args(run.get_args());
    let output = command.env_remove("RUST_LOG").output().unwrap();
    let said = text(&output.stderr);
    if said.contains("unshare") || said.contains("mount:") {
        let heard = "!! SKIPPED: this system lets nobody make a mount namespace: ";
        std::io::Write::write_all(&mut std::io::stderr(), format!("{heard}{said}").as_bytes())
            .unwrap();
        return;
    }
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("Read-only file system"), "{said}");
    assert!(said.contains("may write to") || said.contains("for writing"), "{said}");
    assert_eq!(home.start().sign(KEYS[0], &block(1, 1)).status, 200, "nothing was lost");
}

/// No decision reads the clock; only the journal writes it down. So a clock that jumps shows in the
/// journal's times, and nowhere else.
#[test]
fn a_clock_that_jumps_shows_in_the_journal_and_changes_no_decision() {
    const YEAR_2096: u64 = 4_000_000_000_000;
    let home = TestHome::with_keys(1);
    let mut store = Store::open(&home.path().join("store.redb")).unwrap().with_clock(|| YEAR_2096);
    let (key, ..) = store.records().next().unwrap();
    let line =
        StopLine { below: Some(Bound { epoch: Epoch(1), slot: Slot(8) }), ..StopLine::default() };
    store.set_stop_line(&[key], line).unwrap();
    drop(store);
    // From here on the clock is decades behind the newest entry.
    let guard = home.start();
    assert_eq!(guard.sign(KEYS[0], &block(1 << 40, 1)).status, 200);
    guard.sign(KEYS[0], &block(1 << 40, 2)).is_error(412, "double-proposal", "");
    guard.sign(KEYS[0], &block(9, 1)).is_error(412, "proposal-behind", "");
    assert_eq!(guard.sign(KEYS[0], &attestation(1 << 30, 1 << 31, 1)).status, 200);
    guard.stop();
    let journal: Value =
        serde_json::from_str(&home.succeeds(&["journal", "verify", "--json"])).unwrap();
    assert_eq!(journal["holds"], true);
    assert!(journal["last_time_unix_ms"].as_u64().unwrap() < YEAR_2096, "{journal}");
    let guard = home.start();
    guard.sign(KEYS[0], &block(1 << 40, 2)).is_error(412, "double-proposal", "");
    assert_eq!(guard.sign(KEYS[0], &block(1 << 41, 1)).status, 200);
}

#[test]
fn a_stop_answers_the_requests_under_way_and_closes_the_store() {
    let home = TestHome::with_keys(4);
    let guard = home.start();
    // Half of each request is here when the stop comes; the rest follows after it.
    let mut connections: Vec<_> = (0..8_u64)
        .map(|index| {
            let key = KEYS[index as usize % 4];
            let body = attestation(1, 2, 1).to_string();
            let mut connection = Connection::open(guard.listen);
            let path = format!("/api/v1/eth2/sign/{key}");
            let head = head("POST", &path, &[], body.len());
            let (first, rest) = body.split_at(body.len() / 2);
            connection.send((head + first).as_bytes()).unwrap();
            (connection, rest.to_owned())
        })
        .collect();
    eventually("all connections are accepted", || {
        guard.watch("/metrics").body.contains("palisade_connections 8")
    });
    let idle = Connection::open(guard.listen);
    guard.signal("TERM");
    eventually("the stop is under way", || guard.log().contains("stopping"));
    for (connection, rest) in &mut connections {
        connection.send(rest.as_bytes()).unwrap();
        assert!(connection.answer().unwrap().signature().starts_with("0x"));
        assert!(connection.is_closed());
    }
    let address = guard.listen;
    let (status, log) = guard.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("stopped cleanly"), "{log}");
    assert!(Connection::try_open(address).is_err(), "nobody listens any more");
    drop(idle);
    assert!(!home.path().join("admin.sock").exists());
    home.succeeds(&["journal", "verify"]);
    let history = home.history();
    for row in history["data"].as_array().unwrap() {
        assert_eq!(row["signed_attestations"][0]["target_epoch"], "2");
    }
}

#[test]
fn a_stop_does_not_wait_for_ever_for_a_client_that_never_ends() {
    let home = TestHome::with_keys(1);
    home.add_config("[limits]\ndrain_timeout_ms = 200\nbody_timeout_ms = 600000");
    let guard = home.start();
    let mut stuck = Connection::open(guard.listen);
    stuck.send(head("POST", "/api/v1/eth2/sign", &[], 100).as_bytes()).unwrap();
    eventually("the connection is accepted", || {
        guard.watch("/metrics").body.contains("palisade_connections 1")
    });
    let (status, log) = guard.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("did not end in time"), "{log}");
}

#[test]
fn the_admin_socket_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let home = TestHome::with_keys(1);
    let guard = home.start();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&home.path().join("admin.sock")), 0o600);
    assert_eq!(mode(&home.path()), 0o700);
    assert_eq!(mode(&home.path().join("api-token.txt")), 0o600);
    assert!(!home.path().join("admin.new").exists());
    let status: Value = serde_json::from_str(&home.succeeds(&["status", "--json"])).unwrap();
    assert_eq!((&status["running"], &status["ready"]), (&true.into(), &true.into()));
    drop(guard);
}

#[test]
fn a_socket_of_a_killed_guard_is_no_obstacle() {
    let home = TestHome::with_keys(1);
    let mut command = home.run_command();
    command.process_group(0).stderr(Stdio::null());
    Guard::start(command).kill();
    assert!(home.path().join("admin.sock").exists());
    let guard = home.start();
    home.succeeds(&["status"]);
    guard.stop();
}
