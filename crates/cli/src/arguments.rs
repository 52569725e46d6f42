//! The command line's shape. `docs/command-line.md` and the text snapshots follow it.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::logging::LogFormat;

/// Guards the keys of proof-of-stake validators: decodes what it is asked to sign, decides from a
/// durable record whether that could get the validator slashed, and only then signs.
#[derive(Parser)]
#[command(name = "palisade", version, max_term_width = 100)]
#[command(after_help = "Exit status: 0 done or yes; 1 the answer is no; 2 usage or configuration \
                        error; 3 could not do it, nothing half-done.")]
pub(crate) struct Arguments {
    /// The guard's directory [default: $XDG_DATA_HOME/palisade, ~/.local/share/palisade]
    #[arg(long, global = true, env = "PALISADE_HOME", value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make a home: configuration, store, sealed key directory, unlock secret
    Init(InitArguments),
    /// Serve validator clients until SIGTERM
    Run(RunArguments),
    /// Take keys in, list them, remove them
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Slashing protection history (EIP-3076) out and in
    #[command(subcommand)]
    History(HistoryCommand),
    /// The tamper-evident journal of all decisions
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Keys, records and readiness of this home
    Status(JsonArguments),
    /// Forbid signing from, or up to, an epoch: for migrations and planned ends
    StopLine(StopLineArguments),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Args)]
pub(crate) struct InitArguments {
    /// mainnet, hoodi, sepolia, gnosis, minimal, or the path of a config.yaml
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) network: String,

    /// Pin this root instead of the network's own; `learn` pins the first request's
    #[arg(long, value_name = "HEX|learn")]
    pub(crate) genesis_validators_root: Option<String>,

    /// Open the sealed keys with the secret in this file (mode 0600) instead of a generated one
    #[arg(long, value_name = "FILE", conflicts_with = "passphrase")]
    pub(crate) unlock_file: Option<PathBuf>,

    /// Open the sealed keys with a passphrase that is asked for at every start
    #[arg(long)]
    pub(crate) passphrase: bool,
}

#[derive(Args)]
pub(crate) struct RunArguments {
    /// Where validator clients connect, instead of [listen] address
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,

    /// Where metrics, health and the console are, instead of [metrics] address
    #[arg(long, value_name = "ADDR")]
    pub(crate) metrics: Option<SocketAddr>,

    /// How log lines look
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub(crate) log_format: LogFormat,
}

#[derive(Args)]
pub(crate) struct JsonArguments {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Subcommand)]
pub(crate) enum KeysCommand {
    /// Import EIP-2335 key stores: all of them, or none
    Import(ImportArguments),
    /// Import secret keys, one in hex on each line of a file
    ImportRaw(ImportRawArguments),
    /// List the keys of this home
    List(JsonArguments),
    /// Remove keys; their history is exported to a file first
    Remove(RemoveArguments),
}

/// What is known of the keys' past. One of the three must be said.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub(crate) struct PastArguments {
    /// The keys never signed anything, anywhere
    #[arg(long)]
    pub(crate) fresh: bool,

    /// Their history: an EIP-3076 file that names every key
    #[arg(long, value_name = "FILE")]
    pub(crate) history: Option<PathBuf>,

    /// Nothing is known: forbid everything up to the present epoch, and wait
    #[arg(long)]
    pub(crate) from_now: bool,
}

#[derive(Args)]
pub(crate) struct ImportArguments {
    /// One password for all key stores
    #[arg(long, value_name = "FILE", conflicts_with = "passwords")]
    pub(crate) password_file: Option<PathBuf>,

    /// A directory where STEM.txt holds the password of STEM.json
    #[arg(long, value_name = "DIR")]
    pub(crate) passwords: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) past: PastArguments,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,

    /// Key stores, or directories of them
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
}

#[derive(Args)]
pub(crate) struct ImportRawArguments {
    /// The family of chains: ethereum
    #[arg(long, value_name = "CHAIN")]
    pub(crate) chain: String,

    /// The kind of key: bls
    #[arg(long, value_name = "TYPE")]
    pub(crate) r#type: String,

    #[command(flatten)]
    pub(crate) past: PastArguments,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,

    /// The file; `-` reads standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Args)]
pub(crate) struct RemoveArguments {
    /// Public keys, hex
    #[arg(required = true, value_name = "PUBKEY")]
    pub(crate) public_keys: Vec<String>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Subcommand)]
pub(crate) enum HistoryCommand {
    /// Write EIP-3076 (version 5) of these keys, or of all
    Export {
        /// Write to this file instead of standard output
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Public keys, hex
        #[arg(value_name = "PUBKEY")]
        public_keys: Vec<String>,
    },
    /// Merge an EIP-3076 file into the records, to the stricter of both
    Import {
        /// The file; `-` reads standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Subcommand)]
pub(crate) enum JournalCommand {
    /// Replay the journal through the same rules; exit 1 at the first entry that does not hold
    Verify(JsonArguments),
}

#[derive(Args)]
pub(crate) struct StopLineArguments {
    /// Sign nothing at or above this epoch
    #[arg(long, value_name = "EPOCH")]
    pub(crate) at_or_above: Option<u64>,

    /// Sign nothing below this epoch
    #[arg(long, value_name = "EPOCH")]
    pub(crate) below: Option<u64>,

    /// Remove the line
    #[arg(long, conflicts_with_all = ["at_or_above", "below"])]
    pub(crate) clear: bool,

    /// Public keys, hex; none means all
    #[arg(value_name = "PUBKEY")]
    pub(crate) public_keys: Vec<String>,
}
