//! The real guard, broken into: from inside each of its running, hardened processes everything is
//! tried that must fail there, and in a guard without the measures the same succeeds.
//!
//! This binary is the whole program, with a hook around what its processes give up (`hook`): when a
//! test starts it as `palisade` is started it is a guard, and its front is this binary too. The
//! program that ships is the same library without the hook; `absent` looks for it there.
//!
//! Invariant: each act has a control in which it succeeds, so that no test passes because an act
//! is broken. Where this machine cannot do a control, that is said aloud.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    missing_docs,
    unreachable_pub,
    reason = "tests fail by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod absent;
mod acts;
mod dumps;
mod hook;
mod stage;
mod trials;

use std::process::ExitCode;

use libtest_mimic::Arguments;
use palisade_sandbox::PROBE_ARGUMENT;

/// How the arguments of the program begin when a test, a core or a probe starts it.
const PROGRAM: [&str; 3] = ["--home", "network-front", PROBE_ARGUMENT];

fn main() -> ExitCode {
    let first = std::env::args().nth(1).unwrap_or_default();
    if PROGRAM.contains(&first.as_str()) {
        return palisade_cli::program(hook::Hooked::around);
    }
    // A front outlives its core; this process then learns how it ended.
    rustix::process::set_child_subreaper(rustix::process::getpid().into()).unwrap();
    libtest_mimic::run(&Arguments::from_args(), trials::all()).exit_code()
}
