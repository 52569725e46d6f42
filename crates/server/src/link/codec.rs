//! Messages as frames on a stream: a length of four bytes, big-endian, then the message.
//!
//! Invariants: a frame that announces more than the limit is refused before any of it is read; a
//! message that leaves bytes over is refused; a stream that ends inside a frame is a fault, not an
//! end.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::codec::LengthDelimitedCodec;

/// What a question holds beside its body.
const HEAD_BYTES: usize = 64 << 10;

/// The other side does not keep to the protocol, or is gone.
#[derive(Debug)]
pub enum LinkFault {
    /// The stream broke, ended inside a frame, or announced too long a frame.
    Stream(std::io::Error),
    /// A frame that is no message.
    Unreadable,
    /// An `id` that is in use.
    RepeatedId,
    /// A sign of life that nobody asked for.
    UnaskedPong,
    /// No sign of life for so long: the other side is there, and hangs.
    Silent(Duration),
    /// What writes to the other side has failed.
    Unwritten,
}

impl LinkFault {
    /// Whether the other side said what it must not say, rather than being cut off.
    #[must_use]
    pub fn is_breach(&self) -> bool {
        match self {
            Self::Stream(error) => error.kind() == std::io::ErrorKind::InvalidData,
            Self::Unreadable | Self::RepeatedId | Self::UnaskedPong => true,
            Self::Silent(_) | Self::Unwritten => false,
        }
    }
}

/// Frames whose message holds a body of at most `max_body_bytes`.
pub(crate) fn frames(max_body_bytes: usize) -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder()
        .max_frame_length(max_body_bytes.saturating_add(HEAD_BYTES))
        .new_codec()
}

/// Frames of the core's, which is trusted: answers can be as long as a history of all keys.
pub(crate) fn answers() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder().max_frame_length(u32::MAX as usize).new_codec()
}

pub(crate) fn encode(message: &impl Serialize) -> Result<Bytes, LinkFault> {
    postcard::to_allocvec(message).map(Bytes::from).map_err(|_| LinkFault::Unreadable)
}

pub(crate) fn decode<T: DeserializeOwned>(frame: &[u8]) -> Result<T, LinkFault> {
    match postcard::take_from_bytes(frame) {
        Ok((message, [])) => Ok(message),
        _ => Err(LinkFault::Unreadable),
    }
}

impl fmt::Display for LinkFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream(error) => write!(f, "the stream cannot be read: {error}"),
            Self::Unreadable => f.write_str("a frame is no message"),
            Self::RepeatedId => f.write_str("two questions have one id"),
            Self::UnaskedPong => f.write_str("a sign of life that was not asked for"),
            Self::Silent(time) => write!(f, "no sign of life for {} s", time.as_secs()),
            Self::Unwritten => f.write_str("answers cannot be written"),
        }
    }
}

impl From<std::io::Error> for LinkFault {
    fn from(error: std::io::Error) -> Self {
        Self::Stream(error)
    }
}
