//! What the command line asks of the node.
//!
//! Invariant: a running node has exactly one place for its session keys, memory or a guard; there
//! is no default for it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// A real BABE and GRANDPA node whose session keys may live in a guard.
#[derive(Parser)]
#[command(version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Prints the genesis hash of the chain of these authorities, 0x hex.
    Genesis(Authorities),
    /// Runs the node until it is told to stop.
    Run(Box<Run>),
}

/// Who validates. Part of the genesis, hence of the chain's identity.
#[derive(Args)]
pub(crate) struct Authorities {
    /// Development names (`Alice` stands for the key pairs of `//Alice`), separated by commas.
    #[arg(long, value_delimiter = ',', required = true)]
    pub(crate) authorities: Vec<String>,
}

#[derive(Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) authorities: Authorities,
    #[command(flatten)]
    pub(crate) keys: Keys,
    /// File with the bearer token of a guard that dials.
    #[arg(long, value_name = "FILE")]
    pub(crate) guard_token: Option<PathBuf>,
    /// Folder of the database.
    #[arg(long)]
    pub(crate) base: PathBuf,
    /// Tells this node from others; its network identity follows from it.
    #[arg(long)]
    pub(crate) name: String,
    /// Port of 127.0.0.1 for other nodes.
    #[arg(long)]
    pub(crate) port: u16,
    /// Port of 127.0.0.1 for JSON-RPC.
    #[arg(long)]
    pub(crate) rpc_port: u16,
    /// Multiaddress of a node to connect to; may be repeated.
    #[arg(long)]
    pub(crate) bootnode: Vec<String>,
}

/// Where the session keys are.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Keys {
    /// In this process's memory: the pairs of this development name. What a validator does today.
    #[arg(long, value_name = "NAME")]
    pub(crate) local_seed: Option<String>,
    /// In guards: their JSON-RPC addresses, the first that answers is used; may be repeated.
    #[arg(long, value_name = "URL")]
    pub(crate) guard: Vec<String>,
    /// In a guard that dials this port of 127.0.0.1 and shows the token in `--guard-token`.
    #[arg(long, value_name = "PORT", requires = "guard_token")]
    pub(crate) await_guard: Option<u16>,
}
