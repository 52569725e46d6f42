//! Structured logs on standard error.

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging; `RUST_LOG` overrides the level. The front has filtered its lines already.
pub(crate) fn start(format: LogFormat) {
    let mut filter = filter();
    if let Ok(lines_of_the_front) = "palisade_server::front=trace".parse() {
        filter = filter.add_directive(lines_of_the_front);
    }
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    report(match format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    });
}

/// Starts logging of a front: its lines go to the core, which adds the time and writes them in the
/// format that was asked for.
pub(crate) fn start_in_front() {
    let builder = tracing_subscriber::fmt().with_env_filter(filter()).with_writer(std::io::stderr);
    report(builder.with_ansi(false).without_time().try_init());
}

fn filter() -> EnvFilter {
    EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"))
}

fn report(started: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
    if let Err(error) = started {
        crate::output::diagnostic(&format!("logging is already set up: {error}"));
    }
}
