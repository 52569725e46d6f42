//! Signals: TERM and INT stop the core, HUP reloads; the front leaves all three to the core.

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::core::Core;
use crate::home::HomeError;

/// The three signals that a guard listens for.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    pub(super) fn new() -> Result<Self, HomeError> {
        let listen = |kind| {
            signal(kind).map_err(|error| HomeError::CouldNot(format!("no signal handler: {error}")))
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    /// Until the guard shall stop; SIGHUP reloads.
    pub(super) async fn wait(mut self, core: &Arc<Core>) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => {
                    match core.reloader().take_turn_or_leave_word() {
                        Some(turn) => drop(tokio::task::spawn_blocking(move || turn.reload())),
                        None => tracing::info!("a reload runs; it reads once more at its end"),
                    }
                }
            }
        }
    }
}
