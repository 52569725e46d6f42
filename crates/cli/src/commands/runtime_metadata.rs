//! `--metadata FILE`: what the runtime itself says of `session.set_keys`.
//!
//! Invariant: keys that are named beside the file stand in the runtime's order, or nothing is made:
//! a chain that takes keys in another order takes them for keys of other types.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use palisade_protect::KeyType;
use palisade_substrate::metadata::{self, MAX_METADATA_BYTES, RuntimeKey, SetKeysCall};
use serde_json::Value;

use crate::failure::Failure;
use crate::session_arguments::KeyArgument;

/// The longest file: the metadata as digits, in the node's answer.
const MAX_FILE_BYTES: u64 = 2 * MAX_METADATA_BYTES as u64 + 1_024;

/// Reads the file: SCALE bytes, their digits, or the answer of `state_getMetadata`.
pub(super) fn read(file: &Path) -> Result<SetKeysCall, Failure> {
    let named = file.display();
    let mut bytes = Vec::new();
    let opened = File::open(file);
    let read = opened.and_then(|opened| opened.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes));
    read.map_err(|error| Failure::io(format!("cannot read {named}"), &error))?;
    let metadata = scale_of(&bytes).unwrap_or(bytes);
    metadata::set_keys(&metadata).map_err(|error| Failure::Usage(format!("{named}: {error}")))
}

/// The bytes that a text stands for.
fn scale_of(bytes: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(bytes).ok()?.trim();
    let answer: Option<Value> = serde_json::from_str(text).ok();
    let digits = match &answer {
        Some(Value::String(digits)) => digits,
        Some(answer) => answer.get("result")?.as_str()?,
        None => text,
    };
    hex::decode(digits.strip_prefix("0x").unwrap_or(digits)).ok()
}

/// One new key for each that the runtime takes.
pub(super) fn all_of(runtime: &SetKeysCall) -> Result<Vec<KeyArgument>, Failure> {
    let argument = |key: &RuntimeKey| match key.key_type {
        Some(key_type) if KeyType::ALL.contains(&key_type) => Ok(KeyArgument::Kind {
            key_type: key_type.to_string(),
            crypto: key.is_ed25519.then(|| "ed25519".to_owned()),
        }),
        _ => Err(Failure::Usage(format!(
            "the guard makes no key for {} ({key}) of this runtime: make it with the node's tools, \
             and name all with --keys: {}",
            key.name,
            names(runtime)
        ))),
    };
    runtime.keys.iter().map(argument).collect()
}

/// Whether `keys` are those that the runtime takes, in its order.
pub(super) fn check_order(runtime: &SetKeysCall, keys: &[KeyArgument]) -> Result<(), Failure> {
    let agrees = |(named, key): (&KeyArgument, &RuntimeKey)| {
        let same_type = key.key_type.is_none_or(|known| known.to_string() == named.key_type());
        let same_crypto = match named {
            KeyArgument::Kind { crypto, .. } if key.key_type == Some(KeyType::AURA) => {
                (crypto.as_deref() == Some("ed25519")) == key.is_ed25519
            }
            _ => true,
        };
        same_type && same_crypto
    };
    if keys.len() == runtime.keys.len() && keys.iter().zip(&runtime.keys).all(agrees) {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "nothing was made; the runtime takes these session keys, in this order: {}",
        names(runtime)
    )))
}

fn names(runtime: &SetKeysCall) -> String {
    runtime.keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
