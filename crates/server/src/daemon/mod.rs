//! `palisade run`: opens a home, serves it, and stops in order.
//!
//! Two processes: the **core** holds the home and its keys and has no network; the **front** holds
//! the listeners and nothing else. The core starts the front and tells it when to stop; whichever
//! ends, the other follows.
//!
//! Order of a stop: no new connections → requests under way finish, within a bound → the front ends
//! → the ledger thread writes what has queued and ends → the lock is released.

mod core;
mod front;
mod setup;
mod signals;
mod sockets;

use std::net::SocketAddr;
use std::os::unix::net::UnixStream;

use palisade_keys::UnlockSecret;
use palisade_store::HomeLock;

pub use front::front;

use crate::config::Config;
use crate::home::{Home, HomeError};
use crate::policy::Policy;
use crate::tls::TlsFiles;
use setup::Setup;
use sockets::Sockets;

/// What the command line overrides.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// Instead of `[listen] address`.
    pub listen: Option<SocketAddr>,
    /// Instead of `[metrics] address`.
    pub metrics: Option<SocketAddr>,
    /// How to start the front: arguments of this program. Absent serves from the core's process.
    pub front: Option<Vec<String>>,
}

/// The addresses in use.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// Of the signing listener.
    pub listen: SocketAddr,
    /// Of metrics, health and console.
    pub metrics: SocketAddr,
}

/// What was read and opened before the home: everything that needs the network, or that a wrong
/// configuration can spoil.
struct Prepared {
    lock: HomeLock,
    config: Config,
    policy: Policy,
    bound: Bound,
    front: Front,
}

/// Who serves the listeners.
enum Front {
    /// Another process, at the other end.
    Apart(UnixStream),
    /// This one.
    Here(Box<Setup>, Sockets),
}

/// Serves a home until SIGTERM or SIGINT. Calls `ready` once everything is served.
///
/// # Errors
/// [`HomeError`] when it cannot start, cannot go on, or cannot stop cleanly.
pub fn run(
    home: &Home,
    unlock: UnlockSecret,
    options: &RunOptions,
    ready: impl FnOnce(Bound),
) -> Result<(), HomeError> {
    let prepared = prepare(home, options)?;
    core::run(home, unlock, prepared, ready)
}

fn prepare(home: &Home, options: &RunOptions) -> Result<Prepared, HomeError> {
    let lock = home.lock()?;
    let mut config = home.read_config()?;
    config.listen.address = options.listen.unwrap_or(config.listen.address);
    config.metrics.address = options.metrics.unwrap_or(config.metrics.address);
    let policy = config.policy(home.path()).map_err(HomeError::from)?;
    let tls = config.listen.tls.as_ref().map(|tls| TlsFiles::read(home.path(), tls));
    let setup = Setup {
        limits: config.limits.clone(),
        tls: tls.transpose().map_err(HomeError::from)?,
        allowed_hosts: config.listen.allowed_hosts.clone(),
        gate: policy.gate(),
    };
    // What the front would refuse is refused here, where the operator reads it.
    setup.acceptor().map_err(HomeError::from)?;
    let sockets = Sockets::bind(&config)?;
    let bound = sockets.bound()?;
    let front = match &options.front {
        Some(arguments) => Front::Apart(front::start(arguments, &setup, &sockets)?),
        None => Front::Here(Box::new(setup), sockets),
    };
    Ok(Prepared { lock, config, policy, bound, front })
}
