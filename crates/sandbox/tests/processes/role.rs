//! The second life of the test binary: takes measures, says so, and does one thing.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Output, Stdio};

use palisade_sandbox::{
    Facts, Measure, Plan, Profile, Table, harden_early, judge, restrict_syscalls,
};

use crate::{secrets, tracer, users, work};

/// The first argument of a process that plays a role.
const PLAY: &str = "play-a-role";

/// Before this line nothing was tried yet.
pub(crate) const READY: &str = "ready";

/// A role, and what it needs to know.
pub(crate) struct Scene {
    /// `none`, `whole`, `front` or `core`; `front-dials-PORT` opens connections to this port;
    /// `front-but-seccomp` leaves a measure off.
    pub(crate) profile: String,
    /// What to do.
    pub(crate) act: String,
    /// The home.
    pub(crate) home: PathBuf,
    /// Something that the act needs: an address, a path.
    pub(crate) detail: String,
}

impl Scene {
    pub(crate) fn new(profile: &str, act: &str, home: &Path, detail: impl Into<String>) -> Self {
        let (profile, act) = (profile.to_owned(), act.to_owned());
        Self { profile, act, home: home.to_owned(), detail: detail.into() }
    }

    /// The process that plays it.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([PLAY, &self.profile, &self.act]).arg(&self.home).arg(&self.detail);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn output(&self) -> Output {
        self.command().output().unwrap()
    }

    pub(crate) fn spawn(&self) -> Child {
        self.command().stdin(Stdio::piped()).spawn().unwrap()
    }

    /// The measures that this machine has, and that are not left off.
    pub(crate) fn table(&self) -> Table {
        let off: Vec<Measure> = self.named().1.parse().into_iter().collect();
        judge(&Facts::gather(Some(&self.home)), &off)
    }

    /// The profile, and the measure that is left off.
    fn named(&self) -> (&str, &str) {
        self.profile.split_once("-but-").unwrap_or((&self.profile, ""))
    }

    fn profile(&self) -> Option<Profile> {
        match self.named().0 {
            "whole" => Some(Profile::Whole),
            "front" => Some(Profile::Front),
            _ if self.dials().is_some() => Some(Profile::Front),
            "core" => Some(Profile::Core),
            _ => None,
        }
    }

    /// The port that it may connect to.
    fn dials(&self) -> Option<u16> {
        self.named().0.strip_prefix("front-dials-")?.parse().ok()
    }

    fn plan(&self, profile: Profile) -> Plan {
        let has_files = profile != Profile::Front;
        Plan {
            read_write: has_files.then(|| self.home.clone()).into_iter().collect(),
            read_only: Vec::new(),
            bind_ports: if profile == Profile::Core { Vec::new() } else { vec![0] },
            connect_ports: self.dials().into_iter().collect(),
        }
    }

    /// Everything but the system call filter.
    pub(crate) fn harden(&self, table: &Table) {
        if let Some(profile) = self.profile() {
            harden_early(&self.plan(profile), table).unwrap();
        }
    }

    pub(crate) fn restrict(&self, table: &Table) {
        if let Some(profile) = self.profile() {
            restrict_syscalls(profile, &self.plan(profile), table).unwrap();
        }
    }
}

/// Plays the role that the arguments name, if they do.
pub(crate) fn play() -> Option<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [play, profile, act, home, detail] = arguments.as_slice() else { return None };
    if play != PLAY {
        return None;
    }
    let scene = Scene::new(profile, act, Path::new(home), detail);
    match act.as_str() {
        act if act.starts_with("work") => work::play(&scene),
        act if act.starts_with("secret") => secrets::play(&scene),
        act if act.starts_with("tracer") => tracer::play(&scene),
        act if act.starts_with("user") => users::play(&scene),
        other => panic!("nobody plays {other}"),
    }
    Some(ExitCode::SUCCESS)
}

/// One line to whoever started this process.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

/// A test that this machine cannot do.
pub(crate) fn skip(what: &str, why: &str) {
    eprintln!("!! SKIPPED: {what}: {why}");
}
