//! The `palisade` command: parses, does one thing, and ends with one of five exit codes.
//!
//! A library, so that the tests can start the same program with something more inside its hardened
//! processes; `main.rs` is the program that ships, and has nothing more.
//!
//! Invariants: machine output and human text go to standard output, diagnostics to standard error;
//! the exit code says whose turn it is (0 done or yes; 1 the answer is no; 2 usage or
//! configuration; 3 could not do it, nothing half-done; 4 the guard ended itself and must not start
//! again unseen); no secret is ever an argument.

mod arguments;
mod commands;
mod failure;
mod logging;
mod output;
mod run_arguments;
mod session_arguments;
mod target;
mod unlock;

use std::process::ExitCode;

use clap::Parser;
use palisade_server::daemon::Stages;

use crate::arguments::Arguments;
pub use crate::commands::Hardening;
use crate::failure::Failure;

/// The whole program, with this process's arguments. `stages` may put its own around what a guard's
/// process gives up, or leave it as it is.
#[must_use]
pub fn program<S: Stages>(stages: impl FnOnce(Hardening) -> S) -> ExitCode {
    // The child in which `secure` tries what this machine can do.
    if let Some(code) = palisade_sandbox::answer_if_asked() {
        return code;
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version come through here too, with exit code 0.
            let code = if error.use_stderr() { 2 } else { 0 };
            return match error.print() {
                Ok(()) => ExitCode::from(code),
                Err(_) => ExitCode::from(3),
            };
        }
    };
    match commands::run(arguments, stages) {
        Ok(answer) => answer.exit_code(),
        Err(failure) => {
            if let Some(message) = failure.message() {
                output::diagnostic(message);
            }
            failure.exit_code()
        }
    }
}

/// What a command that could do its work found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Done, or: the answer is yes.
    Yes,
    /// The answer is no.
    No,
}

impl Outcome {
    fn exit_code(self) -> ExitCode {
        match self {
            Self::Yes => ExitCode::SUCCESS,
            Self::No => ExitCode::from(1),
        }
    }
}

type Done = Result<Outcome, Failure>;
