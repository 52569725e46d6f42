//! The decision: which measures are on, which may be off, and which are missing.
//!
//! | measure | may be off when |
//! |---|---|
//! | `not-root` | the home is root's too, and systemd did not start the guard |
//! | `ptrace-refused` | the process is root, and that was allowed: root may trace anything |
//! | `memory-locked` | secrets are in memory of their own |
//! | `landlock-tcp` | `seccomp` is on, which refuses the same, and the guard dials no node |
//! | `write-xor-execute` | `seccomp` is on, which refuses the same |
//! | `landlock-scope` | always |
//! | every other | never |
//!
//! And each may be off when the operator names it.
//!
//! Invariant: a measure whose probe did not say that it works is never on.

use serde::Serialize;

use crate::{Facts, Finding, Measure};

/// Whether a measure is in force, or will be once it is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// In force.
    On,
    /// Not in force, and the guard may run without it.
    OffAllowed,
    /// Not in force, and the guard must not run without it.
    Missing,
}

impl State {
    /// The name in metrics and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::OffAllowed => "off-allowed",
            Self::Missing => "missing",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::OffAllowed => "off, allowed",
            Self::Missing => "MISSING",
        }
    }
}

/// One measure's line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Which.
    pub measure: Measure,
    /// Whether it is in force.
    pub state: State,
    /// Why it is off, or what it is for.
    pub reason: String,
    /// What to do, where something is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// All measures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Table {
    /// Each measure once, in the order of [`Measure::ALL`].
    pub measures: Vec<Row>,
}

impl Table {
    /// Every measure on but these: what another process of this guard found a moment ago.
    #[must_use]
    pub fn without(off: &[Measure]) -> Self {
        let row = |measure: Measure| {
            let is_off = off.contains(&measure);
            let state = if is_off { State::OffAllowed } else { State::On };
            Row { measure, state, reason: measure.purpose().to_owned(), remedy: None }
        };
        Self { measures: Measure::ALL.into_iter().map(row).collect() }
    }

    /// Whether this measure is in force.
    #[must_use]
    pub fn is_on(&self, measure: Measure) -> bool {
        self.measures.iter().any(|row| row.measure == measure && row.state == State::On)
    }

    /// The measures without which the guard must not run.
    pub fn missing(&self) -> impl Iterator<Item = &Row> {
        self.measures.iter().filter(|row| row.state == State::Missing)
    }

    /// The measures that are off and may be.
    pub fn off(&self) -> impl Iterator<Item = &Row> {
        self.measures.iter().filter(|row| row.state == State::OffAllowed)
    }

    /// For people: one line for each measure, and one more where something is to be done.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines =
            vec![format!("{:<19} {:<13} {}", "measure", "state", "why, and what to do")];
        for row in &self.measures {
            lines.push(format!("{:<19} {:<13} {}", row.measure, row.state.words(), row.reason));
            if let Some(remedy) = &row.remedy {
                lines.push(format!("{:33} to mend it: {remedy}", ""));
            }
        }
        lines
    }
}

/// Makes the table. `allowed` are the measures that the operator named: they are left off.
#[must_use]
pub fn judge(facts: &Facts, allowed: &[Measure]) -> Table {
    let measures = Measure::ALL.into_iter().map(|measure| row(facts, allowed, measure)).collect();
    Table { measures }
}

fn row(facts: &Facts, allowed: &[Measure], measure: Measure) -> Row {
    if allowed.contains(&measure) && !holds_by_itself(facts, measure) {
        let reason = format!("--allow-unhardened={measure}");
        return Row { measure, state: State::OffAllowed, reason, remedy: None };
    }
    let why = match facts.finding(measure) {
        Finding::Works => {
            let reason = purpose(facts, measure).to_owned();
            return Row { measure, state: State::On, reason, remedy: None };
        }
        Finding::WorksAs(how) => {
            let remedy = Some(measure.remedy().to_owned());
            return Row { measure, state: State::On, reason: how, remedy };
        }
        Finding::Fails(why) => why,
    };
    let remedy = Some(measure.remedy().to_owned());
    match excuse(facts, allowed, measure) {
        Some(excuse) => {
            let reason = format!("{why}; {excuse}");
            Row { measure, state: State::OffAllowed, reason, remedy }
        }
        None => Row { measure, state: State::Missing, reason: why, remedy },
    }
}

/// What a measure is for; of a guard that dials nodes some give less.
fn purpose(facts: &Facts, measure: Measure) -> &'static str {
    match measure {
        Measure::LandlockTcp if facts.dials => {
            "no TCP connection but the front's to the ports of nodes, and no port but its own"
        }
        Measure::Seccomp if facts.dials => {
            "no program started, no new socket but the front's TCP, no other call than listed"
        }
        _ => measure.purpose(),
    }
}

/// A state of the machine and not something to be done: naming it does not make it worse.
fn holds_by_itself(facts: &Facts, measure: Measure) -> bool {
    matches!(measure, Measure::NotRoot | Measure::ClockSane | Measure::DurableHome)
        && facts.finding(measure) == Finding::Works
}

/// Why the guard may run without this measure, if it may.
fn excuse(facts: &Facts, allowed: &[Measure], measure: Measure) -> Option<&'static str> {
    let is_on = |other| row(facts, allowed, other).state == State::On;
    match measure {
        Measure::NotRoot => {
            let own_home = facts.home_owner.is_none_or(|owner| owner == facts.user);
            (own_home && !facts.is_service).then_some("allowed by hand, on a home of root's own")
        }
        Measure::PtraceRefused => {
            let root_is_allowed =
                facts.user == 0 && row(facts, allowed, Measure::NotRoot).state == State::OffAllowed;
            root_is_allowed.then_some("root may trace anything")
        }
        Measure::MemoryLocked => {
            is_on(Measure::SecretMemory).then_some("keys are in pages of their own")
        }
        Measure::LandlockTcp if facts.dials => None,
        Measure::LandlockTcp | Measure::WriteXorExecute => {
            is_on(Measure::Seccomp).then_some("the system call filter refuses the same")
        }
        Measure::LandlockScope => Some("the guard runs without it on older kernels"),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
