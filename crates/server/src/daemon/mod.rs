//! `palisade run`: opens a home, serves it, and stops in order.
//!
//! Two processes: the **core** holds the home and its keys and has no network; the **front** holds
//! what meets the network (listeners, their TLS keys, connections to nodes and the tokens for them)
//! and nothing else. The core starts the front and tells it when to stop; whichever
//! ends, the other follows.
//!
//! Order of a stop: no new connections → requests under way finish, within a bound → the front ends
//! → the ledger thread writes what has queued and ends → the lock is released.

mod core;
mod front;
mod front_log;
mod inherited;
mod service_manager;
mod setup;
mod signals;
mod sockets;

use palisade_keys::UnlockSecret;
use palisade_store::HomeLock;

pub use front::front;

use crate::admin::MeasureRow;
use crate::config::{Config, ConfigError, ListenAddress};
use crate::core::Expiry;
use crate::home::{Home, HomeError};
use crate::nodes;
use crate::policy::Policy;
use crate::tls::TlsFiles;
use service_manager::ServiceManager;
use setup::Setup;
use sockets::Sockets;

/// What the command line overrides.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// Instead of `[listen] address`.
    pub listen: Option<ListenAddress>,
    /// Instead of `[metrics] address`.
    pub metrics: Option<ListenAddress>,
    /// How to start the front: arguments of this program. Absent serves from the core's process.
    pub front: Option<Vec<String>>,
    /// What the processes give up, for metrics and `status`.
    pub measures: Vec<MeasureRow>,
}

/// Moments in a process's life at which it can give up what it needs no more. This crate says when;
/// whoever starts it says what.
pub trait Stages {
    /// What needs the network's addresses is open, the front is started, and there is one thread.
    /// `dials` are the TCP ports to which this process opens connections itself.
    ///
    /// # Errors
    /// [`HomeError`] ends the start.
    fn one_thread(&mut self, dials: &[u16]) -> Result<(), HomeError>;

    /// All threads and sockets exist; from here on there are only files of the home, descriptors
    /// that are open, connections that come, and those to the ports that it dials.
    ///
    /// # Errors
    /// [`HomeError`] ends the start.
    fn everything_open(&mut self) -> Result<(), HomeError>;

    /// Requests are served. Only the core is told.
    fn serving(&mut self, bound: Bound);
}

/// The addresses in use.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// Of the signing listener.
    pub listen: ListenAddress,
    /// Of metrics, health and console.
    pub metrics: ListenAddress,
}

/// What was read and opened before the home: everything that needs the network, or that a wrong
/// configuration can spoil.
struct Prepared {
    lock: HomeLock,
    config: Config,
    policy: Policy,
    certificates: Expiry,
    bound: Bound,
    manager: ServiceManager,
    front: Front,
    measures: Vec<MeasureRow>,
    workers: usize,
}

/// Who serves the listeners.
enum Front {
    /// Another process.
    Apart(front::Started),
    /// This one.
    Here(Box<Setup>, Sockets),
}

/// Serves a home until SIGTERM or SIGINT, and tells `stages` how far it is.
///
/// # Errors
/// [`HomeError`] when it cannot start, cannot go on, or cannot stop cleanly.
pub fn run(
    home: &Home,
    unlock: UnlockSecret,
    options: &RunOptions,
    mut stages: impl Stages,
) -> Result<(), HomeError> {
    let prepared = prepare(home, options)?;
    let dials = match &prepared.front {
        Front::Apart(_) => Vec::new(),
        Front::Here(setup, _) => nodes::ports(&setup.nodes),
    };
    stages.one_thread(&dials)?;
    let is_managed = prepared.manager.is_there();
    core::run(home, unlock, prepared, stages).map_err(|error| match is_managed {
        true => error.for_a_service_manager(),
        false => error,
    })
}

fn prepare(home: &Home, options: &RunOptions) -> Result<Prepared, HomeError> {
    let lock = home.lock()?;
    let mut config = home.read_config()?;
    let inherited = inherited::sockets(&config)?;
    settle_addresses(&mut config, options, inherited.as_ref())?;
    let policy = config.policy(home.path()).map_err(HomeError::from)?;
    let setup = setup(home, &config, &policy).map_err(HomeError::from)?;
    let certificates = Expiry::of(setup.tls.as_ref(), &setup.nodes).map_err(HomeError::from)?;
    let manager = ServiceManager::from_environment();
    let sockets = match inherited {
        Some(sockets) => sockets,
        None => Sockets::bind(&config)?,
    };
    let bound = sockets.bound()?;
    let front = match &options.front {
        Some(arguments) => Front::Apart(front::start(arguments, &setup, &sockets)?),
        None => Front::Here(Box::new(setup), sockets),
    };
    let (measures, workers) = (options.measures.clone(), workers());
    Ok(Prepared { lock, config, policy, certificates, bound, manager, front, measures, workers })
}

/// What the front needs to serve. What it would refuse is refused here, where it is read.
fn setup(home: &Home, config: &Config, policy: &Policy) -> Result<Setup, ConfigError> {
    let tls = config.listen.tls.as_ref().filter(|_| config.listen.address.0.is_some());
    let tls = tls.map(|tls| TlsFiles::read(home.path(), tls));
    let nodes = config.nodes.iter().map(|node| node.destination(home.path()));
    let setup = Setup {
        limits: config.limits.clone(),
        tls: tls.transpose()?,
        allowed_hosts: config.listen.allowed_hosts.clone(),
        gate: policy.gate(),
        nodes: nodes.collect::<Result<_, _>>()?,
    };
    setup.acceptor()?;
    setup.dialler()?;
    Ok(setup)
}

/// How many threads serve. Asked while the files that tell a container's share can be opened.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Where the guard can really be reached: that is what the policy is judged by.
fn settle_addresses(
    config: &mut Config,
    options: &RunOptions,
    inherited: Option<&Sockets>,
) -> Result<(), HomeError> {
    let Some(sockets) = inherited else {
        config.listen.address = options.listen.unwrap_or(config.listen.address);
        config.metrics.address = options.metrics.unwrap_or(config.metrics.address);
        return Ok(());
    };
    if options.listen.is_some() || options.metrics.is_some() {
        return Err(HomeError::Configuration(
            "--listen and --metrics cannot change sockets that the service manager opened; change \
             ListenStream= in its socket unit"
                .to_owned(),
        ));
    }
    let bound = sockets.bound()?;
    (config.listen.address, config.metrics.address) = (bound.listen, bound.metrics);
    Ok(())
}
