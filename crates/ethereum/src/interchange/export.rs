//! Writing a history, key by key.

use std::io::{self, Write};

use palisade_protect::{Digest, EthereumRecord};
use serde::Serialize;

use super::FORMAT_VERSION;
use crate::PublicKey;

/// Writes the records as a history of format version 5, one key on a line.
///
/// Each record becomes at most one block and one attestation: the minimal form that EIP-3076
/// allows. Signing roots are written where they are known. Where a record stands for several
/// messages (the highest source and the highest target epoch of different votes), the one
/// attestation that is written forbids what all of them forbid. Stop-lines have no place in the
/// format and are not written.
///
/// # Errors
/// Whatever `out` fails with; what was written until then is not a history.
pub fn write(
    mut out: impl Write,
    genesis_validators_root: &Digest,
    records: impl IntoIterator<Item = (PublicKey, EthereumRecord)>,
) -> io::Result<()> {
    let metadata = Metadata {
        interchange_format_version: FORMAT_VERSION,
        genesis_validators_root: genesis_validators_root.to_string(),
    };
    out.write_all(b"{\"metadata\":")?;
    serde_json::to_writer(&mut out, &metadata)?;
    out.write_all(b",\"data\":[")?;
    let mut separator: &[u8] = b"\n";
    for (key, record) in records {
        out.write_all(separator)?;
        serde_json::to_writer(&mut out, &KeyHistory::new(key, &record))?;
        separator = b",\n";
    }
    out.write_all(b"\n]}\n")?;
    out.flush()
}

#[derive(Serialize)]
struct Metadata {
    interchange_format_version: &'static str,
    genesis_validators_root: String,
}

#[derive(Serialize)]
struct KeyHistory {
    pubkey: PublicKey,
    signed_blocks: Vec<SignedBlock>,
    signed_attestations: Vec<SignedAttestation>,
}

#[derive(Serialize)]
struct SignedBlock {
    slot: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    signing_root: Option<String>,
}

#[derive(Serialize)]
struct SignedAttestation {
    source_epoch: String,
    target_epoch: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    signing_root: Option<String>,
}

impl KeyHistory {
    fn new(pubkey: PublicKey, record: &EthereumRecord) -> Self {
        let signed_blocks = record.proposal.iter().map(|proposal| SignedBlock {
            slot: proposal.slot.to_string(),
            signing_root: proposal.root.as_ref().map(Digest::to_string),
        });
        let signed_attestations = record.attestation.iter().map(|attestation| SignedAttestation {
            source_epoch: attestation.source.to_string(),
            target_epoch: attestation.target.to_string(),
            signing_root: attestation.root.as_ref().map(Digest::to_string),
        });
        Self {
            pubkey,
            signed_blocks: signed_blocks.collect(),
            signed_attestations: signed_attestations.collect(),
        }
    }
}
