//! Puts the measures that the table calls on in force: first of all what keeps other processes out
//! of this one's memory, before there is a table and before there is a secret; then everything but
//! system calls, while the process has one thread; then the system call filter, on all threads.
//!
//! Invariant: `Ok` means that every measure of that step which the table calls on is in force.

use std::fmt;
use std::path::PathBuf;

use crate::paths::{self, Rules};
use crate::{Measure, Profile, Table, filter, kernel, secret};

/// What a process needs of the machine from here on.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Directories and files that it reads, writes, makes and removes. They must exist.
    pub read_write: Vec<PathBuf>,
    /// Directories and files that it reads. They must exist.
    pub read_only: Vec<PathBuf>,
    /// TCP ports that it binds; 0 is one that the system chooses.
    pub bind_ports: Vec<u16>,
    /// TCP ports to which it opens connections, at whatever address; without any it opens none.
    pub connect_ports: Vec<u16>,
}

/// A measure could not be put in force, although its probe said that it works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplyError {
    /// Which.
    pub measure: Measure,
    /// Why.
    pub reason: String,
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the measure {} could not be put in force: {}; to mend it: {}; or leave it off with \
             --allow-unhardened={}",
            self.measure,
            self.reason,
            self.measure.remedy(),
            self.measure
        )
    }
}

impl std::error::Error for ApplyError {}

type Step = fn() -> std::io::Result<()>;

/// Keeps every process of this user out of this one's memory, before there is anything in it: the
/// first act of a process that will hold a secret. `allowed` are the measures that the operator
/// named.
///
/// # Errors
/// [`ApplyError`] names the measure; the process must not go on. A tracer that is there already is
/// one, whoever it is.
pub fn shield(allowed: &[Measure]) -> Result<(), ApplyError> {
    in_force(SHIELD, |measure| !allowed.contains(&measure))
}

/// In this order: who is not there when nobody can come any more is not there.
const SHIELD: &[(Measure, Step)] = &[
    (Measure::NotDumpable, kernel::forbid_dumps),
    (Measure::CoreDumpsOff, kernel::forbid_core_files),
    (Measure::PtraceRefused, kernel::refuse_tracer),
];

const EARLY: &[(Measure, Step)] = &[
    (Measure::NoNewPrivileges, kernel::forbid_new_privileges),
    (Measure::WriteXorExecute, kernel::refuse_executable_gain),
    (Measure::MemoryLocked, kernel::lock_memory),
    (Measure::SecretMemory, secret::refuse_unlocked_pages),
];

fn in_force(steps: &[(Measure, Step)], is_on: impl Fn(Measure) -> bool) -> Result<(), ApplyError> {
    for (measure, step) in steps.iter().copied().filter(|(measure, _)| is_on(*measure)) {
        step().map_err(|error| ApplyError { measure, reason: error.to_string() })?;
    }
    Ok(())
}

/// Puts everything but the system call filter in force. The process must have one thread.
///
/// # Errors
/// [`ApplyError`] names the measure; the process must not go on.
pub fn harden_early(plan: &Plan, table: &Table) -> Result<(), ApplyError> {
    one_thread()?;
    kernel::make_private_files();
    for steps in [SHIELD, EARLY] {
        in_force(steps, |measure| table.is_on(measure))?;
    }
    let rules = Rules {
        version: kernel::landlock_version(),
        files: table
            .is_on(Measure::LandlockFiles)
            .then_some((plan.read_write.as_slice(), plan.read_only.as_slice())),
        ports: table
            .is_on(Measure::LandlockTcp)
            .then_some((plan.bind_ports.as_slice(), plan.connect_ports.as_slice())),
        scope: table.is_on(Measure::LandlockScope),
    };
    if rules.files.is_none() && rules.ports.is_none() && !rules.scope {
        return Ok(());
    }
    paths::enforce(&rules)
}

/// From here on, on every thread: a system call that the profile does not list ends the process.
/// Call it when all sockets are open but those that the plan connects later.
///
/// # Errors
/// [`ApplyError`]; the process must not go on.
pub fn restrict_syscalls(profile: Profile, plan: &Plan, table: &Table) -> Result<(), ApplyError> {
    let measure = Measure::Seccomp;
    if !table.is_on(measure) {
        return Ok(());
    }
    let dials = !plan.connect_ports.is_empty();
    filter::enforce(profile, dials).map_err(|reason| ApplyError { measure, reason })
}

/// Landlock binds only the calling thread and those that it starts.
fn one_thread() -> Result<(), ApplyError> {
    let reason = match kernel::threads() {
        Ok(1) => return Ok(()),
        Ok(count) => format!("the process has {count} threads already"),
        Err(error) => format!("/proc/self/task cannot be read: {error}"),
    };
    Err(ApplyError { measure: Measure::LandlockFiles, reason })
}
