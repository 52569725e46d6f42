//! Homes that a guard must not serve: in memory, of somebody else, open to others, with links and
//! strangers' files in them, damaged. Each is refused with what is wrong and what to do.
#![allow(clippy::print_stderr, reason = "a test that cannot be done says so")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::Guard;
use crate::support::duty::block;
use crate::support::home::{KEYS, SECRETS, TestHome, text};

/// Own nothing on a usual machine.
pub const NOBODY: u32 = 65_534;
const STRANGER: u32 = 65_533;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Gives a thing away, as only root can.
pub fn give(path: &Path, owner: u32) -> bool {
    if !rustix::process::geteuid().is_root() {
        eprintln!("!! SKIPPED: a home of somebody else: only root can give its files away");
        return false;
    }
    chown(path, Some(owner), Some(owner)).unwrap();
    true
}

/// The home and all that is in it.
pub fn give_all(directory: &Path, owner: u32) -> bool {
    let inside = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let given = inside
        .collect::<Vec<PathBuf>>()
        .into_iter()
        .all(|path| if path.is_dir() { give_all(&path, owner) } else { give(&path, owner) });
    given && give(directory, owner)
}

/// The same command, of a user who is not root.
pub fn as_nobody(home: &TestHome, mut command: Command) -> Command {
    // The test's own directory is root's alone.
    set_mode(&home.beside(""), 0o755);
    command.uid(NOBODY).gid(NOBODY);
    command
}

#[track_caller]
fn is_refused(output: &Output, status: i32, parts: &[&str]) {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{said}");
    assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
    for part in parts {
        assert!(said.contains(part), "{part:?} is not in: {said}");
    }
}

#[test]
fn a_home_in_memory_is_not_served_unless_exactly_that_is_allowed() {
    let shared = Path::new("/dev/shm");
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    if !mounts.lines().any(|line| line.starts_with("tmpfs /dev/shm tmpfs rw")) {
        eprintln!("!! SKIPPED: a home in memory: /dev/shm is no tmpfs");
        return;
    }
    let home = TestHome::in_directory(shared);
    let made = home.init();
    assert!(made.status.success(), "{}", text(&made.stderr));
    let warned = text(&made.stderr);
    for part in ["warning: the home is on tmpfs", "durable-home", "a disk of this machine"] {
        assert!(warned.contains(part), "{part:?} is not in: {warned}");
    }
    home.import_raw(&SECRETS[..1], &["--fresh"]);
    let why = ["durable-home: the home is on tmpfs, in memory", "signed again", "to mend it: put"];
    is_refused(&home.run_command().output().unwrap(), 3, &why);
    let mut command = home.run_command();
    command.args(["--allow-unhardened=clock-sane", "--allow-unhardened=landlock-files"]);
    is_refused(&command.output().unwrap(), 3, &["durable-home"]);
    let checked = home.run(&["secure", "check"]);
    assert_eq!(checked.status.code(), Some(1));
    assert!(text(&checked.stdout).contains("durable-home        MISSING"));
    let mut command = home.run_command();
    command.arg("--allow-unhardened=durable-home");
    let guard = Guard::start(command);
    guard.sign(KEYS[0], &block(1, 1)).signature();
    assert!(guard.log().contains("NOT ON A DISK"), "{}", guard.log());
    let off = r#"palisade_secure_measure{measure="durable-home",state="off-allowed"} 1"#;
    assert!(guard.watch("/metrics").body.contains(off));
    assert!(home.succeeds(&["status"]).contains("durable-home"));
}

/// In a user's own namespaces, where anybody may mount these.
#[test]
fn every_file_system_in_memory_is_found_and_a_disk_is_not_one() {
    let home = TestHome::with_keys(1);
    let overlay = "mkdir upper work over; cd over; mount -t overlay none . -o userxattr,\
                   lowerdir=/usr,upperdir=$PWD/../upper,workdir=$PWD/../work; cd $PWD";
    for (name, prepare, reason) in [
        ("tmpfs", "mount -t tmpfs none .; cd $PWD", "the home is on tmpfs"),
        ("ramfs", "mount -t ramfs none .; cd $PWD", "the home is on ramfs"),
        ("overlay", &format!("mount -t tmpfs none .; cd $PWD; {overlay}"), "the home is on tmpfs"),
        ("disk", ":", ""),
    ] {
        let place = home.beside(name);
        fs::create_dir(&place).unwrap();
        let script = format!(
            "set -e; cd {}; {prepare}; exec {} --home home secure check --json",
            place.display(),
            env!("CARGO_BIN_EXE_palisade"),
        );
        let output =
            Command::new("unshare").args(["-r", "-m", "sh", "-c", &script]).output().unwrap();
        let Ok(table) = serde_json::from_slice::<serde_json::Value>(&output.stdout) else {
            eprintln!("!! SKIPPED: mounting {name}: {}", text(&output.stderr));
            continue;
        };
        let rows = table["measures"].as_array().unwrap();
        let row = rows.iter().find(|row| row["measure"] == "durable-home").unwrap();
        assert_eq!(row["state"], if reason.is_empty() { "on" } else { "missing" }, "{name}: {row}");
        assert!(row["reason"].as_str().unwrap().contains(reason), "{name}: {row}");
    }
}

#[test]
fn a_home_of_another_user_is_refused_and_both_are_named() {
    let home = TestHome::with_keys(1);
    if !give_all(&home.path(), STRANGER) {
        return;
    }
    for mode in [0o700, 0o755] {
        set_mode(&home.path(), mode);
        let both = ["belongs to user 65533", "this is user 65534", "sudo -u", "chown -R 65534"];
        is_refused(&as_nobody(&home, home.run_command()).output().unwrap(), 3, &both);
        let listing = home.command(&["keys", "list"]);
        is_refused(&as_nobody(&home, listing).output().unwrap(), 3, &both);
    }
    give_all(&home.path(), NOBODY);
    let guard = Guard::start(as_nobody(&home, home.run_command()));
    guard.sign(KEYS[0], &block(1, 1)).signature();
}

#[test]
fn a_command_that_was_run_as_root_on_a_users_home_is_told_with_what_mends_it() {
    let home = TestHome::empty();
    if !give_all(&home.path(), NOBODY) {
        return;
    }
    home.import_raw(&SECRETS[..1], &["--fresh"]);
    let parts =
        ["is root's alone: a command was run as root", "`chown -R 65534 ", "commands as that user"];
    is_refused(&as_nobody(&home, home.run_command()).output().unwrap(), 3, &parts);
    give_all(&home.path(), NOBODY);
    Guard::start(as_nobody(&home, home.run_command()));
}

#[test]
fn a_strangers_file_in_a_home_is_refused_by_its_name() {
    let home = TestHome::with_keys(1);
    let user = fs::metadata(home.path()).map(|home| std::os::unix::fs::MetadataExt::uid(&home));
    let user = user.unwrap();
    for name in ["palisade.toml", "store.redb", "api-token.txt", "keys", "keys/keys.sealed"] {
        let path = home.path().join(name);
        if !give(&path, STRANGER) {
            return;
        }
        let parts = [&format!("{} belongs to user 65533", path.display()), "look who put it there"];
        is_refused(&home.run_command().output().unwrap(), 3, &parts);
        is_refused(&home.run(&["status"]), 3, &parts);
        give(&path, user);
    }
    home.start();
}

#[test]
fn an_unlock_secret_of_somebody_else_is_refused() {
    let home = TestHome::with_keys(1);
    let directory = home.beside("secrets");
    fs::create_dir(&directory).unwrap();
    let secret = directory.join("unlock");
    fs::rename(home.path().join("unlock.secret"), &secret).unwrap();
    home.configure("[listen]", &format!("unlock_file = \"{}\"\n\n[listen]", secret.display()));
    if !give(&secret, STRANGER) {
        return;
    }
    let parts = ["belongs to user 65533, who can read it", "chown", "change the secret"];
    is_refused(&home.run_command().output().unwrap(), 3, &parts);
    give(&secret, 0);
    home.start();
}

#[test]
fn files_that_others_may_write_are_refused_where_others_can_reach_them() {
    let home = TestHome::with_keys(1);
    for (name, closed) in [("store.redb", 0o600), ("palisade.toml", 0o600), ("keys", 0o700)] {
        let path = home.path().join(name);
        set_mode(&path, closed | 0o022);
        set_mode(&home.path(), 0o711);
        let shown = path.display().to_string();
        let parts = [&format!("{shown} has mode 0"), "others", &format!("`chmod {closed:o} ")];
        is_refused(&home.run_command().output().unwrap(), 3, &parts.map(|part| part));
        // Nobody else comes as far as the file.
        set_mode(&home.path(), 0o700);
        home.start();
        set_mode(&path, closed);
    }
}

#[test]
fn a_link_in_the_place_of_what_a_home_consists_of_is_refused() {
    let home = TestHome::with_keys(1);
    for name in ["palisade.toml", "store.redb", "unlock.secret", "keys", "keys/keys.sealed"] {
        let path = home.path().join(name);
        let elsewhere = home.beside("elsewhere");
        fs::rename(&path, &elsewhere).unwrap();
        symlink(&elsewhere, &path).unwrap();
        let parts = [&format!("{} is a link", path.display()), "must be in it"];
        is_refused(&home.run_command().output().unwrap(), 3, &parts.map(|part| part));
        is_refused(&home.run(&["keys", "list"]), 3, &parts.map(|part| part));
        fs::remove_file(&path).unwrap();
        fs::rename(&elsewhere, &path).unwrap();
    }
    home.start();
}

#[test]
fn a_damaged_home_ends_a_guard_with_the_status_that_no_service_manager_starts_again() {
    let home = TestHome::with_keys(1);
    let manager = home.beside("notify");
    let _manager = std::os::unix::net::UnixDatagram::bind(&manager).unwrap();
    home.start().stop();
    for (name, said) in [
        ("store.redb", "do not sign with these keys elsewhere"),
        ("keys/keys.sealed", "Restore the file from a backup"),
    ] {
        let path = home.path().join(name);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let mut managed = home.run_command();
        managed.env("NOTIFY_SOCKET", &manager);
        is_refused(&managed.output().unwrap(), 4, &["damaged", said]);
        // What nobody starts again could not do it.
        is_refused(&home.run_command().output().unwrap(), 3, &["damaged", said]);
        is_refused(&home.run(&["keys", "list"]), 3, &["damaged", said]);
        fs::write(&path, whole).unwrap();
    }
    home.start();
    let unit = include_str!("../../../../packaging/systemd/palisade.service");
    let line = unit.lines().find_map(|line| line.strip_prefix("RestartPreventExitStatus="));
    assert!(line.unwrap().split(' ').any(|status| status == "4"), "{line:?}");
}
