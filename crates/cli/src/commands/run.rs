//! `palisade run`

use std::time::Duration;

use palisade_server::daemon::{self, RunOptions};
use palisade_server::home::Home;

use crate::arguments::RunArguments;
use crate::failure::Failure;
use crate::{Done, Outcome, logging, output, unlock};

pub(super) fn run(home: Home, arguments: &RunArguments) -> Done {
    logging::start(arguments.log_format);
    let secret = unlock::secret_of(&home)?;
    let options = RunOptions { listen: arguments.listen, metrics: arguments.metrics };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::CouldNot(format!("cannot start worker threads: {error}")))?;
    let served = runtime.block_on(daemon::run(home, secret, options, |bound| {
        let announced = output::line(&format!(
            "palisade is ready: signing on {}, metrics and console on http://{}",
            bound.listen, bound.metrics
        ));
        if let Err(failure) = announced {
            // The log has said it too; a guard does not stop because nobody reads.
            tracing::warn!(?failure, "standard output cannot be written");
        }
    }));
    // The ledger is closed by now; work that nobody waits for must not keep the process.
    runtime.shutdown_timeout(Duration::from_secs(2));
    served?;
    Ok(Outcome::Yes)
}
