//! Single questions and orders to the kernel, as safe functions.
//!
//! Invariant: every function here is sound from any thread and in any order. What needs an order
//! of its own (fork) is in `probe`, memory is in `secret`.

use std::io;

/// One kernel answer of the kind "negative means `errno`".
fn checked(answer: libc::c_long) -> io::Result<libc::c_long> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

fn prctl(option: libc::c_int, value: libc::c_ulong) -> io::Result<libc::c_long> {
    const NONE: libc::c_ulong = 0;
    // SAFETY: every option that this file passes takes a number and no pointer.
    let answer = unsafe { libc::prctl(option, value, NONE, NONE, NONE) };
    checked(answer.into())
}

/// glibc keeps a heap for each thread, up to eight for each processor, and gives little of them
/// back. Two do for a guard. Must come before threads do; another allocator takes no notice.
pub(crate) fn keep_few_heaps() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: takes numbers, touches no memory of ours; a refusal leaves things as they were.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2)
    };
}

/// The effective user's id; 0 is root.
#[must_use]
pub fn effective_user() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::geteuid() }
}

/// How many threads this process has.
pub(crate) fn threads() -> io::Result<usize> {
    std::fs::read_dir("/proc/self/task").map(Iterator::count)
}

/// No program started from here gains a right.
pub(crate) fn forbid_new_privileges() -> io::Result<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1)?;
    demand(prctl(libc::PR_GET_NO_NEW_PRIVS, 0)? == 1, "the flag did not stay")
}

/// Neither core dump nor `/proc/PID/mem` nor ptrace, for processes of the same user.
pub(crate) fn forbid_dumps() -> io::Result<()> {
    prctl(libc::PR_SET_DUMPABLE, 0)?;
    demand(prctl(libc::PR_GET_DUMPABLE, 0)? == 0, "the flag did not stay")
}

/// Writable memory never becomes executable.
pub(crate) fn refuse_executable_gain() -> io::Result<()> {
    prctl(libc::PR_SET_MDWE, libc::c_ulong::from(libc::PR_MDWE_REFUSE_EXEC_GAIN)).map(drop)
}

fn demand(holds: bool, otherwise: &str) -> io::Result<()> {
    if holds { Ok(()) } else { Err(io::Error::other(otherwise.to_owned())) }
}

fn limit_of(resource: libc::__rlimit_resource_t) -> io::Result<libc::rlimit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is whole, writable and lives until the call returns.
    checked(unsafe { libc::getrlimit(resource, &raw mut limit) }.into())?;
    Ok(limit)
}

/// A core file has no size, and the limit cannot be raised again. A service manager may have done
/// it already, and have forbidden the call.
pub(crate) fn forbid_core_files() -> io::Result<()> {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    if limit_of(libc::RLIMIT_CORE)?.rlim_max == 0 {
        return Ok(());
    }
    // SAFETY: the structure is whole and lives until the call returns.
    checked(unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) }.into()).map(drop)
}

/// Files and directories that are made from now on are their owner's alone.
pub(crate) fn make_private_files() {
    // SAFETY: takes a number and cannot fail.
    unsafe { libc::umask(0o077) };
}

/// Keeps every page of this process, now and later, out of swap. Refuses where a limit would let
/// later allocations fail.
pub(crate) fn lock_memory() -> io::Result<()> {
    let mut limit = limit_of(libc::RLIMIT_MEMLOCK)?;
    if limit.rlim_cur != libc::RLIM_INFINITY && limit.rlim_max == libc::RLIM_INFINITY {
        limit.rlim_cur = libc::RLIM_INFINITY;
        // SAFETY: the structure is whole and lives until the call returns.
        let answer = unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) };
        checked(answer.into())?;
    }
    if limit.rlim_cur != libc::RLIM_INFINITY && !may_lock_without_limit() {
        return Err(io::Error::other(format!(
            "this user may lock {} KiB only",
            limit.rlim_cur / 1024
        )));
    }
    let all = libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT;
    // SAFETY: takes flags only; locking pages changes no memory.
    checked(unsafe { libc::mlockall(all) }.into()).map(drop)
}

/// Whether this process has CAP_IPC_LOCK in the machine's own user namespace's sense.
fn may_lock_without_limit() -> bool {
    const CAP_IPC_LOCK: u64 = 1 << 14;
    let effective = own_status("CapEff").ok();
    let effective = effective.and_then(|hex| u64::from_str_radix(&hex, 16).ok());
    effective.is_some_and(|set| set & CAP_IPC_LOCK != 0)
}

/// A line of `/proc/self/status`.
fn own_status(name: &str) -> io::Result<String> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let mut lines = status.lines().filter_map(|line| line.split_once(':'));
    let line = lines.find(|(found, _)| *found == name);
    let missing = || io::Error::other(format!("/proc/self/status has no {name}"));
    line.map(|(_, value)| value.trim().to_owned()).ok_or_else(missing)
}

/// Nobody traces this process. Whoever began before it could not be traced goes on, and has all of
/// its memory.
pub(crate) fn refuse_tracer() -> io::Result<()> {
    let tracer = own_status("TracerPid")?;
    if tracer == "0" {
        return Ok(());
    }
    Err(io::Error::other(format!("process {tracer} traces this one already")))
}

/// The version of Landlock that the kernel speaks; 0 when it does not.
pub(crate) fn landlock_version() -> i32 {
    const VERSION: libc::c_ulong = 1;
    let none = std::ptr::null::<libc::c_void>();
    let size: libc::size_t = 0;
    // SAFETY: with the version flag the kernel wants a null pointer and no size, and reads nothing.
    let answer = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, none, size, VERSION) };
    i32::try_from(answer).unwrap_or(0).max(0)
}

/// Every descriptor from `first` on is closed by the next `exec`.
pub(crate) fn close_on_exec_from(first: u32) -> io::Result<()> {
    let (first, last) = (libc::c_ulong::from(first), libc::c_ulong::from(u32::MAX));
    let flags = libc::c_ulong::from(libc::CLOSE_RANGE_CLOEXEC);
    // SAFETY: takes numbers only. The descriptors stay open and valid until `exec` replaces the
    // program with everything that could use them.
    checked(unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) }).map(drop)
}

/// This process's descriptor stays open across `exec`.
pub(crate) fn keep_on_exec(descriptor: i32) -> io::Result<()> {
    // SAFETY: changes a flag of a descriptor, or fails if there is none.
    checked(unsafe { libc::fcntl(descriptor, libc::F_SETFD, 0) }.into()).map(drop)
}

/// Whether this process has such a descriptor.
pub(crate) fn is_open(descriptor: i32) -> bool {
    // SAFETY: asks for the flags of a descriptor, or fails if there is none.
    unsafe { libc::fcntl(descriptor, libc::F_GETFD) >= 0 }
}

/// The kernel ends this process after so many seconds.
pub(crate) fn end_after(seconds: u32) {
    // SAFETY: takes a number; the default action of the signal ends the process.
    unsafe { libc::alarm(seconds) };
}
