//! What somebody asks to have signed, reduced to what the rules need.
//!
//! Invariant: the digest of an [`Intent`] is the digest of exactly the bytes from which its duty
//! was read. Chain adapters keep it by building both from one decoded value.

use core::fmt;

use crate::statement::{Statement, Subject};
use crate::substrate::GrandpaStage;

/// A 32-byte digest: for Ethereum the signing root of the message
/// (consensus-specs `phase0/beacon-chain.md`, `compute_signing_root`), for Substrate
/// [`Message::digest`](crate::Message::digest).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

/// Names one key in the ledger: a digest of the key's scheme and public key, made by `keys`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 32]);

/// A slot: of the beacon chain, counted from its genesis; of BABE and Aura, counted from the Unix
/// epoch in units of the chain's slot duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u64);

/// A beacon chain epoch, counted from genesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// The kind and place of a duty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Duty {
    /// A beacon block proposal. Two different ones in a slot are slashable.
    Proposal {
        /// The block's slot.
        slot: Slot,
    },
    /// An attestation. A double or surround vote is slashable.
    Attestation {
        /// Epoch of the source checkpoint.
        source: Epoch,
        /// Epoch of the target checkpoint.
        target: Epoch,
    },
    /// A vote of GRANDPA. Two different prevotes or precommits of one round are slashable.
    GrandpaVote {
        /// The step of the round.
        stage: GrandpaStage,
        /// The authority set.
        set_id: u64,
        /// The round in it.
        round: u64,
    },
    /// The seal of a BABE or Aura block; the digest is its pre-hash. Two in a slot are slashable.
    Seal {
        /// The block's slot.
        slot: Slot,
    },
    /// A vote of BEEFY. Two different commitments for one block are slashable.
    BeefyVote {
        /// The validator set.
        set_id: u64,
        /// The block's number.
        block: u64,
    },
    /// A statement of a relay chain's validator on a candidate. To contradict it is slashable.
    ParaStatement {
        /// The session and the candidate.
        subject: Subject,
        /// What is said of it.
        statement: Statement,
    },
    /// Not slashable, but it cannot be taken back (a voluntary exit, a deposit, a change of
    /// withdrawal credentials): journaled durably before it is signed.
    Irrevocable,
    /// Neither slashable nor lasting: permitted without a record and without a write.
    Harmless,
}

impl Duty {
    /// What the stance must be known about before the duty can be judged; `None` when the record
    /// alone is enough.
    #[must_use]
    pub fn subject(&self) -> Option<Subject> {
        match self {
            Self::ParaStatement { subject, .. } => Some(*subject),
            Self::Proposal { .. }
            | Self::Attestation { .. }
            | Self::GrandpaVote { .. }
            | Self::Seal { .. }
            | Self::BeefyVote { .. }
            | Self::Irrevocable
            | Self::Harmless => None,
        }
    }
}

/// A duty together with the digest that would be signed for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Intent {
    /// What is asked, and where on the chain.
    pub duty: Duty,
    /// The digest that a signature would cover.
    pub digest: Digest,
}

fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("0x")?;
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
