//! `palisade run`

use std::thread;
use std::time::Duration;

use palisade_sandbox::{Profile, harden_early, restrict_syscalls};
use palisade_server::daemon::{self, Bound, RunOptions};
use palisade_server::home::{Home, HomeError};

use super::secure;
use crate::arguments::RunArguments;
use crate::failure::Failure;
use crate::{Done, Outcome, logging, output, unlock};

pub(super) fn run(home: Home, arguments: &RunArguments) -> Done {
    secure::start_clean(&arguments.allow_unhardened)?;
    logging::start(arguments.log_format);
    let secret = unlock::secret_of(&home)?;
    let table = secure::table(&home, &arguments.allow_unhardened)?;
    let options = RunOptions {
        listen: arguments.listen,
        metrics: arguments.metrics,
        measures: secure::rows(&table),
    };
    let plan = secure::plan(&home, &options)?;
    // Asked now: afterwards the files that tell a container's share of the machine are closed.
    let workers = thread::available_parallelism().map_or(1, usize::from);
    harden_early(&plan, &table).map_err(|error| Failure::CouldNot(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()
        .map_err(|error| Failure::CouldNot(format!("cannot start worker threads: {error}")))?;
    let served = runtime.block_on(daemon::run(home, secret, options, |bound| {
        restrict_syscalls(Profile::Whole, &table)
            .map_err(|error| HomeError::CouldNot(error.to_string()))?;
        announce(&bound);
        Ok(())
    }));
    // The ledger is closed by now; work that nobody waits for must not keep the process.
    runtime.shutdown_timeout(Duration::from_secs(2));
    served?;
    Ok(Outcome::Yes)
}

fn announce(bound: &Bound) {
    let announced = output::line(&format!(
        "palisade is ready: signing on {}, metrics and console on http://{}",
        bound.listen, bound.metrics
    ));
    if let Err(failure) = announced {
        // The log has said it too; a guard does not stop because nobody reads.
        tracing::warn!(?failure, "standard output cannot be written");
    }
}
