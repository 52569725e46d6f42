//! A guard with a hook in a directory of its own, and how its processes end.

use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};

use palisade_sandbox::Profile;
use rustix::process::{Pid, WaitOptions, waitpid};

use crate::hook::{DID_IT, socket_of};
use crate::support::Guard;
use crate::support::home::TestHome;
use crate::support::node::dial;

/// A running guard whose processes do what they are asked.
pub struct Stage {
    pub home: TestHome,
    pub guard: Guard,
    front: Option<u32>,
}

/// A file beside the home.
pub const OUTSIDE: &str = "outside";

/// What became of an act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It succeeded, and saw this.
    Did(String),
    /// An error answered it.
    Refused(String),
    /// The process is no longer what it was: it ended, or is another program.
    Gone,
}

impl Stage {
    /// Without these measures; all others are on, as far as this machine has them.
    pub fn without(measures: &[&str]) -> Self {
        Self::started_by(measures, |command| command)
    }

    /// The same with all measures, and a node at this address that the guard dials.
    pub fn dialling(node: SocketAddr) -> Self {
        let home = TestHome::with_keys(1);
        dial(&home, "node", node);
        Self::in_home(home, &[], |command| command)
    }

    /// The same, started by the command that `starter` makes of the guard's.
    pub fn started_by(measures: &[&str], starter: impl FnOnce(Command) -> Command) -> Self {
        Self::in_home(TestHome::with_keys(1), measures, starter)
    }

    fn in_home(
        home: TestHome,
        measures: &[&str],
        starter: impl FnOnce(Command) -> Command,
    ) -> Self {
        fs::create_dir(home.beside("directory")).unwrap();
        fs::write(home.beside(OUTSIDE), "x").unwrap();
        let run = home.run_command();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(run.get_args()).env_clear();
        command.args(measures.iter().map(|measure| format!("--allow-unhardened={measure}")));
        let mut command = starter(command);
        command.current_dir(home.beside("directory"));
        let guard = Guard::start(command);
        Self { front: child_of(guard.id()), guard, home }
    }

    /// Where the guard was started.
    pub fn directory(&self) -> PathBuf {
        self.home.beside("directory")
    }

    /// Lets a process do one act.
    pub fn attempt(&self, profile: Profile, act: &str, detail: &str) -> Outcome {
        let mut stream = UnixStream::connect(self.directory().join(socket_of(profile))).unwrap();
        stream.write_all(format!("{act}\n{detail}\n").as_bytes()).unwrap();
        let mut said = String::new();
        // A process that ends with unread bytes resets the connection.
        drop(stream.read_to_string(&mut said));
        match said.strip_suffix('\n') {
            None => Outcome::Gone,
            Some(said) => match said.strip_prefix(DID_IT) {
                Some(seen) => Outcome::Did(seen.to_owned()),
                None => Outcome::Refused(said.to_owned()),
            },
        }
    }

    /// The process of this profile.
    pub fn process(&self, profile: Profile) -> u32 {
        if profile == Profile::Front { self.front.unwrap() } else { self.guard.id() }
    }

    /// Waits until the process of this profile has ended by itself, and says how; the guard's log
    /// comes with it.
    pub fn end_of(self, profile: Profile) -> (ExitStatus, String) {
        let ended = Pid::from_raw(self.process(profile).try_into().unwrap()).unwrap();
        let (status, log) = self.guard.wait();
        if profile != Profile::Front {
            return (status, log);
        }
        // Its core is gone, and this process took its place.
        let (_, status) = waitpid(Some(ended), WaitOptions::empty()).unwrap().unwrap();
        (ExitStatus::from_raw(status.as_raw()), log)
    }

    /// Whether the guard says that this measure is on.
    pub fn has(&self, measure: &str) -> bool {
        let on = format!("palisade_secure_measure{{measure=\"{measure}\",state=\"on\"}} 1\n");
        self.guard.watch("/metrics").body.contains(&on)
    }
}

/// The front, if the guard has one.
fn child_of(core: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{core}/task/{core}/children")).unwrap();
    children.trim().parse().ok()
}
