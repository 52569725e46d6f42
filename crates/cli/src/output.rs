//! The terminal: the only place that prints.
//!
//! Invariant: nothing here panics. Standard output that cannot be written is a failure with an exit
//! code; a diagnostic that cannot be written has nobody left to tell.

use std::io::{self, Write};

use serde::Serialize;

use crate::failure::Failure;

/// For a person, on standard output.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    write(format_args!("{text}\n"))
}

/// For a person, on standard error.
pub(crate) fn diagnostic(text: &str) {
    drop(writeln!(io::stderr(), "palisade: {}", text.trim_end()));
}

/// For a machine, on standard output.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::CouldNot(format!("the answer is not JSON: {error}")))?;
    line(&text)
}

/// Text that is meant to be piped, without a line end of ours.
pub(crate) fn raw(text: &str) -> Result<(), Failure> {
    write(format_args!("{text}"))
}

/// `1 key`, `2 keys`.
pub(crate) fn keys(count: usize) -> String {
    if count == 1 { "1 key".to_owned() } else { format!("{count} keys") }
}

fn write(text: std::fmt::Arguments<'_>) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_fmt(text).and_then(|()| stdout.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::NobodyReads,
        _ => Failure::CouldNot(format!("cannot write to standard output: {error}")),
    })
}
