//! Runs real nodes, with their keys in the real guard or in their own memory, and judges what
//! happened on the chain.
//!
//! Invariants: a scenario ends within its limit, whatever happens; no process that it started
//! outlives it; it prints one line of JSON on standard output, whether it passed or not. Exit code:
//! 0 all passed, 1 one failed, 2 usage, 3 one could not be run.

mod chain;
mod children;
mod extrinsic;
mod guard;
mod node;
mod report;
mod rpc;
mod scenarios;
mod stand;
mod wait;

use std::process::ExitCode;

use clap::Parser;

use crate::{
    scenarios::Scenario,
    stand::{Binaries, Stand},
};

/// What went wrong, as a sentence.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs scenarios, one after the other.
#[derive(Parser)]
struct Arguments {
    /// Which; all of them if none is named.
    #[arg(value_enum)]
    scenarios: Vec<Scenario>,
    #[command(flatten)]
    binaries: Binaries,
}

fn main() -> ExitCode {
    let Arguments { mut scenarios, binaries } = Arguments::parse();
    if scenarios.is_empty() {
        scenarios = Scenario::ALL.to_vec();
    }
    let mut worst = 0;
    for scenario in scenarios {
        worst = worst.max(run(scenario, &binaries));
    }
    ExitCode::from(worst)
}

/// Runs one, prints its line, and gives its exit code.
fn run(scenario: Scenario, binaries: &Binaries) -> u8 {
    let watch = wait::Watchdog::start(scenario.limit());
    let began = std::time::Instant::now();
    let outcome = Stand::new(scenario.name(), binaries).and_then(|stand| scenario.run(&stand));
    watch.stop();
    let seconds = began.elapsed().as_secs();
    match outcome {
        Ok(report) => {
            report::print(&report.line(scenario.name(), seconds));
            u8::from(!report.passed())
        }
        Err(failure) => {
            report::print(&report::could_not(scenario.name(), seconds, &failure.to_string()));
            3
        }
    }
}
