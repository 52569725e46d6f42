//! The system call filters: what is not listed ends the process.
//!
//! Some calls are answered with an error instead, each error in a filter of its own; of all filters
//! the strictest answer counts. `clone3` does not exist: its flags lie in memory, where no filter
//! sees them, and the C library then uses `clone`, whose flags can be judged. And the front may
//! open no file: a library that looks for one in a rare moment is told so, and goes on.
//!
//! Invariants: no profile starts a program or a process; none makes or connects a socket, not even
//! with the first bytes that it sends, but for a process that dials: it makes TCP sockets and no
//! other, and where they lead is Landlock's part, because a filter sees no address; the core never
//! does; none makes memory executable; none reads another process or signals one.

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
    /// The network's side: connections, and no file.
    Front,
    /// The side of the keys: files of the home, the other side's socket, and connections to the
    /// administration's socket in the home, which listens already. It has no network listener.
    Core,
}

/// Binds all threads of this process for good.
pub(crate) fn enforce(profile: Profile, dials: bool) -> Result<(), String> {
    for program in programs(profile, dials, Machine::this()?)? {
        seccompiler::apply_filter_all_threads(&program).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// What a filter is for.
#[derive(Clone, Copy)]
struct Machine {
    architecture: TargetArch,
    /// The number there of a call that has this one here; `None` when it has no such call.
    number: fn(i64) -> Option<i64>,
}

impl Machine {
    /// The one for which this program was compiled.
    fn this() -> Result<Self, String> {
        let architecture = TargetArch::try_from(std::env::consts::ARCH)
            .map_err(|_| format!("there is no list for {}", std::env::consts::ARCH))?;
        Ok(Self { architecture, number: Some })
    }

    fn compiled(
        self,
        rules: BTreeMap<i64, Vec<SeccompRule>>,
        otherwise: SeccompAction,
        matching: SeccompAction,
    ) -> Result<BpfProgram, String> {
        let rules =
            rules.into_iter().filter_map(|(call, rules)| Some(((self.number)(call)?, rules)));
        let filter = SeccompFilter::new(rules.collect(), otherwise, matching, self.architecture);
        filter.and_then(BpfProgram::try_from).map_err(|error| error.to_string())
    }
}

fn programs(profile: Profile, dials: bool, machine: Machine) -> Result<Vec<BpfProgram>, String> {
    let mut programs = vec![answered(&[libc::SYS_clone3], libc::ENOSYS, machine)?];
    if profile == Profile::Front {
        programs.push(answered(syscalls::FIND_FILES, libc::EACCES, machine)?);
    }
    programs.push(list(profile, dials && profile != Profile::Core, machine)?);
    Ok(programs)
}

fn answered(calls: &[i64], error: libc::c_int, machine: Machine) -> Result<BpfProgram, String> {
    let rules = calls.iter().map(|call| (*call, Vec::new())).collect();
    machine.compiled(rules, SeccompAction::Allow, SeccompAction::Errno(error.unsigned_abs()))
}

fn list(profile: Profile, dials: bool, machine: Machine) -> Result<BpfProgram, String> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    let groups: &[&[i64]] = match profile {
        Profile::Whole | Profile::Core => &[
            syscalls::BASE,
            syscalls::FIND_FILES,
            syscalls::READ_FILES,
            syscalls::WRITE_FILES,
            syscalls::ACCEPT,
        ],
        Profile::Front => &[syscalls::BASE, syscalls::FIND_FILES, syscalls::ACCEPT],
    };
    for call in groups.iter().copied().flatten() {
        rules.insert(*call, Vec::new());
    }
    let dialling = if dials { dialling()? } else { Vec::new() };
    for (call, conditions) in conditional(profile)?.into_iter().chain(dialling) {
        rules.entry(call).or_default().push(conditions);
    }
    if dials {
        rules.insert(libc::SYS_connect, Vec::new());
    }
    machine.compiled(rules, SeccompAction::KillProcess, SeccompAction::Allow)
}

/// Calls that are allowed for some arguments only.
fn conditional(profile: Profile) -> Result<Vec<(i64, SeccompRule)>, String> {
    let own_id = u64::from(std::process::id());
    let (thread, elsewhere) = (libc::CLONE_THREAD, syscalls::NAMESPACES);
    let mut rules = vec![
        // Threads, and no processes; here, and in no namespace of their own.
        rule(libc::SYS_clone, [Check::masked(0, thread | elsewhere, thread)])?,
        rule(libc::SYS_mmap, [Check::masked(2, libc::PROT_EXEC, 0)])?,
        rule(libc::SYS_mprotect, [Check::masked(2, libc::PROT_EXEC, 0)])?,
        // To itself: how a process aborts.
        rule(libc::SYS_tgkill, [Check::equal(0, own_id)])?,
        // Reading a limit, and not setting one.
        rule(libc::SYS_prlimit64, [Check::null(2)])?,
        // Along a connection that stands: to no address, and opening none on the way.
        rule(libc::SYS_sendto, [Check::masked(3, !syscalls::SEND_FLAGS, 0), Check::null(4)])?,
        // The end of what this side says. Ending the other direction would turn a listening
        // socket into a fresh one.
        rule(libc::SYS_shutdown, [Check::equal(1, number(libc::SHUT_WR))])?,
        // Waiting or not, but no signals.
        rule(
            libc::SYS_fcntl,
            [Check::equal(1, number(libc::F_SETFL)), Check::masked(2, libc::O_ASYNC, 0)],
        )?,
    ];
    let locks = if profile == Profile::Front { &[] } else { syscalls::LOCKS };
    for command in syscalls::FCNTLS.iter().chain(locks) {
        rules.push(rule(libc::SYS_fcntl, [Check::equal(1, number(*command))])?);
    }
    for request in syscalls::IOCTLS {
        rules.push(rule(libc::SYS_ioctl, [Check::equal(1, *request)])?);
    }
    for option in syscalls::PRCTLS {
        rules.push(rule(libc::SYS_prctl, [Check::equal(0, number(*option))])?);
    }
    if profile != Profile::Core {
        let (level, option) = (number(libc::IPPROTO_TCP), number(libc::TCP_NODELAY));
        let checks = [Check::equal(1, level), Check::equal(2, option)];
        rules.push(rule(libc::SYS_setsockopt, checks)?);
    }
    Ok(rules)
}

/// New sockets of a process that dials: TCP of both versions, and no other protocol.
fn dialling() -> Result<Vec<(i64, SeccompRule)>, String> {
    // Waiting or not.
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
    let kind = || Check::masked(1, !libc::SOCK_NONBLOCK, kind);
    let of = |family: libc::c_int| {
        let checks = [Check::equal(0, number(family)), kind(), Check::equal(2, 0)];
        rule(libc::SYS_socket, checks)
    };
    [libc::AF_INET, libc::AF_INET6].into_iter().map(of).collect()
}

/// What one argument, counted from 0, must be.
struct Check(u8, SeccompCmpArgLen, SeccompCmpOp, u64);

impl Check {
    /// A number of 32 bits.
    fn equal(argument: u8, value: u64) -> Self {
        Self(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
    }

    /// Of a number of 32 bits, those in `bits`.
    fn masked(argument: u8, bits: libc::c_int, value: libc::c_int) -> Self {
        let operator = SeccompCmpOp::MaskedEq(number(bits));
        Self(argument, SeccompCmpArgLen::Dword, operator, number(value))
    }

    /// A pointer to nothing.
    fn null(argument: u8) -> Self {
        Self(argument, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0)
    }
}

/// The bits of a C number.
fn number(value: libc::c_int) -> u64 {
    u64::from(value.cast_unsigned())
}

/// The call is allowed when all checks hold.
fn rule<const N: usize>(call: i64, checks: [Check; N]) -> Result<(i64, SeccompRule), String> {
    let conditions = checks.into_iter().map(|Check(argument, length, operator, value)| {
        SeccompCondition::new(argument, length, operator, value)
    });
    let rule = conditions.collect::<Result<Vec<_>, _>>().and_then(SeccompRule::new);
    rule.map(|rule| (call, rule)).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
