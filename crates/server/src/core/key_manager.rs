//! The key manager API (ethereum/keymanager-APIs): list, import and delete key stores.
//!
//! Invariants: only a client whose policy allows key management gets past the door, and only to the
//! keys of its key sets; a key whose past the request does not bring starts from the present epoch;
//! passwords and key stores are never logged and never appear in an answer.

use std::sync::Arc;

use palisade_ethereum::PublicKey;
use palisade_keys::{BlsSecretKey, Password, import};
use serde::{Deserialize, Serialize};
use serde_json::json;
use zeroize::Zeroizing;

use super::Core;
use super::managing::{self, Unfinished};
use crate::admin::{AdminError, Administrator, Answer, Fault, Past, PublicKeyText, Request};
use crate::engine::Engine;
use crate::link::message::Reply;
use crate::policy::{Client, Operation, Policy};

const NOT_ITS_KEY: &str =
    "the key is in no key set of this client; add it to one in palisade.toml and reload";

/// Keys of one request: each costs an answer, however short it was.
const MAX_KEYS: usize = 10_000;

#[derive(Serialize)]
struct Status {
    status: &'static str,
    message: String,
}

#[derive(Deserialize)]
struct ImportBody {
    keystores: Vec<Zeroizing<String>>,
    passwords: Vec<Zeroizing<String>>,
    #[serde(default)]
    slashing_protection: Option<String>,
}

#[derive(Deserialize)]
struct DeleteBody {
    pubkeys: Vec<String>,
}

/// Which keys the client manages.
pub(super) fn list(engine: &Engine, client: &Client) -> Reply {
    if let Err(reply) = may_manage(client) {
        return reply;
    }
    let row = |key: PublicKey| {
        json!({
            "validating_pubkey": key.to_string(), "derivation_path": "", "readonly": false,
        })
    };
    let data: Vec<_> = engine.public_keys(client).into_iter().map(row).collect();
    Reply::json(200, &json!({ "data": data }))
}

/// Takes keys in.
pub(super) async fn import(core: &Core, client: &Arc<Client>, body: &[u8]) -> Reply {
    if let Err(reply) = may_manage(client) {
        return reply;
    }
    let Ok(body) = serde_json::from_slice::<ImportBody>(body) else {
        return bad_request("the body must be {keystores: [..], passwords: [..]} of strings");
    };
    if MAX_KEYS < body.keystores.len() {
        return bad_request("there are more than 10,000 key stores; send them in several requests");
    }
    if body.keystores.len() != body.passwords.len() {
        return bad_request("there must be exactly one password for each key store");
    }
    let (administrator, client) = (Arc::clone(&core.administrator), Arc::clone(client));
    match core.managing.run(move || import_all(&administrator, &client, body)).await {
        Ok(Ok(data)) => Reply::json(200, &json!({ "data": data })),
        Ok(Err(error)) => admin_error(&error),
        Err(Unfinished::Busy) => managing::busy(),
        Err(Unfinished::Broken) => Reply::error(
            500,
            "internal-error",
            "the import failed inside the guard; `palisade keys list` shows what is here",
        ),
    }
}

/// Lets keys go.
pub(super) async fn delete(core: &Core, client: &Arc<Client>, body: &[u8]) -> Reply {
    if let Err(reply) = may_manage(client) {
        return reply;
    }
    let Ok(body) = serde_json::from_slice::<DeleteBody>(body) else {
        return bad_request("the body must be {pubkeys: [..]}");
    };
    if MAX_KEYS < body.pubkeys.len() {
        return bad_request("there are more than 10,000 pubkeys; send them in several requests");
    }
    let parsed: Result<Vec<PublicKeyText>, _> =
        body.pubkeys.iter().map(|text| text.parse().map(PublicKeyText)).collect();
    let Ok(asked) = parsed else {
        return bad_request("each of pubkeys must be 0x and 96 hex digits");
    };
    if asked.is_empty() {
        return bad_request("pubkeys is empty; name at least one key");
    }
    let administrator = Arc::clone(&core.administrator);
    let public_keys: Vec<_> =
        asked.iter().copied().filter(|key| Policy::sees(client, &key.0.0)).collect();
    if public_keys.is_empty() {
        return not_its_keys();
    }
    let remove = move || administrator.execute(Request::KeysRemove { public_keys });
    match core.managing.run(remove).await {
        Ok(Ok(Answer::Removed { removed, interchange, .. })) => {
            deleted(&asked, &removed, &interchange)
        }
        Ok(Err(error)) => admin_error(&error),
        Err(Unfinished::Busy) => managing::busy(),
        _ => Reply::error(
            500,
            "internal-error",
            "the removal failed inside the guard; `palisade keys list` shows what is here",
        ),
    }
}

fn may_manage(client: &Client) -> Result<(), Reply> {
    let Err(forbidden) = Policy::check(client, Operation::KeyManagement, None) else {
        return Ok(());
    };
    if client.is_anonymous() {
        return Err(Reply::error(
            401,
            "credential-missing",
            "key management needs the bearer token of a client that may do it; `palisade init` \
             made one in api-token.txt of the home",
        ));
    }
    Err(Reply::error(403, "policy-denied", forbidden.to_string()))
}

fn import_all(
    administrator: &Administrator,
    client: &Client,
    body: ImportBody,
) -> Result<Vec<Status>, AdminError> {
    let decrypted = decrypt_all(client, body.keystores, body.passwords);
    let history = body.slashing_protection.filter(|text| !text.trim().is_empty());
    let past = Past::HistoryOrFromNow(history);
    let secrets: Vec<_> = decrypted.iter().flatten().map(BlsSecretKey::to_hex).collect();
    let Answer::Imported { duplicates, .. } =
        administrator.execute(Request::KeysImport { secrets, past })?
    else {
        return Err(AdminError::could_not("internal-error", "an answer to another request"));
    };
    Ok(decrypted.iter().map(|result| import_status(result, &duplicates)).collect())
}

fn decrypt_all(
    client: &Client,
    keystores: Vec<Zeroizing<String>>,
    passwords: Vec<Zeroizing<String>>,
) -> Vec<Result<BlsSecretKey, String>> {
    let passwords = passwords.into_iter().map(Password::new);
    let keystores: Vec<_> = keystores.into_iter().zip(passwords).collect();
    let its_own = |secret: BlsSecretKey| {
        let is_its_own = Policy::sees(client, &secret.public_key().0);
        if is_its_own { Ok(secret) } else { Err(NOT_ITS_KEY.to_owned()) }
    };
    import::decrypt_each(&keystores)
        .into_iter()
        .map(|result| result.map_err(|error| error.to_string()).and_then(its_own))
        .collect()
}

fn import_status(result: &Result<BlsSecretKey, String>, duplicates: &[PublicKeyText]) -> Status {
    match result {
        Err(message) => Status { status: "error", message: message.clone() },
        Ok(secret) if duplicates.contains(&PublicKeyText(PublicKey(secret.public_key().0))) => {
            Status { status: "duplicate", message: String::new() }
        }
        Ok(_) => Status { status: "imported", message: String::new() },
    }
}

fn deleted(asked: &[PublicKeyText], removed: &[PublicKeyText], interchange: &str) -> Reply {
    let data: Vec<_> = asked
        .iter()
        .map(|key| {
            let status = if removed.contains(key) {
                "deleted"
            } else if interchange.contains(&key.0.to_string()) {
                "not_active"
            } else {
                "not_found"
            };
            Status { status, message: String::new() }
        })
        .collect();
    Reply::json(200, &json!({ "data": data, "slashing_protection": interchange }))
}

fn not_its_keys() -> Reply {
    Reply::error(403, "policy-denied", NOT_ITS_KEY)
}

fn bad_request(message: &str) -> Reply {
    Reply::error(400, "malformed-request", message)
}

fn admin_error(error: &AdminError) -> Reply {
    let status = match error.fault {
        Fault::Usage | Fault::Refused => 400,
        Fault::CouldNot => 503,
    };
    Reply::json(status, &json!({ "message": error.message, "code": error.code }))
}
