//! The command line's shape for the session keys of Substrate chains.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueHint};

const GENERATE_HELP: &str = "\
The keys are random, are sealed in the home before anything is printed, and have signed nothing
yet. Name the types in the order of the runtime's SessionKeys: that is the order in which the chain
takes them. Nothing that is printed is secret. Keep the old keys in service until the change is past
on the chain: new keys serve from the session after the next.

The owner is the account that session.setKeys is for: the validator's stash or controller, also
where a staking proxy submits the call for it. Newer chains take keys only with the proof that they
belong to this account; older ones do not look at it.

A key that stays with the node stands in the same order, with the proof that the node's tools make
for it (the signature of POP_ and the account): --keys gran,babe,asgn=0x…:0x…,audi. On a relay chain
asgn should stay with the node: the guard makes no assignments.

Examples:
  palisade keys generate --chain substrate:polkadot --keys gran,babe,para,asgn,audi,beef \\
      --owner 15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5 --call-index 9.0
  palisade keys generate --chain substrate:mini --keys aura:ed25519,gran --json
  curl -d '{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"state_getMetadata\"}' \\
      -H 'content-type: application/json' http://127.0.0.1:9944 > metadata.json
  palisade keys generate --chain substrate:mini --owner 5Grwva… --metadata metadata.json";

const PROVE_HELP: &str = "\
Prints for keys that are here what `keys generate` prints for new ones: after an import, for another
owner, or once more. Name the keys in the order of the runtime's SessionKeys.

Example:
  palisade keys prove --chain substrate:mini --owner 5Grwva… --call-index 6.0 babe=0xd435…";

/// What the announcement on the chain needs.
#[derive(Args)]
pub(crate) struct AnnouncementArguments {
    /// The chain: substrate:NAME with a NAME of `palisade chain list`
    #[arg(long, value_name = "CHAIN")]
    pub(crate) chain: String,

    /// The account that session.setKeys is for: an SS58 address, or 0x hex
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) owner: Option<String>,

    /// Print the encoded call session.setKeys with this index in the runtime: 6.0 or 0x0600
    #[arg(long, value_name = "PALLET.CALL")]
    pub(crate) call_index: Option<CallIndex>,

    /// Take index, types and order from the runtime's metadata: SCALE, its digits, or the answer of
    /// state_getMetadata
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[arg(conflicts_with = "call_index")]
    pub(crate) metadata: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
#[command(after_help = GENERATE_HELP)]
pub(crate) struct GenerateArguments {
    /// The key types, in the runtime's order: babe, aura:ed25519; TYPE=PUBKEY or
    /// TYPE=PUBKEY:PROOF for a key that is not in the guard; with --metadata, all of the runtime's
    /// if none is named
    #[arg(long, value_name = "TYPES", value_delimiter = ',')]
    #[arg(required_unless_present = "metadata")]
    pub(crate) keys: Vec<KeyArgument>,

    #[command(flatten)]
    pub(crate) announcement: AnnouncementArguments,
}

#[derive(Args)]
#[command(after_help = PROVE_HELP)]
pub(crate) struct ProveArguments {
    #[command(flatten)]
    pub(crate) announcement: AnnouncementArguments,

    /// Keys of this home; TYPE=PUBKEY:PROOF for one that is not in the guard
    #[arg(required = true, value_name = "TYPE=PUBKEY")]
    pub(crate) keys: Vec<KeyArgument>,
}

#[derive(Args)]
#[command(after_help = "\
A key of type gran, beef or para that was imported with --from-now signs nothing until this is
said: no clock tells which rounds or blocks it voted on. Ask a node of the chain
(grandpa_roundState) and add a margin, or name the next set. A record never becomes weaker.

Example:
  palisade keys floor 0x88dc… --set-id 1200 --number 0")]
pub(crate) struct FloorArguments {
    /// The public key, hex
    #[arg(value_name = "PUBKEY")]
    pub(crate) public_key: String,

    /// The authority set (para: the session); everything in earlier ones counts as signed
    #[arg(long, value_name = "SET")]
    pub(crate) set_id: u64,

    /// The round (gran) or block (beef) up to which everything in that set counts as signed; 0 for
    /// para
    #[arg(long, value_name = "NUMBER")]
    pub(crate) number: u64,

    /// The place is right, although no chain is there yet; the key signs nothing before it
    #[arg(long)]
    pub(crate) accept_far_ahead: bool,
}

/// Where a call stands in the runtime: the pallet's index and the call's in it.
#[derive(Clone, Copy)]
pub(crate) struct CallIndex {
    pub(crate) pallet: u8,
    pub(crate) call: u8,
}

/// One key of the announcement, as it was typed.
#[derive(Clone)]
pub(crate) enum KeyArgument {
    /// `TYPE` or `TYPE:CRYPTO`
    Kind { key_type: String, crypto: Option<String> },
    /// `TYPE=PUBKEY`
    Key { key_type: String, public_key: String },
    /// `TYPE=PUBKEY:PROOF`
    Proven { key_type: String, public_key: String, proof: String },
}

impl FromStr for CallIndex {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "write the pallet's and the call's index as 6.0, or as 0x0600";
        let both = match text.strip_prefix("0x") {
            Some(digits) if digits.len() == 4 => digits
                .split_at_checked(2)
                .map(|(one, other)| [one, other].map(|byte| u8::from_str_radix(byte, 16))),
            Some(_) => None,
            None => text.split_once('.').map(|(one, other)| [one, other].map(u8::from_str)),
        };
        match both {
            Some([Ok(pallet), Ok(call)]) => Ok(Self { pallet, call }),
            _ => Err(wrong),
        }
    }
}

impl KeyArgument {
    pub(crate) fn key_type(&self) -> &str {
        match self {
            Self::Kind { key_type, .. }
            | Self::Key { key_type, .. }
            | Self::Proven { key_type, .. } => key_type,
        }
    }
}

impl FromStr for KeyArgument {
    type Err = std::convert::Infallible;

    /// What the letters mean is judged with the home.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let owned = str::to_owned;
        let Some((key_type, key)) = text.split_once('=') else {
            let (key_type, crypto) = match text.split_once(':') {
                Some((key_type, crypto)) => (key_type, Some(owned(crypto))),
                None => (text, None),
            };
            return Ok(Self::Kind { key_type: owned(key_type), crypto });
        };
        let key_type = owned(key_type);
        Ok(match key.split_once(':') {
            Some((key, proof)) => {
                Self::Proven { key_type, public_key: owned(key), proof: owned(proof) }
            }
            None => Self::Key { key_type, public_key: owned(key) },
        })
    }
}
