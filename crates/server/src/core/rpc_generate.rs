//! `palisade_generateSessionKeys`: a client that may manage keys lets the guard make new ones.
//!
//! Invariants: a client that is held to a list of keys makes none, since a new key is on no list;
//! the keys are sealed before the answer leaves, so that an answer that is lost loses no key.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Core;
use super::managing::{self, Unfinished};
use super::rpc::{RpcError, parameters, plain};
use super::rpc_message::HexBytes;
use crate::admin::{
    AdminError, Answer, Fault, ProvenKey, Request, SessionGeneration, SessionKeyKind,
};
use crate::engine::{Denial, SessionDenial};
use crate::policy::{Client, Policy};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Parameters {
    key_types: Vec<String>,
    /// The operator's name of the chain; may be left out where there is one.
    chain: Option<String>,
    owner: Option<HexBytes>,
}

pub(super) async fn generate(
    core: &Core,
    client: &Client,
    given: Parameters,
) -> Result<Value, RpcError> {
    let may = Policy::check_new_keys(client);
    may.map_err(|forbidden| SessionDenial::from(Denial::from(forbidden)))?;
    let chains = core.engine.chains();
    let chain = match (given.chain, chains) {
        (Some(name), _) => chains.iter().find(|chain| chain.name == name),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    let chain = chain.ok_or_else(|| {
        let names: Vec<_> = chains.iter().map(|chain| chain.name.as_str()).collect();
        parameters(format!("chain is one of those of this guard: {}", names.join(", ")))
    })?;
    let kind = |named: String| match named.split_once(':') {
        Some((key_type, crypto)) => {
            SessionKeyKind { key_type: key_type.to_owned(), crypto: Some(crypto.to_owned()) }
        }
        None => SessionKeyKind { key_type: named, crypto: None },
    };
    let wanted = SessionGeneration {
        genesis: chain.genesis.to_string(),
        kinds: given.key_types.into_iter().map(kind).collect(),
        owner: given.owner.map(|owner| hex::encode(owner.0)),
    };
    let administrator = core.administrator.clone();
    let generate = move || administrator.execute(Request::SessionKeysGenerate(wanted));
    match core.managing.run(generate).await {
        Ok(Ok(Answer::SessionKeys { keys })) => Ok(answer(&keys)),
        Ok(Err(error)) => Err(error.into()),
        Err(Unfinished::Busy) => Err((&managing::busy()).into()),
        _ => Err(SessionDenial::from(Denial::bug("new keys were not answered")).into()),
    }
}

fn answer(keys: &[ProvenKey]) -> Value {
    let row = |key: &ProvenKey| {
        let mut row = json!({ "keyType": key.key_type, "publicKey": key.public_key });
        if let (Some(proof), Some(fields)) = (&key.proof, row.as_object_mut()) {
            fields.insert("proof".to_owned(), proof.as_str().into());
        }
        row
    };
    let joined = |parts: Vec<&str>| {
        let digits: String = parts.iter().map(|part| part.trim_start_matches("0x")).collect();
        format!("0x{digits}")
    };
    let public_keys = keys.iter().map(|key| key.public_key.as_str()).collect();
    let proofs: Option<Vec<&str>> = keys.iter().map(|key| key.proof.as_deref()).collect();
    let mut answer = json!({
        "keys": keys.iter().map(row).collect::<Vec<_>>(),
        "sessionKeys": joined(public_keys),
    });
    if let (Some(proofs), Some(fields)) = (proofs, answer.as_object_mut()) {
        fields.insert("proof".to_owned(), joined(proofs).into());
    }
    answer
}

impl From<AdminError> for RpcError {
    fn from(error: AdminError) -> Self {
        let number = match error.fault {
            Fault::Usage => -32602,
            Fault::Refused => -32010,
            Fault::CouldNot if error.code == "internal-error" => -32603,
            Fault::CouldNot => -32013,
        };
        plain(number, &error.code, error.message)
    }
}
