//! The program that ships: the library's, as it is.
//!
//! Invariant: nothing is put around what its processes give up.

use std::process::ExitCode;

fn main() -> ExitCode {
    palisade_cli::program(|hardening| hardening)
}
