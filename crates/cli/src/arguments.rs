//! The command line's shape. `docs/command-line.md` and the text snapshots follow it.

pub(crate) mod service;
pub(crate) mod tls;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueHint};
use clap_complete::Shell;

use crate::run_arguments::{FrontArguments, RunArguments, SecureCommand};
use crate::session_arguments::{FloorArguments, GenerateArguments, ProveArguments};

const PAST_HELP: &str = "\
One of three words says what is known of the keys' past:
  --fresh         they never signed anything, anywhere
  --history FILE  what they signed, exported by the signer that had them
  --from-now      nothing is known: they wait about three epochs before they sign
A wrong --fresh can get a validator slashed. Stop the old signer first, for good.

Examples:
  palisade keys import --password-file password.txt --fresh validator_keys/
  palisade keys import --passwords secrets/ --history protection.json keystores/
  palisade keys import --chain substrate:polkadot --from-now chains/polkadot/keystore

A Substrate node's keystore is read and left as it is: stop that node for good, then delete the
files yourself. A password (--password-file) is needed only if the node runs with one. Session keys
take as --history the file that `palisade keys remove` wrote.";

const RAW_HELP: &str = "\
Blank lines and lines that start with # are skipped. Do not leave secrets in clear on a disk: pipe
them in.

Example:
  print-secrets | palisade keys import-raw --chain ethereum --type bls --from-now -
  print-uri | palisade keys import-raw --chain substrate:polkadot --type gran --fresh -

Ethereum: 32 bytes in hex. Substrate: a 0x seed, or a secret URI with hard junctions.";

/// Guards the keys of proof-of-stake validators: decodes what it is asked to sign, decides from a
/// durable record whether that could get the validator slashed, and only then signs.
#[derive(Parser)]
#[command(name = "palisade", version, max_term_width = 100)]
#[command(after_help = "\
Exit status:
  0  done, or: the answer is yes
  1  the answer is no: refused, a check failed, or a named key is not here
  2  usage or configuration error; nothing was done
  3  could not do it (disk, network, permission); nothing is half-done
  4  run: a damaged home, or a guard that ended itself; look before you start it again

A first guard:
  palisade init --network hoodi
  palisade keys import --password-file password.txt --fresh validator_keys/
  palisade run")]
pub(crate) struct Arguments {
    /// The guard's directory [default: $PALISADE_HOME, $XDG_DATA_HOME/palisade,
    /// ~/.local/share/palisade]
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    #[arg(display_order = 900, hide_default_value = true)]
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
    /// What a guard gives up on this machine before it serves
    #[command(subcommand)]
    Secure(SecureCommand),
    /// The process that `run` starts for the network; not to be started by hand
    #[command(hide = true, name = "network-front")]
    Front(FrontArguments),
    /// Take keys in, list them, remove them
    #[command(subcommand)]
    Keys(KeysCommand),
    /// The Substrate chains that this home signs for
    #[command(subcommand)]
    Chain(ChainCommand),
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
    /// Certificates for the guard and its clients, from an authority of your own
    #[command(subcommand)]
    Tls(tls::TlsCommand),
    /// The guard as a systemd service: the units, the user, what is still missing
    #[command(subcommand)]
    Service(service::ServiceCommand),
    /// Print a completion script for a shell
    #[command(after_help = "\
Examples:
  palisade completions bash > ~/.local/share/bash-completion/completions/palisade
  palisade completions zsh > ~/.zfunc/_palisade        (with ~/.zfunc in $fpath)
  palisade completions fish > ~/.config/fish/completions/palisade.fish")]
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Args)]
#[command(after_help = "\
The home is made whole or not at all, and an existing one is never written over. Without
--unlock-file or --passphrase a secret is generated into the home: unlock.secret.

Examples:
  palisade init --network mainnet
  palisade --home /var/lib/palisade init --network hoodi --unlock-file /etc/palisade/unlock
  palisade init --network devnet/config.yaml --genesis-validators-root learn")]
pub(crate) struct InitArguments {
    /// mainnet, hoodi, sepolia, gnosis, minimal, or the path of a config.yaml
    #[arg(long, value_name = "NAME|FILE", value_hint = ValueHint::FilePath)]
    pub(crate) network: String,

    /// Pin this root instead of the network's own; `learn` pins the first request's
    #[arg(long, value_name = "HEX|learn")]
    pub(crate) genesis_validators_root: Option<String>,

    /// Open the sealed keys with the secret in this file (mode 0600) instead of a generated one
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[arg(conflicts_with = "passphrase")]
    pub(crate) unlock_file: Option<PathBuf>,

    /// Open the sealed keys with a passphrase that is asked for at every start
    #[arg(long)]
    pub(crate) passphrase: bool,
}

#[derive(Args)]
pub(crate) struct JsonArguments {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Subcommand)]
pub(crate) enum KeysCommand {
    /// Import EIP-2335 keystores, or a Substrate node's keystore: all of it, or nothing
    Import(ImportArguments),
    /// Import secret keys in clear, one on each line of a file
    ImportRaw(ImportRawArguments),
    /// Make new session keys for a Substrate chain; the old ones stay
    #[command(visible_alias = "rotate")]
    Generate(GenerateArguments),
    /// Prove that session keys belong to an account, and print the call that announces them
    Prove(ProveArguments),
    /// List the keys of this home
    List(JsonArguments),
    /// Remove keys; their history is exported to a file first
    Remove(RemoveArguments),
    /// Say from where a session key that was imported with --from-now may sign
    Floor(FloorArguments),
}

#[derive(Subcommand)]
pub(crate) enum ChainCommand {
    /// Add a Substrate chain that this home signs for
    #[command(after_help = "\
The genesis hash is block 0's (chain_getBlockHash 0). Keys are pinned to it for ever. A guard that
runs knows the chain after a restart.

Example:
  palisade chain add polkadot --slot-ms 6000 --genesis 0x91b171bb…")]
    Add(ChainAddArguments),
    /// List the chains of this home
    List(JsonArguments),
}

#[derive(Args)]
pub(crate) struct ChainAddArguments {
    /// A name of your choice: lowercase letters, digits and dashes
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// The genesis hash, hex
    #[arg(long, value_name = "HEX")]
    pub(crate) genesis: String,

    /// The slot duration, in milliseconds
    #[arg(long, value_name = "N")]
    pub(crate) slot_ms: u64,

    /// The width of block numbers
    #[arg(long, value_name = "BITS", default_value = "32", value_parser = ["32", "64"])]
    pub(crate) block_number_bits: String,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

// What is known of the keys' past. One of the three must be said.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub(crate) struct PastArguments {
    /// They never signed anything, anywhere
    #[arg(long)]
    pub(crate) fresh: bool,

    /// What they signed: an EIP-3076 file, or a file of `keys remove`, that names every key
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) history: Option<PathBuf>,

    /// Nothing is known: forbid everything up to the present epoch, and wait
    #[arg(long)]
    pub(crate) from_now: bool,
}

#[derive(Args)]
#[command(after_help = PAST_HELP)]
pub(crate) struct ImportArguments {
    /// The chain: ethereum, or substrate:NAME with a NAME of `palisade chain list`
    #[arg(long, value_name = "CHAIN", default_value = "ethereum", hide_default_value = true)]
    pub(crate) chain: String,

    /// Of a Substrate node's keystore, take only these key types
    #[arg(long, value_name = "TYPES", value_delimiter = ',')]
    pub(crate) keys: Vec<String>,

    /// A file with the password of all keystores; without it, it is asked for
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[arg(conflicts_with = "passwords")]
    pub(crate) password_file: Option<PathBuf>,

    /// A directory where STEM.txt holds the password of STEM.json
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) passwords: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) past: PastArguments,

    /// Take a --history of session keys also if it says that they signed where no chain is yet
    #[arg(long)]
    pub(crate) accept_far_ahead: bool,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,

    /// Keystores, or directories of them; for a Substrate chain, a node's keystore directory
    #[arg(required = true, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub(crate) paths: Vec<PathBuf>,
}

#[derive(Args)]
#[command(after_help = RAW_HELP)]
pub(crate) struct ImportRawArguments {
    /// The chain: ethereum, or substrate:NAME with a NAME of `palisade chain list`
    #[arg(long, value_name = "CHAIN")]
    pub(crate) chain: String,

    /// The kind of key: bls; on Substrate babe, gran, aura, beef, para, asgn or audi
    #[arg(long, value_name = "TYPE")]
    pub(crate) r#type: String,

    /// ed25519, for Aura keys of that kind; otherwise the crypto follows the type
    #[arg(long, value_name = "CRYPTO")]
    pub(crate) crypto: Option<String>,

    #[command(flatten)]
    pub(crate) past: PastArguments,

    /// Take a --history of session keys also if it says that they signed where no chain is yet
    #[arg(long)]
    pub(crate) accept_far_ahead: bool,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,

    /// The file; `-` reads standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
}

#[derive(Args)]
#[command(after_help = "\
The history goes to removed-TIME-history.json in the home (removed-TIME-session-history.json for
session keys), and is on disk before a key is gone. The records stay in the home. Exit status 1: a
named key was not here.")]
pub(crate) struct RemoveArguments {
    /// Public keys, hex
    #[arg(required = true, value_name = "PUBKEY")]
    pub(crate) public_keys: Vec<String>,

    /// For session keys: the chain has taken other keys, and the session of these is over
    #[arg(long)]
    pub(crate) after_session_change: bool,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Subcommand)]
pub(crate) enum HistoryCommand {
    /// Write EIP-3076 (version 5) of these keys, or of all
    #[command(after_help = "\
Stop the guard, or set a stop-line, before you take the file to another signer: what is signed
after the export is not in it.

Examples:
  palisade history export --output protection.json
  palisade history export 0x88c1… > one-key.json")]
    Export {
        /// Write to this file instead of standard output
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        output: Option<PathBuf>,
        /// Public keys, hex
        #[arg(value_name = "PUBKEY")]
        public_keys: Vec<String>,
    },
    /// Merge an EIP-3076 file into the records, to the stricter of both
    #[command(after_help = "\
The file is taken whole or not at all; one for another network (genesis validators root) or in
another format version is refused with exit status 1. No record ever becomes weaker.")]
    Import {
        /// The file; `-` reads standard input
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Subcommand)]
pub(crate) enum JournalCommand {
    /// Replay the journal through the same rules; exit 1 at the first entry that does not hold
    #[command(after_help = "\
Keep the head that it prints on another machine: whoever can replace the whole store can write
another journal that holds, but not one with the same head.")]
    Verify(JsonArguments),
}

#[derive(Args)]
#[command(after_help = "\
What is said replaces the line that was there, both ends of it. A running guard obeys at once.

Examples:
  palisade stop-line --at-or-above 412000     the last epoch that these keys sign is 411999
  palisade stop-line --below 412000           another signer signed up to epoch 411999
  palisade stop-line --clear 0x88c1…")]
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

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,

    /// Public keys, hex; none means all
    #[arg(value_name = "PUBKEY")]
    pub(crate) public_keys: Vec<String>,
}
