//! A validator changes its session keys while it validates.
//!
//! The guard that runs makes new keys, for the runtime whose metadata it is given; their owner
//! submits the call that it printed; two sessions later the chain takes them. Required: from then on
//! the new BABE key alone seals this validator's blocks, the new GRANDPA key votes for what is final,
//! and nobody equivocated. Nobody but the guard ever had the new secrets.

use std::time::Duration;

use serde_json::Value;
use sp_core::{Pair as _, ed25519, sr25519};

use super::{AUTHORITIES, sr25519_pair};
use crate::{
    Failure, chain,
    extrinsic::submit,
    guard::Guard,
    node::{Keys, Node, Setup},
    report::Report,
    stand::Stand,
    wait,
};

/// Where the old keys come from.
const OLD: &str = "//Alice";
/// Final before the new keys are submitted.
const BEFORE: u32 = 4;
/// Sessions, and BABE's look ahead of one: up to four epochs of 20 s.
const CHANGE_LIMIT: Duration = Duration::from_secs(180);
/// Final blocks after the first one of the new key.
const AFTER: u32 = 10;
/// 2 s a block, and what the machine adds.
const LIMIT: Duration = Duration::from_secs(120);

pub(super) fn run(stand: &Stand<'_>) -> Result<Report, Failure> {
    let guard = &mut Guard::start(stand, "guard", &stand.genesis(AUTHORITIES)?, &[OLD])?;
    let mut alice = Node::start(
        stand,
        &Setup {
            name: "alice",
            authorities: AUTHORITIES,
            keys: Keys::Guard(&guard.url()),
            peers: &[],
        },
    )?;
    let mut bob = Node::start(
        stand,
        &Setup {
            name: "bob",
            authorities: AUTHORITIES,
            keys: Keys::Local("Bob"),
            peers: &[&alice],
        },
    )?;
    bob.wait_finalised(BEFORE, LIMIT)?;

    let owner = sr25519_pair(OLD)?;
    let new = NewKeys::read(&guard.rotate(&bob, owner.public().as_ref())?)?;
    submit(&bob, &owner, &new.call)?;
    let first = wait::until("a block of the new key", CHANGE_LIMIT, || {
        alice.assert_alive()?;
        let best = bob.best()?;
        let author = chain::sealed_by(bob.header(bob.hash(best)?)?, &keys_of(&new)?)?;
        Ok((author == new.babe).then_some(best))
    })?;
    bob.wait_finalised(first + AFTER, LIMIT)?;
    let mut report = judge(&mut alice, &bob, &new, first)?;
    report.note("guard", serde_json::to_value(guard.outcomes()?)?);
    guard.verify_journal()?;
    Ok(report)
}

/// New session keys, and the call that announces them.
struct NewKeys {
    babe: sr25519::Public,
    grandpa: ed25519::Public,
    call: Vec<u8>,
}

impl NewKeys {
    /// From what `keys rotate` printed.
    fn read(printed: &Value) -> Result<Self, Failure> {
        let bytes = |value: &Value| -> Result<Vec<u8>, Failure> {
            let digits = value.as_str().and_then(|text| text.strip_prefix("0x"));
            Ok(hex::decode(digits.ok_or_else(|| format!("no 0x hex in {printed}"))?)?)
        };
        let key = |key_type: &str| -> Result<[u8; 32], Failure> {
            let keys = printed["keys"].as_array().into_iter().flatten();
            let mut of_type = keys.filter(|key| key["key_type"] == key_type);
            let key = of_type.next().ok_or_else(|| format!("no {key_type} key in {printed}"))?;
            let wrong = |_| format!("a {key_type} key of another length in {printed}");
            Ok(bytes(&key["public_key"])?.try_into().map_err(wrong)?)
        };
        let (babe, grandpa) = (key("babe")?.into(), key("gran")?.into());
        Ok(Self { babe, grandpa, call: bytes(&printed["call"])? })
    }
}

/// Every BABE key that seals a block of this chain: the new one, the old one, Bob's.
fn keys_of(new: &NewKeys) -> Result<[sr25519::Public; 3], Failure> {
    Ok([new.babe, sr25519_pair(OLD)?.public(), sr25519_pair("//Bob")?.public()])
}

fn judge(alice: &mut Node, bob: &Node, new: &NewKeys, first: u32) -> Result<Report, Failure> {
    let mut report = Report::default();
    let (_, last) = bob.finalised()?;
    report.note("first_of_new_key", first);
    report.note("final", last);
    let alive = alice.assert_alive().is_ok();
    report.require("node_alive", alive, alive, "true");
    let seals = chain::count_seals(bob, first, last, &keys_of(new)?)?;
    let changed = matches!(seals.as_slice(), [new, 0, _] if *new > 0);
    report.require("seals_new_old_bob", seals, changed, "the new above 0, the old 0");
    let mut voted = 0;
    for number in first..=last {
        let votes = chain::justified_by(bob, number)?;
        voted += u32::from(votes.is_some_and(|votes| votes.contains(&new.grandpa)));
    }
    report.require("justifications_with_new_key", voted, voted > 0, "above 0");
    let seen = bob.equivocations()?;
    report.require("equivocations_seen", seen, seen == 0, "0");
    let offences = chain::offences(bob)?;
    report.require("offences_on_chain", offences, offences == 0, "0");
    Ok(report)
}
