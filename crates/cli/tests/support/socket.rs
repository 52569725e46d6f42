//! A WebSocket of a node, message by message under the test's control.

use std::net::{SocketAddr, TcpStream};

use serde_json::{Value, json};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{ClientRequestBuilder, Error, HandshakeError, Message, WebSocket};

use super::PATIENCE;

/// An open WebSocket at `/rpc`.
pub struct Socket(pub WebSocket<TcpStream>);

impl Socket {
    /// Opens one.
    #[track_caller]
    pub fn open(to: SocketAddr) -> Self {
        Self::try_open(to).unwrap_or_else(|status| panic!("answered {status}"))
    }

    /// Opens one, or gives the status of the refusal; 0 if the guard is gone.
    pub fn try_open(to: SocketAddr) -> Result<Self, u16> {
        Self::try_open_as(to, None)
    }

    /// The same, with a bearer token.
    pub fn try_open_as(to: SocketAddr, token: Option<&str>) -> Result<Self, u16> {
        let stream = TcpStream::connect(to).map_err(|_| 0_u16)?;
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let mut request = ClientRequestBuilder::new(format!("ws://{to}/rpc").parse().unwrap());
        if let Some(token) = token {
            request = request.with_header("Authorization", format!("Bearer {token}"));
        }
        match tungstenite::client::client(request, stream) {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(HandshakeError::Failure(Error::Http(answer))) => Err(answer.status().as_u16()),
            Err(_) => Err(0),
        }
    }

    /// Sends one message.
    #[track_caller]
    pub fn send(&mut self, text: impl ToString) {
        self.0.send(Message::text(text.to_string())).unwrap();
    }

    /// Sends one request.
    #[track_caller]
    pub fn ask(&mut self, id: impl Into<Value>, method: &str, params: &Value) {
        let id: Value = id.into();
        self.send(json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
    }

    /// The next answer; `None` when the connection is closed.
    pub fn answer(&mut self) -> Option<Value> {
        loop {
            match self.0.read() {
                Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Ok(_) | Err(_) => return None,
            }
        }
    }

    /// The code and the reason with which the guard closes; answers before that are passed over.
    pub fn farewell(&mut self) -> Option<(CloseCode, String)> {
        loop {
            match self.0.read() {
                Ok(Message::Close(frame)) => {
                    return frame.map(|frame| (frame.code, frame.reason.to_string()));
                }
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }
}
