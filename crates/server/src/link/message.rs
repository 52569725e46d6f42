//! The messages between front and core.
//!
//! Invariants: a question brings what the client presented, never who the front thinks it is; what
//! a question holds is bytes and text of the client's, to be parsed by the core; an answer holds no
//! secret but a signature.

use serde::{Deserialize, Serialize};

use super::codec::{LinkFault, decode};
use crate::core::{ConsoleState, ErrorBody};
use crate::policy::{Credential, Presented};

const CANNOT_BE_WRITTEN: &[u8] =
    br#"{"message":"the answer cannot be written; please report this","code":"internal-error"}"#;

/// From the front to the core.
#[derive(Serialize, Deserialize)]
pub enum FromFront {
    /// The listeners are served.
    Ready,
    /// A question; `id` is unique among those that wait for an answer.
    Ask {
        /// Comes back with the answer.
        id: u64,
        /// What the client showed.
        presented: Presented,
        /// What it asks.
        question: Question,
    },
    /// Nobody waits for this answer any more.
    Cancel {
        /// Of the question.
        id: u64,
    },
    /// The front's event loop turns: to a ping of this number.
    Pong(u64),
}

impl FromFront {
    /// Reads what a frame holds: foreign bytes, if the front was broken into.
    ///
    /// # Errors
    /// [`LinkFault::Unreadable`]
    pub fn read(frame: &[u8]) -> Result<Self, LinkFault> {
        decode(frame)
    }
}

/// From the core to the front.
#[derive(Serialize, Deserialize)]
pub(crate) enum FromCore {
    /// To the question with this `id`.
    Answer {
        /// Of the question.
        id: u64,
        /// The answer.
        reply: Reply,
    },
    /// Whom to let in from now on.
    Gate(Vec<GateEntry>),
    /// Asks for a sign of life with this number.
    Ping(u64),
    /// Take nothing new, finish what is under way, and end.
    Stop,
}

/// A client as the front knows it: enough to turn strangers away before they send a body. The core
/// recognises and judges again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GateEntry {
    /// The name, for the front's log.
    pub(crate) name: String,
    /// What recognises it at the gate, and nowhere else: a digest of the digest that the core
    /// knows, so that the list of clients makes nobody a client.
    pub(crate) credential: Credential,
}

/// One thing that a client, or the watching listener, can ask. It can hold passwords, and so has no
/// `Debug` outside tests.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(Clone, Debug))]
pub enum Question {
    /// One Ethereum signature.
    Sign {
        /// The key as written in the path.
        public_key: String,
        /// The request's body.
        #[serde(with = "serde_bytes")]
        body: Vec<u8>,
    },
    /// One message, many keys.
    SignBatch {
        /// The request's body.
        #[serde(with = "serde_bytes")]
        body: Vec<u8>,
    },
    /// The validators' keys that the client may see.
    PublicKeys,
    /// The lowest stop-line.
    HighWatermark,
    /// A JSON-RPC message.
    Rpc {
        /// A request, or a batch.
        #[serde(with = "serde_bytes")]
        body: Vec<u8>,
    },
    /// The key manager API: which keys.
    Keystores,
    /// The key manager API: take keys in.
    KeystoresImport {
        /// The request's body, with passwords.
        #[serde(with = "serde_bytes")]
        body: Vec<u8>,
    },
    /// The key manager API: let keys go.
    KeystoresDelete {
        /// The request's body.
        #[serde(with = "serde_bytes")]
        body: Vec<u8>,
    },
    /// Read the policy again.
    Reload,
    /// How the last reload went.
    ReloadStatus,
    /// Web3Signer's health report.
    Healthcheck,
    /// What is missing. For everybody who reaches the metrics listener, like the next two.
    Readiness,
    /// The core's series.
    Metrics,
    /// What the console shows.
    Console,
}

impl Question {
    /// Whether it may be taken back while it is under way: its work ends with it, or is short and
    /// leaves nothing half done.
    pub(crate) fn can_be_taken_back(&self) -> bool {
        matches!(self, Self::Sign { .. } | Self::SignBatch { .. } | Self::Rpc { .. })
    }
}

/// An answer.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// One signature, `0x` hex.
    Signature(String),
    /// JSON, with the status code that it goes with.
    Json {
        /// An HTTP status code.
        status: u16,
        /// The text.
        #[serde(with = "serde_bytes")]
        body: Vec<u8>,
    },
    /// Carried out; there is nothing to say.
    NoContent,
    /// OpenMetrics text.
    Metrics(String),
    /// What is missing until the guard is ready; empty when it is.
    Missing(Vec<String>),
    /// What the console shows.
    Console(Box<ConsoleState>),
}

impl Reply {
    /// JSON for this status.
    #[must_use]
    pub fn json(status: u16, body: &impl Serialize) -> Self {
        match serde_json::to_vec(body) {
            Ok(body) => Self::Json { status, body },
            // Never "carried out", which is what no content says.
            Err(_) => Self::Json { status: 500, body: CANNOT_BE_WRITTEN.to_vec() },
        }
    }

    /// An error without evidence.
    #[must_use]
    pub fn error(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self::json(status, &ErrorBody { message: message.into(), code, evidence: None })
    }

    /// How much memory it holds, about, in bytes.
    pub(crate) fn length(&self) -> usize {
        match self {
            Self::Signature(text) | Self::Metrics(text) => text.len(),
            Self::Json { body, .. } => body.len(),
            Self::NoContent => 0,
            Self::Missing(missing) => missing.iter().map(String::len).sum(),
            // A hundred keys, and a hundred decisions of some hundred bytes.
            Self::Console(_) => 128 << 10,
        }
    }

    /// Nothing was decided: too much is under way.
    #[must_use]
    pub(crate) fn overloaded() -> Self {
        Self::error(
            503,
            "overloaded",
            "too many requests are under way; nothing was decided, try again",
        )
    }
}
