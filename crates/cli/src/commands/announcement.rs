//! `palisade keys generate` and `keys prove`: session keys as a chain takes them.
//!
//! Invariant: nothing that is printed is secret; the keys are sealed in the home before a line of
//! them is printed.

use std::collections::BTreeSet;

use palisade_keys::{Scheme, SessionPublicKey};
use palisade_protect::KeyType;
use palisade_server::admin::{
    Answer, ProvenKey, Request, SessionGeneration, SessionKeyKind, SessionKeyName, SessionProofs,
};
use palisade_server::home::Home;
use palisade_substrate::metadata::SetKeysCall;
use palisade_substrate::{Chain, account, ownership, session};

use super::runtime_metadata;
use super::sessions::chain_named;
use super::status::unexpected;
use crate::failure::Failure;
use crate::session_arguments::{
    AnnouncementArguments, CallIndex, GenerateArguments, KeyArgument, ProveArguments,
};
use crate::target::{self, Target};
use crate::{Done, Outcome, output};

pub(super) fn generate(home: &Home, arguments: GenerateArguments) -> Done {
    let asked = Asked::read(home, &arguments.announcement)?;
    let keys = match &asked.runtime {
        Some(runtime) if arguments.keys.is_empty() => runtime_metadata::all_of(runtime)?,
        _ => arguments.keys,
    };
    asked.check_keys(&keys)?;
    let mut kinds = Vec::new();
    let mut places = Vec::with_capacity(keys.len());
    for argument in keys {
        places.push(match argument {
            KeyArgument::Kind { key_type, crypto } => {
                kinds.push(SessionKeyKind { key_type, crypto });
                None
            }
            KeyArgument::Key { key_type, public_key } => {
                Some(asked.elsewhere(key_type, &public_key, None)?)
            }
            KeyArgument::Proven { key_type, public_key, proof } => {
                Some(asked.elsewhere(key_type, &public_key, Some(&proof))?)
            }
        });
    }
    let has_assignments = kinds.iter().any(|kind| kind.key_type == KeyType::ASSIGNMENT.to_string());
    if has_assignments {
        output::diagnostic(
            "the guard makes no assignments with its key of type asgn, and a node takes none from \
             it: a validator that announces this key makes none. Better keep asgn in the node, and \
             name it here as asgn=PUBKEY:PROOF",
        );
    }
    let (genesis, owner) = (asked.chain.genesis.to_string(), asked.owner.clone());
    let wanted = SessionGeneration { genesis, kinds, owner };
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
    asked.report(&in_order(places, keys), &older)
}

/// The guard's keys in the places that are free.
fn in_order(places: Vec<Option<ProvenKey>>, keys: Vec<ProvenKey>) -> Vec<ProvenKey> {
    let mut keys = keys.into_iter();
    places.into_iter().filter_map(|place| place.or_else(|| keys.next())).collect()
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
    asked.check_keys(&arguments.keys)?;
    let mut keys = Vec::new();
    let mut places = Vec::with_capacity(arguments.keys.len());
    for argument in arguments.keys {
        places.push(match argument {
            KeyArgument::Key { key_type, public_key } => {
                keys.push(SessionKeyName { key_type, public_key });
                None
            }
            KeyArgument::Proven { key_type, public_key, proof } => {
                Some(asked.elsewhere(key_type, &public_key, Some(&proof))?)
            }
            KeyArgument::Kind { key_type, .. } => {
                return Err(Failure::Usage(format!(
                    "write each key as TYPE=PUBKEY, for example babe=0xd435…, not {key_type:?}"
                )));
            }
        });
    }
    let (genesis, owner) = (asked.chain.genesis.to_string(), asked.owner.clone());
    let wanted = SessionProofs { genesis, keys, owner };
    let keys = keys_in(target::ask(home, Request::SessionKeysProve(wanted))?)?;
    asked.report(&in_order(places, keys), &[])
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
    runtime: Option<SetKeysCall>,
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
        let runtime = arguments.metadata.as_deref().map(runtime_metadata::read).transpose()?;
        let of_runtime =
            |&SetKeysCall { pallet, call, .. }: &SetKeysCall| CallIndex { pallet, call };
        let call_index = arguments.call_index.or(runtime.as_ref().map(of_runtime));
        Ok(Self { chain, owner, call_index, runtime, json: arguments.json })
    }

    /// A chain takes one key of each type, and in its order.
    fn check_keys(&self, keys: &[KeyArgument]) -> Result<(), Failure> {
        let mut seen = BTreeSet::new();
        let twice = keys.iter().map(KeyArgument::key_type).find(|it| !seen.insert(*it));
        if let Some(twice) = twice {
            return Err(Failure::Usage(format!(
                "a chain takes one key of type {twice}; it was named twice"
            )));
        }
        match &self.runtime {
            Some(runtime) => runtime_metadata::check_order(runtime, keys),
            None => Ok(()),
        }
    }

    /// A key that another program holds, such as the node, with the proof that it made.
    fn elsewhere(
        &self,
        key_type: String,
        typed: &str,
        proof: Option<&str>,
    ) -> Result<ProvenKey, Failure> {
        let wrong = |why: &str| Failure::Usage(format!("{key_type}={typed}: {why}"));
        let letters = <[u8; 4]>::try_from(key_type.as_bytes())
            .map_err(|_| wrong("a key type has four letters"))?;
        let public_key = hex_bytes(typed).ok_or_else(|| wrong("the public key is not hex"))?;
        let schemes = Scheme::for_key_type(KeyType(letters)).iter();
        let of_scheme = |scheme: &Scheme| SessionPublicKey::new(*scheme, &public_key).ok();
        let candidates: Vec<_> = schemes.filter_map(of_scheme).collect();
        if candidates.is_empty() {
            return Err(wrong("a public key of this type has another length"));
        }
        if let Some(proof) = proof {
            let owner = self.owner.as_deref().and_then(hex_bytes);
            let statement = owner.and_then(|owner| ownership(&owner).ok());
            let statement = statement.ok_or_else(|| wrong("its proof is for an --owner"))?;
            let proof = hex_bytes(proof).ok_or_else(|| wrong("the proof is not hex"))?;
            if !candidates.iter().any(|key| key.verifies(statement.statement(), &proof)) {
                return Err(wrong(
                    "its proof is not its signature of POP_ and the owner's account",
                ));
            }
        }
        let hex = |bytes: &[u8]| format!("0x{}", hex::encode(bytes));
        let proof = proof.and_then(hex_bytes).map(|proof| hex(&proof));
        Ok(ProvenKey { public_key: hex(&public_key), proof, key_type })
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
            let unproven: Vec<_> = keys.iter().filter(|key| key.proof.is_none()).collect();
            let types: Vec<_> = unproven.iter().map(|key| key.key_type.as_str()).collect();
            output::diagnostic(&format!(
                "there is no proof of {} for an --owner: a chain that asks for one refuses these \
                 keys without it; `palisade keys prove` makes it later",
                types.join(", ")
            ));
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
    texts.map(hex_bytes).collect::<Option<_>>().ok_or_else(unexpected)
}

fn hex_bytes(text: &str) -> Option<Vec<u8>> {
    hex::decode(text.strip_prefix("0x").unwrap_or(text)).ok()
}
