//! `palisade run`, and the process that it starts for the network.

use palisade_sandbox::{
    Measure, Plan, Profile, Table, harden_early, keep_few_heaps, restrict_syscalls,
};
use palisade_server::daemon::{self, Bound, RunOptions, Stages};
use palisade_server::home::{Home, HomeError};

use super::secure;
use crate::run_arguments::{FrontArguments, RunArguments};
use crate::{Done, Outcome, logging, output, unlock};

pub(super) fn run<S: Stages>(
    home: &Home,
    arguments: &RunArguments,
    stages: impl FnOnce(Hardening) -> S,
) -> Done {
    secure::start_clean(&arguments.allow_unhardened)?;
    secure::shield(&arguments.allow_unhardened)?;
    keep_few_heaps();
    logging::start(arguments.log_format);
    let secret = unlock::secret_of(home)?;
    let config = home.read_config()?;
    let table = secure::table(home, &config, &arguments.allow_unhardened)?;
    let two_processes = table.is_on(Measure::TwoProcesses);
    let options = RunOptions {
        listen: arguments.listen,
        metrics: arguments.metrics,
        front: two_processes.then(|| front_arguments(&table)),
        measures: secure::rows(&table),
    };
    let plan = secure::plan_of_core(&config, home);
    let profile = if two_processes { Profile::Core } else { Profile::Whole };
    daemon::run(home, secret, &options, stages(Hardening { plan, table, profile }))?;
    Ok(Outcome::Yes)
}

fn front_arguments(table: &Table) -> Vec<String> {
    let off = table.off().map(|row| format!("--allow-unhardened={}", row.measure));
    std::iter::once("network-front".to_owned()).chain(off).collect()
}

/// The process that `run` starts for the network.
pub(super) fn front<S: Stages>(
    arguments: &FrontArguments,
    stages: impl FnOnce(Hardening) -> S,
) -> Done {
    secure::shield(&arguments.allow_unhardened)?;
    keep_few_heaps();
    logging::start_in_front();
    // The core has tried them on this machine, a moment ago.
    let table = Table::without(&arguments.allow_unhardened);
    daemon::front(stages(Hardening { plan: Plan::default(), table, profile: Profile::Front }))?;
    Ok(Outcome::Yes)
}

/// What a process of a guard gives up, when its time has come.
pub struct Hardening {
    plan: Plan,
    table: Table,
    profile: Profile,
}

impl Hardening {
    /// What the process is for.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.profile
    }
}

impl Stages for Hardening {
    fn one_thread(&mut self, dials: &[u16]) -> Result<(), HomeError> {
        self.plan.connect_ports = dials.to_vec();
        if self.profile != Profile::Front {
            secure::report(&self.table);
        }
        harden_early(&self.plan, &self.table)
            .map_err(|error| HomeError::CouldNot(error.to_string()))
    }

    fn everything_open(&mut self) -> Result<(), HomeError> {
        restrict_syscalls(self.profile, &self.plan, &self.table)
            .map_err(|error| HomeError::CouldNot(error.to_string()))
    }

    fn serving(&mut self, bound: Bound) {
        let announced = output::line(&ready_line(bound));
        if let Err(failure) = announced {
            // The log has said it too; a guard does not stop because nobody reads.
            tracing::warn!(?failure, "standard output cannot be written");
        }
    }
}

fn ready_line(bound: Bound) -> String {
    let signing = match bound.listen.0 {
        Some(address) => format!("signing on {address}"),
        None => "signing for the nodes that it dials".to_owned(),
    };
    let watching = match bound.metrics.0 {
        Some(address) => format!("metrics and console on http://{address}"),
        None => "no metrics".to_owned(),
    };
    format!("palisade is ready: {signing}, {watching}")
}
