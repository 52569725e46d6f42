//! A real BABE and GRANDPA node, from published crates, whose session keys may live in a guard.
//!
//! It decides nothing about signing: with `--guard` its keystore and the announcement of its blocks
//! are those of `node-keystore`, which is what a node builder adds; with `--local-seed` its keys
//! are in memory, as in any validator of today. That is the control.

mod arguments;
mod chain;
mod configuration;
mod inherents;
mod keys;
mod parts;
mod runtime_api;
mod service;

use std::process::ExitCode;

use clap::Parser as _;

use crate::arguments::{Arguments, Command};

/// What went wrong, for the operator.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    match start(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            #[expect(clippy::print_stderr, reason = "the log may not have begun")]
            {
                eprintln!("mini-node: {failure}");
            }
            ExitCode::FAILURE
        }
    }
}

fn start(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::Genesis(authorities) => {
            let hash = chain::genesis_hash(&authorities.authorities)?;
            #[expect(clippy::print_stdout, reason = "what the command is for")]
            {
                println!("{hash:?}");
            }
            Ok(())
        }
        Command::Run(run) => {
            let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| "info".into());
            let mut logger = sc_tracing::logging::LoggerBuilder::new(filter);
            logger.with_colors(false);
            logger.init()?;
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            let handle = runtime.handle().clone();
            runtime.block_on(service::run(&run, handle))
        }
    }
}
