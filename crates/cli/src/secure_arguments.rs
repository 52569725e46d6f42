//! The command line's shape for secure mode, and for the process that `run` starts.

use clap::{Args, Subcommand};
use palisade_sandbox::Measure;

use crate::logging::LogFormat;

#[derive(Subcommand)]
pub(crate) enum SecureCommand {
    /// Try every measure and show which hold; exit 1 when a guard would not start
    #[command(after_help = "\
The measures are tried in a process of their own; nothing is changed and no home is needed.

Examples:
  palisade secure check
  palisade secure check --allow-unhardened landlock-files")]
    Check {
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// As for `palisade run`
        #[arg(long, value_name = "MEASURE")]
        allow_unhardened: Vec<Measure>,
    },
}

#[derive(Args)]
pub(crate) struct FrontArguments {
    /// How log lines look
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub(crate) log_format: LogFormat,

    /// The measures that the core found to be off
    #[arg(long, value_name = "MEASURE")]
    pub(crate) allow_unhardened: Vec<Measure>,
}
