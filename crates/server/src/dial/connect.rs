//! One connection to a node: TCP, TLS where the configuration has it, then a WebSocket.
//!
//! Invariants: the node's certificate was verified before a byte of the guard's token leaves;
//! messages are bounded as those of accepted WebSockets are; a connection of which no byte comes
//! for [`SILENCE`], or that takes no byte for as long, ends with an error.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Error;
use axum::body::Bytes;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes};
use axum::http::HeaderValue;
use axum::http::header::AUTHORIZATION;
use futures_util::{Sink, Stream};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::protocol::{self, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message as WireMessage};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::config::ConfigError;
use crate::nodes::Destination;
use crate::tls::DialFiles;

/// Three pings without an answer.
pub(super) const SILENCE: Duration = Duration::from_secs(12);

/// Any stream of bytes.
trait Bytewise: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Bytewise for T {}

type Timed = Pin<Box<TimeoutStream<Pin<Box<dyn Bytewise>>>>>;

/// What it takes to connect to one node.
pub(super) struct Connector {
    pub(super) name: String,
    pub(super) url: String,
    address: SocketAddr,
    request: Request,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Connector {
    /// For this node.
    ///
    /// # Errors
    /// [`ConfigError`] names the file that cannot be used.
    pub(super) fn new(node: &Destination) -> Result<Arc<Self>, ConfigError> {
        let Destination { name, url, address, token, tls } = node;
        let fails = |why: String| ConfigError(format!("node {name:?}: {why}"));
        let mut request =
            url.as_str().into_client_request().map_err(|error| fails(error.to_string()))?;
        if let Some(token) = token {
            let shown = HeaderValue::from_str(&format!("Bearer {}", token.as_str()));
            let mut shown = shown.map_err(|_| fails("the token cannot be sent".to_owned()))?;
            shown.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, shown);
        }
        let tls = tls.as_ref().map(DialFiles::connector).transpose()?;
        let (name, url, address) = (name.clone(), url.clone(), *address);
        Ok(Arc::new(Self { name, url, address, request, tls }))
    }

    /// Opens the connection. `most` is the longest message, in bytes.
    ///
    /// # Errors
    /// Why not, in words for the operator.
    pub(super) async fn connect(&self, most: usize) -> Result<Socket, String> {
        let stream = TcpStream::connect(self.address).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let stream: Pin<Box<dyn Bytewise>> = match &self.tls {
            None => Box::pin(stream),
            Some((connector, name)) => {
                let connected = connector.connect(name.clone(), stream).await;
                Box::pin(connected.map_err(|error| format!("TLS: {error}"))?)
            }
        };
        let mut timed = TimeoutStream::new(stream);
        timed.set_read_timeout(Some(SILENCE));
        timed.set_write_timeout(Some(SILENCE));
        let limits =
            WebSocketConfig::default().max_message_size(Some(most)).max_frame_size(Some(most));
        let opened =
            client_async_with_config(self.request.clone(), Box::pin(timed), Some(limits)).await;
        opened.map(|(socket, _)| Socket(socket)).map_err(|error| in_words(&error))
    }
}

fn in_words(error: &tungstenite::Error) -> String {
    match error {
        tungstenite::Error::Http(answer) if matches!(answer.status().as_u16(), 401 | 403) => {
            format!("the node turns this guard away ({}); compare the token", answer.status())
        }
        tungstenite::Error::Http(answer) => {
            format!("the node opens no WebSocket there ({})", answer.status())
        }
        other => other.to_string(),
    }
}

/// A WebSocket that the guard opened, with the messages of those that it accepts.
pub(super) struct Socket(WebSocketStream<Timed>);

impl Stream for Socket {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let message = ready!(Pin::new(&mut self.0).poll_next(context));
        Poll::Ready(message.map(|message| message.map(received).map_err(Error::new)))
    }
}

impl Sink<Message> for Socket {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.0).poll_ready(context).map_err(Error::new)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        Pin::new(&mut self.0).start_send(sent(message)?).map_err(Error::new)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.0).poll_flush(context).map_err(Error::new)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.0).poll_close(context).map_err(Error::new)
    }
}

/// Requests are bytes: text and binary messages mean the same.
fn received(message: WireMessage) -> Message {
    match message {
        WireMessage::Text(text) => Message::Binary(text.into()),
        WireMessage::Binary(bytes) => Message::Binary(bytes),
        WireMessage::Ping(bytes) => Message::Ping(bytes),
        WireMessage::Pong(bytes) => Message::Pong(bytes),
        // What a closing frame says is not needed; frames alone are never received.
        WireMessage::Close(_) | WireMessage::Frame(_) => Message::Close(None),
    }
}

fn sent(message: Message) -> Result<WireMessage, Error> {
    let text =
        |text: Utf8Bytes| tungstenite::Utf8Bytes::try_from(Bytes::from(text)).map_err(Error::new);
    Ok(match message {
        Message::Text(it) => WireMessage::Text(text(it)?),
        Message::Binary(bytes) => WireMessage::Binary(bytes),
        Message::Ping(bytes) => WireMessage::Ping(bytes),
        Message::Pong(bytes) => WireMessage::Pong(bytes),
        Message::Close(None) => WireMessage::Close(None),
        Message::Close(Some(CloseFrame { code, reason })) => {
            let frame = protocol::CloseFrame { code: code.into(), reason: text(reason)? };
            WireMessage::Close(Some(frame))
        }
    })
}
