//! Waiting, never without a limit.

use std::{
    sync::mpsc::{RecvTimeoutError, Sender, channel},
    thread,
    time::{Duration, Instant},
};

use crate::{Failure, report};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(250);

/// Looks again and again until there is something. An error of a look is kept for the sentence that
/// says why the limit passed.
pub(crate) fn until<T>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Result<Option<T>, Failure>,
) -> Result<T, Failure> {
    let end = Instant::now() + limit;
    loop {
        let why = match look() {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => "not yet".to_owned(),
            Err(failure) => failure.to_string(),
        };
        if Instant::now() >= end {
            return Err(format!("{what}: not within {limit:?} ({why})").into());
        }
        thread::sleep(LOOK);
    }
}

/// Ends the process, and the kernel with it its children, when a scenario runs over its limit.
pub(crate) struct Watchdog(Sender<()>);

impl Watchdog {
    /// Begins to count.
    pub(crate) fn start(limit: Duration) -> Self {
        let (stop, stopped) = channel();
        thread::spawn(move || {
            if stopped.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                let failure = format!("ran for longer than {limit:?}");
                report::print(&report::could_not("watchdog", limit.as_secs(), &failure));
                std::process::exit(3);
            }
        });
        Self(stop)
    }

    /// The scenario has ended.
    pub(crate) fn stop(self) {
        drop(self.0);
    }
}
