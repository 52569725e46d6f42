//! `palisade run`

use palisade_server::daemon::{self, RunOptions};
use palisade_server::home::Home;

use crate::arguments::RunArguments;
use crate::logging::LogFormat;
use crate::{Done, Outcome, logging, output, unlock};

pub(super) fn run(home: &Home, arguments: &RunArguments) -> Done {
    logging::start(arguments.log_format);
    let secret = unlock::secret_of(home)?;
    let options = RunOptions {
        listen: arguments.listen,
        metrics: arguments.metrics,
        front: Some(front_arguments(arguments.log_format)),
    };
    daemon::run(home, secret, &options, |bound| {
        let announced = output::line(&format!(
            "palisade is ready: signing on {}, metrics and console on http://{}",
            bound.listen, bound.metrics
        ));
        if let Err(failure) = announced {
            // The log has said it too; a guard does not stop because nobody reads.
            tracing::warn!(?failure, "standard output cannot be written");
        }
    })?;
    Ok(Outcome::Yes)
}

fn front_arguments(log_format: LogFormat) -> Vec<String> {
    vec!["network-front".to_owned(), format!("--log-format={log_format}")]
}

/// The process that `run` starts for the network.
pub(super) fn front(log_format: LogFormat) -> Done {
    logging::start(log_format);
    daemon::front()?;
    Ok(Outcome::Yes)
}
