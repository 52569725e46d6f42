//! Records of authority discovery: where a validator says that it can be reached.
//!
//! Layout (protobuf, `AuthorityRecord` of `sc-authority-discovery`): field 1, any number of times,
//! an address; field 2, at most once, a message whose field 1 is the time of its making, 16 bytes,
//! nanoseconds since the Unix epoch, little-endian.
//!
//! Not slashable; but whoever signs another's address for a validator cuts it off, and peers keep
//! the newest record. So every address must be one that the operator allows, with a peer id that is
//! allowed, and the time must be near the present.
//!
//! Invariants: fields stand in order and no other is taken; a record holds an address; numbers of
//! addresses and bytes are bounded.

use palisade_protect::{Duty, Message};

use crate::multiaddr::{Address, AddressRule, Bytes, PeerId};
use crate::{Judged, PayloadError};

const WHAT: &str = "authority discovery record";
/// Nodes publish at most 32 addresses of some 60 bytes.
const MAX_ADDRESSES: usize = 32;
const MAX_BYTES: usize = 8 << 10;
/// Wire type 2, bytes behind their length.
const ADDRESS_FIELD: u64 = 1 << 3 | 2;
const TIME_FIELD: u64 = 2 << 3 | 2;
const TIMESTAMP_FIELD: u64 = 1 << 3 | 2;
/// A record is signed when it is made; clocks differ a little.
const NEAR_MS: u64 = 10 * 60 * 1_000;
const NANOSECONDS_A_MILLISECOND: u128 = 1_000_000;

/// Where the operator lets a chain's validators say that they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscoveryPolicy {
    /// The peer ids of the operator's own nodes.
    pub peers: Vec<PeerId>,
    /// How an address may begin.
    pub addresses: Vec<AddressRule>,
}

/// Reads a record and holds it against the policy, at this time in milliseconds since the Unix
/// epoch.
///
/// # Errors
/// [`PayloadError`] when it is none, or names what the policy does not.
pub fn authority_record<'a>(
    payload: &'a [u8],
    policy: &DiscoveryPolicy,
    now_unix_ms: u64,
) -> Result<Judged<'a>, PayloadError> {
    if MAX_BYTES < payload.len() {
        return Err(PayloadError::TooLong { what: WHAT, most: MAX_BYTES });
    }
    let (addresses, made_unix_ms) = read(payload)?;
    for address in &addresses {
        if !policy.peers.contains(&address.peer) {
            return Err(PayloadError::PeerNotAllowed { peer: address.peer.to_string() });
        }
        if !policy.addresses.iter().any(|rule| rule.allows(address)) {
            return Err(PayloadError::AddressNotAllowed { address: address.to_string() });
        }
    }
    if let Some(asked_unix_ms) = made_unix_ms
        && NEAR_MS < asked_unix_ms.abs_diff(now_unix_ms)
    {
        return Err(PayloadError::TimeNotNear { asked_unix_ms, present_unix_ms: now_unix_ms });
    }
    Ok(Judged::new(Duty::Harmless, Message::Payload(payload)))
}

fn read(payload: &[u8]) -> Result<(Vec<Address>, Option<u64>), PayloadError> {
    let malformed = |problem| PayloadError::malformed(WHAT, problem);
    let unknown = || malformed("it is not a protobuf message of addresses and a time");
    let mut reader = Bytes(payload);
    let (mut addresses, mut time) = (Vec::new(), None);
    while !reader.0.is_empty() {
        let field = reader.number().ok_or_else(unknown)?;
        let value = reader.sized().ok_or_else(unknown)?;
        match field {
            ADDRESS_FIELD if time.is_none() => {
                if addresses.len() == MAX_ADDRESSES {
                    return Err(malformed("it has more than 32 addresses"));
                }
                addresses.push(Address::decode(value).ok_or_else(|| {
                    malformed("an address is not a host, a port, a transport and a peer id")
                })?);
            }
            TIME_FIELD if time.is_none() => {
                time = Some(timestamp(value).ok_or_else(|| malformed("its time is malformed"))?);
            }
            _ => return Err(unknown()),
        }
    }
    if addresses.is_empty() {
        return Err(malformed("it has no address"));
    }
    Ok((addresses, time))
}

/// The time in milliseconds; one beyond the reach of 64 bits counts as their end.
fn timestamp(message: &[u8]) -> Option<u64> {
    let mut reader = Bytes(message);
    let is_time = reader.number()? == TIMESTAMP_FIELD;
    let bytes = <[u8; 16]>::try_from(reader.sized()?).ok()?;
    let milliseconds = u128::from_le_bytes(bytes) / NANOSECONDS_A_MILLISECOND;
    let milliseconds = u64::try_from(milliseconds).unwrap_or(u64::MAX);
    (is_time && reader.0.is_empty()).then_some(milliseconds)
}
