//! Tries each measure for real, where that harms nobody: in children of a child.
//!
//! The program starts itself again with [`PROBE_ARGUMENT`] and no environment. That process has
//! one thread, so that it may fork; it forks once for each measure, the child takes the measure and
//! then does what the measure forbids, and a line on standard output says how that went.
//!
//! Invariants: the process that asks is not changed; a probe that hangs is ended by the kernel; a
//! probe that says nothing counts as failed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::paths::{self, Rules};
use crate::{Backing, Facts, Finding, Measure, Profile, SecretPages};
use crate::{durability_of, filter, kernel};

/// The only argument of the process that tries the measures.
pub const PROBE_ARGUMENT: &str = "probe-measures-and-exit";

/// Longer than one probe takes on a slow machine, in seconds.
const PROBE_PATIENCE_S: u32 = 10;

/// Longer than all probes together take there, and one of them hangs.
const PATIENCE_S: u32 = 30;

/// 2026-01-01. No honest clock that this program meets is before it.
const FIRST_YEAR_S: u64 = 1_767_225_600;

/// How a probe ends.
type Tried = Result<Finding, String>;

impl Facts {
    /// Asks the machine. `home` is the guard's directory, made already or not.
    ///
    /// The program must call [`answer_if_asked`] first in its `main`.
    #[must_use]
    pub fn gather(home: Option<&Path>) -> Self {
        let user = kernel::effective_user();
        let own_id = std::process::id().to_string();
        let mut findings = try_in_child().unwrap_or_else(|error| {
            let failed = Finding::Fails(format!("the probes could not be started: {error}"));
            Measure::ALL.into_iter().map(|measure| (measure, failed.clone())).collect()
        });
        findings.insert(Measure::NotRoot, not_root(user));
        findings.insert(Measure::ClockSane, clock_sane());
        if let Some(home) = home {
            findings.insert(Measure::DurableHome, durability_of(home));
        }
        Self {
            user,
            home_owner: home.and_then(|home| home.metadata().ok()).map(|home| home.uid()),
            is_service: std::env::var("SYSTEMD_EXEC_PID").is_ok_and(|id| id == own_id),
            findings,
            ..Self::default()
        }
    }
}

fn not_root(user: u32) -> Finding {
    if user == 0 { Finding::Fails("it runs as root".to_owned()) } else { Finding::Works }
}

/// The date of the sources where the build names one (reproducible builds do).
fn clock_sane() -> Finding {
    let built = option_env!("SOURCE_DATE_EPOCH").and_then(|seconds| seconds.parse::<u64>().ok());
    let earliest = built.unwrap_or(0).max(FIRST_YEAR_S);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    if earliest <= now {
        return Finding::Works;
    }
    Finding::Fails(format!("the clock says {now} s after 1970, before this program was made"))
}

fn try_in_child() -> io::Result<BTreeMap<Measure, Finding>> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(PROBE_ARGUMENT).env_clear().stdin(Stdio::null()).stderr(Stdio::null());
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter_map(parse).collect())
}

fn parse(line: &str) -> Option<(Measure, Finding)> {
    let (measure, rest) = line.split_once('\t')?;
    let (word, text) = rest.split_once('\t')?;
    let finding = match word {
        "works" if text.is_empty() => Finding::Works,
        "works" => Finding::WorksAs(text.to_owned()),
        _ => Finding::Fails(text.to_owned()),
    };
    Some((measure.parse().ok()?, finding))
}

fn written(measure: Measure, tried: Tried) -> String {
    let (word, text) = match tried {
        Ok(Finding::Works) => ("works", String::new()),
        Ok(Finding::WorksAs(how)) => ("works", how),
        Ok(Finding::Fails(why)) | Err(why) => ("fails", why),
    };
    format!("{measure}\t{word}\t{}\n", text.replace(['\n', '\t'], " "))
}

/// Tries the measures if that is what this process was started for; `None` otherwise. Call it first
/// in `main`, before any thread exists.
#[must_use]
pub fn answer_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let asked = arguments.next().is_some_and(|argument| argument == PROBE_ARGUMENT);
    if !asked || arguments.next().is_some() {
        return None;
    }
    // What follows forks, and only a process with one thread may.
    if !matches!(kernel::threads(), Ok(1)) {
        return Some(ExitCode::FAILURE);
    }
    kernel::end_after(PATIENCE_S);
    // A probe that the kernel ends, as it should, must leave no core file.
    drop(kernel::forbid_core_files());
    let mut out = io::stdout().lock();
    for measure in Measure::ALL {
        let line = written(measure, probe(measure));
        if out.write_all(line.as_bytes()).and_then(|()| out.flush()).is_err() {
            return Some(ExitCode::FAILURE);
        }
    }
    Some(ExitCode::SUCCESS)
}

fn probe(measure: Measure) -> Tried {
    match measure {
        Measure::NotRoot => Ok(not_root(kernel::effective_user())),
        Measure::ClockSane => Ok(clock_sane()),
        Measure::DurableHome => Err("no home was named".to_owned()),
        Measure::Seccomp => seccomp(),
        Measure::PtraceRefused => ptrace_refused(),
        Measure::EmptyEnvironment | Measure::TwoProcesses => std::env::current_exe()
            .map(|_| Finding::Works)
            .map_err(|error| format!("the program does not find itself: {error}")),
        other => in_fork(other),
    }
}

/// What a forked child does and then says.
fn in_fork(measure: Measure) -> Tried {
    let (reader, writer) = io::pipe().map_err(|error| error.to_string())?;
    let child = Child::fork(move || {
        let tried = match measure {
            Measure::NoNewPrivileges => works(kernel::forbid_new_privileges()),
            Measure::NotDumpable => works(kernel::forbid_dumps()),
            Measure::CoreDumpsOff => works(kernel::forbid_core_files()),
            Measure::MemoryLocked => works(kernel::lock_memory()),
            Measure::WriteXorExecute => works(kernel::refuse_executable_gain()),
            Measure::ClosedDescriptors => works(kernel::close_on_exec_from(u32::MAX - 1)),
            Measure::SecretMemory => secret_memory(),
            Measure::LandlockFiles => landlock_files(),
            Measure::LandlockTcp => landlock_tcp(),
            Measure::LandlockScope => landlock_scope(),
            _ => Err("there is no probe".to_owned()),
        };
        say(writer, &written(measure, tried));
    })?;
    let line = listen(reader);
    let status = child.wait()?;
    let found = line.lines().next().and_then(parse);
    found.map(|(_, finding)| finding).ok_or_else(|| format!("its probe ended with {status}"))
}

fn say(mut writer: PipeWriter, line: &str) {
    // The reader sees an empty answer if this fails, and says so.
    drop(writer.write_all(line.as_bytes()));
}

fn listen(mut reader: PipeReader) -> String {
    let mut text = String::new();
    // What was read before a failure is not a whole line, and counts as none.
    drop(reader.read_to_string(&mut text));
    text
}

fn works(result: io::Result<()>) -> Tried {
    result.map(|()| Finding::Works).map_err(|error| error.to_string())
}

/// Room for as many keys as a large guard has.
fn secret_memory() -> Tried {
    const SECRETS: usize = 100_000;
    let pages = SecretPages::new();
    let mut worst = Finding::Works;
    let mut kept = Vec::with_capacity(SECRETS);
    for _ in 0..SECRETS {
        let secret = pages.store(&mut [1; 32]).map_err(|error| error.to_string())?;
        match secret.backing() {
            Backing::MemorySecret => {}
            Backing::Locked => {
                worst = Finding::WorksAs(
                    "locked pages outside of core dumps; the kernel has no memfd_secret".to_owned(),
                );
            }
            Backing::Unlocked => {
                return Err("this user may not lock enough memory for 100,000 keys".to_owned());
            }
        }
        kept.push(secret);
    }
    Ok(worst)
}

fn version_from(first: i32) -> Result<i32, String> {
    match kernel::landlock_version() {
        0 => Err("the kernel has no Landlock, or it is not switched on".to_owned()),
        version if version < first => {
            Err(format!("the kernel has Landlock {version}, and this needs {first}"))
        }
        version => Ok(version),
    }
}

fn landlock(rules: &Rules<'_>) -> Result<(), String> {
    paths::enforce(rules).map_err(|error| error.reason)
}

fn landlock_files() -> Tried {
    let version = version_from(paths::FILES_VERSION)?;
    landlock(&Rules { version, files: Some((&[], &[])), ..Rules::default() })?;
    match File::open("/") {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(Finding::Works),
        _ => Err("a directory outside of the rules could be opened".to_owned()),
    }
}

fn landlock_tcp() -> Tried {
    let version = version_from(paths::TCP_VERSION)?;
    landlock(&Rules { version, ports: Some((&[], &[])), ..Rules::default() })?;
    match std::net::TcpStream::connect(("127.0.0.1", 9)) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(Finding::Works),
        _ => Err("a connection outside of the rules was not refused".to_owned()),
    }
}

fn landlock_scope() -> Tried {
    let version = version_from(paths::SCOPE_VERSION)?;
    landlock(&Rules { version, scope: true, ..Rules::default() })?;
    Ok(Finding::Works)
}

/// A process under the strictest filter that makes a socket must be ended by the kernel.
fn seccomp() -> Tried {
    let (reader, writer) = io::pipe().map_err(|error| error.to_string())?;
    let child = Child::fork(move || match filter::enforce(Profile::Core, false) {
        Ok(()) => drop(std::net::UdpSocket::bind(("127.0.0.1", 0))),
        Err(why) => say(writer, &why),
    })?;
    let why = listen(reader);
    let status = child.wait()?;
    match status.signal() {
        Some(libc::SIGSYS) => Ok(Finding::Works),
        _ if why.is_empty() => Err(format!("a forbidden call ended with {status}")),
        _ => Err(why),
    }
}

/// A process that is not dumpable must not be traced by another one of its user.
fn ptrace_refused() -> Tried {
    let (mut ready, tell) = io::pipe().map_err(|error| error.to_string())?;
    let victim = Child::fork(move || {
        let prepared = kernel::forbid_dumps();
        say(tell, if prepared.is_ok() { "+" } else { "-" });
        loop {
            std::thread::park();
        }
    })?;
    let mut prepared = [0];
    let read = ready.read_exact(&mut prepared);
    let seized = victim.seize();
    victim.end();
    victim.wait()?;
    if read.is_err() || prepared != *b"+" {
        return Err("a process could not be made undumpable".to_owned());
    }
    match seized {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(Finding::Works),
        Err(error) => Err(format!("tracing failed otherwise: {error}")),
        Ok(()) => Err("this user may trace any process".to_owned()),
    }
}

/// A forked child of a process with one thread.
struct Child(libc::pid_t);

impl Child {
    /// Forks; the child does `work` and ends.
    fn fork(work: impl FnOnce()) -> Result<Self, String> {
        // SAFETY: only `answer_if_asked` leads here, in a process that was started for nothing else
        // and has one thread. So no lock is held by a thread that the child does not have.
        match unsafe { libc::fork() } {
            0 => {
                // An alarm is not inherited.
                kernel::end_after(PROBE_PATIENCE_S);
                work();
                // SAFETY: ends the process without running what the parent registered.
                unsafe { libc::_exit(0) }
            }
            id if id < 0 => Err(io::Error::last_os_error().to_string()),
            id => Ok(Self(id)),
        }
    }

    fn wait(&self) -> Result<ExitStatus, String> {
        let mut status = 0;
        // SAFETY: the status is a whole, writable integer that lives until the call returns.
        let answer = unsafe { libc::waitpid(self.0, &raw mut status, 0) };
        if answer < 0 {
            return Err(io::Error::last_os_error().to_string());
        }
        Ok(ExitStatus::from_raw(status))
    }

    fn seize(&self) -> io::Result<()> {
        let none = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: with PTRACE_SEIZE the kernel takes both pointers as numbers.
        let answer = unsafe { libc::ptrace(libc::PTRACE_SEIZE, self.0, none, none) };
        if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    fn end(&self) {
        // SAFETY: takes numbers; the child is not waited for yet, so that its id is its own.
        unsafe { libc::kill(self.0, libc::SIGKILL) };
    }
}
