//! The front: the process that meets the network. It holds the listeners, the TLS keys, what it
//! shows to the nodes that it dials, and what passes by; no other key, no ledger, no file.
//!
//! Invariants: it ends when the core tells it or is gone, even if its event loop hangs, and never
//! serves without one; signals of a terminal or a service manager are left to the core, which stops
//! both in order.

use std::io::PipeReader;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Stages;
use super::setup::Setup;
use super::signals::Signals;
use super::sockets::Sockets;
use crate::home::HomeError;
use crate::http::{BodyBudget, FrontMetrics, Shared, SharedPlaces, metrics_router, signing_router};
use crate::link::message::GateEntry;
use crate::link::{CoreHandle, RemoteCore, Told};
use crate::listener::Listener;
use crate::nodes;

/// How long a front without a core takes to answer what was under way.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// How long what works beside the event loop may take to end.
const LAST_WORK: Duration = Duration::from_millis(500);

/// When a front without a core is ended where it stands: after [`LAST_ANSWERS`] and [`LAST_WORK`].
const FAREWELL: Duration = Duration::from_secs(2);

/// The exit status of a front that was.
const OUTLIVED: i32 = 3;

/// A front that was started as a process of its own.
pub(super) struct Started {
    /// The core's end of the socket pair.
    pub(super) stream: UnixStream,
    /// What it writes to its standard error.
    pub(super) log: PipeReader,
}

/// Starts a front as a process of its own, with nothing but the socket pair, its setup, and a pipe
/// for what it has to say.
pub(super) fn start(
    arguments: &[String],
    setup: &Setup,
    sockets: &Sockets,
) -> Result<Started, HomeError> {
    let cannot =
        |error: std::io::Error| HomeError::CouldNot(format!("cannot start the front: {error}"));
    let (stream, theirs) = UnixStream::pair().map_err(cannot)?;
    let (log, written) = std::io::pipe().map_err(cannot)?;
    let mut command = Command::new("/proc/self/exe");
    command.args(arguments).env_clear().process_group(0);
    if let Some(level) = std::env::var_os("RUST_LOG") {
        command.env("RUST_LOG", level);
    }
    command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).stderr(written);
    // It ends by itself when this end closes, and is reaped when this process ends.
    drop(command.spawn().map_err(cannot)?);
    // The command holds the other ends until it is dropped: a front that dies must be noticed.
    drop(command);
    setup.send(&stream, sockets).map_err(cannot)?;
    Ok(Started { stream, log })
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
    outlive_no_core(&stream)?;
    // One thread: what it does for a request is little beside a signature, and waking others would
    // cost more.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| HomeError::CouldNot(format!("cannot start worker threads: {error}")))?;
    let served = runtime.block_on(serve_apart(setup, sockets, stream, stages));
    runtime.shutdown_timeout(LAST_WORK);
    served
}

/// Ends this process some time after the core is gone, also when its event loop hangs: whoever
/// starts the guard again needs the addresses.
fn outlive_no_core(stream: &UnixStream) -> Result<(), HomeError> {
    let cannot = |error: std::io::Error| HomeError::CouldNot(error.to_string());
    let stream = stream.try_clone().map_err(cannot)?;
    let watch = move || {
        // No event is asked for: that the other end is gone is always told.
        let mut ends = [PollFd::new(&stream, PollFlags::empty())];
        while poll(&mut ends, None).is_err() {
            std::thread::sleep(FAREWELL);
        }
        std::thread::sleep(FAREWELL);
        std::process::exit(OUTLIVED);
    };
    let thread = std::thread::Builder::new().name("core-watch".to_owned()).spawn(watch);
    thread.map(drop).map_err(cannot)
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
            shares: SharedPlaces::of(limits),
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
