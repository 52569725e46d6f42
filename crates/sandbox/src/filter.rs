//! The system call filters: what is not listed ends the process.
//!
//! Two filters, of which the stricter answer counts. The first answers `clone3` with "no such
//! call": its flags lie in memory, where no filter sees them, and the C library then uses `clone`,
//! whose flags can be judged. The second is the list.
//!
//! Invariants: no profile starts a program or a process; none makes or connects a socket; none
//! makes memory executable; none reads another process.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use crate::syscalls;

/// What a process is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Everything in one process: files of the home, and connections that its listeners accept.
    Whole,
    /// The network's side: connections, and no way to change a file.
    Front,
    /// The side of the keys: files of the home, the other side's socket, and connections to the
    /// administration's socket in the home, which listens already. It has no network listener.
    Core,
}

/// Binds all threads of this process for good.
pub(crate) fn enforce(profile: Profile) -> Result<(), String> {
    for program in [without_clone3()?, list(profile)?] {
        seccompiler::apply_filter_all_threads(&program).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn architecture() -> Result<TargetArch, String> {
    TargetArch::try_from(std::env::consts::ARCH)
        .map_err(|_| format!("there is no list for {}", std::env::consts::ARCH))
}

fn compiled(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    matching: SeccompAction,
) -> Result<BpfProgram, String> {
    let filter = SeccompFilter::new(rules, otherwise, matching, architecture()?);
    filter.and_then(BpfProgram::try_from).map_err(|error| error.to_string())
}

fn without_clone3() -> Result<BpfProgram, String> {
    let rules = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    let no_such_call = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    compiled(rules, SeccompAction::Allow, no_such_call)
}

fn list(profile: Profile) -> Result<BpfProgram, String> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    let groups: &[&[i64]] = match profile {
        Profile::Whole => &[
            syscalls::BASE,
            syscalls::READ_FILES,
            syscalls::WRITE_FILES,
            syscalls::ACCEPT,
            syscalls::NETWORK,
        ],
        Profile::Front => {
            &[syscalls::BASE, syscalls::READ_FILES, syscalls::ACCEPT, syscalls::NETWORK]
        }
        Profile::Core => {
            &[syscalls::BASE, syscalls::READ_FILES, syscalls::WRITE_FILES, syscalls::ACCEPT]
        }
    };
    for call in groups.iter().copied().flatten() {
        rules.insert(*call, Vec::new());
    }
    for (call, conditions) in conditional(profile)? {
        rules.entry(call).or_default().push(conditions);
    }
    compiled(rules, SeccompAction::KillProcess, SeccompAction::Allow)
}

/// Calls that are allowed for some arguments only.
fn conditional(profile: Profile) -> Result<Vec<(i64, SeccompRule)>, String> {
    let own_id = u64::from(std::process::id());
    let thread = u64::from(libc::CLONE_THREAD.unsigned_abs());
    let executable = masked(libc::PROT_EXEC);
    let mut rules = vec![
        // Threads, and no processes.
        rule(libc::SYS_clone, 0, masked(libc::CLONE_THREAD), thread)?,
        rule(libc::SYS_mmap, 2, executable.clone(), 0)?,
        rule(libc::SYS_mprotect, 2, executable, 0)?,
        // To itself: how a process aborts.
        rule(libc::SYS_tgkill, 0, SeccompCmpOp::Eq, own_id)?,
        // Reading a limit, and not setting one.
        wide_rule(libc::SYS_prlimit64, 2, 0)?,
    ];
    for request in syscalls::IOCTLS {
        rules.push(rule(libc::SYS_ioctl, 1, SeccompCmpOp::Eq, *request)?);
    }
    for option in syscalls::PRCTLS {
        rules.push(rule(libc::SYS_prctl, 0, SeccompCmpOp::Eq, u64::from(option.unsigned_abs()))?);
    }
    if profile == Profile::Front {
        // To read a file, in whatever way: neither written, nor made, nor cut short.
        let changing = libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC;
        rules.push(rule(libc::SYS_openat, 2, masked(changing), 0)?);
    }
    Ok(rules)
}

fn masked(bits: libc::c_int) -> SeccompCmpOp {
    SeccompCmpOp::MaskedEq(u64::from(bits.unsigned_abs()))
}

fn rule(
    call: i64,
    argument: u8,
    operator: SeccompCmpOp,
    value: u64,
) -> Result<(i64, SeccompRule), String> {
    condition(call, argument, SeccompCmpArgLen::Dword, operator, value)
}

fn wide_rule(call: i64, argument: u8, value: u64) -> Result<(i64, SeccompRule), String> {
    condition(call, argument, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, value)
}

fn condition(
    call: i64,
    argument: u8,
    length: SeccompCmpArgLen,
    operator: SeccompCmpOp,
    value: u64,
) -> Result<(i64, SeccompRule), String> {
    let condition = SeccompCondition::new(argument, length, operator, value);
    let rule = condition.and_then(|condition| SeccompRule::new(vec![condition]));
    rule.map(|rule| (call, rule)).map_err(|error| error.to_string())
}
