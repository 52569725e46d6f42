//! `palisade run`: opens a home, serves it, and stops in order.
//!
//! Order of a stop: no new connections → requests under way finish, within a bound → the ledger
//! thread writes what has queued and ends → the lock is released.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use palisade_keys::UnlockSecret;
use palisade_protect::PROTECTION_IS_ON;
use palisade_store::{LedgerThread, Limits as LedgerLimits};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::admin::{Administrator, MeasureRow, socket};
use crate::config::Config;
use crate::engine::{Engine, Keychain};
use crate::home::{Home, HomeError, OpenHome};
use crate::http::{BodyBudget, Reloader, Shared, metrics_router, signing_router};
use crate::listener::Listener;
use crate::metrics::Metrics;
use crate::readiness::ReadinessProbe;
use crate::tls;

/// What the command line decides.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// Instead of `[listen] address`.
    pub listen: Option<SocketAddr>,
    /// Instead of `[metrics] address`.
    pub metrics: Option<SocketAddr>,
    /// What the process gave up, for metrics and `status`.
    pub measures: Vec<MeasureRow>,
}

/// The addresses in use.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// Of the signing listener.
    pub listen: SocketAddr,
    /// Of metrics, health and console.
    pub metrics: SocketAddr,
}

/// Serves a home until SIGTERM or SIGINT. Calls `ready` once everything is bound, before the first
/// connection is accepted; nothing is bound after it.
///
/// # Errors
/// [`HomeError`] when it cannot start, or cannot stop cleanly; what `ready` says no to.
pub async fn run(
    home: Home,
    unlock: UnlockSecret,
    options: RunOptions,
    ready: impl FnOnce(Bound) -> Result<(), HomeError>,
) -> Result<(), HomeError> {
    let OpenHome { store, vault, network, mut config, lock } = home.open(&unlock)?;
    drop(unlock);
    refuse_unprotected(&network)?;
    config.listen.address = options.listen.unwrap_or(config.listen.address);
    config.metrics.address = options.metrics.unwrap_or(config.metrics.address);
    let policy = configuration(config.policy(home.path()))?;
    let ring = vault.load_ring().map_err(|error| HomeError::CouldNot(error.to_string()))?;
    let chains = configuration(config.substrate_chains())?;
    let keychain = Keychain::with_records(ring, &store);
    let genesis = store.genesis_validators_root();
    let limits = LedgerLimits {
        queue_batches: config.limits.max_queued_requests,
        ..LedgerLimits::default()
    };
    let (ledger, ledger_thread) = LedgerThread::spawn(store, limits);
    let metrics = Metrics::new();
    metrics.set_measures(&options.measures);
    let engine = Engine::new(network, genesis, policy, keychain, ledger.clone(), metrics);
    let engine = Arc::new(engine.with_chains(chains));
    let administrator = Administrator::new(ledger, vault, Arc::clone(&engine));
    let administrator = Arc::new(administrator.with_measures(options.measures));
    let shared = share(&home, &config, &engine, &administrator);
    serve(&home, &config, &shared, ready).await?;
    // The ledger thread ends when its last handle is gone or when it is told; tell it, so that a
    // connection that outlived the drain cannot keep it.
    drop(shared);
    let stopped = tokio::task::spawn_blocking(move || ledger_thread.stop()).await;
    match stopped {
        Ok(Ok(_store)) => tracing::info!("stopped cleanly"),
        Ok(Err(error)) => return Err(HomeError::CouldNot(error.to_string())),
        Err(_) => return Err(HomeError::CouldNot("the ledger thread panicked".to_owned())),
    }
    drop(lock);
    Ok(())
}

/// The build without rules exists to show that the end-to-end checks can fail; it must never meet
/// a key that is worth anything.
fn refuse_unprotected(network: &palisade_ethereum::Network) -> Result<(), HomeError> {
    if PROTECTION_IS_ON {
        return Ok(());
    }
    tracing::error!("THIS BUILD HAS NO SLASHING PROTECTION. It is for tests only.");
    if network.name == "minimal" {
        return Ok(());
    }
    Err(HomeError::Configuration(
        "this build has no slashing protection and serves only the network \"minimal\"".to_owned(),
    ))
}

fn share(
    home: &Home,
    config: &Config,
    engine: &Arc<Engine>,
    administrator: &Arc<Administrator>,
) -> Shared {
    Shared {
        engine: Arc::clone(engine),
        administrator: Arc::clone(administrator),
        reloader: Arc::new(Reloader::new(home, config.listen.clone(), Arc::clone(engine))),
        readiness: Arc::new(ReadinessProbe::new(Arc::clone(engine), Arc::clone(administrator))),
        body_timeout: Duration::from_millis(config.limits.body_timeout_ms),
        max_body_bytes: config.limits.max_body_bytes,
        body_budget: BodyBudget::new(config.limits.max_body_bytes),
        allowed_hosts: Arc::new(config.listen.allowed_hosts.clone()),
    }
}

async fn serve(
    home: &Home,
    config: &Config,
    shared: &Shared,
    ready: impl FnOnce(Bound) -> Result<(), HomeError>,
) -> Result<(), HomeError> {
    let tls = config.listen.tls.as_ref().map(|tls| tls::acceptor(home.path(), tls));
    let tls = configuration(tls.transpose())?;
    let metrics = shared.engine.metrics().clone();
    let limits = &config.limits;
    let signing = signing_router(shared.clone());
    let signing = bind(
        config.listen.address,
        Listener::bind(config.listen.address, tls, signing, limits, metrics.clone()),
    )
    .await?;
    let watching = metrics_router(shared.clone());
    let watching = bind(
        config.metrics.address,
        Listener::bind(config.metrics.address, None, watching, limits, Metrics::new()),
    )
    .await?;
    let address = |listener: &Listener| {
        listener.local_address().map_err(|error| HomeError::CouldNot(error.to_string()))
    };
    let bound = Bound { listen: address(&signing)?, metrics: address(&watching)? };
    let admin = socket::bind(&home.socket_path())
        .map_err(|error| cannot_bind_admin(&home.socket_path(), &error))?;
    let signals = Signals::new()?;
    ready(bound)?;
    let admin = tokio::spawn(socket::serve(admin, Arc::clone(&shared.administrator)));
    let (stop, stopped) = watch::channel(false);
    let signing = tokio::spawn(signing.serve(stopped.clone()));
    let watching = tokio::spawn(watching.serve(stopped));
    tracing::info!(
        listen = %bound.listen, metrics = %bound.metrics, keys = shared.engine.keychain().len(),
        network = shared.engine.network().name, "ready"
    );
    signals.wait(shared).await;
    tracing::info!("stopping: no new connections, requests under way finish");
    shared.readiness.start_draining();
    admin.abort();
    stop.send_replace(true);
    let drain = Duration::from_millis(limits.drain_timeout_ms);
    let both = async { tokio::join!(signing, watching) };
    if tokio::time::timeout(drain, both).await.is_err() {
        tracing::warn!("some connections did not end in time and are cut");
    }
    drop(std::fs::remove_file(home.socket_path()));
    Ok(())
}

async fn bind(
    address: SocketAddr,
    binding: impl Future<Output = std::io::Result<Listener>>,
) -> Result<Listener, HomeError> {
    binding.await.map_err(|error| {
        HomeError::CouldNot(format!(
            "cannot listen on {address}: {error}; is another program there? Choose another address \
             with --listen or --metrics, or in palisade.toml"
        ))
    })
}

fn cannot_bind_admin(path: &std::path::Path, error: &std::io::Error) -> HomeError {
    HomeError::CouldNot(format!(
        "cannot make the admin socket {}: {error}; if the path is longer than about 90 characters, \
         move the home to a shorter one",
        path.display()
    ))
}

fn configuration<T>(result: Result<T, crate::config::ConfigError>) -> Result<T, HomeError> {
    result.map_err(|error| HomeError::Configuration(error.to_string()))
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> Result<Self, HomeError> {
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
    async fn wait(mut self, shared: &Shared) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => {
                    match shared.reloader.take_turn() {
                        Some(turn) => drop(tokio::task::spawn_blocking(move || turn.reload())),
                        None => tracing::info!("a reload is already running"),
                    }
                }
            }
        }
    }
}
