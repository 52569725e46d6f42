//! Decides what goes over the wire: JSON-RPC 2.0 with bytes as `0x` hex, and how an answer reads.
//!
//! Invariant: nothing that a guard sends is trusted further than its shape; an answer that is not
//! exactly one JSON-RPC response with a numeric id is garbage and ends the connection.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

/// Refused by a rule of the guard.
const REFUSED: i64 = -32010;
/// The guard does not hold the key.
const UNKNOWN_KEY: i64 = -32011;
/// The guard is starting, locked or overloaded.
const NOT_READY: i64 = -32012;
/// The guard could not write its store; it signs nothing until that is put right.
const STORE_FAILURE: i64 = -32013;

/// A fault of the guard itself (JSON-RPC 2.0, section 5.1).
const INTERNAL: i64 = -32603;

/// Why a guard did not sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GuardError {
    /// A rule says no; asking again gives the same answer.
    Refused {
        /// The rule, in kebab-case, as the guard names it.
        code: String,
        /// The guard's sentence.
        message: String,
        /// What was asked and the record that forbids it, as JSON text.
        evidence: Option<String>,
    },
    /// The guard does not hold the key (any longer).
    UnknownKey,
    /// The guard was not ready for the whole time that the call may take.
    NotReady(String),
    /// The guard cannot make decisions durable, and so makes none.
    StoreFailure(String),
    /// The guard failed within; its log says more.
    Internal(String),
    /// The guard could not read the request: two versions that do not fit together.
    BadRequest(String),
    /// No guard answered in time.
    NoAnswer {
        /// How long the call waited.
        waited: Duration,
        /// Whether a connection was up when it gave up.
        connected: bool,
    },
    /// The connection broke after a request that must not be sent twice.
    Interrupted,
    /// The guard answered, but not with what it was asked for.
    BadAnswer(String),
    /// Too many calls are waiting already.
    Busy,
}

impl fmt::Display for GuardError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { code, message, evidence } => {
                write!(formatter, "the guard refused ({code}): {message}")?;
                evidence.as_ref().map_or(Ok(()), |evidence| write!(formatter, "; {evidence}"))
            }
            Self::UnknownKey => formatter.write_str(
                "the guard does not hold this key; import it there or rotate the session keys",
            ),
            Self::NotReady(message) => write!(formatter, "the guard is not ready: {message}"),
            Self::StoreFailure(message) => write!(
                formatter,
                "the guard cannot write its store and signs nothing: {message}; see its log"
            ),
            Self::Internal(message) => {
                write!(formatter, "the guard failed: {message}; see its log")
            }
            Self::BadRequest(message) => {
                write!(formatter, "the guard does not understand this node: {message}")
            }
            Self::NoAnswer { waited, connected: true } => {
                write!(formatter, "the guard did not answer within {waited:?}")
            }
            Self::NoAnswer { waited, connected: false } => write!(
                formatter,
                "no guard was connected for {waited:?}; check that it runs and accepts this node"
            ),
            Self::Interrupted => formatter.write_str(
                "the connection broke before the guard answered; look there before asking again",
            ),
            Self::BadAnswer(what) => write!(formatter, "the guard's answer is not usable: {what}"),
            Self::Busy => formatter.write_str("too many calls are waiting for the guard"),
        }
    }
}

impl std::error::Error for GuardError {}

/// One response of a guard.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) id: u64,
    pub(crate) outcome: Result<Value, GuardError>,
}

/// The text of a request.
pub(crate) fn request(id: u64, method: &str, params: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string()
}

/// Reads one response; `Err` says why the text is none.
pub(crate) fn answer(text: &str) -> Result<Answer, String> {
    let mut value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if value.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return Err("not JSON-RPC 2.0".to_owned());
    }
    let id = value.get("id").and_then(Value::as_u64).ok_or("no numeric id")?;
    let result = value.get_mut("result").map(Value::take);
    let error = value.get_mut("error").map(Value::take).filter(|error| !error.is_null());
    match (result, error) {
        (Some(result), None) => Ok(Answer { id, outcome: Ok(result) }),
        (None | Some(Value::Null), Some(error)) => {
            let outcome = Err(read_error(&error).ok_or("an error without a code")?);
            Ok(Answer { id, outcome })
        }
        _ => Err("neither a result nor an error, or both".to_owned()),
    }
}

fn read_error(error: &Value) -> Option<GuardError> {
    let code = error.get("code")?.as_i64()?;
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(shorten);
    let message = text(error.get("message")).unwrap_or_default();
    let data = error.get("data");
    let rule = text(data.and_then(|data| data.get("code"))).unwrap_or_default();
    Some(match code {
        REFUSED => {
            let evidence = data.and_then(|data| data.get("evidence"));
            let evidence = evidence.map(|evidence| shorten(&evidence.to_string()));
            GuardError::Refused { code: rule, message, evidence }
        }
        UNKNOWN_KEY => GuardError::UnknownKey,
        NOT_READY => GuardError::NotReady(message),
        STORE_FAILURE => GuardError::StoreFailure(message),
        INTERNAL => GuardError::Internal(message),
        _ => GuardError::BadRequest(format!("{message} ({code})")),
    })
}

/// At most a kilobyte of a guard's words reaches the log.
fn shorten(text: &str) -> String {
    text.chars().take(1024).collect()
}

/// `0x` hex.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

/// The bytes of a `0x` hex member of an answer.
pub(crate) fn bytes_of(value: &Value, member: &str) -> Result<Vec<u8>, GuardError> {
    let text = value.get(member).and_then(Value::as_str);
    text.and_then(from_hex).ok_or_else(|| GuardError::BadAnswer(format!("no hex in {member:?}")))
}

/// The bytes of `0x` hex, if it is any.
pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    hex::decode(text.strip_prefix("0x")?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_keeps_its_rule_and_evidence() {
        let text = r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32010,"message":"no","data":
            {"code":"grandpa-double-vote","evidence":{"round":3}}}}"#;
        let answer = answer(text).unwrap();
        assert_eq!(answer.id, 7);
        let Err(GuardError::Refused { code, evidence, .. }) = answer.outcome else {
            panic!("not a refusal")
        };
        assert_eq!(code, "grandpa-double-vote");
        assert_eq!(evidence.as_deref(), Some(r#"{"round":3}"#));
    }

    #[test]
    fn what_is_not_one_response_is_garbage() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"jsonrpc":"2.0","id":"1","result":1}"#,
            r#"{"jsonrpc":"1.0","id":1,"result":1}"#,
            r#"{"jsonrpc":"2.0","id":1}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":1,"error":{"code":1,"message":""}}"#,
            r#"{"jsonrpc":"2.0","id":1,"error":{"message":"x"}}"#,
            r#"[{"jsonrpc":"2.0","id":1,"result":1}]"#,
        ] {
            assert!(answer(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_long_message_is_cut() {
        let long = "x".repeat(5000);
        let text = json!({"jsonrpc":"2.0","id":1,"error":{"code":-32012,"message":long}});
        let Err(GuardError::NotReady(message)) = answer(&text.to_string()).unwrap().outcome else {
            panic!("not a NotReady")
        };
        assert_eq!(message.len(), 1024);
    }
}
