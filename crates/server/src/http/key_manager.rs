//! The key manager API (ethereum/keymanager-APIs): list, import and delete key stores.
//!
//! Invariants: only a client whose policy allows key management gets past the door, and only to the
//! keys of its key sets; a key whose past the request does not bring starts from the present epoch;
//! passwords and key stores are never logged and never appear in an answer.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use palisade_ethereum::PublicKey;
use palisade_keys::{BlsSecretKey, Password, import};
use serde::{Deserialize, Serialize};
use serde_json::json;
use zeroize::Zeroizing;

use super::identity::RecognisedClient;
use super::{Shared, reply};
use crate::admin::{AdminError, Administrator, Answer, Fault, Past, PublicKeyText, Request};
use crate::policy::{Client, Operation, Policy};

const NOT_ITS_KEY: &str =
    "the key is in no key set of this client; add it to one in palisade.toml and reload";

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

/// `GET /eth/v1/keystores`
pub(super) async fn list(
    State(shared): State<Shared>,
    Extension(client): Extension<RecognisedClient>,
) -> Response {
    if let Err(response) = may_manage(&client) {
        return *response;
    }
    let row = |key: PublicKey| {
        json!({
            "validating_pubkey": key.to_string(), "derivation_path": "", "readonly": false,
        })
    };
    let data: Vec<_> = shared.engine.public_keys(&client.0).into_iter().map(row).collect();
    Json(json!({ "data": data })).into_response()
}

/// `POST /eth/v1/keystores`
pub(super) async fn import(
    State(shared): State<Shared>,
    Extension(client): Extension<RecognisedClient>,
    body: Bytes,
) -> Response {
    if let Err(response) = may_manage(&client) {
        return *response;
    }
    let Ok(body) = serde_json::from_slice::<ImportBody>(&body) else {
        return bad_request("the body must be {keystores: [..], passwords: [..]} of strings");
    };
    if body.keystores.len() != body.passwords.len() {
        return bad_request("there must be exactly one password for each key store");
    }
    let administrator = shared.administrator.clone();
    let import = move || import_all(&administrator, &client.0, body);
    match tokio::task::spawn_blocking(import).await {
        Ok(Ok(data)) => Json(json!({ "data": data })).into_response(),
        Ok(Err(error)) => admin_error(&error),
        Err(_) => reply::error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal-error",
            "the import failed inside the guard; `palisade keys list` shows what is here",
        ),
    }
}

/// `DELETE /eth/v1/keystores`
pub(super) async fn delete(
    State(shared): State<Shared>,
    Extension(client): Extension<RecognisedClient>,
    body: Bytes,
) -> Response {
    if let Err(response) = may_manage(&client) {
        return *response;
    }
    let Ok(body) = serde_json::from_slice::<DeleteBody>(&body) else {
        return bad_request("the body must be {pubkeys: [..]}");
    };
    let parsed: Result<Vec<PublicKeyText>, _> =
        body.pubkeys.iter().map(|text| text.parse().map(PublicKeyText)).collect();
    let Ok(asked) = parsed else {
        return bad_request("each of pubkeys must be 0x and 96 hex digits");
    };
    if asked.is_empty() {
        return bad_request("pubkeys is empty; name at least one key");
    }
    let administrator = shared.administrator.clone();
    let public_keys: Vec<_> =
        asked.iter().copied().filter(|key| Policy::sees(&client.0, &key.0.0)).collect();
    if public_keys.is_empty() {
        return not_its_keys();
    }
    let remove = move || administrator.execute(Request::KeysRemove { public_keys });
    match tokio::task::spawn_blocking(remove).await {
        Ok(Ok(Answer::Removed { removed, interchange, .. })) => {
            deleted(&asked, &removed, &interchange)
        }
        Ok(Err(error)) => admin_error(&error),
        _ => reply::error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal-error",
            "the removal failed inside the guard; `palisade keys list` shows what is here",
        ),
    }
}

fn may_manage(client: &RecognisedClient) -> Result<(), Box<Response>> {
    let Err(forbidden) = Policy::check(&client.0, Operation::KeyManagement, None) else {
        return Ok(());
    };
    if client.0.is_anonymous() {
        return Err(Box::new(reply::unauthorised(
            "credential-missing",
            "key management needs the bearer token of a client that may do it; `palisade init` \
             made one in api-token.txt of the home",
        )));
    }
    Err(Box::new(reply::error(StatusCode::FORBIDDEN, "policy-denied", forbidden.to_string())))
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

fn deleted(asked: &[PublicKeyText], removed: &[PublicKeyText], interchange: &str) -> Response {
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
    Json(json!({ "data": data, "slashing_protection": interchange })).into_response()
}

fn not_its_keys() -> Response {
    reply::error(StatusCode::FORBIDDEN, "policy-denied", NOT_ITS_KEY)
}

fn bad_request(message: &str) -> Response {
    reply::error(StatusCode::BAD_REQUEST, "malformed-request", message)
}

fn admin_error(error: &AdminError) -> Response {
    let status = match error.fault {
        Fault::Usage | Fault::Refused => StatusCode::BAD_REQUEST,
        Fault::CouldNot => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(json!({ "message": error.message, "code": error.code }))).into_response()
}
