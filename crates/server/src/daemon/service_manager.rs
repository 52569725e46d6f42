//! What the service manager that started the guard is told: ready, alive, stopping.
//!
//! The protocol of sd_notify(3): datagrams to the socket that `$NOTIFY_SOCKET` names. Invariants:
//! the socket is opened once, so that a process that may open none later can go on speaking; a
//! manager that cannot be reached never stops the guard; the watchdog is fed only while ledger and
//! front answer, so that a guard that hangs is started anew.

use std::ffi::OsString;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::core::Core;
use crate::link::Pulse;

/// The manager, if there is one.
#[derive(Clone)]
pub(super) struct ServiceManager {
    socket: Option<Arc<UnixDatagram>>,
    /// How long it waits for a sign of life.
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// As the environment of this process names it.
    pub(super) fn from_environment() -> Self {
        let socket = std::env::var_os("NOTIFY_SOCKET").and_then(|name| {
            connect(&name)
                .inspect_err(|error| tracing::warn!(%error, "the service manager is out of reach"))
                .ok()
        });
        let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
        let is_ours = number("WATCHDOG_PID").is_none_or(|id| id == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|period| is_ours && *period > 0);
        Self { socket: socket.map(Arc::new), watchdog: watchdog.map(Duration::from_micros) }
    }

    /// Whether there is one.
    pub(super) fn is_there(&self) -> bool {
        self.socket.is_some()
    }

    /// The guard serves. Starts to feed the watchdog, until the task is aborted.
    pub(super) fn announce_ready(&self, core: Arc<Core>, front: Pulse) -> JoinHandle<()> {
        self.tell("READY=1\n");
        let manager = self.clone();
        tokio::spawn(async move {
            let Some(period) = manager.watchdog else { return };
            loop {
                if core.ledger_answers().await && front.answers() {
                    manager.tell("WATCHDOG=1\n");
                }
                // A third, so that one late turn does not end the process.
                tokio::time::sleep(period / 3).await;
            }
        })
    }

    /// The guard stops in order.
    pub(super) fn announce_stopping(&self) {
        self.tell("STOPPING=1\n");
    }

    fn tell(&self, state: &str) {
        let Some(socket) = &self.socket else { return };
        if let Err(error) = socket.send(state.as_bytes()) {
            tracing::warn!(%error, state = state.trim_end(), "the service manager was not told");
        }
    }
}

/// A name that starts with `@` is in Linux's abstract namespace.
fn connect(name: &OsString) -> std::io::Result<UnixDatagram> {
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(rest) => SocketAddr::from_abstract_name(rest)?,
        None => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    // A manager that does not read must not hold up the guard.
    socket.set_nonblocking(true)?;
    Ok(socket)
}
