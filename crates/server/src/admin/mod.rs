//! What an operator may do to a home: keys in and out, history in and out, the journal checked.
//!
//! One list of requests serves three doors: the command line on a stopped home ([`execute`]), the
//! command line on a running guard (the admin socket, [`socket`]), and the key manager API. All
//! three run the same code on the same store, so that none of them can be less careful.
//!
//! Invariants: a key's record is durable before the key is in the vault; a removed key's history is
//! in the caller's hands before the key is gone; nothing here lowers a record.

mod administrator;
pub mod client;
mod error;
mod execute;
mod floor;
mod generation;
mod history;
mod keys;
mod ledger;
mod past;
mod session_history;
mod sessions;
pub mod socket;
mod status;

use palisade_ethereum::PublicKey;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

pub use administrator::Administrator;
pub use error::{AdminError, Fault};
pub use execute::{Parts, execute};
pub use floor::SessionFloor;
pub use generation::{ProvenKey, SessionGeneration, SessionKeyName, SessionProofs};
pub use sessions::{SessionImport, SessionKeyKind, SessionPast, SessionRow, SessionSecret};
pub use status::{MeasureRow, Status};

/// What the operator says about the past of keys that arrive. One of the three must be said.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Past {
    /// They never signed anything, anywhere.
    Fresh,
    /// Nothing is known: forbid everything up to the present epoch, and wait.
    FromNow,
    /// Their history, as EIP-3076 text; it must name every key.
    History(String),
    /// The same, but a key that it does not name starts from now unless it is in service here
    /// already (the key manager API, whose standard leaves the history optional).
    HistoryOrFromNow(Option<String>),
}

/// One thing to do.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "command")]
#[non_exhaustive]
pub enum Request {
    /// The state of the home.
    Status,
    /// All keys with their records.
    KeysList,
    /// Take keys in: all of them, or none.
    KeysImport {
        /// Secret keys, hex.
        secrets: Vec<Zeroizing<String>>,
        /// What is known of their past.
        past: Past,
    },
    /// Take session keys of a Substrate chain in: all of them, or none.
    SessionKeysImport(SessionImport),
    /// Make new session keys of a Substrate chain, sealed before anything is answered.
    SessionKeysGenerate(SessionGeneration),
    /// Prove that session keys that are here belong to an account.
    SessionKeysProve(SessionProofs),
    /// Say from where a session key of unknown past may sign.
    SessionKeysFloor(SessionFloor),
    /// Take keys out of service, and export their history, which is final from then on.
    KeysRetire {
        /// Which.
        public_keys: Vec<PublicKeyText>,
    },
    /// Retire keys and remove their secrets; their records stay.
    KeysRemove {
        /// Which.
        public_keys: Vec<PublicKeyText>,
    },
    /// Take session keys out of service, and export their history.
    SessionKeysRetire {
        /// Which, hex.
        public_keys: Vec<String>,
    },
    /// Retire session keys and remove their secrets; their records stay.
    SessionKeysRemove {
        /// Which, hex.
        public_keys: Vec<String>,
    },
    /// EIP-3076 text of these keys, or of all.
    HistoryExport {
        /// Which; empty means all.
        public_keys: Vec<PublicKeyText>,
    },
    /// Merge EIP-3076 text into the records, to the stricter of both.
    HistoryImport {
        /// The text.
        interchange: Zeroizing<String>,
    },
    /// Replay the journal through the rules.
    JournalVerify,
    /// Set or clear the operator's limits on keys.
    StopLine {
        /// Which; empty means all.
        public_keys: Vec<PublicKeyText>,
        /// Nothing is signed at or above this epoch (and its first slot).
        at_or_above_epoch: Option<u64>,
        /// Nothing is signed below this epoch (and its first slot).
        below_epoch: Option<u64>,
    },
}

/// A public key in messages: `0x` and 96 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicKeyText(pub PublicKey);

/// What was done.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "answer")]
#[non_exhaustive]
pub enum Answer {
    /// To [`Request::Status`].
    Status(Status),
    /// To [`Request::KeysList`].
    Keys {
        /// In order of their public keys.
        keys: Vec<KeyRow>,
    },
    /// To [`Request::KeysImport`].
    Imported {
        /// Now usable.
        imported: Vec<PublicKeyText>,
        /// Already here; their records were merged to the stricter.
        duplicates: Vec<PublicKeyText>,
        /// Start from the present epoch: as asked, or because this home knows a past of theirs, so
        /// that they are not fresh.
        from_now: Vec<PublicKeyText>,
        /// That epoch.
        from_epoch: Option<u64>,
    },
    /// To [`Request::SessionKeysImport`].
    SessionsImported {
        /// Now usable, in the order given.
        imported: Vec<SessionKeyName>,
        /// Already here; their records were merged to the stricter.
        duplicates: Vec<SessionKeyName>,
        /// Start from now: as asked, or because this home knows a past of theirs.
        from_now: Vec<SessionKeyName>,
        /// Of these, the ones that sign nothing until a floor is given.
        await_floor: Vec<SessionKeyName>,
    },
    /// To [`Request::SessionKeysGenerate`] and [`Request::SessionKeysProve`].
    SessionKeys {
        /// In the order asked for.
        keys: Vec<ProvenKey>,
    },
    /// To [`Request::SessionKeysFloor`].
    FloorSet,
    /// To [`Request::KeysRemove`].
    Removed {
        /// No longer usable.
        removed: Vec<PublicKeyText>,
        /// Were not here; their history is exported all the same if it is known.
        not_found: Vec<PublicKeyText>,
        /// EIP-3076 text of all of them.
        interchange: String,
    },
    /// To [`Request::SessionKeysRetire`].
    SessionHistory {
        /// What they signed.
        history: String,
        /// Never were here.
        not_found: Vec<String>,
    },
    /// To [`Request::SessionKeysRemove`].
    SessionsRemoved {
        /// No longer usable.
        removed: Vec<String>,
        /// Were not here; their history is exported all the same if it is known.
        not_found: Vec<String>,
        /// What all of them signed.
        history: String,
    },
    /// To [`Request::HistoryExport`].
    History {
        /// EIP-3076 text.
        interchange: String,
        /// How many keys it holds.
        keys: usize,
    },
    /// To [`Request::HistoryImport`].
    HistoryImported {
        /// How many keys' records were merged.
        keys: usize,
    },
    /// To [`Request::JournalVerify`].
    Journal(JournalReport),
    /// To [`Request::StopLine`].
    StopLineSet {
        /// How many keys.
        keys: usize,
    },
}

/// One key.
#[derive(Debug, Serialize, Deserialize)]
pub struct KeyRow {
    /// The public key, `0x` hex.
    pub public_key: String,
    /// The family of chains.
    pub chain: String,
    /// The kind of key.
    pub r#type: String,
    /// Whether it can sign: its secret is in the vault, and it is not retired.
    pub usable: bool,
    /// The last signed slot.
    pub last_slot: Option<u64>,
    /// The highest signed source epoch.
    pub last_source_epoch: Option<u64>,
    /// The highest signed target epoch.
    pub last_target_epoch: Option<u64>,
    /// Nothing is signed at or above this epoch.
    pub stop_at_or_above_epoch: Option<u64>,
    /// Nothing is signed below this epoch.
    pub stop_below_epoch: Option<u64>,
    /// Of a session key: its chain and its last places.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionRow>,
}

/// What a check of the journal found.
#[derive(Debug, Serialize, Deserialize)]
pub struct JournalReport {
    /// Whether everything holds.
    pub holds: bool,
    /// Entries that hold.
    pub entries: u64,
    /// When the first was written, milliseconds since the Unix epoch.
    pub first_time_unix_ms: Option<u64>,
    /// When the last was written, milliseconds since the Unix epoch.
    pub last_time_unix_ms: Option<u64>,
    /// The digest after the last entry.
    pub head: String,
    /// What does not hold, and where.
    pub fault: Option<String>,
}

impl Serialize for PublicKeyText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PublicKeyText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}
