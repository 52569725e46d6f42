//! A validator changes its session keys while it validates.
//!
//! New keys are put into the guard that runs; their owner submits `session.setKeys`; two sessions
//! later the chain takes them. Required: from then on the new BABE key alone seals this validator's
//! blocks, the new GRANDPA key votes for what is final, and nobody equivocated.

use std::time::Duration;

use sp_core::{Pair as _, sr25519};

use super::{AUTHORITIES, ed25519_pair, sr25519_pair};
use crate::{
    Failure, chain,
    extrinsic::set_keys,
    guard::Guard,
    node::{Keys, Node, Setup},
    report::Report,
    stand::Stand,
    wait,
};

/// Where the old keys come from.
const OLD: &str = "//Alice";
/// Where the new keys come from.
const NEW: &str = "//Alice//second";
/// Final before the new keys are submitted.
const BEFORE: u32 = 4;
/// Sessions, and BABE's look ahead of one: up to four epochs of 20 s.
const CHANGE_LIMIT: Duration = Duration::from_secs(180);
/// Final blocks after the first one of the new key.
const AFTER: u32 = 10;
/// 2 s a block, and what the machine adds.
const LIMIT: Duration = Duration::from_secs(120);
/// What is signed to show that a session key belongs to an account, before the account.
const OWNERSHIP: &[u8] = b"POP_";

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

    guard.import(&[NEW])?;
    let new = new_keys(&sr25519_pair(OLD)?)?;
    set_keys(&bob, &sr25519_pair(OLD)?, &new.public, &new.proof)?;
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

/// New session keys, and the proof for their owner.
struct NewKeys {
    babe: sr25519::Public,
    grandpa: sp_core::ed25519::Public,
    public: Vec<u8>,
    proof: Vec<u8>,
}

fn new_keys(owner: &sr25519::Pair) -> Result<NewKeys, Failure> {
    let (babe, grandpa) = (sr25519_pair(NEW)?, ed25519_pair(NEW)?);
    let statement = [OWNERSHIP, owner.public().as_ref()].concat();
    let public = [babe.public().as_ref(), grandpa.public().as_ref() as &[u8]].concat();
    let proof =
        [babe.sign(&statement).as_ref(), grandpa.sign(&statement).as_ref() as &[u8]].concat();
    Ok(NewKeys { babe: babe.public(), grandpa: grandpa.public(), public, proof })
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
