//! Sockets: accept, TLS, HTTP/1.1, limits, and a drain that lets requests under way finish.
//!
//! Invariants: the number of connections is bounded, further ones wait, and those that brought no
//! request yet give way to them; each belongs to one client at a time, which has its share of them;
//! a connection must bring its first request soon, later ones within the idle time, and must take
//! its answers, or it is closed; after the stop signal no connection is accepted and each open one
//! ends with the request that it is serving; what outlives the HTTP of its connection (a WebSocket)
//! holds its [`ConnectionLife`], so that all of this is true of it too.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use crate::arrivals::{Arrival, Arrivals};
use crate::http::{ConnectionCertificate, FrontMetrics, Place, TurnedAway};
use crate::log_budget::LogBudget;
use crate::policy::Fingerprint;

/// How long a client may leave its answer untaken.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest request line and header together. A 2,592-byte public key as hex is 5,184
/// characters of path, so this leaves room.
const MAX_HEAD_BYTES: usize = 32 << 10;

/// One listening socket and what it serves.
pub(crate) struct Listener {
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    connections: Arc<Semaphore>,
    max_connections: u32,
    first_request_timeout: Duration,
    idle_timeout: Duration,
    metrics: FrontMetrics,
    log: Arc<LogBudget>,
    arrivals: Arrivals,
}

impl Listener {
    /// On a socket that is bound already.
    ///
    /// # Errors
    /// When the socket cannot be waited for.
    pub(crate) fn on(
        socket: std::net::TcpListener,
        tls: Option<TlsAcceptor>,
        router: Router,
        limits: &crate::config::Limits,
        metrics: FrontMetrics,
    ) -> std::io::Result<Self> {
        socket.set_nonblocking(true)?;
        let socket = TcpListener::from_std(socket)?;
        let max_connections = u32::try_from(limits.max_connections).unwrap_or(u32::MAX);
        Ok(Self {
            socket,
            tls,
            router,
            connections: Arc::new(Semaphore::new(limits.max_connections)),
            max_connections,
            first_request_timeout: Duration::from_millis(limits.body_timeout_ms),
            idle_timeout: Duration::from_millis(limits.idle_timeout_ms),
            metrics,
            log: Arc::default(),
            arrivals: Arrivals::default(),
        })
    }

    /// Serves until `stop` becomes true, then waits for open connections.
    pub(crate) async fn serve(self, mut stop: watch::Receiver<bool>) {
        loop {
            let (stream, permit) = tokio::select! {
                biased;
                () = stopped(&mut stop) => break,
                accepted = self.accept() => accepted,
            };
            let (arrival, gives_way) = self.arrivals.enter();
            let life = ConnectionLife {
                stop: stop.clone(),
                idle_timeout: self.idle_timeout,
                standing: Arc::new(Mutex::new(Standing::New { _arrival: arrival })),
                _open: Arc::new(OpenConnection::count(self.metrics.clone(), permit)),
            };
            let connection = Connection {
                tls: self.tls.clone(),
                router: self.router.clone(),
                first_request_timeout: self.first_request_timeout,
                life,
                log: Arc::clone(&self.log),
            };
            tokio::spawn(async move {
                tokio::select! {
                    () = connection.run(stream) => {}
                    () = gives_way.notified() => {
                        tracing::debug!("a connection without a request gave way to another");
                    }
                }
            });
        }
        drop(self.socket);
        // Every connection holds a permit, so that all of them back means all have ended.
        drop(self.connections.acquire_many(self.max_connections).await);
    }

    /// The next connection, with room for it.
    async fn accept(&self) -> (TcpStream, OwnedSemaphorePermit) {
        loop {
            match self.socket.accept().await {
                Ok((stream, _)) => return (stream, self.room().await),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    /// Room for a connection that waits for it.
    async fn room(&self) -> OwnedSemaphorePermit {
        let next = || Arc::clone(&self.connections).acquire_owned();
        let freed = tokio::select! {
            biased;
            freed = next() => freed,
            () = self.arrivals.oldest_gives_way() => {
                self.metrics.observe_turned_away(TurnedAway::Silent);
                next().await
            }
        };
        match freed {
            Ok(permit) => permit,
            // Nobody closes the semaphore.
            Err(_) => std::future::pending().await,
        }
    }
}

/// Counts a connection for as long as it lives, however it ends.
struct OpenConnection {
    metrics: FrontMetrics,
    _permit: OwnedSemaphorePermit,
}

impl OpenConnection {
    fn count(metrics: FrontMetrics, permit: OwnedSemaphorePermit) -> Self {
        metrics.connection_opened();
        Self { metrics, _permit: permit }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.metrics.connection_closed();
    }
}

/// What a connection is held to for as long as it lives. Each request carries it; whoever takes the
/// connection over keeps it.
#[derive(Clone)]
pub(crate) struct ConnectionLife {
    stop: watch::Receiver<bool>,
    /// How long it may stay without a request.
    pub(crate) idle_timeout: Duration,
    standing: Arc<Mutex<Standing>>,
    _open: Arc<OpenConnection>,
}

/// Whose a connection is.
enum Standing {
    /// That is not known yet.
    New { _arrival: Arrival },
    /// A client's.
    Of(Place),
    /// Nobody's in particular: whoever reaches the listener is served.
    Open,
}

impl ConnectionLife {
    /// A request of this client came; `take` is asked for a place when the connection is not its
    /// own already. False when there is none.
    pub(crate) fn belongs_to(&self, client: &str, take: impl FnOnce() -> Option<Place>) -> bool {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(&*standing, Standing::Of(place) if place.client() == client) {
            return true;
        }
        take().is_some_and(|place| {
            *standing = Standing::Of(place);
            true
        })
    }

    /// A request came that anybody may send.
    pub(crate) fn belongs_to_nobody(&self) {
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner) = Standing::Open;
    }

    /// Until the guard shall stop; a sender that is gone means the same.
    pub(crate) async fn stopped(&mut self) {
        stopped(&mut self.stop).await;
    }
}

struct Connection {
    tls: Option<TlsAcceptor>,
    router: Router,
    first_request_timeout: Duration,
    life: ConnectionLife,
    log: Arc<LogBudget>,
}

impl Connection {
    async fn run(self, stream: TcpStream) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
        let Some(tls) = &self.tls else {
            self.serve(stream, ConnectionCertificate::default()).await;
            return;
        };
        match tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
            Ok(Ok(stream)) => {
                let certificate = stream
                    .get_ref()
                    .1
                    .peer_certificates()
                    .and_then(<[_]>::first)
                    .map(|leaf| Fingerprint::of(leaf));
                self.serve(stream, ConnectionCertificate(certificate)).await;
            }
            Ok(Err(error)) => self.handshake_failed(&error.to_string()),
            Err(_) => self.handshake_failed("it took too long"),
        }
    }

    fn handshake_failed(&self, why: &str) {
        if let Some(left_out) = self.log.spend() {
            tracing::info!(why, left_out_before = left_out, "TLS handshake failed");
        }
    }

    async fn serve<S>(self, stream: S, certificate: ConnectionCertificate)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let Self { router, first_request_timeout, mut life, .. } = self;
        let idle_timeout = life.idle_timeout;
        let asked = Arc::new(AtomicBool::new(false));
        let mut timed = TimeoutStream::new(stream);
        timed.set_write_timeout(Some(WRITE_TIMEOUT));
        let has_asked = Arc::clone(&asked);
        let of_request = life.clone();
        let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
            asked.store(true, Ordering::Relaxed);
            request.extensions_mut().insert(certificate.clone());
            request.extensions_mut().insert(of_request.clone());
            router.clone().oneshot(request.map(axum::body::Body::new))
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(idle_timeout)
            .max_buf_size(MAX_HEAD_BYTES)
            .half_close(true)
            .serve_connection(TokioIo::new(Box::pin(timed)), service)
            .with_upgrades();
        tokio::pin!(connection);
        let silent = async {
            tokio::time::sleep(first_request_timeout).await;
            if has_asked.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
        };
        let result = tokio::select! {
            result = connection.as_mut() => result,
            () = silent => {
                tracing::debug!("a connection without a request was closed");
                return;
            }
            () = life.stopped() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = result {
            tracing::debug!(%error, "connection ended");
        }
    }
}

/// Until the guard shall stop; a sender that is gone means the same.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // The guard that `wait_for` returns must not live across an await.
    drop(stop.wait_for(|stop| *stop).await);
}
