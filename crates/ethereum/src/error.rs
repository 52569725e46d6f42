//! Why a request cannot be read: a closed set of causes, each with a stable code and a remedy.
//!
//! Invariant: what a client sent appears in an error only as an excerpt of at most
//! [`EXCERPT_MAX_CHARS`] characters, without control characters.

use std::fmt;

use palisade_protect::Digest;

use crate::request::SigningType;
use crate::{MAX_IDENTIFIERS, PublicKey};

/// The most that an error repeats of a request.
const EXCERPT_MAX_CHARS: usize = 160;

/// The request is not one that this guard can read. All of these are the client's to repair.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// The body is not JSON, or it ends too early.
    MalformedJson {
        /// Line of the first byte that does not fit, from 1.
        line: usize,
        /// Column of that byte, from 1.
        column: usize,
        /// What the parser expected.
        why: String,
    },
    /// A field that this type of request needs is absent or null.
    MissingField {
        /// The field's path from the top of the request.
        field: String,
    },
    /// A field is there but its value cannot be used.
    BadField {
        /// The field's path from the top of the request.
        field: String,
        /// What is wrong with it.
        why: String,
    },
    /// The `type` is none of [`SigningType::ALL`].
    UnknownType {
        /// An excerpt of what was given.
        given: String,
    },
    /// The request carries a signing root that is not the one of its content.
    SigningRootMismatch {
        /// What the client sent.
        given: Digest,
        /// What its content gives.
        computed: Digest,
    },
    /// The content names another key than the one that is asked to sign.
    PublicKeyMismatch {
        /// The key in the content.
        named: PublicKey,
        /// The key that would sign.
        signing: PublicKey,
    },
    /// This type of request belongs to one key and cannot be asked of several at once.
    NotForBatch {
        /// The type.
        kind: SigningType,
    },
    /// A batch for more keys than [`MAX_IDENTIFIERS`].
    TooManyIdentifiers,
}

impl RequestError {
    /// The stable kebab-case name.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::MalformedJson { .. } => "malformed-json",
            Self::MissingField { .. } => "missing-field",
            Self::BadField { .. } => "bad-field",
            Self::UnknownType { .. } => "unknown-type",
            Self::SigningRootMismatch { .. } => "signing-root-mismatch",
            Self::PublicKeyMismatch { .. } => "public-key-mismatch",
            Self::NotForBatch { .. } => "not-for-batch",
            Self::TooManyIdentifiers => "too-many-identifiers",
        }
    }

    pub(crate) fn missing(field: impl Into<String>) -> Self {
        Self::MissingField { field: field.into() }
    }

    pub(crate) fn bad(field: impl Into<String>, why: impl AsRef<str>) -> Self {
        Self::BadField { field: field.into(), why: excerpt(why.as_ref()) }
    }

    /// The same error of a request that is a field of a larger one.
    pub(crate) fn below(self, parent: &str) -> Self {
        match self {
            Self::MissingField { field } => Self::MissingField { field: join(parent, &field) },
            Self::BadField { field, why } => Self::BadField { field: join(parent, &field), why },
            other => other,
        }
    }

    /// Sorts an error of the JSON parser by its cause; `path` is where it happened.
    pub(crate) fn from_json(error: &serde_json::Error, path: String) -> Self {
        let text = error.to_string();
        // The position is relative to the whole body only for syntax errors, which are always
        // found while the body's outermost object is read.
        let why = text.rsplit_once(" at line ").map_or(text.as_str(), |(why, _)| why);
        if !error.is_data() {
            return Self::MalformedJson {
                line: error.line(),
                column: error.column(),
                why: excerpt(why),
            };
        }
        let inner = why.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'));
        match inner {
            Some(inner) => Self::missing(join(&path, inner)),
            None if path.is_empty() => Self::bad("request", why),
            None => Self::bad(excerpt(&path), why),
        }
    }
}

/// A path and a field below it.
fn join(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { excerpt(&format!("{path}.{field}")) }
}

/// The start of a text, fit to print.
pub(crate) fn excerpt(text: &str) -> String {
    let printable = |c: char| match c {
        '\n' | '\r' | '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    let mut short: String = text.chars().take(EXCERPT_MAX_CHARS).map(printable).collect();
    if text.chars().nth(EXCERPT_MAX_CHARS).is_some() {
        short.push('…');
    }
    short
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MalformedJson { line, column, why } => write!(
                f,
                "the body is not valid JSON: {why} (line {line}, column {column}); \
                 send one JSON object in UTF-8"
            ),
            Self::MissingField { field } => {
                write!(f, "the field `{field}` is missing; this type of request needs it")
            }
            Self::BadField { field, why } => {
                write!(f, "`{field}` cannot be used: {why}")
            }
            Self::UnknownType { given } => write!(
                f,
                "the type \"{given}\" is not known; known types: {}",
                SigningType::ALL.map(SigningType::code).join(", ")
            ),
            Self::SigningRootMismatch { given, computed } => write!(
                f,
                "the signing root sent along is {given}, but the content of the request gives \
                 {computed}; check that client and guard are set to the same network and preset"
            ),
            Self::PublicKeyMismatch { named, signing } => write!(
                f,
                "the content names the key {named}, but {signing} is asked to sign; \
                 ask the key that the content names"
            ),
            Self::NotForBatch { kind } => write!(
                f,
                "a request of type {} belongs to one key; send it to the path of that key",
                kind.code()
            ),
            Self::TooManyIdentifiers => write!(
                f,
                "a batch may name at most {MAX_IDENTIFIERS} keys; split it into several requests"
            ),
        }
    }
}

impl std::error::Error for RequestError {}
