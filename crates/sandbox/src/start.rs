//! The first thing that a guard does: it starts itself anew, without the environment and the
//! descriptors of whoever started it.
//!
//! Removing a variable from a running process leaves its text in memory, and closing a descriptor
//! that some library may own is not sound. `exec` does both: the new program has only what it is
//! given, under the same process id.
//!
//! Invariants: called before a thread or a file exists; returns `Ok` only where the kernel shows
//! that nothing is left, whatever the starter says; starts anew at most once; standard streams and
//! systemd's sockets stay.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::kernel;

/// Holds the process's id once it has started itself anew, so that it does not do so for ever. It
/// proves nothing: the starter may have set it.
const MARK: &str = "PALISADE_CLEAN_START";

/// The first descriptor after the standard streams; systemd's sockets begin here.
const FIRST: i32 = 3;

/// What a process has left of its starter.
#[derive(Clone, Copy, Debug)]
pub struct CleanStart<'a> {
    /// The names of the variables that stay; `None` leaves all.
    pub variables: Option<&'a [&'a str]>,
    /// Whether descriptors above the standard streams go, but for systemd's sockets.
    pub closes_descriptors: bool,
}

/// Bounds how many heaps the C library keeps for this process's threads, before there are any.
pub fn keep_few_heaps() {
    kernel::keep_few_heaps();
}

/// Replaces this process by the same program with the same arguments, with `wanted` left of its
/// starter. Returns `Ok` in a process that has no more than that.
///
/// # Errors
/// When the kernel does not do it, or something is left even so; this process goes on as it was,
/// but for descriptors that the next `exec` closes.
pub fn clean_start(wanted: CleanStart<'_>) -> io::Result<()> {
    let id = std::process::id().to_string();
    let sockets = handed_over(&id);
    let variables = match wanted.variables {
        Some(kept) => strangers(&environment()?, kept, &id),
        None => 0,
    };
    let descriptors = if wanted.closes_descriptors { left_open(&sockets)?.len() } else { 0 };
    if variables == 0 && descriptors == 0 {
        return Ok(());
    }
    if std::env::var_os(MARK).is_some_and(|mark| mark == *id) {
        return Err(io::Error::other(format!(
            "{variables} variables and {descriptors} descriptors are left of the starter; it must \
             not set {MARK}"
        )));
    }
    if wanted.closes_descriptors {
        kernel::close_on_exec_from(FIRST.unsigned_abs())?;
        for descriptor in sockets {
            kernel::keep_on_exec(descriptor)?;
        }
    }
    // Returns only if it fails.
    Err(anew(wanted.variables)?.env(MARK, id).exec())
}

/// This program with these arguments, and with the variables of these names.
fn anew(variables: Option<&[&str]>) -> io::Result<Command> {
    let program = std::env::current_exe()?;
    let mut arguments = std::env::args_os();
    let mut command = Command::new(&program);
    command.arg0(arguments.next().unwrap_or_else(|| program.into_os_string())).args(arguments);
    if let Some(names) = variables {
        let kept = names.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)));
        let kept: Vec<(&str, OsString)> = kept.collect();
        command.env_clear().envs(kept);
    }
    Ok(command)
}

/// The environment as the kernel shows it, or, where the user may not read the program and so not
/// this either, as the standard library does.
fn environment() -> io::Result<Vec<u8>> {
    match std::fs::read("/proc/self/environ") {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let entries = std::env::vars_os()
                .map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes(), b"\0"].concat());
            Ok(entries.collect::<Vec<_>>().concat())
        }
        shown => shown,
    }
}

/// How many entries of an environment are neither kept nor this process's own mark. An entry may be
/// any text: the standard library does not show those without a name.
fn strangers(environment: &[u8], kept: &[&str], id: &str) -> usize {
    let mark = format!("{MARK}={id}");
    let is_kept = |entry: &[u8]| {
        let (name, value) =
            entry.split_at(entry.iter().position(|byte| *byte == b'=').unwrap_or(0));
        !value.is_empty() && kept.iter().any(|kept| kept.as_bytes() == name)
    };
    let entries = environment.split(|byte| *byte == 0).filter(|entry| !entry.is_empty());
    entries.filter(|entry| *entry != mark.as_bytes() && !is_kept(entry)).count()
}

/// The descriptors above the standard streams that are none of these.
fn left_open(sockets: &[i32]) -> io::Result<Vec<i32>> {
    let names =
        std::fs::read_dir("/proc/self/fd")?.map(|entry| entry.map(|entry| entry.file_name()));
    let names: Vec<OsString> = names.collect::<io::Result<_>>()?;
    let numbers = names.iter().filter_map(|name| name.to_str()?.parse::<i32>().ok());
    // The directory's own descriptor is closed again.
    let open = numbers.filter(|number| FIRST <= *number && kernel::is_open(*number));
    Ok(open.filter(|number| !sockets.contains(number)).collect())
}

/// The sockets that systemd opened for this process (sd_listen_fds(3)).
fn handed_over(id: &str) -> Vec<i32> {
    let is_ours = std::env::var("LISTEN_PID").is_ok_and(|process| process == id);
    let count = std::env::var("LISTEN_FDS").ok().and_then(|count| count.parse::<u8>().ok());
    let count = count.filter(|_| is_ours).unwrap_or(0);
    (0..i32::from(count)).map(|index| index.saturating_add(FIRST)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_kept_is_a_stranger_and_so_is_what_has_no_name() {
        let strangers = |environment: &[u8]| strangers(environment, &["HOME", "KEPT"], "7");
        assert_eq!(strangers(b""), 0);
        assert_eq!(strangers(b"HOME=/root\0KEPT=\0PALISADE_CLEAN_START=7\0"), 0);
        assert_eq!(strangers(b"HOME=/root\0PALISADE_CLEAN_START=8\0"), 1);
        assert_eq!(strangers(b"HOME\0=HOME\0HOMER=x\0HOM=x\0secret\0\0\0=\0"), 6);
    }
}
