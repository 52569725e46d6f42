//! Two authorities, each with its keys in a guard of its own and nowhere else.
//!
//! Required: epochs and sessions pass and become final, both authored, nobody equivocated, and both
//! guards' journals hold.

use std::time::Duration;

use sp_core::Pair as _;

use super::{AUTHORITIES, sr25519_pair};
use crate::{
    Failure, chain,
    guard::Guard,
    node::{Keys, Node, Setup},
    report::Report,
    stand::Stand,
    wait,
};

/// Epochs that must have begun and be final; the genesis is in epoch 0.
const EPOCHS: u64 = 3;
/// Each epoch takes 20 s.
const LIMIT: Duration = Duration::from_secs(180);

pub(super) fn run(stand: &Stand<'_>) -> Result<Report, Failure> {
    let genesis = stand.genesis(AUTHORITIES)?;
    let mut guards = [
        Guard::start(stand, "guard-alice", &genesis, &["//Alice"])?,
        Guard::start(stand, "guard-bob", &genesis, &["//Bob"])?,
    ];
    let [alice_guard, bob_guard] = &guards;
    let mut alice = Node::start(
        stand,
        &Setup {
            name: "alice",
            authorities: AUTHORITIES,
            keys: Keys::Guard(&alice_guard.url()),
            peers: &[],
        },
    )?;
    let mut bob = Node::start(
        stand,
        &Setup {
            name: "bob",
            authorities: AUTHORITIES,
            keys: Keys::Guard(&bob_guard.url()),
            peers: &[&alice],
        },
    )?;
    let last = wait::until("epochs final", LIMIT, || {
        alice.assert_alive()?;
        bob.assert_alive()?;
        let (hash, number) = bob.finalised()?;
        let epoch = chain::epoch(&bob, hash)?.epoch_index;
        if epoch < EPOCHS {
            return Err(format!("epoch {epoch}, final is {number}").into());
        }
        Ok(Some(number))
    })?;
    let mut report = Report::default();
    let hash = bob.hash(last)?;
    report.note("final", last);
    report.note("epochs", chain::epoch(&bob, hash)?.epoch_index);
    let session = chain::session(&bob, hash)?;
    report.require("session", session, session >= 2, "at least 2");
    let set = chain::set_id(&bob, hash)?;
    report.require("grandpa_set", set, set >= 1, "at least 1");
    let keys = [sr25519_pair("//Alice")?.public(), sr25519_pair("//Bob")?.public()];
    let seals = chain::count_seals(&bob, 1, last, &keys)?;
    let all = seals.iter().all(|&count| count > 0);
    report.require("seals", seals, all, "both above 0");
    let seen = alice.equivocations()? + bob.equivocations()?;
    report.require("equivocations_seen", seen, seen == 0, "0");
    let offences = chain::offences(&bob)?;
    report.require("offences_on_chain", offences, offences == 0, "0");
    for guard in &mut guards {
        report.note(guard.name(), serde_json::to_value(guard.outcomes()?)?);
        guard.verify_journal()?;
    }
    Ok(report)
}
