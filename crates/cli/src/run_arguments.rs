//! The command line's shape for `run`, for the process that it starts, and for secure mode.

use clap::{Args, Subcommand};
use palisade_sandbox::Measure;
use palisade_server::config::ListenAddress;

use crate::logging::LogFormat;

#[derive(Args)]
#[command(after_help = "\
One line on standard output says when the guard is ready and where it listens; the log goes to
standard error ($RUST_LOG sets its level, info by default). SIGTERM and SIGINT let requests under
way finish and stop it with exit status 0; SIGHUP reads the policy in palisade.toml again.

Each measure that is left off costs what `palisade secure check` says that it is for. Without
landlock-files, whoever breaks into the process with the keys has every file of this user.")]
pub(crate) struct RunArguments {
    /// Where validator clients connect, or none; instead of listen.address in palisade.toml
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<ListenAddress>,

    /// Where metrics, health and console are, or none; instead of metrics.address in palisade.toml
    #[arg(long, value_name = "ADDR")]
    pub(crate) metrics: Option<ListenAddress>,

    /// Run without this measure of secure mode; can be given more than once
    #[arg(long, value_name = "MEASURE")]
    pub(crate) allow_unhardened: Vec<Measure>,

    /// How log lines look
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub(crate) log_format: LogFormat,
}

#[derive(Subcommand)]
pub(crate) enum SecureCommand {
    /// Try every measure and show which hold; exit 1 when a guard would not start
    #[command(after_help = "\
The measures are tried in a process of their own; nothing is changed and no home is needed.

Examples:
  palisade secure check
  palisade secure check --allow-unhardened memory-locked")]
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
    /// The measures that the core found to be off
    #[arg(long, value_name = "MEASURE")]
    pub(crate) allow_unhardened: Vec<Measure>,
}
