//! Who is asking: credentials as digests, and how one is recognised.
//!
//! Invariants: a wrong credential is never treated as no credential; credentials are compared as
//! digests, in constant time, and are never kept in clear; what a front recognises them by is not
//! what the core does.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::link::message::GateEntry;
use crate::policy::Client;

/// A SHA-256 digest of a bearer token or of a client certificate (DER).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// The digest of a credential.
    #[must_use]
    pub fn of(credential: &[u8]) -> Self {
        Self(Sha256::digest(credential).into())
    }

    /// Reads 64 hex digits, with or without `0x`.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits = text.trim().trim_start_matches("0x").replace(':', "");
        hex::decode(digits).ok()?.try_into().ok().map(Self)
    }

    /// What a front recognises the credential by. It does not give the digest that the core
    /// recognises it by: a front that was broken into knows only what passed by.
    fn at_gate(&self) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"palisade/gate/v1");
        hash.update(self.0);
        Self(hash.finalize().into())
    }

    fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", hex::encode(self.0))
    }
}

/// How a client is recognised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Credential {
    /// No credential at all: whoever can reach the listener.
    Anonymous,
    /// `Authorization: Bearer …`, by the token's digest.
    Token(Fingerprint),
    /// A client certificate, by the digest of its DER form.
    Certificate(Fingerprint),
    /// A node that the guard dials, by its name in the configuration. The front vouches for it.
    Node(String),
}

impl Credential {
    pub(crate) fn at_gate(&self) -> Self {
        match self {
            Self::Anonymous => Self::Anonymous,
            Self::Token(digest) => Self::Token(digest.at_gate()),
            Self::Certificate(digest) => Self::Certificate(digest.at_gate()),
            Self::Node(name) => Self::Node(name.clone()),
        }
    }
}

/// What a connection and a request brought along.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presented {
    /// The digest of the client certificate, if TLS asked for one.
    pub certificate: Option<Fingerprint>,
    /// The digest of the bearer token, if the request had one.
    pub token: Option<Fingerprint>,
    /// The node at the other end, if the guard opened the connection.
    pub node: Option<String>,
}

impl Presented {
    /// What is compared with the entries of a gate.
    pub(crate) fn at_gate(&self) -> Self {
        Self {
            certificate: self.certificate.as_ref().map(Fingerprint::at_gate),
            token: self.token.as_ref().map(Fingerprint::at_gate),
            node: self.node.clone(),
        }
    }

    /// What a connection that the guard opened to this node brings along.
    pub(crate) fn by_node(name: &str) -> Self {
        Self { node: Some(name.to_owned()), ..Self::default() }
    }
}

/// The answer to "who is this?".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRecognised {
    /// Nothing was presented, and there is no anonymous client.
    NoCredential,
    /// Something was presented that nobody here has.
    WrongCredential,
}

/// Whoever is recognised by a credential.
pub(crate) trait HasCredential {
    /// What recognises it.
    fn credential(&self) -> &Credential;
}

impl HasCredential for Arc<Client> {
    fn credential(&self) -> &Credential {
        &self.credential
    }
}

impl HasCredential for GateEntry {
    fn credential(&self) -> &Credential {
        &self.credential
    }
}

/// Who of `known` is this? A token counts before a certificate, a certificate before nothing; at
/// the other end of a connection that the guard opened there is its node and nobody else.
pub(crate) fn recognise<'a, C: HasCredential>(
    known: &'a [C],
    presented: &Presented,
) -> Result<&'a C, NotRecognised> {
    let find = |wanted: &dyn Fn(&Credential) -> bool| {
        known.iter().find(|client| wanted(client.credential()))
    };
    if let Some(node) = &presented.node {
        return find(&|known| matches!(known, Credential::Node(name) if name == node))
            .ok_or(NotRecognised::WrongCredential);
    }
    if let Some(token) = &presented.token {
        return find(&|known| matches!(known, Credential::Token(t) if t.matches(token)))
            .ok_or(NotRecognised::WrongCredential);
    }
    if let Some(shown) = &presented.certificate {
        return find(&|known| matches!(known, Credential::Certificate(c) if c.matches(shown)))
            .ok_or(NotRecognised::WrongCredential);
    }
    find(&|known| *known == Credential::Anonymous).ok_or(NotRecognised::NoCredential)
}

/// Reads a bearer token's file. The token is wiped when it is dropped.
///
/// # Errors
/// What is wrong with the file.
pub(crate) fn read_token(path: &Path) -> Result<Zeroizing<String>, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read token_file {path:?}: {error}"))?;
    let text = Zeroizing::new(text);
    if text.trim().len() < 16 {
        return Err(format!("token_file {path:?} holds less than 16 characters"));
    }
    Ok(Zeroizing::new(text.trim().to_owned()))
}

impl NotRecognised {
    /// The stable name of the reason.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::NoCredential => "credential-missing",
            Self::WrongCredential => "credential-wrong",
        }
    }
}

impl fmt::Display for NotRecognised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoCredential => {
                "this guard serves only clients with a bearer token or a client certificate"
            }
            Self::WrongCredential => {
                "no client of this guard has that token or certificate; check [[client]] in \
                 palisade.toml"
            }
        })
    }
}
