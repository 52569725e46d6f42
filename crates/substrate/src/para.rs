//! What a relay chain's validator says of parachains, with its key of type `para`.
//!
//! | payload | layout |
//! |---|---|
//! | backing | `BKNG`, 1 seconded or 2 valid, candidate 32, session 4, relay parent 32 |
//! | approval | `APPR`, candidate 32, session 4 |
//! | several approvals | `APPR`, their number, candidates 32 each, session 4 |
//! | dispute | `DISP`, 0 invalid or 1 valid, candidate 32, session 4 |
//! | PVF pre-check | `VCPC`, 0 reject or 1 accept, code hash 32, session 4, validator 4 |
//! | availability | compact number of bits, the bits, session 4, relay parent 32 |
//!
//! Invariants: a payload has one reading. Only availability has no letters in front; one that
//! began with the letters of another would have more cores than any chain ([`MAX_CORES`]), or bits
//! set beyond its last. No payload names the chain: the key's record does.
//!
//! Source: `polkadot-primitives`, `CompactStatement`, `ApprovalVote`,
//! `ApprovalVoteMultipleCandidates`, `ExplicitDisputeStatement`, `PvfCheckStatement`,
//! `AvailabilityBitfield` with `SigningContext`.

use palisade_protect::{Digest, Duty, Intent, Message, Statement, Subject};

use crate::PayloadError;

const WHAT: &str = "parachain statement";
const BACKING: &[u8; 4] = b"BKNG";
const APPROVAL: &[u8; 4] = b"APPR";
const DISPUTE: &[u8; 4] = b"DISP";
const PRE_CHECK: &[u8; 4] = b"VCPC";
/// `MAX_COALESCE_APPROVALS`.
const MAX_CANDIDATES: usize = 16;
/// Cores of a chain; the largest have about a hundred. `APPR` reads as 5,136 bits.
const MAX_CORES: u32 = 4_096;
/// Session and relay parent, behind a bitfield.
const CONTEXT_BYTES: usize = 4 + 32;

/// A statement with the decisions that it takes: one, or one for each approved candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgedParts<'a> {
    /// What the rules need, in order. A single intent carries the message's digest, each of several
    /// its part's ([`Message::part_digest`]).
    pub intents: Vec<Intent>,
    /// What is signed, once every intent is permitted.
    pub message: Message<'a>,
}

/// Reads a payload of the table above.
///
/// # Errors
/// [`PayloadError`] when it is not exactly one of them.
pub fn para_statement(payload: &[u8]) -> Result<JudgedParts<'_>, PayloadError> {
    let message = Message::Payload(payload);
    let duties = match payload.split_first_chunk::<4>() {
        Some((BACKING, rest)) => vec![backing(rest)?],
        Some((APPROVAL, rest)) => approvals(rest)?,
        Some((DISPUTE, rest)) => vec![dispute(rest)?],
        Some((PRE_CHECK, rest)) => vec![pre_check(rest)?],
        _ => {
            check_bitfield(payload)?;
            vec![Duty::Harmless]
        }
    };
    let parts = u8::try_from(duties.len()).map_err(|_| malformed("it has too many candidates"))?;
    let digest = |part| match parts {
        1 => message.digest(),
        _ => message.part_digest(part, parts),
    };
    let intents =
        (0..).zip(duties).map(|(part, duty)| Intent { duty, digest: digest(part) }).collect();
    Ok(JudgedParts { intents, message })
}

fn malformed(problem: &'static str) -> PayloadError {
    PayloadError::malformed(WHAT, problem)
}

fn said(statement: Statement, session: &[u8; 4], candidate: &[u8; 32]) -> Duty {
    let session = u32::from_le_bytes(*session);
    Duty::ParaStatement { subject: Subject { session, candidate: Digest(*candidate) }, statement }
}

/// One byte of choice, a hash and a session, and `rest` bytes of context behind them.
fn choice(bytes: &[u8], rest: usize) -> Option<(u8, &[u8; 32], &[u8; 4])> {
    let (choice, bytes) = bytes.split_first()?;
    let (candidate, bytes) = bytes.split_first_chunk::<32>()?;
    let (session, bytes) = bytes.split_first_chunk::<4>()?;
    (bytes.len() == rest).then_some((*choice, candidate, session))
}

fn backing(bytes: &[u8]) -> Result<Duty, PayloadError> {
    let wrong = || malformed("a backing statement has 73 bytes");
    let (kind, candidate, session) = choice(bytes, 32).ok_or_else(wrong)?;
    let statement = match kind {
        1 => Statement::Seconded,
        2 => Statement::Valid,
        _ => return Err(malformed("a backing statement seconds (1) or calls valid (2)")),
    };
    Ok(said(statement, session, candidate))
}

fn dispute(bytes: &[u8]) -> Result<Duty, PayloadError> {
    let wrong = || malformed("a dispute statement has 41 bytes");
    let (kind, candidate, session) = choice(bytes, 0).ok_or_else(wrong)?;
    let statement = match kind {
        0 => Statement::DisputedInvalid,
        1 => Statement::DisputedValid,
        _ => return Err(malformed("a dispute statement says invalid (0) or valid (1)")),
    };
    Ok(said(statement, session, candidate))
}

fn pre_check(bytes: &[u8]) -> Result<Duty, PayloadError> {
    let wrong = || malformed("a vote of PVF pre-checking has 45 bytes");
    let (kind, code, session) = choice(bytes, 4).ok_or_else(wrong)?;
    let statement = match kind {
        0 => Statement::CodeRejected,
        1 => Statement::CodeAccepted,
        _ => return Err(malformed("a vote of PVF pre-checking rejects (0) or accepts (1)")),
    };
    Ok(said(statement, session, code))
}

/// One candidate stands without a number; several stand behind theirs, in one byte.
fn approvals(bytes: &[u8]) -> Result<Vec<Duty>, PayloadError> {
    let wrong = || malformed("an approval has one candidate, or 2 to 16 behind their number");
    let (list, session) = bytes.split_last_chunk::<4>().ok_or_else(wrong)?;
    if let Ok(candidate) = list.try_into() {
        return Ok(vec![said(Statement::Approved, session, candidate)]);
    }
    let (number, list) = compact(list).ok_or_else(wrong)?;
    let (candidates, rest) = list.as_chunks::<32>();
    let several = 2..=MAX_CANDIDATES;
    if usize::try_from(number) != Ok(candidates.len())
        || !rest.is_empty()
        || !several.contains(&candidates.len())
    {
        return Err(wrong());
    }
    let twice = |(place, one): (usize, _)| candidates.iter().take(place).any(|other| other == one);
    if candidates.iter().enumerate().any(twice) {
        return Err(malformed("an approval names a candidate twice"));
    }
    Ok(candidates.iter().map(|one| said(Statement::Approved, session, one)).collect())
}

/// Not slashable; judged so that nothing else passes for it.
fn check_bitfield(payload: &[u8]) -> Result<(), PayloadError> {
    let wrong = || malformed("it begins like none, and is no bitfield of availability either");
    let (bits, bytes) = compact(payload).ok_or_else(wrong)?;
    if MAX_CORES < bits {
        return Err(wrong());
    }
    let expected = usize::try_from(bits.div_ceil(8)).map_err(|_| wrong())?;
    if bytes.len() != expected + CONTEXT_BYTES {
        return Err(wrong());
    }
    let last = bytes.get(..expected).and_then(<[u8]>::last).copied().unwrap_or_default();
    // Bits beyond the last core are zero, as `parity-scale-codec` writes them.
    let used = match bits % 8 {
        0 => u8::MAX,
        bits => (1 << bits) - 1,
    };
    if last & !used != 0 { Err(wrong()) } else { Ok(()) }
}

/// A compact integer of one or two bytes, in its shortest form; `None` for larger ones.
fn compact(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    match first % 4 {
        0 => Some((u32::from(first / 4), rest)),
        1 => {
            let (second, rest) = rest.split_first()?;
            let value = u16::from_le_bytes([*first, *second]) / 4;
            (64 <= value).then_some((u32::from(value), rest))
        }
        _ => None,
    }
}
