//! `palisade keys generate` and `keys prove`: session keys as a chain takes them.
//!
//! Invariant: nothing that is printed is secret; the keys are sealed in the home before a line of
//! them is printed.

use palisade_server::admin::{
    Answer, ProvenKey, Request, SessionGeneration, SessionKeyKind, SessionKeyName, SessionProofs,
};
use palisade_server::home::Home;
use palisade_substrate::{Chain, account, session};

use super::sessions::chain_named;
use super::status::unexpected;
use crate::failure::Failure;
use crate::session_arguments::{
    AnnouncementArguments, CallIndex, GenerateArguments, ProveArguments,
};
use crate::target::{self, Target};
use crate::{Done, Outcome, output};

pub(super) fn generate(home: &Home, arguments: GenerateArguments) -> Done {
    let asked = Asked::read(home, &arguments.announcement)?;
    let kind = |kind: crate::session_arguments::Kind| SessionKeyKind {
        key_type: kind.key_type,
        crypto: kind.crypto,
    };
    let wanted = SessionGeneration {
        genesis: asked.chain.genesis.to_string(),
        kinds: arguments.keys.into_iter().map(kind).collect(),
        owner: asked.owner.clone(),
    };
    let mut target = Target::of(home)?;
    let older = older_keys(&mut target, &wanted)?;
    let keys = keys_in(target.ask(Request::SessionKeysGenerate(wanted))?)?;
    if !asked.json {
        output::line(&format!(
            "Generated {} for {}. They are sealed in this home, and have signed nothing.",
            output::keys(keys.len()),
            asked.chain.name
        ))?;
    }
    asked.report(&keys, &older)
}

/// The keys of the same types that serve the chain so far.
fn older_keys(
    target: &mut Target,
    wanted: &SessionGeneration,
) -> Result<Vec<SessionKeyName>, Failure> {
    let Answer::Keys { keys } = target.ask(Request::KeysList)? else { return Err(unexpected()) };
    let older = keys.into_iter().filter_map(|row| {
        let session = row.session?;
        let same_type = wanted.kinds.iter().any(|kind| kind.key_type == session.key_type);
        let is_older = same_type && session.genesis == wanted.genesis;
        let name = SessionKeyName { key_type: session.key_type, public_key: row.public_key };
        is_older.then_some(name)
    });
    Ok(older.collect())
}

pub(super) fn prove(home: &Home, arguments: ProveArguments) -> Done {
    let asked = Asked::read(home, &arguments.announcement)?;
    let name = |key: crate::session_arguments::TypedKey| SessionKeyName {
        key_type: key.key_type,
        public_key: key.public_key,
    };
    let wanted = SessionProofs {
        genesis: asked.chain.genesis.to_string(),
        keys: arguments.keys.into_iter().map(name).collect(),
        owner: asked.owner.clone(),
    };
    let keys = keys_in(target::ask(home, Request::SessionKeysProve(wanted))?)?;
    asked.report(&keys, &[])
}

fn keys_in(answer: Answer) -> Result<Vec<ProvenKey>, Failure> {
    match answer {
        Answer::SessionKeys { keys } => Ok(keys),
        _ => Err(unexpected()),
    }
}

/// What was asked, judged as far as it can be before anything is done.
struct Asked {
    chain: Chain,
    owner: Option<String>,
    call_index: Option<CallIndex>,
    json: bool,
}

impl Asked {
    fn read(home: &Home, arguments: &AnnouncementArguments) -> Result<Self, Failure> {
        let name = arguments.chain.strip_prefix("substrate:").ok_or_else(|| {
            Failure::Usage(format!(
                "session keys are made for --chain substrate:NAME, not for {:?}",
                arguments.chain
            ))
        })?;
        let chain = chain_named(home, name)?;
        let owner = arguments.owner.as_deref().map(account_of).transpose()?;
        Ok(Self { chain, owner, call_index: arguments.call_index, json: arguments.json })
    }

    fn report(&self, keys: &[ProvenKey], older: &[SessionKeyName]) -> Done {
        let public_keys = bytes_of(keys.iter().map(|key| key.public_key.as_str()))?;
        let proofs = keys.iter().map(|key| key.proof.as_deref()).collect::<Option<Vec<_>>>();
        let proof = proofs.map(|proofs| bytes_of(proofs.into_iter())).transpose()?;
        let session_keys = session::session_keys(public_keys.iter().map(Vec::as_slice));
        let proof = proof.map(|proofs| proofs.concat());
        let call = self.call_index.map(|CallIndex { pallet, call }| {
            session::set_keys_call(pallet, call, &session_keys, proof.as_deref().unwrap_or(&[]))
        });
        let hex = |bytes: &[u8]| format!("0x{}", hex::encode(bytes));
        if self.json {
            output::json(&serde_json::json!({
                "chain": self.chain.name,
                "keys": keys,
                "older_keys": older,
                "session_keys": hex(&session_keys),
                "owner": self.owner,
                "proof": proof.as_deref().map(hex),
                "call": call.as_deref().map(hex),
            }))?;
            return Ok(Outcome::Yes);
        }
        for key in keys {
            output::line(&format!("  {}  {}", key.key_type, key.public_key))?;
        }
        output::line(&format!("Session keys:\n  {}", hex(&session_keys)))?;
        if let (Some(owner), Some(proof)) = (&self.owner, &proof) {
            output::line(&format!("Proof that they belong to {owner}:\n  {}", hex(proof)))?;
        } else {
            output::diagnostic(
                "no --owner, so no proof: a chain that asks for one refuses these keys without it; \
                 `palisade keys prove` makes it later",
            );
        }
        if let Some(call) = &call {
            output::line(&format!("Call session.setKeys:\n  {}", hex(call)))?;
        }
        if !older.is_empty() {
            output::line("Older keys, which serve until the chain has changed to the new ones:")?;
        }
        for key in older {
            output::line(&format!("  {}  {}", key.key_type, key.public_key))?;
        }
        Ok(Outcome::Yes)
    }
}

fn account_of(typed: &str) -> Result<String, Failure> {
    let account = account(typed)
        .map_err(|error| Failure::Usage(format!("the owner {typed:?} is no account: {error}")))?;
    Ok(format!("0x{}", hex::encode(account)))
}

fn bytes_of<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Vec<Vec<u8>>, Failure> {
    let bytes = texts.map(|text| hex::decode(text.trim_start_matches("0x")));
    bytes.collect::<Result<_, _>>().map_err(|_| unexpected())
}
