//! The shape of `palisade tls`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::JsonArguments;

#[derive(Subcommand)]
pub(crate) enum TlsCommand {
    /// Make an authority and the guard's certificate in the home's tls/ directory
    Init(TlsInitArguments),
    /// Issue a certificate for a client, or for another guard
    Client(TlsClientArguments),
    /// Issue a certificate for a node that the guard dials
    Node(TlsNodeArguments),
    /// Issue the guard's certificate again, for the same key
    Renew(TlsRenewArguments),
    /// List the certificates of this home: digests, names, days left
    #[command(after_help = "\
Exit status 1: a certificate has expired.")]
    Show(JsonArguments),
}

#[derive(Args)]
#[command(after_help = "\
Nothing is written over. Keep tls/ca.key offline if you can: it is needed only to issue more.

Examples:
  palisade tls init --name guard.internal --name 10.0.0.5 --write
  palisade tls client vc-1 --out vc-1-tls --write")]
pub(crate) struct TlsInitArguments {
    /// A name or address that clients connect to; give each [default: localhost, 127.0.0.1, ::1]
    #[arg(long = "name", value_name = "NAME|ADDRESS", hide_default_value = true)]
    pub(crate) names: Vec<String>,

    /// Add the lines to palisade.toml instead of only printing them
    #[arg(long)]
    pub(crate) write: bool,
}

#[derive(Args)]
#[command(after_help = "\
DIR gets NAME.pem (certificate), NAME.key (private key, mode 0600) and ca.pem (to recognise the
guard by). A name is issued once; for a renewal issue vc-1b, list both, then drop the old one.

Operations: proposals, attestations, aggregation, sync, randao, registration, exits, deposits,
session-duties, key-management.

Examples:
  palisade tls client vc-1 --out vc-1-tls --write
  palisade tls client polkadot-node --allow session-duties")]
pub(crate) struct TlsClientArguments {
    /// The client's name: lowercase letters, digits and dashes
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// Where the client's files go; made if it is not there [default: tls/clients/NAME in the home]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, hide_default_value = true)]
    pub(crate) out: Option<PathBuf>,

    /// An operation that the client may ask for; give each [default: a validator client's six]
    #[arg(long, value_name = "OPERATION", hide_default_value = true)]
    pub(crate) allow: Vec<String>,

    /// Add the lines to palisade.toml instead of only printing them
    #[arg(long)]
    pub(crate) write: bool,
}

#[derive(Args)]
#[command(after_help = "\
DIR gets NAME.pem (certificate), NAME.key (private key, mode 0600) and ca.pem (to recognise the
guard by). The guard shows the node tls/guard.pem. It looks up no names: the url has an IP address.

Examples:
  palisade tls node validator-1 --url wss://10.0.0.7:9955 --out validator-1-tls --write
  palisade tls node validator-2 --url wss://10.0.0.8:9955 --name validator-2.internal")]
pub(crate) struct TlsNodeArguments {
    /// The node's name: lowercase letters, digits and dashes
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// Where the node listens for its guard: wss://ADDRESS:PORT
    #[arg(long, value_name = "URL")]
    pub(crate) url: String,

    /// A name or address in the certificate; give each [default: the address in the url]
    #[arg(long = "name", value_name = "NAME|ADDRESS", hide_default_value = true)]
    pub(crate) names: Vec<String>,

    /// Where the node's files go; made if it is not there [default: tls/nodes/NAME in the home]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, hide_default_value = true)]
    pub(crate) out: Option<PathBuf>,

    /// An operation that the node may ask for; give each [default: session-duties]
    #[arg(long, value_name = "OPERATION", hide_default_value = true)]
    pub(crate) allow: Vec<String>,

    /// Add the lines to palisade.toml instead of only printing them
    #[arg(long)]
    pub(crate) write: bool,
}

#[derive(Args)]
#[command(after_help = "\
Clients go on trusting the guard, because the authority is the same. A guard that runs shows the new
certificate after a restart.")]
pub(crate) struct TlsRenewArguments {
    /// Names and addresses instead of those that the old certificate has
    #[arg(long = "name", value_name = "NAME|ADDRESS")]
    pub(crate) names: Vec<String>,
}
