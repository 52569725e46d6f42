//! The scenarios, and what two of them share.

mod authors;
mod kill;
mod rotation;
mod twins;

use std::time::Duration;

use clap::ValueEnum;
use sp_core::{Pair as _, sr25519};

use crate::{Failure, report::Report, stand::Stand};

/// What can be run.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// Two authorities with their keys in guards alone author and finalise over epochs and sessions.
    Authors,
    /// A guard is killed and started again; its node lives on.
    Kill,
    /// The same with a guard that dials its node and listens nowhere.
    Dialled,
    /// Two nodes with the same keys on one guard; another authority sees no equivocation.
    Twins,
    /// The same with local keys; the other authority must see equivocations.
    Control,
    /// A validator changes its session keys while it validates.
    Rotation,
}

impl Scenario {
    /// In the order in which they are run.
    pub(crate) const ALL: [Self; 6] =
        [Self::Authors, Self::Kill, Self::Dialled, Self::Control, Self::Twins, Self::Rotation];

    /// Its name, on the command line and in its report.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Authors => "authors",
            Self::Kill => "kill",
            Self::Dialled => "dialled",
            Self::Twins => "twins",
            Self::Control => "control",
            Self::Rotation => "rotation",
        }
    }

    /// How long it may run. Each wait within has its own limit, and says what did not happen; this
    /// one is for what has none.
    pub(crate) fn limit(self) -> Duration {
        Duration::from_secs(match self {
            Self::Rotation => 480,
            Self::Authors | Self::Kill | Self::Dialled | Self::Twins | Self::Control => 360,
        })
    }

    /// Runs it. An error means that it could not be run to its end.
    pub(crate) fn run(self, stand: &Stand<'_>) -> Result<Report, Failure> {
        match self {
            Self::Authors => authors::run(stand),
            Self::Kill => kill::run(stand),
            Self::Dialled => kill::dialled(stand),
            Self::Twins => twins::guarded(stand),
            Self::Control => twins::control(stand),
            Self::Rotation => rotation::run(stand),
        }
    }
}

/// Both authorities of every scenario.
const AUTHORITIES: &str = "Alice,Bob";

/// The BABE key, and account key, of a secret URI.
fn sr25519_pair(uri: &str) -> Result<sr25519::Pair, Failure> {
    sr25519::Pair::from_string(uri, None).map_err(|error| format!("{uri}: {error}").into())
}
