//! JSON-RPC 2.0 for Substrate nodes, at `POST /rpc`: the one place that knows its error numbers.
//!
//! -32700 no JSON · -32600 no request · -32601 no such method · -32602 parameters · -32010 refused
//! · -32011 unknown key · -32012 not ready or overloaded · -32013 the store failed · -32603 our
//! bug. `data` holds a stable code, and for a refusal the evidence.
//!
//! Invariants: parameters go by name, and an unknown one is an error; bytes are `0x` hex; a batch
//! is bounded, and is answered in its order.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use palisade_protect::{BabeVrf, Digest, KeyType};
use palisade_substrate::PayloadError;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Shared;
use super::identity::RecognisedClient;
use super::reply;
use crate::engine::{Denial, Engine, SessionDenial, SessionDuty};
use crate::policy::Client;

/// A node asks for one signature at a time; a batch is for tools.
const MAX_BATCH: usize = 64;

/// `0x` hex in a parameter.
struct HexBytes(Vec<u8>);

#[derive(Deserialize)]
struct Call {
    jsonrpc: String,
    method: String,
    #[serde(default)]
    params: Value,
    id: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct PublicKeysParameters {
    key_type: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(dead_code, reason = "optional parts are checked to be bytes, and not used yet")]
struct AnnounceParameters {
    public_key: HexBytes,
    header: HexBytes,
    extrinsics: Option<HexBytes>,
    storage_proof: Option<HexBytes>,
    parent_header: Option<HexBytes>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct SealParameters {
    public_key: HexBytes,
    pre_hash: HexBytes,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct VoteParameters {
    public_key: HexBytes,
    payload: HexBytes,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct CommitmentParameters {
    public_key: HexBytes,
    commitment: HexBytes,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct VrfParameters {
    public_key: HexBytes,
    slot: u64,
    epoch: u64,
    randomness: HexBytes,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct OwnershipParameters {
    public_key: HexBytes,
    owner: HexBytes,
}

/// An error object.
struct RpcError {
    number: i32,
    message: String,
    data: Value,
}

/// `POST /rpc`
pub(super) async fn rpc(
    State(shared): State<Shared>,
    Extension(client): Extension<RecognisedClient>,
    body: Bytes,
) -> Response {
    match answer_to(&shared.engine, &client.0, &body).await {
        Some(answer) => Json(answer).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

/// The answer to one message, a request or a batch; `None` when nothing in it wants one.
pub(super) async fn answer_to(engine: &Engine, client: &Client, body: &[u8]) -> Option<Value> {
    match serde_json::from_slice::<Value>(body) {
        Err(_) => Some(error_of(Value::Null, &plain(-32700, "parse-error", "not JSON"))),
        Ok(Value::Array(calls)) if calls.is_empty() || MAX_BATCH < calls.len() => {
            let message = format!("a batch holds 1 to {MAX_BATCH} requests");
            Some(error_of(Value::Null, &plain(-32600, "invalid-request", message)))
        }
        Ok(Value::Array(calls)) => {
            let mut answers = Vec::with_capacity(calls.len());
            for call in calls {
                answers.extend(answer(engine, client, call).await);
            }
            (!answers.is_empty()).then_some(Value::Array(answers))
        }
        Ok(call) => answer(engine, client, call).await,
    }
}

/// The answer to a message that came while too many were under way.
pub(super) fn overloaded(body: &[u8]) -> String {
    let call = serde_json::from_slice::<Call>(body).ok();
    let id = call.and_then(|call| call.id).unwrap_or(Value::Null);
    error_of(id, &SessionDenial::from(Denial::Overloaded).into()).to_string()
}

/// `None` for a notification: it is carried out, and not answered.
async fn answer(engine: &Engine, client: &Client, call: Value) -> Option<Value> {
    let Ok(call) = serde_json::from_value::<Call>(call) else {
        let error = plain(-32600, "invalid-request", "not a JSON-RPC 2.0 request");
        return Some(error_of(Value::Null, &error));
    };
    let id = call.id.clone();
    let result = if call.jsonrpc == "2.0" {
        dispatch(engine, client, call).await
    } else {
        Err(plain(-32600, "invalid-request", "jsonrpc must be \"2.0\""))
    };
    let id = id?;
    Some(match result {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(error) => error_of(id, &error),
    })
}

async fn dispatch(engine: &Engine, client: &Client, call: Call) -> Result<Value, RpcError> {
    match call.method.as_str() {
        "palisade_publicKeys" => public_keys(engine, client, read(call.params)?),
        "palisade_announceBlock" => {
            let given: AnnounceParameters = read(call.params)?;
            let pre_hash = engine.announce(client, &given.public_key.0, &given.header.0)?;
            Ok(json!({ "preHash": pre_hash.to_string() }))
        }
        "palisade_sealBlock" => {
            let given: SealParameters = read(call.params)?;
            let duty = SessionDuty::Seal(Digest(thirty_two("preHash", &given.pre_hash)?));
            sign(engine, client, &given.public_key, duty).await
        }
        "palisade_grandpaVote" => {
            let given: VoteParameters = read(call.params)?;
            let duty = SessionDuty::GrandpaVote(&given.payload.0);
            sign(engine, client, &given.public_key, duty).await
        }
        "palisade_beefyCommitment" => {
            let given: CommitmentParameters = read(call.params)?;
            let duty = SessionDuty::BeefyCommitment(&given.commitment.0);
            sign(engine, client, &given.public_key, duty).await
        }
        "palisade_paraStatement" => {
            let given: VoteParameters = read(call.params)?;
            let duty = SessionDuty::ParaStatement(&given.payload.0);
            sign(engine, client, &given.public_key, duty).await
        }
        "palisade_authorityRecord" => {
            let given: VoteParameters = read(call.params)?;
            let duty = SessionDuty::AuthorityRecord(&given.payload.0);
            sign(engine, client, &given.public_key, duty).await
        }
        "palisade_babeVrf" => babe_vrf(engine, client, read(call.params)?).await,
        "palisade_provePossession" => {
            let given: OwnershipParameters = read(call.params)?;
            let duty = SessionDuty::Ownership(&given.owner.0);
            let proof = engine.sign_session(client, &given.public_key.0, duty).await?;
            Ok(json!({ "proof": proof.to_string() }))
        }
        _ => Err(plain(-32601, "no-such-method", "this guard has no such method")),
    }
}

fn public_keys(
    engine: &Engine,
    client: &Client,
    given: PublicKeysParameters,
) -> Result<Value, RpcError> {
    let key_type = <[u8; 4]>::try_from(given.key_type.as_bytes())
        .map_err(|_| parameters("keyType has four letters"))?;
    let keys = engine.session_public_keys(client, KeyType(key_type));
    Ok(keys.into_iter().map(|key| Value::String(format!("0x{}", hex::encode(key)))).collect())
}

async fn sign(
    engine: &Engine,
    client: &Client,
    public_key: &HexBytes,
    duty: SessionDuty<'_>,
) -> Result<Value, RpcError> {
    let signature = engine.sign_session(client, &public_key.0, duty).await?;
    Ok(json!({ "signature": signature.to_string() }))
}

async fn babe_vrf(
    engine: &Engine,
    client: &Client,
    given: VrfParameters,
) -> Result<Value, RpcError> {
    let randomness = thirty_two("randomness", &given.randomness)?;
    let input = BabeVrf { slot: given.slot, epoch: given.epoch, randomness };
    let duty = SessionDuty::BabeVrf(input);
    let made = engine.sign_session(client, &given.public_key.0, duty).await?;
    let (output, proof) = made
        .as_bytes()
        .split_at_checked(32)
        .ok_or_else(|| SessionDenial::from(Denial::bug("a draw without its output")))?;
    let hex = |bytes: &[u8]| format!("0x{}", hex::encode(bytes));
    Ok(json!({ "preOutput": hex(output), "proof": hex(proof) }))
}

fn read<T: DeserializeOwned>(given: Value) -> Result<T, RpcError> {
    if !given.is_object() {
        return Err(parameters("parameters go by name, in an object"));
    }
    serde_json::from_value(given).map_err(|error| parameters(error.to_string()))
}

fn thirty_two(name: &str, bytes: &HexBytes) -> Result<[u8; 32], RpcError> {
    let wrong = |_| parameters(format!("{name} has 32 bytes"));
    bytes.0.as_slice().try_into().map_err(wrong)
}

fn parameters(message: impl Into<String>) -> RpcError {
    plain(-32602, "invalid-parameters", message)
}

fn plain(number: i32, code: &str, message: impl Into<String>) -> RpcError {
    RpcError { number, message: message.into(), data: json!({ "code": code }) }
}

fn error_of(id: Value, error: &RpcError) -> Value {
    let RpcError { number, message, data } = error;
    let error = json!({ "code": number, "message": message, "data": data });
    json!({ "jsonrpc": "2.0", "id": id, "error": error })
}

/// What was asked, and what forbids it, as far as a rule says no.
fn evidence_of(denial: &SessionDenial) -> Option<Value> {
    let evidence = |asked: Value, forbidden_by: Value| {
        Some(json!({ "asked": asked, "forbidden_by": forbidden_by }))
    };
    match denial {
        SessionDenial::Other(inner) => reply::body_of(inner).evidence,
        SessionDenial::Payload(PayloadError::SlotNotNear { asked, present }) => evidence(
            json!({ "slot": asked.to_string() }),
            json!({ "present_slot": present.to_string() }),
        ),
        SessionDenial::Payload(PayloadError::AddressNotAllowed { address }) => {
            evidence(json!({ "address": address }), json!("authority_discovery.addresses"))
        }
        SessionDenial::Payload(PayloadError::PeerNotAllowed { peer }) => {
            evidence(json!({ "peer_id": peer }), json!("authority_discovery.peer_ids"))
        }
        SessionDenial::Payload(PayloadError::TimeNotNear { asked_unix_ms, present_unix_ms }) => {
            evidence(
                json!({ "unix_ms": asked_unix_ms.to_string() }),
                json!({ "present_unix_ms": present_unix_ms.to_string() }),
            )
        }
        _ => None,
    }
}

impl From<SessionDenial> for RpcError {
    fn from(denial: SessionDenial) -> Self {
        let number = match &denial {
            SessionDenial::Payload(error) if !error.is_refusal() => -32602,
            SessionDenial::Payload(_)
            | SessionDenial::NotAnnounced(_)
            | SessionDenial::NoDiscoveryPolicy(_)
            | SessionDenial::TooManyDraws
            | SessionDenial::Other(Denial::Refused(_) | Denial::Forbidden(_)) => -32010,
            SessionDenial::Other(Denial::UnknownKey { .. }) => -32011,
            SessionDenial::UnknownChain(_) | SessionDenial::Other(Denial::Overloaded) => -32012,
            SessionDenial::Other(Denial::Store(_)) => -32013,
            SessionDenial::Other(_) => -32603,
        };
        let mut data = json!({ "code": denial.code() });
        if let Some(evidence) = evidence_of(&denial)
            && let Some(fields) = data.as_object_mut()
        {
            fields.insert("evidence".to_owned(), evidence);
        }
        Self { number, message: denial.to_string(), data }
    }
}

impl<'de> Deserialize<'de> for HexBytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text
            .strip_prefix("0x")
            .ok_or_else(|| serde::de::Error::custom("bytes are 0x and hexadecimal digits"))?;
        hex::decode(digits)
            .map(Self)
            .map_err(|_| serde::de::Error::custom("bytes are 0x and hexadecimal digits"))
    }
}
