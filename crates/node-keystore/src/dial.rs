//! Decides how a connection to a guard comes up, whichever side dials.
//!
//! Invariants: the node dials one guard at a time and stays with it until the connection ends, then
//! tries the next in order, with a growing, jittered pause after each whole round; whoever dials
//! the node is served only after its token or certificate was checked; handshakes are bounded in
//! time and in number.

use std::hash::{BuildHasher, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustls_pki_types::ServerName;
use subtle::ConstantTimeEq;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config, client_async_with_config};

use crate::config::{ConfigError, Guard, Listen, Token};
use crate::hub::Event;
use crate::link::Shared;
use crate::session::{self, Stream};
use crate::tls;

/// From the first packet to a WebSocket that is up.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// The pause after the first round of failed attempts; it doubles with each further round.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// A connection that lasted this long was a good one: the pause starts over.
const STABLE: Duration = Duration::from_secs(10);
/// Connections that guards may hold to the node at once, handshakes included.
const ACCEPTED: usize = 8;

type Socket = WebSocketStream<Box<dyn Stream>>;

/// A guard to dial, with its files read.
pub(crate) struct Destination {
    guard: Guard,
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Destination {
    pub(crate) fn new(guard: &Guard) -> Result<Self, ConfigError> {
        let target = guard.target()?;
        let host = target.host.trim_matches(['[', ']']).to_owned();
        let tls = match (&guard.tls, target.tls) {
            (Some(files), true) => {
                let name = ServerName::try_from(host.clone())
                    .map_err(|error| ConfigError::BadUrl(guard.url.clone(), error.to_string()))?;
                Some((TlsConnector::from(tls::client(files)?), name))
            }
            _ => None,
        };
        Ok(Self { guard: guard.clone(), host, port: target.port, tls })
    }

    async fn connect(&self) -> Result<Socket, String> {
        let mut request =
            self.guard.url.as_str().into_client_request().map_err(|error| error.to_string())?;
        if let Some(token) = &self.guard.token {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
                .map_err(|error| error.to_string())?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let stream = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(stream),
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await;
                Box::new(stream.map_err(|error| error.to_string())?)
            }
        };
        let limits = Some(session::limits());
        let connected = client_async_with_config(request, stream, limits).await;
        connected.map(|(socket, _)| socket).map_err(|error| error.to_string())
    }
}

/// Keeps one dialled connection up for as long as the node runs.
pub(crate) async fn keep_dialling(
    destinations: Vec<Destination>,
    limit: Duration,
    shared: Arc<Shared>,
    events: mpsc::UnboundedSender<Event>,
) {
    let mut pause = FIRST_PAUSE;
    loop {
        for destination in &destinations {
            let url = &destination.guard.url;
            let why = match timeout(HANDSHAKE, destination.connect()).await {
                Ok(Ok(socket)) => {
                    let since = Instant::now();
                    serve(socket, url, &shared, &events).await;
                    if since.elapsed() > STABLE {
                        pause = FIRST_PAUSE;
                    }
                    continue;
                }
                Ok(Err(why)) => why,
                Err(_) => format!("no connection within {HANDSHAKE:?}"),
            };
            shared.metrics.failed_connections.fetch_add(1, Ordering::Relaxed);
            log::warn!(target: crate::LOG, "cannot reach the guard at {url}: {why}");
        }
        sleep(jittered(pause)).await;
        pause = (pause * 2).min(limit);
    }
}

/// Half of the pause, plus a random part of the other half: nodes that lost one guard together do
/// not come back together.
fn jittered(pause: Duration) -> Duration {
    let random = std::collections::hash_map::RandomState::new().build_hasher().finish();
    let part = u32::try_from(random % 1000).unwrap_or(0);
    pause / 2 + pause / 2 * part / 1000
}

/// The listener for guards that dial the node.
pub(crate) struct Door {
    listener: std::net::TcpListener,
    token: Option<Token>,
    tls: Option<TlsAcceptor>,
}

impl Door {
    pub(crate) fn open(listen: &Listen) -> Result<Self, ConfigError> {
        let tls = listen.tls.as_ref().map(tls::server).transpose()?.map(TlsAcceptor::from);
        let bound = std::net::TcpListener::bind(listen.address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        let listener = bound.map_err(|error| ConfigError::Bind(listen.address, error))?;
        Ok(Self { listener, token: listen.token.clone(), tls })
    }

    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }
}

/// Serves guards that dial, for as long as the node runs.
pub(crate) async fn keep_listening(
    door: Door,
    shared: Arc<Shared>,
    events: mpsc::UnboundedSender<Event>,
) {
    let Door { listener, token, tls } = door;
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            log::error!(target: crate::LOG, "cannot listen for guards: {error}");
            return;
        }
    };
    let places = Arc::new(Semaphore::new(ACCEPTED));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let (token, tls) = (token.clone(), tls.clone());
                let (shared, events) = (shared.clone(), events.clone());
                tokio::spawn(async move {
                    welcome(stream, peer, token, tls, place, &shared, &events).await;
                });
            }
            Err(error) => {
                log::warn!(target: crate::LOG, "cannot accept a guard's connection: {error}");
                sleep(FIRST_PAUSE).await;
            }
        }
    }
}

async fn welcome(
    stream: TcpStream,
    peer: SocketAddr,
    token: Option<Token>,
    tls: Option<TlsAcceptor>,
    place: OwnedSemaphorePermit,
    shared: &Arc<Shared>,
    events: &mpsc::UnboundedSender<Event>,
) {
    match timeout(HANDSHAKE, accept(stream, token, tls)).await {
        Ok(Ok(socket)) => serve(socket, &peer.to_string(), shared, events).await,
        Ok(Err(why)) => {
            shared.metrics.failed_connections.fetch_add(1, Ordering::Relaxed);
            log::warn!(target: crate::LOG, "turned away {peer}, which dialled as a guard: {why}");
        }
        Err(_) => log::warn!(target: crate::LOG, "{peer} dialled and said nothing"),
    }
    drop(place);
}

async fn accept(
    stream: TcpStream,
    token: Option<Token>,
    tls: Option<TlsAcceptor>,
) -> Result<Socket, String> {
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let stream: Box<dyn Stream> = match tls {
        None => Box::new(stream),
        Some(acceptor) => {
            Box::new(acceptor.accept(stream).await.map_err(|error| error.to_string())?)
        }
    };
    let check = |request: &Request, response: Response| match &token {
        Some(token) if !bears(request, token) => Err(unauthorised()),
        _ => Ok(response),
    };
    accept_hdr_async_with_config(stream, check, Some(session::limits()))
        .await
        .map_err(|error| error.to_string())
}

fn bears(request: &Request, token: &Token) -> bool {
    let shown = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes);
    let shown = shown.and_then(|value| value.strip_prefix(b"Bearer "));
    shown.is_some_and(|shown| bool::from(shown.ct_eq(token.expose().as_bytes())))
}

fn unauthorised() -> ErrorResponse {
    let mut response = ErrorResponse::new(Some("the bearer token does not fit".to_owned()));
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    response
}

/// Hands a connection to the hub and carries it until it ends.
async fn serve(
    socket: Socket,
    peer: &str,
    shared: &Arc<Shared>,
    events: &mpsc::UnboundedSender<Event>,
) {
    let session = shared.next_session.fetch_add(1, Ordering::Relaxed);
    let (outbox, texts) = mpsc::unbounded_channel();
    if events.send(Event::Up { session, outbox }).is_err() {
        return;
    }
    shared.metrics.connections.fetch_add(1, Ordering::Relaxed);
    log::info!(target: crate::LOG, "connected to the guard at {peer}");
    let why = session::run(socket, session, texts, events).await;
    shared.metrics.lost_connections.fetch_add(1, Ordering::Relaxed);
    log::warn!(target: crate::LOG, "lost the guard at {peer}: {why}");
    // When the hub is gone, the node stops and nobody waits for this.
    drop(events.send(Event::Down { session }));
}
