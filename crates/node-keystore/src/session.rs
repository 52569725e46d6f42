//! Decides when one WebSocket connection is alive, whoever dialled it.
//!
//! Invariants: an idle or dead peer is noticed within [`SILENCE`]; a peer that does not read is
//! given up after the write bound; a frame above [`LARGEST_ANSWER`] ends the connection before it
//! is held in memory.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::hub::Event;

/// A ping goes out this often.
const PING: Duration = Duration::from_secs(4);
/// A connection on which nothing arrives for this long, not even a pong, is dead.
pub(crate) const SILENCE: Duration = Duration::from_secs(10);
/// How long the peer may take to read one message.
const WRITE: Duration = Duration::from_secs(5);
/// The largest answer that is read: keys and signatures are far below.
pub(crate) const LARGEST_ANSWER: usize = 1 << 20;

/// Any byte stream that a WebSocket runs over.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The bounds of both roles.
pub(crate) fn limits() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(LARGEST_ANSWER))
        .max_frame_size(Some(LARGEST_ANSWER))
}

/// Why a connection ended.
pub(crate) type Ended = String;

/// Carries texts both ways until the connection ends or the hub drops the outbox.
pub(crate) async fn run(
    mut socket: WebSocketStream<Box<dyn Stream>>,
    session: u64,
    mut outbox: mpsc::UnboundedReceiver<String>,
    events: &mpsc::UnboundedSender<Event>,
) -> Ended {
    let mut ping = interval(PING);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = Instant::now();
    loop {
        tokio::select! {
            text = outbox.recv() => {
                let Some(text) = text else { return "given up by the node".to_owned() };
                if let Err(why) = write(&mut socket, Message::text(text)).await {
                    return why;
                }
            }
            message = socket.next() => {
                heard = Instant::now();
                match message {
                    None => return "closed by the guard".to_owned(),
                    Some(Err(error)) => return error.to_string(),
                    Some(Ok(Message::Close(_))) => return "closed by the guard".to_owned(),
                    Some(Ok(Message::Text(text))) => {
                        let event = Event::Text { session, text: text.as_str().to_owned() };
                        if events.send(event).is_err() {
                            return "the node stops".to_owned();
                        }
                    }
                    Some(Ok(Message::Binary(_))) => return "a binary message".to_owned(),
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                }
            }
            _ = ping.tick() => {
                if heard.elapsed() > SILENCE {
                    return format!("silent for {SILENCE:?}");
                }
                if let Err(why) = write(&mut socket, Message::Ping(Vec::new().into())).await {
                    return why;
                }
            }
        }
    }
}

async fn write(
    socket: &mut WebSocketStream<Box<dyn Stream>>,
    message: Message,
) -> Result<(), Ended> {
    match timeout(WRITE, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("the guard read nothing for {WRITE:?}")),
    }
}
