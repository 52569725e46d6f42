//! What a system has of the service, without changing anything.
//!
//! Invariant: what cannot be looked at is "unknown", never "missing" and never "there".

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use palisade_server::home::Home;
use serde::Serialize;

use super::plan::{UNIT_PATH, systemd_runs};
use super::{CREDENTIAL, HOME, PACKAGED_UNIT, below};

/// Whether something is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum State {
    There,
    Missing,
    /// There, but not as the service can use it.
    Wrong,
    /// Not needed for the service to be whole.
    Off,
    Unknown,
}

/// One thing that the service needs.
#[derive(Serialize)]
pub(super) struct Row {
    pub(super) what: &'static str,
    pub(super) state: State,
    pub(super) detail: String,
}

impl State {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::There => "there",
            Self::Missing => "missing",
            Self::Wrong => "wrong",
            Self::Off => "off",
            Self::Unknown => "unknown",
        }
    }
}

/// Looks at a system.
pub(super) fn look(root: &Path) -> Vec<Row> {
    let user = user_id(root);
    vec![
        unit(root),
        user_row(&user),
        home(root, user.ok().flatten()),
        secret(root),
        boot(root),
        runs(root),
    ]
}

fn row(what: &'static str, state: State, detail: impl Into<String>) -> Row {
    Row { what, state, detail: detail.into() }
}

/// There, missing with advice, or unknown because the system said no.
fn found(what: &'static str, looked: io::Result<Option<String>>, advice: String) -> Row {
    match looked {
        Ok(Some(detail)) => row(what, State::There, detail),
        Ok(None) => row(what, State::Missing, advice),
        Err(error) => row(what, State::Unknown, format!("{error}; look as root")),
    }
}

fn exists(root: &Path, path: &str) -> io::Result<Option<String>> {
    match fs::metadata(below(root, path)) {
        Ok(_) => Ok(Some(path.to_owned())),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn first_of(root: &Path, paths: &[&str]) -> io::Result<Option<String>> {
    for path in paths {
        if let Some(found) = exists(root, path)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn unit(root: &Path) -> Row {
    let advice = "`palisade service install --yes` writes it".to_owned();
    found("unit", first_of(root, &[UNIT_PATH, PACKAGED_UNIT]), advice)
}

/// The number of the user palisade.
fn user_id(root: &Path) -> io::Result<Option<u32>> {
    let users = match fs::read_to_string(below(root, "/etc/passwd")) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        users => users?,
    };
    let line = users.lines().find_map(|line| line.strip_prefix("palisade:"));
    Ok(line.and_then(|line| line.split(':').nth(1)?.parse().ok()))
}

fn user_row(user: &io::Result<Option<u32>>) -> Row {
    let advice = "`systemd-sysusers` makes it from the file that install writes";
    match user {
        Ok(Some(id)) => row("user", State::There, format!("palisade, number {id}")),
        Ok(None) => row("user", State::Missing, advice),
        Err(error) => row("user", State::Unknown, error.to_string()),
    }
}

fn home(root: &Path, user: Option<u32>) -> Row {
    let advice = format!("`sudo -u palisade palisade --home {HOME} init --network NAME` makes it");
    let looked = exists(root, &format!("{HOME}/palisade.toml"));
    if !matches!(looked, Ok(Some(_))) {
        return found("home", looked, advice);
    }
    let Ok(metadata) = fs::metadata(below(root, HOME)) else {
        return row("home", State::Unknown, HOME);
    };
    if metadata.mode() & 0o077 != 0 {
        let detail = format!("{HOME} is open to others; `chmod 700 {HOME}`");
        return row("home", State::Wrong, detail);
    }
    if user.is_some_and(|user| user != metadata.uid()) {
        let detail = format!("{HOME} is not palisade's; `chown -R palisade: {HOME}`");
        return row("home", State::Wrong, detail);
    }
    row("home", State::There, HOME)
}

fn secret(root: &Path) -> Row {
    let named =
        Home::at(below(root, HOME)).read_config().ok().and_then(|config| config.unlock_file);
    if let Some(named) = named {
        let path = Path::new(HOME).join(named).display().to_string();
        let advice = format!("palisade.toml names {path} as unlock_file, and it is not there");
        return found("secret", exists(root, &path), advice);
    }
    let in_home = format!("{HOME}/unlock.secret");
    let advice = format!("neither {CREDENTIAL} nor {in_home}; see docs/service.md");
    found("secret", first_of(root, &[CREDENTIAL, &in_home]), advice)
}

fn boot(root: &Path) -> Row {
    let link = below(root, "/etc/systemd/system/multi-user.target.wants/palisade.service");
    match fs::symlink_metadata(link) {
        Ok(_) => row("boot", State::There, "started at boot, once there is a home"),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            row("boot", State::Off, "`systemctl enable --now palisade` switches it on")
        }
        Err(error) => row("boot", State::Unknown, error.to_string()),
    }
}

fn runs(root: &Path) -> Row {
    if root != Path::new("/") {
        return row("running", State::Unknown, "not the running system");
    }
    if !systemd_runs() {
        return row("running", State::Unknown, "systemd does not run here");
    }
    match Command::new("systemctl").args(["is-active", "palisade.service"]).output() {
        Ok(output) if output.status.success() => row("running", State::There, "active"),
        Ok(output) => {
            let word = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            row("running", State::Off, format!("{word}; `journalctl -u palisade` says more"))
        }
        Err(error) => row("running", State::Unknown, format!("systemctl: {error}")),
    }
}
