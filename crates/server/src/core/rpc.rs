//! JSON-RPC 2.0 for Substrate nodes, at `POST /rpc`: the one place that knows its error numbers.
//!
//! -32700 no JSON · -32600 no request · -32601 no such method · -32602 parameters · -32010 refused
//! · -32011 unknown key · -32012 not ready or overloaded · -32013 the store failed · -32603 our
//! bug. `data` holds a stable code, and for a refusal the evidence.
//!
//! Invariants: parameters go by name, and an unknown one is an error; bytes are `0x` hex; a batch
//! is bounded, and is answered in its order.

use futures_util::future::join_all;
use palisade_protect::{BabeVrf, Digest, KeyType};
use palisade_substrate::{GivenBody, PayloadError};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::rpc_message::{self, Call, HexBytes, Id, Invalid, MAX_BATCH, Message, Unreadable};
use super::{Core, reply, rpc_generate};
use crate::engine::{Denial, Engine, SessionDenial, SessionDuty};
use crate::link::message::Reply;
use crate::policy::Client;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct PublicKeysParameters {
    key_type: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
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

/// The description of this interface, as `rpc.discover` gives it (OpenRPC 1.3).
pub const OPENRPC: &str = include_str!("openrpc.json");

/// An error object.
pub(super) struct RpcError {
    number: i32,
    message: String,
    data: Value,
}

/// The answer to one message, a request or a batch; `None` when nothing in it wants one.
pub(super) async fn answer_to(core: &Core, client: &Client, body: &[u8]) -> Option<String> {
    match rpc_message::read(body) {
        Err(unreadable) => Some(refuse(Id::NULL, &unreadable.into())),
        Ok(Message::Single(call)) => answer(core, client, call).await,
        Ok(Message::Batch(calls)) => {
            // None of several is alone, although they came as one.
            let _beside = (1 < calls.len()).then(|| core.engine.on_its_way());
            // At the same time, so that they share durable commits. Each is asked for in its turn,
            // and the ledger decides in the order of asking.
            let answers =
                join_all(calls.into_iter().map(|call| answer(core, client, call.and_then(small))));
            in_order(&answers.await.into_iter().flatten().collect::<Vec<_>>())
        }
    }
}

/// A call of a batch: sixty-four documents would be a thousand times what was asked.
fn small(call: Call<'_>) -> Result<Call<'_>, Invalid<'_>> {
    if call.method != "rpc.discover" {
        return Ok(call);
    }
    Err(Invalid { id: call.id.unwrap_or(Id::NULL), why: "rpc.discover stands alone, in no batch" })
}

/// The answer to a message that the core does not judge: too much is under way, or it is gone.
/// `None` when nothing in the message wants one.
#[must_use]
pub fn instead(body: &[u8], reply: &Reply) -> Option<String> {
    let error = RpcError::from(reply);
    let answer = |call: Result<Call<'_>, Invalid<'_>>| match call {
        Ok(call) => call.id.map(|id| refuse(id, &error)),
        Err(invalid) => Some(refuse(invalid.id, &invalid.into())),
    };
    match rpc_message::read(body) {
        Err(unreadable) => Some(refuse(Id::NULL, &unreadable.into())),
        Ok(Message::Single(call)) => answer(call),
        Ok(Message::Batch(calls)) => {
            in_order(&calls.into_iter().filter_map(answer).collect::<Vec<_>>())
        }
    }
}

fn in_order(answers: &[String]) -> Option<String> {
    (!answers.is_empty()).then(|| format!("[{}]", answers.join(",")))
}

/// `None` for a notification: it is carried out, and not answered.
async fn answer(
    core: &Core,
    client: &Client,
    call: Result<Call<'_>, Invalid<'_>>,
) -> Option<String> {
    let call = match call {
        Ok(call) => call,
        Err(invalid) => return Some(refuse(invalid.id, &invalid.into())),
    };
    let id = call.id;
    let result = dispatch(core, client, call).await;
    let id = id?;
    Some(match result {
        Ok(result) => format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#),
        Err(error) => refuse(id, &error),
    })
}

async fn dispatch(core: &Core, client: &Client, call: Call<'_>) -> Result<Value, RpcError> {
    let engine = &*core.engine;
    match call.method.as_str() {
        "palisade_publicKeys" => public_keys(engine, client, read(call.params)?),
        "palisade_announceBlock" => announce(engine, client, read(call.params)?).await,
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
        "palisade_generateSessionKeys" => {
            rpc_generate::generate(core, client, read(call.params)?).await
        }
        "rpc.discover" => serde_json::from_str(OPENRPC)
            .map_err(|_| SessionDenial::from(Denial::bug("openrpc.json is no JSON")).into()),
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

async fn announce(
    engine: &Engine,
    client: &Client,
    given: AnnounceParameters,
) -> Result<Value, RpcError> {
    let AnnounceParameters { public_key, header, extrinsics, storage_proof, parent_header } = given;
    let bytes = |given: Option<HexBytes>| given.map(|bytes| bytes.0);
    let body = GivenBody {
        extrinsics: bytes(extrinsics),
        storage_proof: bytes(storage_proof),
        parent_header: bytes(parent_header),
    };
    let pre_hash = engine.announce(client, &public_key.0, &header.0, body).await?;
    Ok(json!({ "preHash": pre_hash.to_string() }))
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

fn read<T: DeserializeOwned>(given: Option<&RawValue>) -> Result<T, RpcError> {
    rpc_message::parameters(given).map_err(parameters)
}

fn thirty_two(name: &str, bytes: &HexBytes) -> Result<[u8; 32], RpcError> {
    let wrong = |_| parameters(format!("{name} has 32 bytes"));
    bytes.0.as_slice().try_into().map_err(wrong)
}

pub(super) fn parameters(message: impl Into<String>) -> RpcError {
    plain(-32602, "invalid-parameters", message)
}

pub(super) fn plain(number: i32, code: &str, message: impl Into<String>) -> RpcError {
    RpcError { number, message: message.into(), data: json!({ "code": code }) }
}

fn refuse(id: Id<'_>, error: &RpcError) -> String {
    let RpcError { number, message, data } = error;
    let error = json!({ "code": number, "message": message, "data": data });
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#)
}

impl From<&Reply> for RpcError {
    fn from(reply: &Reply) -> Self {
        #[derive(Default, Deserialize)]
        struct Body {
            message: String,
            code: String,
        }
        let body = match reply {
            Reply::Json { body, .. } => serde_json::from_slice::<Body>(body).unwrap_or_default(),
            _ => Body::default(),
        };
        plain(-32012, &body.code, body.message)
    }
}

impl From<Unreadable> for RpcError {
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::NotJson => plain(-32700, "parse-error", "not JSON"),
            Unreadable::BatchSize => {
                let message = format!("a batch holds 1 to {MAX_BATCH} requests");
                plain(-32600, "invalid-request", message)
            }
        }
    }
}

impl From<Invalid<'_>> for RpcError {
    fn from(invalid: Invalid<'_>) -> Self {
        plain(-32600, "invalid-request", invalid.why)
    }
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
        SessionDenial::Payload(PayloadError::OtherExtrinsics { in_header, given }) => evidence(
            json!({ "extrinsics_root": given.to_string() }),
            json!({ "header": { "extrinsics_root": in_header.to_string() } }),
        ),
        SessionDenial::Payload(PayloadError::OtherParent {
            in_header,
            block,
            given,
            given_block,
        }) => evidence(
            json!({ "parent_hash": given.to_string(), "block": given_block.to_string() }),
            json!({ "header": {
                "parent_hash": in_header.to_string(), "block": block.to_string(),
            } }),
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
