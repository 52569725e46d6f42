//! The shape of `palisade service`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

#[derive(Subcommand)]
pub(crate) enum ServiceCommand {
    /// Show what it takes to run as a systemd service, and with --yes write it
    #[command(after_help = "\
Without --yes nothing is written. The Debian package brings the same files by itself.

Examples:
  palisade service install
  sudo palisade service install --yes")]
    Install(ServiceChangeArguments),
    /// Say what is there: unit, user, home, unlock secret
    #[command(after_help = "\
Exit status 1: something is missing or wrong.")]
    Status(ServiceStatusArguments),
    /// Show, and with --yes remove, what install wrote; the home and its keys stay
    Uninstall(ServiceChangeArguments),
}

#[derive(Args)]
pub(crate) struct ServiceChangeArguments {
    /// Do it, instead of only saying what would be done
    #[arg(long)]
    pub(crate) yes: bool,

    /// Only say what would be done (the default)
    #[arg(long, conflicts_with = "yes")]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) root: RootArguments,
}

#[derive(Args)]
pub(crate) struct ServiceStatusArguments {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) root: RootArguments,
}

#[derive(Args)]
pub(crate) struct RootArguments {
    /// Work on the system in this directory; the running one is left alone
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, default_value = "/")]
    #[arg(hide_default_value = true)]
    pub(crate) root: PathBuf,
}
