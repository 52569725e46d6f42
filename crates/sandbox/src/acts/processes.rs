//! Acts on processes: this one, others, and ones that do not exist yet.

use std::fs::File;
use std::io::{self, Error};
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::str::FromStr;

use super::{MARK, checked};

pub(super) fn attempt(act: &str, detail: &str) -> io::Result<()> {
    match act {
        "start-a-program" => Command::new("/bin/true").status().map(drop),
        "become-another-program" => Err(Command::new("/bin/true").exec()),
        "fork" => fork(),
        "trace" => trace(number(detail)?),
        "signal" => {
            // SAFETY: takes numbers; signal 0 only asks whether a signal could be sent.
            checked(unsafe { libc::kill(number(detail)?, 0) }.into())
        }
        "make-executable-memory" => {
            memory(libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC, None)
        }
        "make-memory-executable" => {
            memory(libc::PROT_READ | libc::PROT_WRITE, Some(libc::PROT_READ | libc::PROT_EXEC))
        }
        "set-a-limit" => set_a_limit(),
        "call" => {
            // SAFETY: with zeroes for arguments none of the calls that the tests name does
            // anything to memory.
            checked(unsafe { libc::syscall(number(detail)?, 0, 0, 0, 0, 0, 0) })
        }
        "crash" => std::process::abort(),
        other => Err(Error::other(format!("nobody knows how to {other}"))),
    }
}

fn number<T: FromStr>(text: &str) -> io::Result<T> {
    text.parse().map_err(|_| Error::other(format!("{text:?} is not a number of that kind")))
}

fn fork() -> io::Result<()> {
    // SAFETY: the child does nothing but end, so that no lock that another thread held matters.
    match unsafe { libc::fork() } {
        // SAFETY: ends the child without running what the parent registered.
        0 => unsafe { libc::_exit(0) },
        answer => checked(answer.into()),
    }
}

/// Traces a process for a moment: this thread lets go of it again.
fn trace(process: libc::pid_t) -> io::Result<()> {
    let none = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: with PTRACE_SEIZE the kernel takes both pointers as numbers.
    checked(unsafe { libc::ptrace(libc::PTRACE_SEIZE, process, none, none) })?;
    // SAFETY: as above. It fails while the process runs; then the end of this process lets it go.
    let _ = unsafe { libc::ptrace(libc::PTRACE_DETACH, process, none, none) };
    Ok(())
}

/// A process's id and an address there.
fn place(detail: &str) -> io::Result<(libc::pid_t, usize)> {
    let (process, address) = detail
        .split_once(' ')
        .ok_or_else(|| Error::other(format!("{detail:?} is no process and address")))?;
    Ok((number(process)?, number(address)?))
}

/// As many bytes as the mark has, from another process's memory.
pub(super) fn read_memory(detail: &str) -> io::Result<Vec<u8>> {
    let (process, address) = place(detail)?;
    let mut bytes = vec![0; MARK.len()];
    let local = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let remote = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: bytes.len() };
    // SAFETY: the local range is one writable vector that lives until the call returns; the remote
    // one is the other process's, and read by the kernel.
    let read =
        unsafe { libc::process_vm_readv(process, &raw const local, 1, &raw const remote, 1, 0) };
    checked(read as libc::c_long)?;
    Ok(bytes)
}

/// The same, as a debugger does it.
pub(super) fn read_memory_file(detail: &str) -> io::Result<Vec<u8>> {
    let (process, address) = place(detail)?;
    let mut bytes = vec![0; MARK.len()];
    let memory = File::open(format!("/proc/{process}/mem"))?;
    memory.read_exact_at(&mut bytes, address as u64)?;
    Ok(bytes)
}

fn memory(access: libc::c_int, later: Option<libc::c_int>) -> io::Result<()> {
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: the kernel chooses an unused range; nothing is executed there.
    let at = unsafe { libc::mmap(std::ptr::null_mut(), 4096, access, kind, -1, 0) };
    if at == libc::MAP_FAILED {
        return Err(Error::last_os_error());
    }
    let Some(later) = later else { return Ok(()) };
    // SAFETY: the range was just mapped and nothing points into it.
    checked(unsafe { libc::mprotect(at, 4096, later) }.into())
}

/// To what it is: whoever may do that may also raise it as far as the user may.
fn set_a_limit() -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is whole, writable and lives until the call returns.
    checked(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) }.into())?;
    // SAFETY: the structure is whole and lives until the call returns.
    checked(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }.into())
}
