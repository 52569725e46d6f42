//! What became of a request: a signature, or a denial sorted by whose fault it is.
//!
//! Invariants: every denial has a stable kebab-case code and says what to do next; only
//! [`Denial::Refused`], [`Denial::Forbidden`] and [`Denial::WrongGenesis`] are a rule's "no"; a
//! denial never holds a secret or a request's body.

use std::fmt;

use palisade_ethereum::RequestError;
use palisade_keys::{SignError, Signature};
use palisade_protect::{Denied, Digest, Refusal, RefusalKind};
use palisade_store::StoreError;

use crate::policy::Forbidden;

/// How much of an unknown key is repeated: a whole key, and not much of anything else.
const MAX_KEY_CHARS: usize = 128;

/// A signature, or the reason why there is none.
pub type Outcome = Result<Signature, Denial>;

/// Why there is no signature.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Denial {
    /// The request cannot be read, or contradicts itself. The client's fault.
    BadRequest(RequestError),
    /// This guard does not hold the key.
    UnknownKey {
        /// The key as asked for, shortened.
        asked: String,
    },
    /// A slashing rule says no.
    Refused(Refusal),
    /// The operator's policy says no.
    Forbidden(Forbidden),
    /// The message is for another network than this home is pinned to.
    WrongGenesis {
        /// The genesis validators root of this home.
        pinned: Digest,
        /// The one in the request.
        given: Digest,
    },
    /// The ledger's queue is full; nothing was decided.
    Overloaded,
    /// The ledger cannot tell, or could not write.
    Store(StoreError),
    /// A broken invariant of this program.
    Bug(&'static str),
}

impl Denial {
    /// The key is not here.
    #[must_use]
    pub fn unknown_key(asked: impl fmt::Display) -> Self {
        let asked = asked.to_string();
        let mut short: String = asked.chars().take(MAX_KEY_CHARS).collect();
        if short.len() < asked.len() {
            short.push('…');
        }
        Self::UnknownKey { asked: short }
    }

    /// Something that cannot happen did.
    #[must_use]
    pub fn bug(what: &'static str) -> Self {
        tracing::error!(what, "invariant broken: please report this");
        Self::Bug(what)
    }

    /// The store's failure, as a denial.
    #[must_use]
    pub fn from_store(error: StoreError) -> Self {
        Self::Store(error)
    }

    /// The slashing rule's "no", if it is one.
    pub(super) fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// The stable name of the reason.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadRequest(error) => error.code(),
            Self::UnknownKey { .. } => "unknown-key",
            Self::Refused(refusal) => refusal.kind.code(),
            Self::Forbidden(_) => "policy-denied",
            Self::WrongGenesis { .. } => "wrong-genesis-validators-root",
            Self::Overloaded => "overloaded",
            Self::Store(error) => error.code(),
            Self::Bug(_) => "internal-error",
        }
    }
}

impl From<RequestError> for Denial {
    fn from(error: RequestError) -> Self {
        Self::BadRequest(error)
    }
}

impl From<Forbidden> for Denial {
    fn from(forbidden: Forbidden) -> Self {
        Self::Forbidden(forbidden)
    }
}

impl From<Denied<StoreError>> for Denial {
    fn from(denied: Denied<StoreError>) -> Self {
        match denied {
            Denied::Refused(refusal) => Self::Refused(refusal),
            // The key ring and the ledger are filled together; a key without a record has no
            // known past and does not sign.
            Denied::UnknownKey(key) => Self::UnknownKey { asked: format!("record of {key}") },
            Denied::Failed(error) => Self::Store(error),
        }
    }
}

impl From<SignError> for Denial {
    fn from(error: SignError) -> Self {
        match error {
            SignError::UnknownKey(key) => Self::UnknownKey { asked: format!("secret of {key}") },
            SignError::DoesNotVerify(_) => Self::bug(
                "a signature that does not verify was thrown away: check the machine's memory",
            ),
            SignError::Damaged(_) => {
                Self::bug("a key changed in memory and was not used: check the machine's memory")
            }
            _ => Self::bug("signing failed although it was permitted"),
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadRequest(error) => error.fmt(f),
            Self::UnknownKey { asked } => write!(
                f,
                "this guard does not hold the key {asked}; `palisade keys list` shows those that \
                 it holds, `palisade keys import` adds one"
            ),
            Self::Refused(refusal) => {
                write!(f, "refused: {refusal}; nothing was signed. {}", remedy(refusal.kind))
            }
            Self::Forbidden(forbidden) => write!(f, "refused: {forbidden}"),
            Self::WrongGenesis { pinned, given } => write!(
                f,
                "refused: the request is for the network with genesis validators root {given}, \
                 this home is pinned to {pinned}; point the client at the right guard"
            ),
            Self::Overloaded => f.write_str(
                "too many requests are waiting for the ledger; nothing was decided, try again",
            ),
            Self::Store(error) => error.fmt(f),
            Self::Bug(what) => {
                write!(f, "internal error ({what}); nothing was signed, please report it")
            }
        }
    }
}

/// What the operator can do about a refusal.
fn remedy(kind: RefusalKind) -> &'static str {
    match kind {
        RefusalKind::AtOrAboveStopLine | RefusalKind::BelowStopLine => {
            "`palisade stop-line` moves the line, if it is not wanted any more"
        }
        RefusalKind::SourceAfterTarget => {
            "no correct validator client asks for this; look at its log"
        }
        RefusalKind::ContradictoryStatement => {
            "look for a second node with the same key, and at the node's log: one of the two \
             statements is wrong, and the chain may punish it"
        }
        RefusalKind::DutyOfAnotherChain => "point the client at the guard of its own chain",
        RefusalKind::AwaitsFloor => {
            "Say from where the key may sign: `palisade keys floor PUBKEY --set-id N --number N`"
        }
        RefusalKind::TooFarAhead => {
            "No chain moves so fast: look for a node on another chain, or one that is damaged"
        }
        _ => {
            "Nothing needs to be done; if it goes on, look for a second validator client with the \
             same key"
        }
    }
}

impl std::error::Error for Denial {}
