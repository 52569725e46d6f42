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
use tokio::sync::{Semaphore, mpsc};

use super::identity::RecognisedClient;
use super::{Shared, reply, rpc};
use crate::engine::Engine;
use crate::policy::Client;

/// Requests of one connection that may be under way; further ones are answered as overload.
const UNDER_WAY: usize = 1_024;

/// `GET /rpc`
pub(super) async fn open(
    State(shared): State<Shared>,
    Extension(client): Extension<RecognisedClient>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let Ok(upgrade) = upgrade else {
        let message = "GET /rpc opens a WebSocket (RFC 6455); send single requests with POST";
        return reply::error(StatusCode::BAD_REQUEST, "invalid-request", message);
    };
    let most = shared.max_body_bytes;
    let engine = Arc::clone(&shared.engine);
    upgrade
        .max_message_size(most)
        .max_frame_size(most)
        .on_upgrade(move |socket| serve(socket, engine, client.0))
}

async fn serve(mut socket: WebSocket, engine: Arc<Engine>, client: Arc<Client>) {
    let (answers, mut answered) = mpsc::channel::<String>(UNDER_WAY);
    let turns = Arc::new(Semaphore::new(UNDER_WAY));
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
        if !engine.policy().holds(&client) {
            tracing::info!(client = client.name, "policy read anew: a connection was closed");
            return;
        }
        let Ok(turn) = Arc::clone(&turns).try_acquire_owned() else {
            let answer = rpc::overloaded(&body);
            if socket.send(Message::text(answer)).await.is_err() {
                return;
            }
            continue;
        };
        let (engine, client, answers) = (Arc::clone(&engine), Arc::clone(&client), answers.clone());
        tokio::spawn(async move {
            if let Some(answer) = rpc::answer_to(&engine, &client, &body).await {
                // The connection may be gone; then nobody waits for the answer.
                drop(answers.send(answer.to_string()).await);
            }
            drop(turn);
        });
    }
}
