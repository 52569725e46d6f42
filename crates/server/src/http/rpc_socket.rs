//! The WebSocket at `/rpc`: the same requests as `POST /rpc`, over one connection that stays.
//!
//! Invariants: messages and the requests under way of one connection are bounded; answers may come
//! in another order than their requests, which is what `id` is for; a connection ends when the
//! policy is read anew, so that no client outlives its line there.

use std::sync::Arc;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};

use super::{Shared, reply};
use crate::link::message::{Question, Reply};
use crate::policy::Presented;

/// Requests of one connection that may be under way; further ones are answered as overload.
const UNDER_WAY: usize = 1_024;

/// `GET /rpc`
pub(super) async fn open(
    State(shared): State<Shared>,
    Extension(presented): Extension<Presented>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let Ok(upgrade) = upgrade else {
        let message = "GET /rpc opens a WebSocket (RFC 6455); send single requests with POST";
        return reply::error(StatusCode::BAD_REQUEST, "invalid-request", message);
    };
    let most = shared.max_body_bytes;
    upgrade
        .max_message_size(most)
        .max_frame_size(most)
        .on_upgrade(move |socket| serve(socket, shared, presented))
}

async fn serve(mut socket: WebSocket, mut shared: Shared, presented: Presented) {
    let (answers, mut answered) = mpsc::channel::<String>(UNDER_WAY);
    let turns = Arc::new(Semaphore::new(UNDER_WAY));
    shared.gate.mark_unchanged();
    loop {
        let message = tokio::select! {
            Some(answer) = answered.recv() => Err(answer),
            message = socket.recv() => Ok(message),
        };
        let body = match message {
            Err(answer) => match socket.send(Message::text(answer)).await {
                Ok(()) => continue,
                Err(_) => return,
            },
            Ok(Some(Ok(Message::Text(text)))) => text.as_bytes().to_vec(),
            Ok(Some(Ok(Message::Binary(bytes)))) => bytes.to_vec(),
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => continue,
            Ok(Some(Ok(Message::Close(_)) | Err(_)) | None) => return,
        };
        if shared.gate.has_changed().unwrap_or(true) {
            tracing::info!("policy read anew: a connection was closed");
            return;
        }
        let id = id_of(&body);
        let Ok(turn) = Arc::clone(&turns).try_acquire_owned() else {
            let answer = without_answer(&id, &Reply::overloaded());
            if socket.send(Message::text(answer)).await.is_err() {
                return;
            }
            continue;
        };
        let (core, presented) = (shared.core.clone(), presented.clone());
        let answers = answers.clone();
        tokio::spawn(async move {
            let answer = match core.ask(&presented, Question::Rpc { body }).await {
                Reply::Json { status: 200, body } => String::from_utf8(body).ok(),
                Reply::NoContent => None,
                other => Some(without_answer(&id, &other)),
            };
            if let Some(answer) = answer {
                // The connection may be gone; then nobody waits for the answer.
                drop(answers.send(answer).await);
            }
            drop(turn);
        });
    }
}

/// The `id` of a request, for an answer that the core does not give.
fn id_of(body: &[u8]) -> Value {
    #[derive(Deserialize)]
    struct OnlyId {
        id: Value,
    }
    serde_json::from_slice::<OnlyId>(body).map_or(Value::Null, |call| call.id)
}

/// A JSON-RPC error for an answer that is not the core's judgement of the request.
fn without_answer(id: &Value, reply: &Reply) -> String {
    #[derive(Default, Deserialize)]
    struct Body {
        message: String,
        code: String,
    }
    let body = match reply {
        Reply::Json { body, .. } => serde_json::from_slice::<Body>(body).unwrap_or_default(),
        _ => Body::default(),
    };
    let error = json!({ "code": -32012, "message": body.message, "data": { "code": body.code } });
    json!({ "jsonrpc": "2.0", "id": id, "error": error }).to_string()
}
