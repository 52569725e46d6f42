//! JSON-RPC 2.0 messages: from bytes to calls, without building what nobody asked for.
//!
//! Invariants: parameters stay text until their method reads them; a batch holds at most
//! [`MAX_BATCH`] calls, and what stands behind them is not looked at; a call is an object, its `id`
//! a string, a number or null of at most [`MAX_ID_BYTES`], and is repeated as it came; what an
//! error repeats of a request is short.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error, IgnoredAny, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

/// A node asks for one signature at a time; a batch is for tools.
pub(super) const MAX_BATCH: usize = 64;

/// The longest `id`, as it is written, with its quotes.
const MAX_ID_BYTES: usize = 128;

/// The longest name of a method; no method of ours is nearly as long.
const MAX_METHOD_BYTES: usize = 64;

/// How much of what is wrong with parameters is told.
const MAX_REASON_CHARS: usize = 300;

/// One message.
pub(super) enum Message<'a> {
    /// One call.
    Single(Result<Call<'a>, Invalid<'a>>),
    /// Some calls, to be answered in this order.
    Batch(Vec<Result<Call<'a>, Invalid<'a>>>),
}

/// A request, or a notification if it has no `id`.
pub(super) struct Call<'a> {
    /// What is called; empty for a name that is longer than any.
    pub(super) method: String,
    /// As they came; absent, or an object if they are any use.
    pub(super) params: Option<&'a RawValue>,
    /// As it came; absent in a notification.
    pub(super) id: Option<Id<'a>>,
}

/// What an answer is recognised by: JSON, as it came.
#[derive(Clone, Copy)]
pub(super) struct Id<'a>(&'a str);

/// A value that is no request.
pub(super) struct Invalid<'a> {
    /// The value's `id`, if it has a usable one.
    pub(super) id: Id<'a>,
    /// What is wrong.
    pub(super) why: &'static str,
}

/// Bytes that are no message.
pub(super) enum Unreadable {
    /// They are not JSON.
    NotJson,
    /// They are a batch of none or of too many.
    BatchSize,
}

/// `0x` hex in a parameter.
pub(super) struct HexBytes(pub(super) Vec<u8>);

/// Members of a call; everything else in it is passed over.
#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    method: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
}

/// A member that is null is there all the same.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

/// Reads one message.
///
/// # Errors
/// [`Unreadable`]; a call that is none is no error of the whole message.
pub(super) fn read(bytes: &[u8]) -> Result<Message<'_>, Unreadable> {
    match bytes.trim_ascii_start().first() {
        Some(b'[') => batch(bytes).map(Message::Batch),
        Some(b'{') => match serde_json::from_slice(bytes) {
            Ok(members) => Ok(Message::Single(call(members))),
            Err(error) if error.classify() == Category::Data => {
                Ok(Message::Single(Err(no_request())))
            }
            Err(_) => Err(Unreadable::NotJson),
        },
        _ => match serde_json::from_slice::<IgnoredAny>(bytes) {
            Ok(_) => Ok(Message::Single(Err(no_request()))),
            Err(_) => Err(Unreadable::NotJson),
        },
    }
}

fn batch(bytes: &[u8]) -> Result<Vec<Result<Call<'_>, Invalid<'_>>>, Unreadable> {
    let mut elements: Vec<&RawValue> = Vec::new();
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let read = deserializer.deserialize_seq(Elements(&mut elements));
    let read = read.and_then(|()| deserializer.end());
    match (elements.len(), read) {
        (0, Ok(())) => Err(Unreadable::BatchSize),
        (_, Err(error)) if error.classify() == Category::Data => Err(Unreadable::BatchSize),
        (_, Err(_)) => Err(Unreadable::NotJson),
        (_, Ok(())) => Ok(elements.into_iter().map(element).collect()),
    }
}

fn element(value: &RawValue) -> Result<Call<'_>, Invalid<'_>> {
    if !value.get().starts_with('{') {
        return Err(no_request());
    }
    serde_json::from_str(value.get()).map_err(|_| no_request()).and_then(call)
}

fn call(members: Members<'_>) -> Result<Call<'_>, Invalid<'_>> {
    let id = match members.id {
        None => None,
        Some(raw) => Some(Id::new(raw).ok_or(Invalid {
            id: Id::NULL,
            why: "id is a number, null, or a string of at most 126 bytes",
        })?),
    };
    let invalid = |why| Invalid { id: id.unwrap_or(Id::NULL), why };
    if members.jsonrpc.map(RawValue::get) != Some("\"2.0\"") {
        return Err(invalid("jsonrpc must be \"2.0\""));
    }
    let method = members.method.map(RawValue::get).filter(|raw| raw.starts_with('"'));
    let method = method.ok_or_else(|| invalid("method must be a string"))?;
    let is_short = method.len() <= MAX_METHOD_BYTES;
    let method = if is_short { serde_json::from_str(method).ok() } else { None };
    Ok(Call { method: method.unwrap_or_default(), params: members.params, id })
}

fn no_request() -> Invalid<'static> {
    Invalid { id: Id::NULL, why: "not a JSON-RPC 2.0 request" }
}

impl<'a> Id<'a> {
    /// Of what belongs to no request that could be read.
    pub(super) const NULL: Self = Self("null");

    fn new(raw: &'a RawValue) -> Option<Self> {
        let text = raw.get();
        let is_scalar = !text.starts_with(['{', '[', 't', 'f']);
        (is_scalar && text.len() <= MAX_ID_BYTES).then_some(Self(text))
    }
}

impl fmt::Display for Id<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Collects the elements of an array, and one more than are wanted if there are so many.
struct Elements<'v, 'a>(&'v mut Vec<&'a RawValue>);

impl<'a> Visitor<'a> for Elements<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut sequence: A) -> Result<(), A::Error> {
        while let Some(element) = sequence.next_element()? {
            if self.0.len() == MAX_BATCH {
                return Err(A::Error::custom("too many elements"));
            }
            self.0.push(element);
        }
        Ok(())
    }
}

/// Reads a method's parameters, which go by name.
///
/// # Errors
/// What is wrong with them, in a short text.
pub(super) fn parameters<T: DeserializeOwned>(given: Option<&RawValue>) -> Result<T, String> {
    let text = given.map(RawValue::get).filter(|text| text.starts_with('{'));
    let text = text.ok_or("parameters go by name, in an object")?;
    serde_json::from_str(text).map_err(|error| shortened(&error.to_string()))
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(MAX_REASON_CHARS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

impl<'de> Deserialize<'de> for HexBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(HexVisitor)
    }
}

struct HexVisitor;

impl Visitor<'_> for HexVisitor {
    type Value = HexBytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x and hexadecimal digits")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<HexBytes, E> {
        let digits = text.strip_prefix("0x").and_then(|digits| hex::decode(digits).ok());
        digits.map(HexBytes).ok_or_else(|| E::custom("bytes are 0x and hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    //! What is a call, what is none, and that neither size nor depth makes work.

    use super::*;

    /// `method id` of each call, `! id why` of what is none.
    fn seen(text: &str) -> Vec<String> {
        let one = |call: Result<Call<'_>, Invalid<'_>>| match call {
            Ok(call) => {
                let id = call.id.map_or("-".to_owned(), |id| id.to_string());
                format!("{} {id}", call.method)
            }
            Err(invalid) => format!("! {} {}", invalid.id, invalid.why),
        };
        match read(text.as_bytes()) {
            Ok(Message::Single(call)) => vec![one(call)],
            Ok(Message::Batch(calls)) => calls.into_iter().map(one).collect(),
            Err(Unreadable::NotJson) => vec!["not JSON".to_owned()],
            Err(Unreadable::BatchSize) => vec!["batch size".to_owned()],
        }
    }

    fn with_id(id: &str) -> String {
        format!(r#"{{"jsonrpc":"2.0","method":"m","id":{id}}}"#)
    }

    #[test]
    fn an_id_is_a_short_scalar_and_null_is_one() {
        for id in ["0", "-1.5e3", "null", "\"a\"", "\"\\ud83d\"", "18446744073709551616"] {
            assert_eq!(seen(&with_id(id)), [format!("m {id}")]);
        }
        let longest = format!("\"{}\"", "x".repeat(126));
        assert_eq!(seen(&with_id(&longest)), [format!("m {longest}")]);
        for id in ["[]", "{}", "true", "false", &format!("\"{}\"", "x".repeat(127))] {
            assert!(seen(&with_id(id))[0].starts_with("! null id is"), "{id}");
        }
        assert_eq!(seen(r#"{"jsonrpc":"2.0","method":"m"}"#), ["m -"]);
    }

    #[test]
    fn what_is_no_request_says_so_with_its_id() {
        for (text, what) in [
            ("", "not JSON"),
            ("{", "not JSON"),
            ("{}x", "not JSON"),
            ("[1", "not JSON"),
            ("[1]]", "not JSON"),
            ("7", "! null not a JSON-RPC 2.0 request"),
            ("[[]]", "! null not a JSON-RPC 2.0 request"),
            (r#"["2.0","m",{},1]"#, "! null not a JSON-RPC 2.0 request"),
            (r#"{"id":1,"id":2}"#, "! null not a JSON-RPC 2.0 request"),
            (r#"{"id":1}"#, "! 1 jsonrpc must be \"2.0\""),
            (r#"{"id":1,"jsonrpc":2.0}"#, "! 1 jsonrpc must be \"2.0\""),
            (r#"{"id":1,"jsonrpc":"2.0"}"#, "! 1 method must be a string"),
            (r#"{"id":1,"jsonrpc":"2.0","method":7}"#, "! 1 method must be a string"),
        ] {
            assert_eq!(seen(text)[0], what, "{text}");
        }
    }

    #[test]
    fn a_batch_is_bounded_and_what_is_behind_is_not_read() {
        let of = |count: usize| format!("[{}]", vec![with_id("1"); count].join(","));
        assert_eq!(seen("[]"), ["batch size"]);
        assert_eq!(seen(&of(64)).len(), 64);
        assert_eq!(seen(of(64).trim_end_matches(']')), ["not JSON"]);
        assert_eq!(seen(&of(65)), ["batch size"]);
        assert_eq!(seen(&format!("[{} and no JSON", "0,".repeat(65))), ["batch size"]);
    }

    #[test]
    fn depth_and_length_cost_no_stack_and_no_long_answer() {
        let deep = "[".repeat(1 << 20) + &"]".repeat(1 << 20);
        let text = format!(r#"{{"jsonrpc":"2.0","method":"m","id":1,"params":{deep}}}"#);
        assert_eq!(seen(&text), ["m 1"]);
        assert_eq!(seen(&deep), ["! null not a JSON-RPC 2.0 request"]);
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct None {}
        let long = format!(r#"{{"{}":{deep}}}"#, "k".repeat(1 << 20));
        let raw: &RawValue = serde_json::from_str(&long).unwrap();
        let Err(why) = parameters::<None>(Some(raw)) else { panic!("read") };
        assert!(why.starts_with("unknown field"), "{why}");
        assert_eq!(why.chars().count(), MAX_REASON_CHARS + 1);
    }
}
