//! The record of a Substrate session key: the last message of each kind, and its encoding.
//!
//! Invariants: as for every record: constant size, one encoding, grows only stricter; what is known
//! without its digest is never signed again. A record is pinned to one chain and one key type for
//! ever: a GRANDPA vote names no chain, so one key must not serve two.

use alloc::vec::Vec;
use core::fmt;

use crate::codec::Reader;
use crate::record::{RecordError, merge};
use crate::statement::{OPEN_SESSIONS, OpenSessions, REMEMBERED_SESSIONS};
use crate::{Digest, KeyType, Slot};

const AWAITS_FLOOR: u8 = 1;

/// The step of a GRANDPA round that a vote belongs to (`finality_grandpa::Message`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum GrandpaStage {
    /// The first vote, cast before the block is final.
    Prevote = 0,
    /// The second vote.
    Precommit = 1,
    /// The primary's proposal of a round.
    PrimaryPropose = 2,
}

impl GrandpaStage {
    /// Every stage, by its byte in a vote.
    pub const ALL: [Self; 3] = [Self::Prevote, Self::Precommit, Self::PrimaryPropose];

    /// The stage that a vote's first byte stands for.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.get(usize::from(byte)).copied()
    }
}

/// The last sealed block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal {
    /// Its slot.
    pub slot: Slot,
    /// Its pre-hash; `None` when only the slot is known.
    pub pre_hash: Option<Digest>,
}

/// The last vote of one stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrandpaVote {
    /// The authority set.
    pub set_id: u64,
    /// The round in it.
    pub round: u64,
    /// The vote's digest; `None` when only its place is known.
    pub digest: Option<Digest>,
}

/// The last BEEFY vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BeefyVote {
    /// The validator set.
    pub set_id: u64,
    /// The block's number.
    pub block: u64,
    /// The commitment's digest; `None` when only its place is known.
    pub digest: Option<Digest>,
}

/// What a session key signed last, by its key type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubstrateHistory {
    /// BABE or Aura.
    Seals(Option<Seal>),
    /// GRANDPA: the last vote of each stage, in the order of [`GrandpaStage::ALL`].
    Grandpa([Option<GrandpaVote>; 3]),
    /// BEEFY.
    Beefy(Option<BeefyVote>),
    /// Statements on parachains: the sessions that the key may still speak about. What it said in
    /// them is kept beside the record ([`Stance`](crate::Stance)).
    Statements(Option<OpenSessions>),
    /// Nothing that such a key signs is slashable.
    Unslashable,
}

/// The record of one session key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubstrateRecord {
    /// The genesis hash of the chain that the key is pinned to.
    pub chain: Digest,
    /// What the key is for.
    pub key_type: KeyType,
    /// The key's past is unknown and no clock tells a safe place: nothing slashable is signed until
    /// the operator names one.
    pub awaits_floor: bool,
    /// What it signed last.
    pub history: SubstrateHistory,
}

impl SubstrateRecord {
    /// The record of a key that never signed; `None` for a key type without rules.
    #[must_use]
    pub fn fresh(chain: Digest, key_type: KeyType) -> Option<Self> {
        let history = SubstrateHistory::empty(key_type)?;
        Some(Self { chain, key_type, awaits_floor: false, history })
    }

    /// The record of a key whose past is unknown. Seals start behind `present`; a vote's place is
    /// not told by any clock, so those keys await a floor.
    #[must_use]
    pub fn from_now(chain: Digest, key_type: KeyType, present: Slot) -> Option<Self> {
        let fresh = Self::fresh(chain, key_type)?;
        Some(match fresh.history {
            SubstrateHistory::Seals(_) => Self {
                history: SubstrateHistory::Seals(Some(Seal { slot: present, pre_hash: None })),
                ..fresh
            },
            SubstrateHistory::Grandpa(_)
            | SubstrateHistory::Beefy(_)
            | SubstrateHistory::Statements(_) => Self { awaits_floor: true, ..fresh },
            SubstrateHistory::Unslashable => fresh,
        })
    }

    /// Whether the record knows of any slashable message, or that there may be some.
    #[must_use]
    pub fn has_a_past(&self) -> bool {
        let signed = match self.history {
            SubstrateHistory::Seals(seal) => seal.is_some(),
            SubstrateHistory::Grandpa(votes) => votes.iter().any(Option::is_some),
            SubstrateHistory::Beefy(vote) => vote.is_some(),
            SubstrateHistory::Statements(open) => open.is_some(),
            SubstrateHistory::Unslashable => false,
        };
        signed || self.awaits_floor
    }

    /// The record for a ledger that does not hold what this key said of candidates: it may speak
    /// from the session behind the newest that it can have spoken about. Every other record is the
    /// same everywhere.
    #[must_use]
    pub fn without_stances(self) -> Self {
        let SubstrateHistory::Statements(Some(open)) = self.history else { return self };
        let floor = open.floor;
        let next = floor.checked_add(REMEMBERED_SESSIONS).and_then(|newest| newest.checked_add(1));
        let open = OpenSessions::from_floor(next.unwrap_or(floor));
        let history = SubstrateHistory::Statements(Some(open));
        // Behind the last session there is none: the operator has to say.
        Self { history, awaits_floor: self.awaits_floor || next.is_none(), ..self }
    }

    pub(crate) fn merge_stricter(self, other: Self) -> Result<Self, RecordError> {
        if (self.chain, self.key_type) != (other.chain, other.key_type) {
            return Err(RecordError::OfAnotherChain);
        }
        let history = self.history.merge_stricter(other.history)?;
        Ok(Self { awaits_floor: self.awaits_floor || other.awaits_floor, history, ..self })
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.chain.0);
        out.extend_from_slice(&self.key_type.0);
        out.push(if self.awaits_floor { AWAITS_FLOOR } else { 0 });
        match &self.history {
            SubstrateHistory::Seals(seal) => {
                put_place(out, seal.map(|seal| ([seal.slot.0, 0], seal.pre_hash)), 1);
            }
            SubstrateHistory::Grandpa(votes) => {
                for vote in votes {
                    let place = vote.map(|vote| ([vote.set_id, vote.round], vote.digest));
                    put_place(out, place, 2);
                }
            }
            SubstrateHistory::Beefy(vote) => {
                put_place(out, vote.map(|vote| ([vote.set_id, vote.block], vote.digest)), 2);
            }
            SubstrateHistory::Statements(open) => put_sessions(out, *open),
            SubstrateHistory::Unslashable => {}
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, RecordError> {
        let chain = reader.digest()?;
        let key_type = KeyType(reader.array()?);
        let awaits_floor = match reader.byte()? {
            0 => false,
            AWAITS_FLOOR => true,
            _ => return Err(RecordError::Malformed),
        };
        let empty = SubstrateHistory::empty(key_type).ok_or(RecordError::Malformed)?;
        let history = match empty {
            SubstrateHistory::Seals(_) => {
                let place = read_place(reader, 1)?;
                let seal = |([slot, _], pre_hash): Place| Seal { slot: Slot(slot), pre_hash };
                SubstrateHistory::Seals(place.map(seal))
            }
            SubstrateHistory::Grandpa(mut votes) => {
                for vote in &mut votes {
                    *vote = read_place(reader, 2)?.map(|([set_id, round], digest)| GrandpaVote {
                        set_id,
                        round,
                        digest,
                    });
                }
                SubstrateHistory::Grandpa(votes)
            }
            SubstrateHistory::Beefy(_) => {
                let vote = |([set_id, block], digest): Place| BeefyVote { set_id, block, digest };
                SubstrateHistory::Beefy(read_place(reader, 2)?.map(vote))
            }
            SubstrateHistory::Statements(_) => SubstrateHistory::Statements(read_sessions(reader)?),
            SubstrateHistory::Unslashable => empty,
        };
        let unslashable = history == SubstrateHistory::Unslashable;
        if awaits_floor && (unslashable || matches!(history, SubstrateHistory::Seals(_))) {
            return Err(RecordError::Malformed);
        }
        Ok(Self { chain, key_type, awaits_floor, history })
    }
}

impl SubstrateHistory {
    fn empty(key_type: KeyType) -> Option<Self> {
        Some(match key_type {
            KeyType::BABE | KeyType::AURA => Self::Seals(None),
            KeyType::GRANDPA => Self::Grandpa([None; 3]),
            KeyType::BEEFY => Self::Beefy(None),
            KeyType::PARACHAIN => Self::Statements(None),
            KeyType::AUTHORITY_DISCOVERY | KeyType::ASSIGNMENT => Self::Unslashable,
            _ => return None,
        })
    }

    fn merge_stricter(self, other: Self) -> Result<Self, RecordError> {
        Ok(match (self, other) {
            (Self::Seals(ours), Self::Seals(theirs)) => {
                Self::Seals(merge(ours, theirs, Seal::merge_stricter))
            }
            (Self::Grandpa([a, b, c]), Self::Grandpa([x, y, z])) => Self::Grandpa(
                [(a, x), (b, y), (c, z)]
                    .map(|(ours, theirs)| merge(ours, theirs, GrandpaVote::merge_stricter)),
            ),
            (Self::Beefy(ours), Self::Beefy(theirs)) => {
                Self::Beefy(merge(ours, theirs, BeefyVote::merge_stricter))
            }
            (Self::Statements(ours), Self::Statements(theirs)) => {
                Self::Statements(merge(ours, theirs, OpenSessions::merge_stricter))
            }
            (Self::Unslashable, Self::Unslashable) => Self::Unslashable,
            _ => return Err(RecordError::OfAnotherChain),
        })
    }
}

impl Seal {
    fn merge_stricter(self, other: Self) -> Self {
        if self.slot != other.slot {
            return if other.slot < self.slot { self } else { other };
        }
        Self { slot: self.slot, pre_hash: agreed(self.pre_hash, other.pre_hash) }
    }
}

impl GrandpaVote {
    pub(crate) fn place(&self) -> (u64, u64) {
        (self.set_id, self.round)
    }

    fn merge_stricter(self, other: Self) -> Self {
        if self.place() != other.place() {
            return if other.place() < self.place() { self } else { other };
        }
        Self { digest: agreed(self.digest, other.digest), ..self }
    }
}

impl BeefyVote {
    pub(crate) fn place(&self) -> (u64, u64) {
        (self.set_id, self.block)
    }

    /// Both coordinates count by themselves: a later set never votes on an earlier block.
    fn merge_stricter(self, other: Self) -> Self {
        let highest = (self.set_id.max(other.set_id), self.block.max(other.block));
        if self.place() == other.place() {
            return Self { digest: agreed(self.digest, other.digest), ..self };
        }
        let stands_for_both =
            |vote: &Self, than: &Self| vote.place() == highest && than.block < vote.block;
        if stands_for_both(&self, &other) {
            return self;
        }
        if stands_for_both(&other, &self) {
            return other;
        }
        Self { set_id: highest.0, block: highest.1, digest: None }
    }
}

/// Two different messages of one place: neither may be signed again.
fn agreed(ours: Option<Digest>, theirs: Option<Digest>) -> Option<Digest> {
    ours.filter(|ours| theirs == Some(*ours))
}

type Place = ([u64; 2], Option<Digest>);

/// One flag byte (0 nothing, 1 the place, 2 place and digest), then `numbers` integers, the digest.
fn put_place(out: &mut Vec<u8>, place: Option<Place>, numbers: usize) {
    let Some((values, digest)) = place else {
        out.push(0);
        return;
    };
    out.push(if digest.is_some() { 2 } else { 1 });
    for value in values.iter().take(numbers) {
        out.extend_from_slice(&value.to_le_bytes());
    }
    out.extend(digest.iter().flat_map(|digest| digest.0));
}

fn read_place(reader: &mut Reader<'_>, numbers: usize) -> Result<Option<Place>, RecordError> {
    let flag = reader.byte()?;
    if flag == 0 {
        return Ok(None);
    }
    let mut values = [0; 2];
    for value in values.iter_mut().take(numbers) {
        *value = reader.u64()?;
    }
    match flag {
        1 => Ok(Some((values, None))),
        2 => Ok(Some((values, Some(reader.digest()?)))),
        _ => Err(RecordError::Malformed),
    }
}

/// One flag byte (0 nothing, 1 the floor, 2 floor and counts, of which one is not zero).
fn put_sessions(out: &mut Vec<u8>, open: Option<OpenSessions>) {
    let Some(OpenSessions { floor, candidates }) = open else { return out.push(0) };
    let is_counted = candidates != [0; OPEN_SESSIONS];
    out.push(if is_counted { 2 } else { 1 });
    out.extend(floor.to_le_bytes());
    if is_counted {
        out.extend(candidates.iter().flat_map(|count| count.to_le_bytes()));
    }
}

fn read_sessions(reader: &mut Reader<'_>) -> Result<Option<OpenSessions>, RecordError> {
    let flag = reader.byte()?;
    if flag == 0 {
        return Ok(None);
    }
    let mut open = OpenSessions::from_floor(reader.u32()?);
    if flag == 2 {
        for count in &mut open.candidates {
            *count = reader.u32()?;
        }
    }
    let is_counted = open.candidates != [0; OPEN_SESSIONS];
    if is_counted == (flag == 2) && flag <= 2 {
        Ok(Some(open))
    } else {
        Err(RecordError::Malformed)
    }
}

impl fmt::Display for GrandpaStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prevote => "prevote",
            Self::Precommit => "precommit",
            Self::PrimaryPropose => "primary-propose",
        })
    }
}
