//! What the tests have inside a guard's process: a thread that does one act for each connection to
//! a socket in the process's directory.
//!
//! Invariants: the socket, and the sockets that an intruder may find open, are opened before the
//! first measure, and the thread starts after the last one, so that it is bound by all of them; a
//! measure that cannot be put in force ends the start, as in the program that ships.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};

use palisade_cli::Hardening;
use palisade_sandbox::Profile;
use palisade_sandbox::acts::{self, OpenSockets};
use palisade_server::daemon::{Bound, Stages};
use palisade_server::home::HomeError;

/// The program's own stages, and a way in.
pub struct Hooked {
    hardening: Hardening,
    way_in: Option<(UnixListener, OpenSockets)>,
}

impl Hooked {
    pub fn around(hardening: Hardening) -> Self {
        Self { hardening, way_in: None }
    }
}

/// The socket's name in the directory in which the guard was started.
pub fn socket_of(profile: Profile) -> &'static str {
    match profile {
        Profile::Core => "core.hook",
        Profile::Front => "front.hook",
        Profile::Whole => "whole.hook",
    }
}

impl Stages for Hooked {
    fn one_thread(&mut self, dials: &[u16]) -> Result<(), HomeError> {
        let way_in = UnixListener::bind(socket_of(self.hardening.profile())).unwrap();
        self.way_in = Some((way_in, OpenSockets::open().unwrap()));
        self.hardening.one_thread(dials)
    }

    fn everything_open(&mut self) -> Result<(), HomeError> {
        self.hardening.everything_open()?;
        let (way_in, open) = self.way_in.take().unwrap();
        std::thread::spawn(move || {
            loop {
                answer(way_in.accept().unwrap().0, &open);
            }
        });
        Ok(())
    }

    fn serving(&mut self, bound: Bound) {
        self.hardening.serving(bound);
    }
}

/// One line with the act, one with what it is done to; one line back, if this process is still
/// there.
fn answer(stream: UnixStream, open: &OpenSockets) {
    let mut lines = BufReader::new(&stream).lines();
    let mut line = || lines.next().unwrap().unwrap();
    let (act, detail) = (line(), line());
    let said = match acts::attempt(open, &act, &detail) {
        Ok(seen) => format!("{DID_IT}{seen}\n"),
        Err(error) => format!("{error}\n"),
    };
    (&stream).write_all(said.as_bytes()).unwrap();
}

/// Comes before what an act has seen.
pub const DID_IT: &str = "did it: ";
