//! What somebody who broke into a guard would try. Each attempt must end with the process, or be
//! refused; without measures each must succeed, which shows that the attempt is a real one.

use std::fs::{self, File};
use std::io::{self, Read};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output};

use palisade_sandbox::{Measure, Table};
use tempfile::TempDir;

use crate::role::{READY, Scene, say, skip};
use crate::sockets::{self, Open};

/// An attempt, the measures that refuse it, and whether only root may do it without measures.
#[derive(Clone, Copy)]
struct Attempt {
    name: &'static str,
    by: &'static [Measure],
    needs_root: bool,
}

const fn attempt(name: &'static str, by: &'static [Measure]) -> Attempt {
    Attempt { name, by, needs_root: false }
}

const SECCOMP: &[Measure] = &[Measure::Seccomp];
const FILES: &[Measure] = &[Measure::LandlockFiles];

const ATTEMPTS: &[Attempt] = &[
    attempt("open-passwd", FILES),
    attempt("list-root", FILES),
    attempt("write-outside", FILES),
    attempt("connect-out", &[Measure::Seccomp, Measure::LandlockTcp]),
    attempt("new-socket", SECCOMP),
    attempt("start-a-program", SECCOMP),
    attempt("fork", SECCOMP),
    Attempt { needs_root: true, ..attempt("trace-the-parent", SECCOMP) },
    Attempt { needs_root: true, ..attempt("read-the-parent", SECCOMP) },
    attempt("signal-the-parent", &[Measure::Seccomp, Measure::LandlockScope]),
    attempt("executable-memory", &[Measure::WriteXorExecute, Measure::Seccomp]),
    attempt("executable-later", &[Measure::WriteXorExecute, Measure::Seccomp]),
    attempt("raise-a-limit", SECCOMP),
];

/// What the core must be able to do.
const FRONT_ONLY: &[&str] = &["read-the-home", "write-the-home"];

/// Attempts that fail in their own way where the kernel is built without the call, and so have no
/// counterpart without measures.
const CALLS: &[(&str, i64)] = &[
    ("io_uring_setup", libc::SYS_io_uring_setup),
    ("bpf", libc::SYS_bpf),
    ("keyctl", libc::SYS_keyctl),
    ("userfaultfd", libc::SYS_userfaultfd),
    ("setuid", libc::SYS_setuid),
    ("listen", libc::SYS_listen),
    ("connect", libc::SYS_connect),
    ("sendmmsg", libc::SYS_sendmmsg),
    ("mount", libc::SYS_mount),
    ("unshare", libc::SYS_unshare),
    ("pidfd_open", libc::SYS_pidfd_open),
    ("process_vm_writev", libc::SYS_process_vm_writev),
    ("chroot", libc::SYS_chroot),
];

struct Stage {
    directory: TempDir,
    listener: TcpListener,
}

impl Stage {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("home")).unwrap();
        fs::write(directory.path().join("home/secret"), "sealed").unwrap();
        Self { directory, listener: TcpListener::bind(("127.0.0.1", 0)).unwrap() }
    }

    fn scene(&self, profile: &str, act: &str) -> Scene {
        let address = self.listener.local_addr().unwrap().to_string();
        Scene::new(profile, act, &self.directory.path().join("home"), address)
    }
}

/// Whether an attempt was made, and refused: by an error, or by the end of the process.
#[track_caller]
fn assert_refused(name: &str, output: &Output) {
    let said = String::from_utf8_lossy(&output.stdout);
    let context = format!("{name}: {output:?}");
    assert!(said.starts_with(READY), "{context}");
    let ended = output.status.signal() == Some(libc::SIGSYS);
    let refused = said.lines().nth(1).is_some_and(|line| line.starts_with("refused"));
    assert!(ended || (refused && output.status.success()), "{context}");
    assert!(!output.status.core_dumped(), "{context}");
}

pub(crate) fn without_measures() {
    let stage = Stage::new();
    let is_root = running_as_root();
    let with_sockets = sockets::ATTEMPTS.iter().map(|name| attempt(name, SECCOMP));
    for attempt in ATTEMPTS.iter().copied().chain(with_sockets) {
        if attempt.needs_root && !is_root {
            skip(attempt.name, "without measures only root may do it everywhere");
            continue;
        }
        let output = stage.scene("none", attempt.name).output();
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(said, format!("{READY}\ndid it\n"), "{}: {output:?}", attempt.name);
    }
}

pub(crate) fn whole() {
    refuses_all("whole", &[]);
}

pub(crate) fn front() {
    refuses_all("front", FRONT_ONLY);
}

pub(crate) fn front_without_landlock() {
    let stage = Stage::new();
    let profile = "front-but-landlock-files";
    if !stage.scene(profile, "table").table().is_on(Measure::Seccomp) {
        return skip("a front without Landlock", "the kernel lacks seccomp");
    }
    let by_landlock = ATTEMPTS.iter().filter(|attempt| attempt.by == FILES);
    for name in by_landlock.map(|attempt| attempt.name).chain(FRONT_ONLY.iter().copied()) {
        let output = stage.scene(profile, name).output();
        let said = String::from_utf8_lossy(&output.stdout);
        let denied = format!("{READY}\nrefused: Permission denied (os error 13)\n");
        assert_eq!(said, denied, "{name}: {output:?}");
    }
}

pub(crate) fn core() {
    refuses_all("core", &[]);
}

fn refuses_all(profile: &str, more: &[&str]) {
    let stage = Stage::new();
    let table = stage.scene(profile, "table").table();
    for attempt in ATTEMPTS {
        if attempt.by.iter().any(|measure| table.is_on(*measure)) {
            assert_refused(attempt.name, &stage.scene(profile, attempt.name).output());
        } else {
            skip(attempt.name, "the kernel lacks what refuses it");
        }
    }
    if !table.is_on(Measure::Seccomp) {
        return skip("single calls", "the kernel lacks seccomp");
    }
    let calls = CALLS.iter().map(|(name, call)| (*name, format!("call {call}")));
    let with_sockets = sockets::ATTEMPTS.iter().map(|name| (*name, (*name).to_owned()));
    for (name, act) in calls.chain(with_sockets) {
        let output = stage.scene(profile, &act).output();
        assert_eq!(output.status.signal(), Some(libc::SIGSYS), "{name}: {output:?}");
    }
    for name in more {
        assert_refused(name, &stage.scene(profile, name).output());
    }
}

pub(crate) fn crash() {
    let stage = Stage::new();
    let output = stage.scene("whole", "abort").output();
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{output:?}");
    assert!(!output.status.core_dumped(), "{output:?}");
}

fn running_as_root() -> bool {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

pub(crate) fn play(scene: &Scene) {
    let table: Table = scene.table();
    let open = Open::new();
    scene.harden(&table);
    scene.restrict(&table);
    say(READY);
    let attempted = open.attempt_to(&scene.act, &scene.detail);
    match attempted.unwrap_or_else(|| attempt_to(scene)) {
        Ok(()) => say("did it"),
        Err(error) => say(&format!("refused: {error}")),
    }
}

fn attempt_to(scene: &Scene) -> io::Result<()> {
    let outside = scene.home.parent().unwrap_or(Path::new("/")).join("outside");
    if let Some(number) = scene.act.strip_prefix("call ") {
        return single_call(number.parse().map_err(io::Error::other)?);
    }
    match scene.act.as_str() {
        "open-passwd" => File::open("/etc/passwd").map(drop),
        "list-root" => fs::read_dir("/").map(drop),
        "write-outside" => fs::write(outside, "x"),
        "read-the-home" => fs::read(scene.home.join("secret")).map(drop),
        "write-the-home" => fs::write(scene.home.join("new"), "x"),
        "connect-out" => TcpStream::connect(&scene.detail).map(drop),
        "new-socket" => UdpSocket::bind(("127.0.0.1", 0)).map(drop),
        "start-a-program" => Command::new("/bin/true").status().map(drop),
        "fork" => fork(),
        "trace-the-parent" => trace_the_parent(),
        "read-the-parent" => read_the_parent(),
        "signal-the-parent" => {
            // SAFETY: signal 0 only asks whether a signal could be sent.
            checked(unsafe { libc::kill(parent(), 0) }.into())
        }
        "executable-memory" => memory(libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC, None),
        "executable-later" => {
            let later = libc::PROT_READ | libc::PROT_EXEC;
            memory(libc::PROT_READ | libc::PROT_WRITE, Some(later))
        }
        "raise-a-limit" => {
            let limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            // SAFETY: the structure is whole and lives until the call returns.
            checked(unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const limit) }.into())
        }
        "abort" => std::process::abort(),
        other => Err(io::Error::other(format!("nobody knows how to {other}"))),
    }
}

pub(crate) fn checked(answer: i64) -> io::Result<()> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

pub(crate) fn parent() -> libc::pid_t {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::getppid() }
}

fn single_call(number: i64) -> io::Result<()> {
    // SAFETY: with zeroes for arguments none of the calls of the list does anything.
    checked(unsafe { libc::syscall(number, 0, 0, 0, 0, 0, 0) })
}

fn fork() -> io::Result<()> {
    // SAFETY: this process has one thread, and the child ends at once.
    match unsafe { libc::fork() } {
        // SAFETY: ends the child.
        0 => unsafe { libc::_exit(0) },
        answer => checked(answer.into()),
    }
}

fn trace_the_parent() -> io::Result<()> {
    let none = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: with PTRACE_SEIZE the kernel takes both pointers as numbers.
    checked(unsafe { libc::ptrace(libc::PTRACE_SEIZE, parent(), none, none) })
}

/// The first bytes of the first mapping of the parent; it is the same program, so that this process
/// learns from its own mappings that there are any.
fn read_the_parent() -> io::Result<()> {
    let mut maps = String::new();
    File::open(format!("/proc/{}/maps", parent()))?.read_to_string(&mut maps)?;
    let start = maps.split('-').next().and_then(|hex| usize::from_str_radix(hex, 16).ok());
    let start = start.ok_or_else(|| io::Error::other("no mapping"))?;
    let mut byte = [0_u8];
    let local = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    let remote = libc::iovec { iov_base: start as *mut libc::c_void, iov_len: 1 };
    // SAFETY: the local range is one writable byte; the remote one is read by the kernel.
    let read =
        unsafe { libc::process_vm_readv(parent(), &raw const local, 1, &raw const remote, 1, 0) };
    checked(read as i64)
}

fn memory(access: libc::c_int, later: Option<libc::c_int>) -> io::Result<()> {
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: the kernel chooses an unused range; nothing is executed there.
    let at = unsafe { libc::mmap(std::ptr::null_mut(), 4096, access, kind, -1, 0) };
    if at == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    let Some(later) = later else { return Ok(()) };
    // SAFETY: the range was just mapped and nothing points into it.
    checked(unsafe { libc::mprotect(at, 4096, later) }.into())
}
