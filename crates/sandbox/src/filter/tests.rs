//! Every number that a call can have, and every argument that counts, through the filters of both
//! architectures as the kernel would run them: without a kernel, so that the list of a machine that
//! is not here is tried as well. `tests/calls.txt` says what may be allowed, and nothing else may be.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod arm;
mod bpf;

use std::collections::BTreeMap;

use ::syscalls::{aarch64, x86_64};
use bpf::{Call, Decision, decide};

use super::*;

const X86_64: u32 = 0xc000_003e;
const AARCH64: u32 = 0xc000_00b7;
/// Other ways into the same kernels: 32 bits of each, and a machine of another kind.
const OTHERS: [u32; 3] = [0x4000_0003, 0x4000_0028, 0xc000_00f3];
/// More than a kernel has calls.
const NUMBERS: std::ops::Range<u32> = 0..1024;
const PROFILES: [(Profile, &str); 3] =
    [(Profile::Core, "core"), (Profile::Front, "front"), (Profile::Whole, "whole")];

/// A machine, and how calls are named there.
struct Subject {
    machine: Machine,
    audit: u32,
    name: &'static str,
    name_of: fn(u32) -> Option<&'static str>,
}

/// The machine of this test; and from x86_64, which has all the calls of the list, the other one.
fn subjects() -> Vec<Subject> {
    let this = Machine::this().unwrap();
    let x86 = |machine| Subject {
        machine,
        audit: X86_64,
        name: "x86_64",
        name_of: |number| name_on_x86(number),
    };
    let arm = |machine| {
        let name_of = |number| name_on_arm(number);
        Subject { machine, audit: AARCH64, name: "aarch64", name_of }
    };
    match this.architecture {
        TargetArch::x86_64 => {
            let number = |call| number_on_arm(name_on_x86(u32::try_from(call).unwrap()).unwrap());
            let other = Machine { architecture: TargetArch::aarch64, number };
            vec![x86(this), arm(other)]
        }
        TargetArch::aarch64 => vec![arm(this)],
        TargetArch::riscv64 => panic!("there is no list for it"),
    }
}

fn name_on_x86(number: u32) -> Option<&'static str> {
    x86_64::Sysno::new(usize::try_from(number).unwrap()).map(|call| call.name())
}

/// One call has two names.
const STAT: (&str, &str) = ("newfstatat", "fstatat");

fn name_on_arm(number: u32) -> Option<&'static str> {
    let name = aarch64::Sysno::new(usize::try_from(number).unwrap())?.name();
    Some(if name == STAT.1 { STAT.0 } else { name })
}

fn number_on_arm(name: &str) -> Option<i64> {
    let name = if name == STAT.0 { STAT.1 } else { name };
    name.parse::<aarch64::Sysno>().ok().map(|call| call.id().into())
}

impl Subject {
    fn programs(&self, profile: Profile) -> Vec<BpfProgram> {
        programs(profile, false, self.machine).unwrap()
    }

    fn number(&self, name: &str) -> u32 {
        let found = NUMBERS.into_iter().find(|number| (self.name_of)(*number) == Some(name));
        found.unwrap_or_else(|| panic!("{} has no {name}", self.name))
    }

    fn decide(&self, profile: Profile, name: &str, arguments: [u64; 6]) -> Decision {
        let call = Call { number: self.number(name), architecture: self.audit, arguments };
        decide(&self.programs(profile), &call)
    }
}

#[test]
fn the_lists_of_aarch64_have_the_numbers_with_which_they_are_compiled_there() {
    for subject in subjects().iter().filter(|subject| subject.name == "aarch64") {
        for (here, there) in arm::LISTS {
            let numbers = here.iter().filter_map(|call| (subject.machine.number)(*call));
            assert_eq!(numbers.collect::<Vec<i64>>(), there);
        }
    }
}

/// Arguments with which a call might pass that no list should have.
const ARGUMENTS: [[u64; 6]; 4] = [[0; 6], [1; 6], [u64::MAX; 6], [4, 0, 0, 0, 0, 0]];

#[test]
fn no_other_call_is_allowed_than_those_that_are_written_down() {
    let sections: Vec<String> = subjects().iter().map(written).collect();
    let expected: Vec<&str> = include_str!("tests/calls.txt").split("\n\n").collect();
    for section in &sections {
        let is_there = expected.iter().any(|expected| expected.trim() == section.trim());
        assert!(is_there, "calls.txt should hold:\n{}", sections.join("\n"));
    }
}

/// What each profile may do on a machine, by how it may.
fn written(subject: &Subject) -> String {
    let all = PROFILES.map(|(profile, name)| (profile, name, subject.programs(profile)));
    let mut by_profiles: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for number in NUMBERS {
        let ways = all.iter().filter_map(|(profile, name, programs)| {
            let decisions = tried(subject, *profile, programs, number);
            let allowed = decisions.iter().filter(|one| **one == Decision::Allowed).count();
            match decisions[0] {
                Decision::Answered(error) => Some(format!("{name} error {error}")),
                _ if allowed == decisions.len() => Some((*name).to_owned()),
                _ if 0 < allowed => Some(format!("{name} sometimes")),
                _ => None,
            }
        });
        let ways = ways.collect::<Vec<_>>().join(", ");
        if !ways.is_empty() {
            let name = (subject.name_of)(number).unwrap_or("a call without a name");
            by_profiles.entry(ways).or_default().push(name);
        }
    }
    let mut written = format!("# {}\n", subject.name);
    for (profiles, mut names) in by_profiles {
        names.sort_unstable();
        written.push_str(&format!("{profiles}:\n"));
        names.iter().for_each(|name| written.push_str(&format!("    {name}\n")));
    }
    written
}

/// The decisions on a call with arguments that nobody would expect, and with those that pass.
fn tried(
    subject: &Subject,
    profile: Profile,
    programs: &[BpfProgram],
    number: u32,
) -> Vec<Decision> {
    let name = (subject.name_of)(number);
    let passing = conditions(profile).into_iter();
    let passing = passing.filter(|one| Some(one.0) == name).map(|(_, arguments, _)| arguments);
    let call = |arguments| Call { number, architecture: subject.audit, arguments };
    let arguments = ARGUMENTS.into_iter().chain(passing);
    arguments.map(|arguments| decide(programs, &call(arguments))).collect()
}

type Condition = (&'static str, [u64; 6], bool);

/// Calls that pass with some arguments: each way that passes, and its neighbours that do not. What
/// stands above the 32 bits of a number is not looked at by the kernel, and must not help.
fn conditions(profile: Profile) -> Vec<Condition> {
    const HIGH: u64 = 1 << 32;
    let bits = |bits: libc::c_int| u64::from(bits.cast_unsigned());
    let own = u64::from(std::process::id());
    let third = |value| [0, 0, value, 0, 0, 0];
    let command = |value, more| [3, value, more, 0, 0, 0];
    let send = |flags, address| [3, 1, 1, flags, address, 0];
    let is_front = profile == Profile::Front;
    let thread = bits(libc::CLONE_THREAD | libc::CLONE_VM | libc::CLONE_SIGHAND);
    let no_delay = [3, bits(libc::IPPROTO_TCP), bits(libc::TCP_NODELAY), 0, 0, 0];
    let fast_open = [3, bits(libc::IPPROTO_TCP), bits(libc::TCP_FASTOPEN_CONNECT), 0, 0, 0];
    vec![
        ("clone", [thread, 0, 0, 0, 0, 0], true),
        ("clone", [thread & !bits(libc::CLONE_THREAD), 0, 0, 0, 0, 0], false),
        ("clone", [17, 0, 0, 0, 0, 0], false),
        ("clone", [thread | bits(libc::CLONE_NEWNET), 0, 0, 0, 0, 0], false),
        ("clone", [thread | bits(libc::CLONE_NEWNS), 0, 0, 0, 0, 0], false),
        ("mmap", third(3), true),
        ("mmap", third(7), false),
        ("mmap", third(4 | HIGH), false),
        ("mprotect", third(1 | HIGH), true),
        ("mprotect", third(5), false),
        ("tgkill", [own, 1, 6, 0, 0, 0], true),
        ("tgkill", [1, 1, 6, 0, 0, 0], false),
        ("tgkill", [bits(-1), 1, 6, 0, 0, 0], false),
        ("prlimit64", [0, 7, 0, 1, 0, 0], true),
        ("prlimit64", [0, 7, HIGH, 0, 0, 0], false),
        ("prlimit64", [0, 7, 8, 0, 0, 0], false),
        ("sendto", send(bits(libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT), 0), true),
        ("sendto", send(0, 0), true),
        ("sendto", send(bits(libc::MSG_FASTOPEN), 0), false),
        ("sendto", send(bits(libc::MSG_OOB), 0), false),
        ("sendto", send(0, HIGH), false),
        ("sendto", send(0, 16), false),
        ("shutdown", [3, 1, 0, 0, 0, 0], true),
        ("shutdown", [3, 0, 0, 0, 0, 0], false),
        ("shutdown", [3, 2, 0, 0, 0, 0], false),
        ("fcntl", command(bits(libc::F_SETFL), bits(libc::O_NONBLOCK)), true),
        ("fcntl", command(bits(libc::F_SETFL), bits(libc::O_ASYNC)), false),
        ("fcntl", command(bits(libc::F_GETFD), 0), true),
        ("fcntl", command(bits(libc::F_DUPFD_CLOEXEC), 0), true),
        ("fcntl", command(bits(libc::F_SETOWN), own), false),
        ("fcntl", command(10, 9), false), // F_SETSIG
        ("fcntl", command(bits(libc::F_OFD_SETLK), 0), !is_front),
        ("ioctl", command(libc::FIONBIO, 0), true),
        ("ioctl", command(libc::TIOCSTI, 0), false),
        ("ioctl", command(0x8901, 0), false), // FIOSETOWN
        ("prctl", [bits(libc::PR_SET_NAME), 0, 0, 0, 0, 0], true),
        ("prctl", [bits(libc::PR_SET_DUMPABLE), 1, 0, 0, 0, 0], false),
        ("prctl", [bits(libc::PR_SET_MDWE), 0, 0, 0, 0, 0], false),
        ("setsockopt", no_delay, profile != Profile::Core),
        ("setsockopt", fast_open, false),
    ]
}

#[test]
fn an_argument_decides_where_it_must() {
    for subject in subjects() {
        for (profile, of) in PROFILES {
            for (name, arguments, passes) in conditions(profile) {
                let expected = if passes { Decision::Allowed } else { Decision::Ended };
                let found = subject.decide(profile, name, arguments);
                assert_eq!(found, expected, "{} {of} {name} {arguments:?}", subject.name);
            }
        }
    }
}

#[test]
fn what_nobody_may_do_ends_the_process_whatever_its_arguments() {
    let names = [
        "socket",
        "socketpair",
        "connect",
        "bind",
        "listen",
        "sendmsg",
        "sendmmsg",
        "execve",
        "execveat",
        "ptrace",
        "process_vm_readv",
        "process_vm_writev",
        "kill",
        "tkill",
        "rt_sigqueueinfo",
        "pidfd_open",
        "pidfd_getfd",
        "pidfd_send_signal",
        "mount",
        "umount2",
        "unshare",
        "setns",
        "chroot",
        "pivot_root",
        "bpf",
        "perf_event_open",
        "io_uring_setup",
        "io_uring_enter",
        "keyctl",
        "add_key",
        "userfaultfd",
        "setuid",
        "setresuid",
        "setgroups",
        "capset",
        "seccomp",
        "personality",
        "init_module",
        "finit_module",
        "kexec_load",
        "reboot",
        "swapon",
        "settimeofday",
        "clock_settime",
        "open_by_handle_at",
        "memfd_create",
        "mknodat",
        "linkat",
        "symlinkat",
        "setrlimit",
        "process_madvise",
        "mq_open",
        "shmget",
        "inotify_init1",
    ];
    for subject in subjects() {
        for (profile, of) in PROFILES {
            for name in names {
                for arguments in ARGUMENTS {
                    let found = subject.decide(profile, name, arguments);
                    assert_eq!(found, Decision::Ended, "{} {of} {name}", subject.name);
                }
            }
        }
    }
}

#[test]
fn another_architecture_than_the_filters_ends_the_process_whatever_it_calls() {
    for subject in subjects() {
        let others = OTHERS.into_iter().chain([X86_64, AARCH64]);
        for architecture in others.filter(|other| *other != subject.audit) {
            for (profile, of) in PROFILES {
                let programs = subject.programs(profile);
                for number in NUMBERS {
                    let call = Call { number, architecture, arguments: [0; 6] };
                    let found = decide(&programs, &call);
                    assert_eq!(found, Decision::Ended, "{} {of} {number}", subject.name);
                }
            }
        }
    }
}

#[test]
fn numbers_that_no_call_has_end_the_process() {
    // The second form of x86_64's calls, and what is negative as a number.
    let second = NUMBERS.map(|number| number | 0x4000_0000);
    for number in second.chain([u32::MAX, 0x8000_0000, 1024, 65_536]) {
        for subject in subjects() {
            for (profile, of) in PROFILES {
                let programs = subject.programs(profile);
                let call = Call { number, architecture: subject.audit, arguments: [0; 6] };
                let found = decide(&programs, &call);
                assert_eq!(found, Decision::Ended, "{} {of} {number:#x}", subject.name);
            }
        }
    }
}

/// Everything else stays as it is, and the core stays whole.
#[test]
fn a_process_that_dials_may_make_tcp_sockets_and_connect_and_nothing_more() {
    let bits = |bits: libc::c_int| u64::from(bits.cast_unsigned());
    let tcp = bits(libc::SOCK_STREAM | libc::SOCK_CLOEXEC);
    let socket = |family, kind, protocol| [bits(family), kind, protocol, 0, 0, 0];
    for subject in subjects() {
        for (profile, of) in PROFILES {
            let programs = programs(profile, true, subject.machine).unwrap();
            let dials = profile != Profile::Core;
            for number in NUMBERS {
                let name = (subject.name_of)(number);
                let before = tried(&subject, profile, &subject.programs(profile), number);
                let after = tried(&subject, profile, &programs, number);
                let changes = dials && name == Some("connect");
                assert_eq!(before != after, changes, "{} {of} {name:?}", subject.name);
            }
            for (arguments, passes) in [
                (socket(libc::AF_INET, tcp, 0), true),
                (socket(libc::AF_INET6, tcp | bits(libc::SOCK_NONBLOCK), 0), true),
                (socket(libc::AF_INET, bits(libc::SOCK_STREAM), 0), false),
                (socket(libc::AF_INET, bits(libc::SOCK_DGRAM | libc::SOCK_CLOEXEC), 0), false),
                (socket(libc::AF_INET, tcp, 262), false), // IPPROTO_MPTCP
                (socket(libc::AF_UNIX, tcp, 0), false),
                (socket(libc::AF_NETLINK, tcp, 0), false),
            ] {
                let number = subject.number("socket");
                let call = Call { number, architecture: subject.audit, arguments };
                let allowed = decide(&programs, &call) == Decision::Allowed;
                assert_eq!(allowed, passes && dials, "{} {of} {arguments:?}", subject.name);
            }
        }
    }
}
