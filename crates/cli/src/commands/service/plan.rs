//! What `install` and `uninstall` do, step by step, before any of it is done.
//!
//! Invariants: a file is written whole or not at all; one that says something else than ours is
//! kept beside it; one that is not ours is never removed; commands run only on the running system.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{below, program};
use crate::failure::Failure;

const UNIT: &str = include_str!("../../../../../packaging/systemd/palisade.service");
const SOCKET: &str = include_str!("../../../../../packaging/systemd/palisade.socket");
const SYSUSERS: &str = include_str!("../../../../../packaging/systemd/palisade.sysusers");
const TMPFILES: &str = include_str!("../../../../../packaging/systemd/palisade.tmpfiles");

pub(super) const UNIT_PATH: &str = "/etc/systemd/system/palisade.service";
const SOCKET_PATH: &str = "/etc/systemd/system/palisade.socket";
const SYSUSERS_PATH: &str = "/etc/sysusers.d/palisade.conf";
const TMPFILES_PATH: &str = "/etc/tmpfiles.d/palisade.conf";

/// A file of the service.
pub(super) struct File {
    /// On the system that it is for.
    pub(super) path: &'static str,
    pub(super) text: String,
    reason: &'static str,
}

/// One step.
pub(super) enum Action {
    Write { path: PathBuf, text: String, keeps: Option<PathBuf>, reason: &'static str },
    Keep { path: PathBuf },
    Remove { path: PathBuf },
    Run { words: Vec<String>, reason: &'static str },
}

/// Whether a step is announced or reported.
#[derive(Clone, Copy)]
pub(super) enum Verb {
    Would,
    Did,
}

/// The files, for a program at this place.
pub(super) fn files(place: &str) -> [File; 4] {
    [
        File {
            path: UNIT_PATH,
            text: UNIT.replace(program::PACKAGED, place),
            reason: "the service: what it may do, when it is started again, how it is watched",
        },
        File {
            path: SOCKET_PATH,
            text: SOCKET.to_owned(),
            reason: "for those who want it: clients wait while the guard restarts",
        },
        File {
            path: SYSUSERS_PATH,
            text: SYSUSERS.to_owned(),
            reason: "the user palisade, without password and shell",
        },
        File {
            path: TMPFILES_PATH,
            text: TMPFILES.to_owned(),
            reason: "the directory of its home, for nobody else to enter",
        },
    ]
}

/// The steps of an installation.
pub(super) fn install(root: &Path, files: &[File]) -> Result<Vec<Action>, Failure> {
    let mut actions = Vec::new();
    for file in files {
        let path = below(root, file.path);
        let before = read(&path)?;
        if before.as_ref() == Some(&file.text) {
            actions.push(Action::Keep { path });
            continue;
        }
        let keeps = before.map(|_| beside(&path, ".replaced"));
        actions.push(Action::Write { path, text: file.text.clone(), keeps, reason: file.reason });
    }
    if root == Path::new("/") {
        actions.push(command(&["systemd-sysusers", SYSUSERS_PATH], "makes the user"));
        actions
            .push(command(&["systemd-tmpfiles", "--create", TMPFILES_PATH], "makes the directory"));
        actions.extend(reload());
    }
    Ok(actions)
}

/// The steps of a removal; none when nothing of ours is there.
pub(super) fn uninstall(root: &Path) -> Result<Vec<Action>, Failure> {
    let mut actions = Vec::new();
    for file in files(program::PACKAGED) {
        let path = below(root, file.path);
        let Some(text) = read(&path)? else { continue };
        if text.lines().next() != file.text.lines().next() {
            return Err(Failure::Usage(format!(
                "{} was not written by `palisade service install`; remove it by hand",
                path.display()
            )));
        }
        actions.push(Action::Remove { path });
    }
    if root == Path::new("/") && !actions.is_empty() && systemd_runs() {
        let off = ["systemctl", "disable", "--now", "palisade.socket", "palisade.service"];
        actions.insert(0, command(&off, "stops the guard and switches it off"));
        actions.extend(reload());
    }
    Ok(actions)
}

impl Action {
    /// Does it.
    pub(super) fn carry_out(&self) -> Result<(), Failure> {
        match self {
            Self::Keep { .. } => Ok(()),
            Self::Write { path, text, keeps, .. } => {
                write(path, text, keeps.as_deref()).map_err(|error| denied("write", path, &error))
            }
            Self::Remove { path } => {
                fs::remove_file(path).map_err(|error| denied("remove", path, &error))
            }
            Self::Run { words, .. } => run(words),
        }
    }

    /// One line for a person.
    pub(super) fn describe(&self, verb: Verb) -> String {
        let said = |would: &str, did: &str| match verb {
            Verb::Would => format!("Would {would}"),
            Verb::Did => did.to_owned(),
        };
        match self {
            Self::Keep { path } => format!("Is there already: {}", path.display()),
            Self::Remove { path } => format!("{} {}", said("remove", "Removed"), path.display()),
            Self::Run { words, reason } => {
                format!("{} `{}`: {reason}", said("run", "Ran"), words.join(" "))
            }
            Self::Write { path, keeps, reason, .. } => {
                let kept = keeps.as_ref().map_or(String::new(), |keeps| {
                    format!("; what was there goes to {}", keeps.display())
                });
                format!("{} {}: {reason}{kept}", said("write", "Wrote"), path.display())
            }
        }
    }
}

fn reload() -> Option<Action> {
    let words = ["systemctl", "daemon-reload"];
    systemd_runs().then(|| command(&words, "systemd reads its units again"))
}

/// As sd_booted(3) asks it.
pub(super) fn systemd_runs() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

fn command(words: &[&str], reason: &'static str) -> Action {
    Action::Run { words: words.iter().map(|word| (*word).to_owned()).collect(), reason }
}

fn read(path: &Path) -> Result<Option<String>, Failure> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(denied("read", path, &error)),
    }
}

/// The unit and its socket differ in their endings only: these are added, not exchanged.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

fn write(path: &Path, text: &str, keeps: Option<&Path>) -> std::io::Result<()> {
    let staging = beside(path, ".new");
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o644).open(&staging)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    if let Some(keeps) = keeps {
        fs::copy(path, keeps)?;
    }
    fs::rename(&staging, path)
}

fn run(words: &[String]) -> Result<(), Failure> {
    let said = words.join(" ");
    let Some((program, arguments)) = words.split_first() else { return Ok(()) };
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|error| Failure::io(format!("cannot run `{said}`"), &error))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Failure::CouldNot(format!(
        "`{said}` failed: {}; mend that and run this command again",
        String::from_utf8_lossy(&output.stderr).trim()
    )))
}

fn denied(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    let advice = match error.kind() {
        ErrorKind::PermissionDenied => "; run it as root",
        _ => "",
    };
    Failure::CouldNot(format!("cannot {what} {}: {error}{advice}", path.display()))
}
