//! Sockets: accept, TLS, HTTP/1.1, limits, and a drain that lets requests under way finish.
//!
//! Invariants: the number of connections is bounded, further ones wait to be accepted; a connection
//! that sends nothing is closed after the idle time; after the stop signal no connection is
//! accepted and each open one ends with the request that it is serving.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use crate::http::ConnectionCertificate;
use crate::metrics::Metrics;
use crate::policy::Fingerprint;

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
    idle_timeout: Duration,
    metrics: Metrics,
}

impl Listener {
    /// Binds `address`.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub(crate) async fn bind(
        address: SocketAddr,
        tls: Option<TlsAcceptor>,
        router: Router,
        limits: &crate::config::Limits,
        metrics: Metrics,
    ) -> std::io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        let max_connections = u32::try_from(limits.max_connections).unwrap_or(u32::MAX);
        Ok(Self {
            socket,
            tls,
            router,
            connections: Arc::new(Semaphore::new(limits.max_connections)),
            max_connections,
            idle_timeout: Duration::from_millis(limits.idle_timeout_ms),
            metrics,
        })
    }

    /// The address in use; tells the port that the system chose for port 0.
    ///
    /// # Errors
    /// When the system does not say.
    pub(crate) fn local_address(&self) -> std::io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves until `stop` becomes true, then waits for open connections.
    pub(crate) async fn serve(self, mut stop: watch::Receiver<bool>) {
        loop {
            let Ok(permit) = Arc::clone(&self.connections).acquire_owned().await else { break };
            let stream = tokio::select! {
                accepted = self.socket.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                },
                () = stopped(&mut stop) => break,
            };
            let connection = Connection {
                tls: self.tls.clone(),
                router: self.router.clone(),
                idle_timeout: self.idle_timeout,
                stop: stop.clone(),
            };
            let metrics = self.metrics.clone();
            tokio::spawn(async move {
                metrics.connection_opened();
                connection.run(stream).await;
                metrics.connection_closed();
                drop(permit);
            });
        }
        drop(self.socket);
        // Every connection holds a permit, so that all of them back means all have ended.
        drop(self.connections.acquire_many(self.max_connections).await);
    }
}

struct Connection {
    tls: Option<TlsAcceptor>,
    router: Router,
    idle_timeout: Duration,
    stop: watch::Receiver<bool>,
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
            Ok(Err(error)) => tracing::info!(%error, "TLS handshake failed"),
            Err(_) => tracing::info!("TLS handshake took too long"),
        }
    }

    async fn serve<S>(self, stream: S, certificate: ConnectionCertificate)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let Self { router, idle_timeout, mut stop, .. } = self;
        let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(certificate.clone());
            router.clone().oneshot(request.map(axum::body::Body::new))
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(idle_timeout)
            .max_buf_size(MAX_HEAD_BYTES)
            .half_close(true)
            .serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let result = tokio::select! {
            result = connection.as_mut() => result,
            () = stopped(&mut stop) => {
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
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // The guard that `wait_for` returns must not live across an await.
    drop(stop.wait_for(|stop| *stop).await);
}
