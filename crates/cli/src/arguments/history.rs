//! The shape of `palisade history` and `palisade journal`.

use std::path::PathBuf;

use clap::{Subcommand, ValueHint};

use super::JsonArguments;

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
