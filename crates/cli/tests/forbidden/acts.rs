//! The acts, what each is done to, and the measures that refuse it: each of them alone.

use std::net::TcpListener;

use palisade_sandbox::Profile;

use crate::hook::DID_IT;
use crate::stage::{OUTSIDE, Outcome, Stage};

/// One thing that must fail.
#[derive(Clone, Copy)]
pub struct Act {
    /// What `palisade_sandbox::acts` calls it.
    pub act: &'static str,
    /// What it is done to.
    pub to: To,
    /// In the process of the keys.
    core: &'static [&'static str],
    /// In the process of the network.
    front: &'static [&'static str],
    /// Without measures only root may do it on every machine.
    pub needs_root: bool,
}

/// What an act is done to.
#[derive(Clone, Copy)]
pub enum To {
    Nothing,
    /// This path.
    Path(&'static str),
    /// This file beside the home.
    Beside(&'static str),
    /// This file in the home.
    Home(&'static str),
    /// A listener of the test.
    Listener,
    /// The guard's other process, or the test where there is none.
    Sibling,
    /// The mark in the sibling's memory.
    MarkOfSibling,
    /// The call of this number.
    Call(libc::c_long),
}

const SECCOMP: &[&str] = &["seccomp"];
const FILES: &[&str] = &["landlock-files"];
const FILES_TWICE: &[&str] = &["landlock-files", "seccomp"];
/// The list has no call for it, not even with an error for an answer.
const ENDED: &[&str] = &["seccomp", "landlock-files"];
/// Whoever is bound by Landlock traces nobody who is not.
const OTHERS: &[&str] = &["seccomp", "landlock-files"];
const TCP: &[&str] = &["seccomp", "landlock-tcp"];
const SIGNAL: &[&str] = &["seccomp", "landlock-scope"];
const CODE: &[&str] = &["seccomp", "write-xor-execute"];
/// The core may.
const NOTHING: &[&str] = &[];

const fn act(act: &'static str, to: To, by: &'static [&'static str]) -> Act {
    Act { act, to, core: by, front: by, needs_root: false }
}

const fn files(act: &'static str, to: To) -> Act {
    Act { act, to, core: FILES, front: FILES_TWICE, needs_root: false }
}

const fn files_of_home(act: &'static str, name: &'static str) -> Act {
    Act { act, to: To::Home(name), core: NOTHING, front: FILES_TWICE, needs_root: false }
}

const fn by_root(act: Act) -> Act {
    Act { needs_root: true, ..act }
}

/// In an order in which one process can do all of them.
pub const ACTS: &[Act] = &[
    files("open-a-file", To::Path("/etc/passwd")),
    files("list-a-directory", To::Path("/")),
    files("write-a-file", To::Beside(OUTSIDE)),
    files("write-a-file", To::Beside("new")),
    Act { front: ENDED, ..files("remove-a-file", To::Beside(OUTSIDE)) },
    files_of_home("open-a-file", "palisade.toml"),
    files_of_home("write-a-file", "store.redb"),
    act("connect", To::Listener, TCP),
    act("make-a-socket", To::Nothing, SECCOMP),
    act("start-a-program", To::Nothing, ENDED),
    act("fork", To::Nothing, SECCOMP),
    by_root(act("read-memory-through-a-call", To::MarkOfSibling, OTHERS)),
    by_root(files("read-memory-through-a-file", To::MarkOfSibling)),
    by_root(act("trace", To::Sibling, OTHERS)),
    act("signal", To::Sibling, SIGNAL),
    act("make-executable-memory", To::Nothing, CODE),
    act("make-memory-executable", To::Nothing, CODE),
    act("set-a-limit", To::Nothing, SECCOMP),
    // Ways to a connection without a new socket, and to a signal without `kill`.
    act("connect-with-the-first-bytes", To::Listener, SECCOMP),
    act("send-to-an-address", To::Listener, SECCOMP),
    act("switch-fast-open-on", To::Nothing, SECCOMP),
    act("let-the-kernel-signal", To::Sibling, SECCOMP),
    act("switch-signals-on", To::Nothing, SECCOMP),
    act("connect-a-listener", To::Listener, SECCOMP),
    act("make-a-listener-fresh", To::Nothing, SECCOMP),
    act("end-a-listener", To::Nothing, SECCOMP),
    act("connect-with-the-first-message", To::Listener, SECCOMP),
    act("become-another-program", To::Nothing, ENDED),
];

/// Calls that fail in their own way where the kernel is built without them, so that they have no
/// control. That the lists hold no other call is shown for every number, in `palisade-sandbox`.
pub const CALLS: &[Act] = &[
    act("call", To::Call(libc::SYS_io_uring_setup), SECCOMP),
    act("call", To::Call(libc::SYS_bpf), SECCOMP),
    act("call", To::Call(libc::SYS_mount), SECCOMP),
];

impl Act {
    /// What stands for it in the name of a trial.
    pub fn name(&self) -> String {
        match self.to {
            To::Call(number) => format!("call-{number}"),
            _ => self.act.to_owned(),
        }
    }

    /// The measures each of which refuses it.
    pub fn refused_by(&self, profile: Profile) -> &'static [&'static str] {
        if profile == Profile::Front { self.front } else { self.core }
    }

    /// Whether the system call filter ends the process that tries it.
    pub fn ends(&self, profile: Profile) -> bool {
        self.refused_by(profile).first() == Some(&"seccomp")
    }

    /// Lets a process of this guard do it.
    pub fn attempt(&self, stage: &Stage, profile: Profile, listener: &TcpListener) -> Outcome {
        let detail = match self.to {
            To::Nothing => String::new(),
            To::Path(path) => path.to_owned(),
            To::Beside(name) => stage.home.beside(name).display().to_string(),
            To::Home(name) => stage.home.path().join(name).display().to_string(),
            To::Listener => listener.local_addr().unwrap().to_string(),
            To::Sibling => sibling(stage, profile).0.to_string(),
            To::MarkOfSibling => {
                let (process, mark) = sibling(stage, profile);
                format!("{process} {mark}")
            }
            To::Call(number) => number.to_string(),
        };
        stage.attempt(profile, self.act, &detail)
    }

    /// Whether it has done what its name says.
    #[track_caller]
    pub fn assert_done(&self, outcome: &Outcome) {
        let name = self.name();
        match self.to {
            To::MarkOfSibling => {
                let mark = String::from_utf8(palisade_sandbox::acts::MARK.to_vec()).unwrap();
                assert_eq!(*outcome, Outcome::Did(mark), "{name}");
            }
            // It is that other program, which ends well.
            _ if self.act == "become-another-program" => assert_eq!(*outcome, Outcome::Gone),
            _ => assert_eq!(*outcome, Outcome::Did(String::new()), "{name}: {DID_IT}"),
        }
    }
}

/// The other process of a guard, and where its mark is.
fn sibling(stage: &Stage, profile: Profile) -> (u32, String) {
    let other = match profile {
        Profile::Core => Profile::Front,
        Profile::Front => Profile::Core,
        Profile::Whole => {
            let mark = palisade_sandbox::acts::MARK.as_ptr() as usize;
            return (std::process::id(), mark.to_string());
        }
    };
    let Outcome::Did(mark) = stage.attempt(other, "say-where-the-mark-is", "") else {
        panic!("the sibling does not say where its mark is")
    };
    (stage.process(other), mark)
}
