//! The first thing that a guard does: it starts itself anew, without the environment and the
//! descriptors of whoever started it.
//!
//! Removing a variable from a running process leaves its text in memory, and closing a descriptor
//! that some library may own is not sound. `exec` does both: the new program has only what it is
//! given, under the same process id.
//!
//! Invariants: called before a thread or a file exists; the second time in one process it returns
//! at once; standard streams and systemd's sockets stay.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::kernel;

/// Holds the process's id once it has started itself anew: another process's value means nothing.
const MARK: &str = "PALISADE_CLEAN_START";

/// The first descriptor after the standard streams; systemd's sockets begin here.
const FIRST: u32 = 3;

/// Replaces this process by the same program with the same arguments, without descriptors above the
/// standard streams and with the variables of these names only. Returns `Ok` in the process that
/// was started so.
///
/// # Errors
/// When the kernel does not do it; this process goes on as it was, but for descriptors that the
/// next `exec` closes.
pub fn clean_start(keep: &[&str]) -> io::Result<()> {
    let id = std::process::id().to_string();
    if std::env::var_os(MARK).is_some_and(|mark| mark == *id) {
        return Ok(());
    }
    kernel::close_on_exec_from(FIRST)?;
    for descriptor in handed_over(&id) {
        kernel::keep_on_exec(descriptor)?;
    }
    let program = std::env::current_exe()?;
    let mut arguments = std::env::args_os();
    let mut command = Command::new(&program);
    command.arg0(arguments.next().unwrap_or_else(|| program.into_os_string())).args(arguments);
    command.env_clear().env(MARK, id);
    let kept = keep.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)));
    let kept: Vec<(&str, OsString)> = kept.collect();
    // Returns only if it fails.
    Err(command.envs(kept).exec())
}

/// The sockets that systemd opened for this process (sd_listen_fds(3)).
fn handed_over(id: &str) -> Vec<i32> {
    let is_ours = std::env::var("LISTEN_PID").is_ok_and(|process| process == id);
    let count = std::env::var("LISTEN_FDS").ok().and_then(|count| count.parse::<u8>().ok());
    let count = count.filter(|_| is_ours).unwrap_or(0);
    (0..i32::from(count)).filter_map(|index| Some(index + i32::try_from(FIRST).ok()?)).collect()
}
