//! The measures by name, what each is for, and how to mend a machine that lacks it.
//!
//! Invariant: names are public (options, metrics, JSON) and never change their meaning.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// One thing that a process gives up, or one property of the machine that it relies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Measure {
    /// The process does not run as root.
    NotRoot,
    /// No program that it could start gains a right.
    NoNewPrivileges,
    /// Other processes of the same user cannot read its memory.
    NotDumpable,
    /// A crash writes no memory to a disk.
    CoreDumpsOff,
    /// No page goes to swap.
    MemoryLocked,
    /// There are pages that not even the kernel maps.
    SecretMemory,
    /// Only the home and configured files can be opened.
    LandlockFiles,
    /// Only configured TCP ports can be bound, and no TCP connection opened but to the ports of
    /// nodes that are dialled.
    LandlockTcp,
    /// No signals and no abstract sockets to processes outside.
    LandlockScope,
    /// Only listed system calls; another one ends the process.
    Seccomp,
    /// Memory that was writable never becomes executable.
    WriteXorExecute,
    /// No descriptor of whoever started it.
    ClosedDescriptors,
    /// No variable of whoever started it, but a few by name.
    EmptyEnvironment,
    /// A debugger of the same user is refused.
    PtraceRefused,
    /// The clock is after this program was made.
    ClockSane,
    /// What is written in the home is on a disk.
    DurableHome,
    /// What meets the network is another process than what holds the keys.
    TwoProcesses,
}

impl Measure {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 17] = [
        Self::NotRoot,
        Self::NoNewPrivileges,
        Self::NotDumpable,
        Self::CoreDumpsOff,
        Self::MemoryLocked,
        Self::SecretMemory,
        Self::LandlockFiles,
        Self::LandlockTcp,
        Self::LandlockScope,
        Self::Seccomp,
        Self::WriteXorExecute,
        Self::ClosedDescriptors,
        Self::EmptyEnvironment,
        Self::PtraceRefused,
        Self::ClockSane,
        Self::DurableHome,
        Self::TwoProcesses,
    ];

    /// The name in options, metrics and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NotRoot => "not-root",
            Self::NoNewPrivileges => "no-new-privileges",
            Self::NotDumpable => "not-dumpable",
            Self::CoreDumpsOff => "core-dumps-off",
            Self::MemoryLocked => "memory-locked",
            Self::SecretMemory => "secret-memory",
            Self::LandlockFiles => "landlock-files",
            Self::LandlockTcp => "landlock-tcp",
            Self::LandlockScope => "landlock-scope",
            Self::Seccomp => "seccomp",
            Self::WriteXorExecute => "write-xor-execute",
            Self::ClosedDescriptors => "closed-descriptors",
            Self::EmptyEnvironment => "empty-environment",
            Self::PtraceRefused => "ptrace-refused",
            Self::ClockSane => "clock-sane",
            Self::DurableHome => "durable-home",
            Self::TwoProcesses => "two-processes",
        }
    }

    /// What it is for, in one sentence without a full stop.
    #[must_use]
    pub fn purpose(self) -> &'static str {
        match self {
            Self::NotRoot => "a broken guard is not master of the machine",
            Self::NoNewPrivileges => "no set-user-id program helps an attacker",
            Self::NotDumpable => "another process of this user cannot read the keys in memory",
            Self::CoreDumpsOff => "a crash writes no keys to a disk",
            Self::MemoryLocked => "no page goes to swap",
            Self::SecretMemory => "pages for secrets that the kernel itself does not map",
            Self::LandlockFiles => "only the home and configured files can be opened",
            Self::LandlockTcp => "no TCP connection to the outside, and no port but its own",
            Self::LandlockScope => "no signals and abstract sockets to other processes",
            Self::Seccomp => "no program started, no new socket, no other system call than listed",
            Self::WriteXorExecute => "injected bytes do not become code",
            Self::ClosedDescriptors => "nothing that the starter had open is left open",
            Self::EmptyEnvironment => "no secret and no loader setting of the starter",
            Self::PtraceRefused => "a debugger of this user is refused",
            Self::ClockSane => "what starts from now starts from the real now",
            Self::DurableHome => "what was signed is still known after a power cut",
            Self::TwoProcesses => "whoever breaks what meets the network finds no key there",
        }
    }

    /// What to do on a machine that lacks it.
    #[must_use]
    pub fn remedy(self) -> &'static str {
        match self {
            Self::NotRoot => "run the guard as a user of its own, who owns the home",
            Self::NoNewPrivileges | Self::NotDumpable | Self::CoreDumpsOff => {
                "run it on Linux, outside of a sandbox that forbids prctl or setrlimit"
            }
            Self::MemoryLocked => {
                "raise the limit: LimitMEMLOCK=infinity in the unit, or `ulimit -l unlimited`"
            }
            Self::SecretMemory => {
                "use Linux 5.14 or newer (before 6.5: boot with secretmem.enable=1), and let the \
                 user lock 8 MiB of memory (LimitMEMLOCK, ulimit -l)"
            }
            Self::LandlockFiles => "use Linux 5.19 or newer, with landlock in its lsm= list",
            Self::LandlockTcp => "use Linux 6.7 or newer, with landlock in its lsm= list",
            Self::LandlockScope => "use Linux 6.12 or newer, with landlock in its lsm= list",
            Self::Seccomp => "use a kernel with CONFIG_SECCOMP_FILTER, on x86_64 or aarch64",
            Self::WriteXorExecute => "use Linux 6.3 or newer",
            Self::ClosedDescriptors => "use Linux 5.11 or newer, with /proc mounted",
            Self::EmptyEnvironment | Self::TwoProcesses => {
                "mount /proc, so that the program can start itself anew"
            }
            Self::PtraceRefused => "run it as a user who is not root, and without a debugger",
            Self::DurableHome => "put the home on a disk of this machine (ext4, XFS, Btrfs, ZFS)",
            Self::ClockSane => "set the clock (timedatectl set-ntp true), then start again",
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for Measure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// A text that names no measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownMeasure(String);

impl fmt::Display for UnknownMeasure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = Measure::ALL.iter().map(|measure| measure.name()).collect();
        write!(f, "there is no measure {:?}; there are: {}", self.0, names.join(", "))
    }
}

impl std::error::Error for UnknownMeasure {}

impl FromStr for Measure {
    type Err = UnknownMeasure;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = Self::ALL.into_iter().find(|measure| measure.name() == text);
        named.ok_or_else(|| UnknownMeasure(text.to_owned()))
    }
}
