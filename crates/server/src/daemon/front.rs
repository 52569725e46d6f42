//! The front: the process that meets the network. It holds the listeners, the TLS keys, what it
//! shows to the nodes that it dials, and what passes by; no other key, no ledger, no file.
//!
//! Invariants: it ends when the core tells it or is gone, and never serves without one; signals of
//! a terminal or a service manager are left to the core, which stops both in order.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Stages;
use super::setup::Setup;
use super::signals::Signals;
use super::sockets::Sockets;
use crate::home::HomeError;
use crate::http::{BodyBudget, FrontMetrics, Shared, metrics_router, signing_router};
use crate::link::message::GateEntry;
use crate::link::{CoreHandle, RemoteCore, Told};
use crate::listener::Listener;
use crate::nodes;

/// How long a front without a core takes to answer what was under way.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// Starts a front as a process of its own, with nothing but the socket pair and its setup.
pub(super) fn start(
    arguments: &[String],
    setup: &Setup,
    sockets: &Sockets,
) -> Result<UnixStream, HomeError> {
    let cannot =
        |error: std::io::Error| HomeError::CouldNot(format!("cannot start the front: {error}"));
    let (own, theirs) = UnixStream::pair().map_err(cannot)?;
    let mut command = Command::new("/proc/self/exe");
    command.args(arguments).env_clear().process_group(0);
    if let Some(level) = std::env::var_os("RUST_LOG") {
        command.env("RUST_LOG", level);
    }
    command.stdin(std::os::fd::OwnedFd::from(theirs)).stdout(Stdio::null());
    // It ends by itself when this end closes, and is reaped when this process ends.
    drop(command.spawn().map_err(cannot)?);
    // The command holds the other end until it is dropped: a front that dies must be noticed.
    drop(command);
    setup.send(&own, sockets).map_err(cannot)?;
    Ok(own)
}

/// The front's process, on the socket pair that is its standard input.
///
/// # Errors
/// [`HomeError`] when it was not started by a core, or the core is gone.
pub fn front(mut stages: impl Stages) -> Result<(), HomeError> {
    let not_a_front = |error: std::io::Error| {
        HomeError::Configuration(format!(
            "this command is started by `palisade run`, not by hand: {error}"
        ))
    };
    let stream = std::io::stdin().as_fd().try_clone_to_owned().map_err(not_a_front)?;
    let stream = UnixStream::from(stream);
    let (setup, sockets) = Setup::receive(&stream).map_err(not_a_front)?;
    stages.one_thread(&nodes::ports(&setup.nodes))?;
    // One thread: what it does for a request is little beside a signature, and waking others would
    // cost more.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| HomeError::CouldNot(format!("cannot start worker threads: {error}")))?;
    let served = runtime.block_on(serve_apart(setup, sockets, stream, stages));
    runtime.shutdown_timeout(Duration::from_secs(1));
    served
}

async fn serve_apart(
    setup: Setup,
    sockets: Sockets,
    stream: UnixStream,
    mut stages: impl Stages,
) -> Result<(), HomeError> {
    let cannot = |error: std::io::Error| HomeError::CouldNot(error.to_string());
    // Kept, so that the signals do not end this process.
    let _left_to_the_core = Signals::new()?;
    stages.everything_open()?;
    stream.set_nonblocking(true).map_err(cannot)?;
    let stream = tokio::net::UnixStream::from_std(stream).map_err(cannot)?;
    let gate = watch::Sender::new(setup.gate.clone());
    let stop = watch::Sender::new(false);
    let (gated, mut stopped) = (gate.subscribe(), stop.subscribe());
    let told = Told { gate, stop: stop.clone() };
    let (core, speaking) = RemoteCore::over(stream, setup.limits.max_body_bytes, told);
    let mut speaking = tokio::spawn(speaking);
    let served = Served::open(&setup, sockets, CoreHandle::Apart(core.clone()), gated, &stop)?;
    core.is_ready().await;
    let drain = Duration::from_millis(setup.limits.drain_timeout_ms);
    tokio::select! {
        _ = stopped.wait_for(|stop| *stop) => {}
        _ = &mut speaking => {
            tracing::error!("the core has ended; nothing can be signed, and the front ends too");
            stop.send_replace(true);
            served.drain(LAST_ANSWERS).await;
            return Err(HomeError::CouldNot("the core has ended".to_owned()));
        }
    }
    served.drain(drain).await;
    Ok(())
}

/// The listeners and the dialler, at work.
pub(super) struct Served(JoinSet<()>);

impl Served {
    /// Serves and dials until `stop`.
    pub(super) fn open(
        setup: &Setup,
        sockets: Sockets,
        core: CoreHandle,
        gate: watch::Receiver<Vec<GateEntry>>,
        stop: &watch::Sender<bool>,
    ) -> Result<Self, HomeError> {
        let limits = &setup.limits;
        let dialler = setup.dialler().map_err(HomeError::from)?;
        let shared = Shared {
            core,
            gate,
            metrics: FrontMetrics::new(),
            body_timeout: Duration::from_millis(limits.body_timeout_ms),
            max_body_bytes: limits.max_body_bytes,
            body_budget: BodyBudget::new(limits.max_body_bytes),
            nodes: dialler.states(),
            allowed_hosts: Arc::new(setup.allowed_hosts.clone()),
        };
        let cannot = |error: std::io::Error| HomeError::CouldNot(error.to_string());
        let mut served = JoinSet::new();
        if let Some(socket) = sockets.signing {
            let tls = setup.acceptor().map_err(HomeError::from)?;
            let (router, metrics) = (signing_router(shared.clone()), shared.metrics.clone());
            let signing = Listener::on(socket, tls, router, limits, metrics).map_err(cannot)?;
            served.spawn(signing.serve(stop.subscribe()));
        }
        if let Some(socket) = sockets.watching {
            let (router, metrics) = (metrics_router(shared.clone()), FrontMetrics::new());
            let watching = Listener::on(socket, None, router, limits, metrics).map_err(cannot)?;
            served.spawn(watching.serve(stop.subscribe()));
        }
        served.spawn(dialler.dial(shared, stop.subscribe()));
        Ok(Self(served))
    }

    /// Waits for the requests under way.
    pub(super) async fn drain(mut self, patience: Duration) {
        let all = async { while self.0.join_next().await.is_some() {} };
        if tokio::time::timeout(patience, all).await.is_err() {
            tracing::warn!("some connections did not end in time and are cut");
        }
    }
}
