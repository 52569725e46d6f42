//! The terminal: the only place that prints.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is the place that prints")]

use serde::Serialize;

use crate::failure::Failure;

/// For a person, on standard output.
pub(crate) fn line(text: &str) {
    println!("{text}");
}

/// For a person, on standard error.
pub(crate) fn diagnostic(text: &str) {
    eprintln!("palisade: {text}");
}

/// For a machine, on standard output.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::CouldNot(format!("the answer is not JSON: {error}")))?;
    println!("{text}");
    Ok(())
}

/// Text that is meant to be piped, without a line end of ours.
pub(crate) fn raw(text: &str) -> Result<(), Failure> {
    use std::io::Write;
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| Failure::CouldNot(format!("cannot write to standard output: {error}")))
}
