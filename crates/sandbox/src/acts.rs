//! What somebody who broke into a guard's process would try: for tests alone, behind the feature
//! `forbidden-acts`, which no program that ships is built with.
//!
//! Invariants: an act does what its name says when nothing forbids it, so that a control run can
//! show it; it harms nothing but this process, the process that it is told of, and the file that it
//! is told of; its answer is what it saw.

mod processes;
mod sockets;

use std::fs::{self, File};
use std::io::{self, Error};
use std::net::{TcpStream, UdpSocket};

pub use sockets::OpenSockets;

/// Stands in every program that holds these acts: look for it where they must not be. Another
/// process that reads it in this one's memory has read this one's memory.
pub const MARK: &[u8; 40] = b"palisade: this program tries what it may";

/// Does one act. `detail` is what it is done to: a path, an address, a process's id and more.
///
/// # Errors
/// What the kernel says, if it refuses by an answer; an act that nobody knows, or that cannot be
/// done to `detail`.
pub fn attempt(open: &OpenSockets, act: &str, detail: &str) -> io::Result<String> {
    if let Some(done) = open.attempt(act, detail) {
        return done.map(|()| String::new());
    }
    let done = match act {
        "open-a-file" => File::open(detail).map(drop),
        "list-a-directory" => fs::read_dir(detail).map(drop),
        "write-a-file" => fs::write(detail, "x"),
        "remove-a-file" => fs::remove_file(detail),
        "connect" => TcpStream::connect(detail).map(drop),
        "make-a-socket" => UdpSocket::bind(("127.0.0.1", 0)).map(drop),
        "say-where-the-mark-is" => return Ok((MARK.as_ptr() as usize).to_string()),
        "read-memory-through-a-call" => return processes::read_memory(detail).and_then(text),
        "read-memory-through-a-file" => return processes::read_memory_file(detail).and_then(text),
        _ => processes::attempt(act, detail),
    };
    done.map(|()| String::new())
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(Error::other)
}

/// One kernel answer of the kind "negative means `errno`".
fn checked(answer: libc::c_long) -> io::Result<()> {
    if answer < 0 { Err(Error::last_os_error()) } else { Ok(()) }
}
