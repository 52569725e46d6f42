//! The same duty asked of many keys at once.
//!
//! Source: ethereum/remote-signing-api pull request 29 (open): `POST /api/v1/eth2/sign` with
//! `{"identifiers": [...], "signing_request": {...}}`.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{SigningRequest, json, parse_request};
use crate::{Network, PublicKey, RequestError};

/// The most keys that one batch may name.
pub const MAX_IDENTIFIERS: usize = 16_384;

/// The field that holds what is to be signed.
const REQUEST: &str = "signing_request";

/// A batch: who is to sign, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchRequest {
    /// The keys, in the order in which the results must be given. At least one; a key may come
    /// more than once.
    pub identifiers: Vec<PublicKey>,
    /// What each of them is to sign.
    pub request: SigningRequest,
}

/// Reads the body of a batch.
///
/// # Errors
/// [`RequestError`]; one unreadable identifier refuses the whole batch, because the client cannot
/// mean it.
pub fn parse_batch(body: &[u8], network: &Network) -> Result<BatchRequest, RequestError> {
    let body: Body<'_> = json::read(body, "")?;
    let identifiers = match body.identifiers {
        None => return Err(RequestError::missing("identifiers")),
        Some(Identifiers::TooMany) => return Err(RequestError::TooManyIdentifiers),
        Some(Identifiers::Listed(keys)) if keys.is_empty() => {
            return Err(RequestError::bad("identifiers", "it is empty; name at least one key"));
        }
        Some(Identifiers::Listed(keys)) => keys,
    };
    let request = body.signing_request.ok_or_else(|| RequestError::missing(REQUEST))?;
    let request =
        parse_request(request.get().as_bytes(), network).map_err(|error| error.below(REQUEST))?;
    if !request.kind.is_for_batch() {
        return Err(RequestError::NotForBatch { kind: request.kind });
    }
    Ok(BatchRequest { identifiers, request })
}

#[derive(Deserialize)]
struct Body<'a> {
    identifiers: Option<Identifiers>,
    #[serde(borrow)]
    signing_request: Option<&'a RawValue>,
}

enum Identifiers {
    Listed(Vec<PublicKey>),
    TooMany,
}

struct IdentifiersVisitor;

impl<'de> Visitor<'de> for IdentifiersVisitor {
    type Value = Identifiers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MAX_IDENTIFIERS} public keys")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Identifiers, A::Error> {
        let mut keys = Vec::new();
        while let Some(key) = sequence.next_element()? {
            if keys.len() == MAX_IDENTIFIERS {
                while sequence.next_element::<de::IgnoredAny>()?.is_some() {}
                return Ok(Identifiers::TooMany);
            }
            keys.push(key);
        }
        Ok(Identifiers::Listed(keys))
    }
}

impl<'de> Deserialize<'de> for Identifiers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(IdentifiersVisitor)
    }
}
