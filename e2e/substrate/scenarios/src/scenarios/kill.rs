//! A guard is killed in the middle of the run, and started again on the home that it left; in a
//! second form it is the guard that dials the node.
//!
//! Required: the node's process lives through it; finality, which needs its votes, resumes; its key
//! seals blocks again; the other authority saw no equivocation.

use std::{thread, time::Duration};

use sp_core::Pair as _;

use super::{AUTHORITIES, sr25519_pair};
use crate::{
    Failure, chain,
    guard::Guard,
    node::{Keys, Node, Setup},
    report::Report,
    stand::Stand,
};

/// Final when the guard is killed.
const BEFORE: u32 = 6;
/// How long the guard is away: several slots.
const AWAY: Duration = Duration::from_secs(10);
/// Final blocks beyond those of the outage.
const AFTER: u32 = 12;
/// How long finality may take to get there: 2 s a block, and what the machine adds.
const LIMIT: Duration = Duration::from_secs(120);

/// The node dials.
pub(super) fn run(stand: &Stand<'_>) -> Result<Report, Failure> {
    let guard = Guard::start(stand, "guard", &stand.genesis(AUTHORITIES)?, &["//Alice"])?;
    let alice = alice(stand, Keys::Guard(&guard.url()))?;
    killed(stand, guard, alice)
}

/// The guard dials, and listens nowhere.
pub(super) fn dialled(stand: &Stand<'_>) -> Result<Report, Failure> {
    let genesis = stand.genesis(AUTHORITIES)?;
    let guard = Guard::start_dialling(stand, "guard", &genesis, &["//Alice"])?;
    let alice = alice(stand, Keys::Dialling(&guard))?;
    killed(stand, guard, alice)
}

fn alice(stand: &Stand<'_>, keys: Keys<'_>) -> Result<Node, Failure> {
    Node::start(stand, &Setup { name: "alice", authorities: AUTHORITIES, keys, peers: &[] })
}

fn killed(stand: &Stand<'_>, mut guard: Guard, mut alice: Node) -> Result<Report, Failure> {
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
    let process = alice.process();
    let mut report = Report::default();
    report.note("guard_before", serde_json::to_value(guard.outcomes()?)?);

    guard.kill()?;
    let (_, at_kill) = bob.finalised()?;
    thread::sleep(AWAY);
    let alive = alice.assert_alive().is_ok();
    report.require("node_alive_without_guard", alive, alive, "true");
    let (_, at_return) = bob.finalised()?;
    guard.start_again()?;
    let best_at_return = bob.best()?;
    bob.wait_finalised(best_at_return + AFTER, LIMIT)?;

    let (_, last) = bob.finalised()?;
    report.note("final_at_kill", at_kill);
    report.note("final_at_return", at_return);
    report.note("final", last);
    let alive = alice.assert_alive().is_ok() && alice.process() == process;
    report.require("node_alive", alive, alive, "true, the same process");
    let keys = [sr25519_pair("//Alice")?.public(), sr25519_pair("//Bob")?.public()];
    let seals = chain::count_seals(&bob, best_at_return + 1, last, &keys)?;
    let alice_again = seals.first().is_some_and(|&count| count > 0);
    report.require("seals_since_return", seals, alice_again, "the first above 0");
    let seen = bob.equivocations()?;
    report.require("equivocations_seen", seen, seen == 0, "0");
    let offences = chain::offences(&bob)?;
    report.require("offences_on_chain", offences, offences == 0, "0");
    report.note("guard_after", serde_json::to_value(guard.outcomes()?)?);
    guard.verify_journal()?;
    Ok(report)
}
