//! Two nodes with the same keys, as when an operator starts the spare while the first still runs.
//!
//! `guarded` has both on one guard, and requires that another authority sees no equivocation and
//! that the chain records no offence. `control` has the keys in each node's memory, applies the same
//! requirements, and passes only if they do not hold: that shows that they could have failed.

use std::time::Duration;

use super::AUTHORITIES;
use crate::{
    Failure, chain,
    guard::Guard,
    node::{Keys, Node, Setup},
    report::Report,
    stand::Stand,
    wait,
};

/// Blocks that the other authority must have seen: 80 s of slots, in most of which both twins are awake.
const BLOCKS: u32 = 40;
/// Blocks that must be final.
const FINAL: u32 = 30;
/// How often both twins together may be started again.
const RESTARTS: u32 = 6;
/// What a node logs when the guard says no.
const REFUSED: &str = "the guard refused";
/// 2 s a block, and what the machine adds.
const LIMIT: Duration = Duration::from_secs(180);

/// Both twins on one guard.
pub(super) fn guarded(stand: &Stand<'_>) -> Result<Report, Failure> {
    let mut guard = Guard::start(stand, "guard", &stand.genesis(AUTHORITIES)?, &["//Alice"])?;
    let url = guard.url();
    let mut nodes = Nodes::start(stand, || Keys::Guard(&url))?;
    wait::until("blocks with two twins", LIMIT, || {
        nodes.tend()?;
        let (best, (_, last)) = (nodes.bob.best()?, nodes.bob.finalised()?);
        if best < BLOCKS || last < FINAL {
            return Err(format!("best is {best}, final is {last}").into());
        }
        Ok(Some(()))
    })?;
    let mut report = nodes.judge()?;
    let seals = nodes.refused("(double-seal)")?;
    report.require("refused_seals", seals, seals > 0, "above 0: the twins did compete");
    report.note("refused", nodes.refused("(")?);
    report.note("guard", serde_json::to_value(guard.outcomes()?)?);
    guard.verify_journal()?;
    Ok(report)
}

/// Each twin with the keys in its own memory.
pub(super) fn control(stand: &Stand<'_>) -> Result<Report, Failure> {
    let mut nodes = Nodes::start(stand, || Keys::Local("Alice"))?;
    wait::until("an equivocation, and its report on the chain", LIMIT, || {
        nodes.tend()?;
        let seen = nodes.bob.equivocations()?;
        let reported = chain::offences(&nodes.bob)?;
        if seen == 0 || reported == 0 {
            return Err(format!("{seen} seen, {reported} reported").into());
        }
        Ok(Some(()))
    })?;
    Ok(nodes.judge()?.inverted())
}

/// The twins, and the authority that watches them.
struct Nodes {
    bob: Node,
    twins: [Node; 2],
}

impl Nodes {
    fn start<'a>(stand: &Stand<'_>, keys: impl Fn() -> Keys<'a>) -> Result<Self, Failure> {
        let bob = Node::start(
            stand,
            &Setup { name: "bob", authorities: AUTHORITIES, keys: Keys::Local("Bob"), peers: &[] },
        )?;
        let twin = |name| {
            Node::start(
                stand,
                &Setup { name, authorities: AUTHORITIES, keys: keys(), peers: &[&bob] },
            )
        };
        let twins = [twin("alice-1")?, twin("alice-2")?];
        Ok(Self { bob, twins })
    }

    /// A twin whose vote was refused ends, and its supervisor starts it again; the watcher must not.
    fn tend(&mut self) -> Result<(), Failure> {
        self.twins.iter_mut().try_for_each(Node::supervise)?;
        self.bob.assert_alive()
    }

    /// How often a twin was told that its request is refused with this code, which may be cut off.
    fn refused(&self, code: &str) -> Result<usize, Failure> {
        let line = format!("{REFUSED} {code}");
        self.twins.iter().map(|twin| twin.log_lines(&line)).sum()
    }

    /// What the other authority saw, and what the chain recorded.
    fn judge(&mut self) -> Result<Report, Failure> {
        let mut report = Report::default();
        report.note("best", self.bob.best()?);
        report.note("final", self.bob.finalised()?.1);
        let (mut alive, mut restarts) = (0, 0);
        for twin in &mut self.twins {
            alive += u32::from(twin.assert_alive().is_ok());
            restarts += twin.restarts();
        }
        report.require("restarts", restarts, restarts <= RESTARTS, "a few at most");
        report.require("twins_alive", alive, alive == 2, "2");
        let seen = self.bob.equivocations()?;
        report.require("equivocations_seen", seen, seen == 0, "0");
        let offences = chain::offences(&self.bob)?;
        report.require("offences_on_chain", offences, offences == 0, "0");
        Ok(report)
    }
}
