//! The core: the process that holds the home. It decides and signs; the front speaks for it.
//!
//! Invariants: a front that ends or hangs takes the core along, because a guard that nobody can
//! reach must not look alive; one that breaks the protocol does too, and then a person must look
//! before the guard starts again.

use std::sync::Arc;
use std::time::Duration;

use palisade_keys::UnlockSecret;
use palisade_protect::PROTECTION_IS_ON;
use palisade_store::{LedgerThread, Limits as LedgerLimits};
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinError, JoinHandle};

use super::front::{Served, Started};
use super::front_log::FrontLog;
use super::service_manager::ServiceManager;
use super::signals::Signals;
use super::{Bound, Front, Prepared, Stages};
use crate::admin::{Administrator, socket};
use crate::config::Config;
use crate::core::Core;
use crate::engine::{Engine, Keychain, SessionKey};
use crate::home::{Home, HomeError, OpenHome};
use crate::link::{self, CoreHandle, LinkFault, Pulse};
use crate::metrics::Metrics;

/// How long a front may take until it serves.
const START: Duration = Duration::from_secs(30);

/// What a front may take for its own end, after the drain.
const FAREWELL: Duration = Duration::from_secs(2);

pub(super) fn run(
    home: &Home,
    unlock: UnlockSecret,
    prepared: Prepared,
    stages: impl Stages,
) -> Result<(), HomeError> {
    let Prepared { lock, config, policy, certificates, bound, manager, front, measures, workers } =
        prepared;
    let chains = config.substrate_chains().map_err(HomeError::from)?;
    let OpenHome { store, vault, network, config, lock } =
        home.open_locked(lock, config, &unlock)?;
    drop(unlock);
    refuse_unprotected(&network)?;
    let ring = vault.load_ring()?;
    let sessions = SessionKey::in_service(ring.session_public_keys(), &store);
    let keychain = Keychain::new(ring).with_sessions(sessions);
    let genesis = store.genesis_validators_root();
    let limits = LedgerLimits {
        queue_batches: config.limits.max_queued_requests,
        ..LedgerLimits::default()
    };
    let (ledger, ledger_thread) = LedgerThread::spawn(store, limits);
    let metrics = Metrics::new();
    metrics.set_measures(&measures);
    let engine = Engine::new(network, genesis, policy, keychain, ledger.clone(), metrics);
    let engine = Arc::new(engine.with_chains(chains).with_workers(workers));
    let administrator = Administrator::new(ledger, vault, Arc::clone(&engine));
    let administrator = Arc::new(administrator.with_measures(measures));
    let core = Arc::new(Core::new(home, &config, engine, administrator, certificates));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()
        .map_err(|error| HomeError::CouldNot(format!("cannot start worker threads: {error}")))?;
    let served = runtime.block_on(serve(home, &config, core, front, manager, bound, stages));
    // The ledger thread ends when its last handle is gone or when it is told; tell it, so that a
    // connection that outlived the drain cannot keep it.
    let stopped = ledger_thread.stop();
    // Work that nobody waits for must not keep the process.
    runtime.shutdown_timeout(FAREWELL);
    served?;
    match stopped {
        Ok(_store) => tracing::info!("stopped cleanly"),
        Err(error) => return Err(error.into()),
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

async fn serve(
    home: &Home,
    config: &Config,
    core: Arc<Core>,
    front: Front,
    manager: ServiceManager,
    bound: Bound,
    mut stages: impl Stages,
) -> Result<(), HomeError> {
    let signals = Signals::new()?;
    let admin = socket::bind(&home.socket_path())
        .map_err(|error| cannot_bind_admin(&home.socket_path(), &error))?;
    stages.everything_open()?;
    let admin = tokio::spawn(socket::serve(admin, Arc::clone(core.administrator())));
    let stop = watch::Sender::new(false);
    let mut serving = Serving::begin(front, &core, config, &stop).await?;
    let engine = core.engine();
    tracing::info!(
        listen = %bound.listen, metrics = %bound.metrics, nodes = config.nodes.len(),
        keys = engine.keychain().len(), network = engine.network().name, "ready"
    );
    stages.serving(bound);
    tokio::spawn(core.certificates().clone().warn());
    let watchdog = manager.announce_ready(Arc::clone(&core), serving.pulse());
    let ended = tokio::select! {
        () = signals.wait(&core) => None,
        ended = serving.ends() => Some(ended),
    };
    manager.announce_stopping();
    watchdog.abort();
    admin.abort();
    drop(std::fs::remove_file(home.socket_path()));
    if let Some(ended) = ended {
        serving.last_words().await;
        return Err(ended);
    }
    tracing::info!("stopping: no new connections, requests under way finish");
    core.start_draining();
    stop.send_replace(true);
    serving.drain(Duration::from_millis(config.limits.drain_timeout_ms)).await
}

/// The listeners, wherever they are served.
enum Serving {
    Here(Served),
    Apart(Apart),
}

/// A front in another process.
struct Apart {
    link: JoinHandle<Result<(), LinkFault>>,
    pulse: Pulse,
    log: FrontLog,
}

impl Serving {
    async fn begin(
        front: Front,
        core: &Arc<Core>,
        config: &Config,
        stop: &watch::Sender<bool>,
    ) -> Result<Self, HomeError> {
        match front {
            Front::Here(setup, sockets) => {
                let handle = CoreHandle::Here(Arc::clone(core));
                Served::open(&setup, sockets, handle, core.gate(), stop).map(Self::Here)
            }
            Front::Apart(started) => {
                Apart::begin(started, core, config, stop).await.map(Self::Apart)
            }
        }
    }

    /// Whether the front answers; one in this process is as alive as whoever asks.
    fn pulse(&self) -> Pulse {
        match self {
            Self::Here(_) => Pulse::default(),
            Self::Apart(apart) => apart.pulse.clone(),
        }
    }

    /// Until the front ends without having been told, or hangs.
    async fn ends(&mut self) -> HomeError {
        match self {
            Self::Here(_) => std::future::pending().await,
            Self::Apart(apart) => apart.ends().await,
        }
    }

    /// Until what a front that has ended said last is in the log.
    async fn last_words(&mut self) {
        if let Self::Apart(apart) = self {
            apart.log.end().await;
        }
    }

    async fn drain(self, patience: Duration) -> Result<(), HomeError> {
        match self {
            Self::Here(served) => {
                served.drain(patience).await;
                Ok(())
            }
            Self::Apart(apart) => apart.drain(patience).await,
        }
    }
}

impl Apart {
    async fn begin(
        front: Started,
        core: &Arc<Core>,
        config: &Config,
        stop: &watch::Sender<bool>,
    ) -> Result<Self, HomeError> {
        let cannot = |error: std::io::Error| HomeError::CouldNot(error.to_string());
        let log = FrontLog::follow(front.log)?;
        front.stream.set_nonblocking(true).map_err(cannot)?;
        let stream = tokio::net::UnixStream::from_std(front.stream).map_err(cannot)?;
        let (ready, is_ready) = oneshot::channel();
        let limits = link::Limits::of(&config.limits);
        let pulse = Pulse::default();
        let ends = link::Ends { stop: stop.subscribe(), ready, pulse: pulse.clone() };
        let link = tokio::spawn(link::serve(Arc::clone(core), stream, limits, ends));
        let mut apart = Self { link, pulse, log };
        let failed = tokio::select! {
            Ok(()) = is_ready => return Ok(apart),
            ended = apart.ends() => ended,
            () = tokio::time::sleep(START) => HomeError::CouldNot(format!(
                "the front does not serve after {} s", START.as_secs()
            )),
        };
        apart.log.end().await;
        Err(failed)
    }

    async fn ends(&mut self) -> HomeError {
        let ended = (&mut self.link).await;
        breach(&ended).unwrap_or_else(|| {
            HomeError::CouldNot(match ended {
                Ok(Err(silent @ LinkFault::Silent(_))) => format!(
                    "the front process hangs ({silent}), so the guard has ended; start it again, \
                     and look for what keeps the machine busy or stopped that process"
                ),
                _ => "the front process has ended; start the guard again, and look for what ended \
                      it"
                .to_owned(),
            })
        })
    }

    async fn drain(mut self, patience: Duration) -> Result<(), HomeError> {
        let ended = tokio::time::timeout(patience + FAREWELL, &mut self.link).await;
        self.log.end().await;
        match ended {
            Ok(ended) => breach(&ended).map_or(Ok(()), Err),
            Err(_) => {
                tracing::warn!("the front does not end and is left behind");
                Ok(())
            }
        }
    }
}

/// A front that broke the protocol, however the guard ends.
fn breach(ended: &Result<Result<(), LinkFault>, JoinError>) -> Option<HomeError> {
    let Ok(Err(fault)) = ended else { return None };
    if !fault.is_breach() {
        return None;
    }
    tracing::error!(%fault, "the front broke the protocol: it may be broken into");
    Some(HomeError::Unsafe(format!(
        "the front broke the protocol ({fault}); it may be broken into. Nothing was signed that \
         its clients may not ask. Look at the host before you start the guard again"
    )))
}

fn cannot_bind_admin(path: &std::path::Path, error: &std::io::Error) -> HomeError {
    HomeError::CouldNot(format!(
        "cannot make the admin socket {}: {error}; if the path is longer than about 90 characters, \
         move the home to a shorter one",
        path.display()
    ))
}
