//! Decides how a node reaches its guards and how long each kind of call may block.
//!
//! Invariants: a bearer token has no `Debug` that shows it and is wiped when dropped; a
//! configuration that would send a token or a signing request in clear to another machine, or that
//! would accept an unauthenticated guard, is refused before any thread starts.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use sp_core::crypto::KeyTypeId;
use tokio_tungstenite::tungstenite::http::Uri;
use zeroize::Zeroizing;

/// BABE block production and its VRF, sr25519.
pub const BABE: KeyTypeId = KeyTypeId(*b"babe");
/// Aura block production, sr25519 or ed25519.
pub const AURA: KeyTypeId = KeyTypeId(*b"aura");
/// GRANDPA finality votes, ed25519.
pub const GRANDPA: KeyTypeId = KeyTypeId(*b"gran");
/// BEEFY commitments, ecdsa over keccak-256.
pub const BEEFY: KeyTypeId = KeyTypeId(*b"beef");
/// Authority discovery records, sr25519.
pub const AUTHORITY_DISCOVERY: KeyTypeId = KeyTypeId(*b"audi");
/// Parachain statements, bitfields, approvals and dispute votes, sr25519.
pub const PARACHAIN: KeyTypeId = KeyTypeId(*b"para");
/// Approval assignments, sr25519; only listed, since the guard has no method that signs with it.
pub const ASSIGNMENT: KeyTypeId = KeyTypeId(*b"asgn");

/// Everything that a node configures. `GuardConfig::dial` and `GuardConfig::listen` give one with
/// the defaults; every field may be changed before [`crate::RemoteKeystore::start`].
#[derive(Clone, Debug)]
pub struct GuardConfig {
    /// Guards that the node dials, the preferred one first. **All of them must be one guard or
    /// members of one quorum**: two independent guards that hold the same key sign conflicting
    /// messages, because neither knows what the other has signed.
    pub guards: Vec<Guard>,
    /// Where the node waits for guards that dial it, if it does.
    pub listen: Option<Listen>,
    /// The key types that the node asks the guard about, at each connection and interval.
    pub key_types: Vec<KeyTypeId>,
    /// How long a call in the slot worker may block: seal, VRF, parachain statement. Default 1 s.
    pub block_timeout: Duration,
    /// How long the announcement of a block may take, the guard's check included. Default 2 s.
    pub announce_timeout: Duration,
    /// How long a GRANDPA vote may wait, on the voter's own thread, for a guard that is away.
    /// Default 5 minutes: a guard or its machine is back by then. The node loses nothing else
    /// meanwhile; beyond that it is better off started anew, as an observer until a guard comes.
    pub grandpa_timeout: Duration,
    /// How long anything else may block: BEEFY, discovery records, ownership proofs. Default 5 s.
    pub other_timeout: Duration,
    /// A connection on which a request stays unanswered for longer is given up, and the request
    /// goes to the next one. Default 3 s.
    pub attempt_timeout: Duration,
    /// How often the list of keys is asked again. Default 30 s.
    pub refresh_interval: Duration,
    /// The longest pause between two attempts to connect. Default 5 s.
    pub reconnect_limit: Duration,
    /// How long a refused GRANDPA voter is held, and how long its key stays hidden after the
    /// restart that follows; doubles with each further refusal in a row, up to an hour. Default
    /// 60 s. See [`crate::grandpa`].
    pub grandpa_hide: Duration,
    /// A file that remembers hidden GRANDPA keys over a restart of the node. Without it, a node
    /// that its supervisor restarts after a refusal asks for the same refused vote again.
    pub grandpa_memory: Option<PathBuf>,
    /// Announcements that would be longer than this many bytes of JSON go out without extrinsics
    /// and storage proof. Default 8 MiB, as the guard's `max_body_bytes`: raise both together.
    pub announcement_limit: usize,
    /// Whether Aura keys are ed25519 instead of sr25519.
    pub aura_ed25519: bool,
    /// Allows `ws://` to and from other machines: only for links that are protected otherwise.
    pub allow_plain_text: bool,
}

impl Default for GuardConfig {
    fn default() -> Self {
        Self {
            guards: Vec::new(),
            listen: None,
            key_types: vec![BABE, AURA, GRANDPA, BEEFY, AUTHORITY_DISCOVERY, PARACHAIN, ASSIGNMENT],
            block_timeout: Duration::from_secs(1),
            announce_timeout: Duration::from_secs(2),
            grandpa_timeout: Duration::from_secs(300),
            other_timeout: Duration::from_secs(5),
            attempt_timeout: Duration::from_secs(3),
            refresh_interval: Duration::from_secs(30),
            reconnect_limit: Duration::from_secs(5),
            grandpa_hide: Duration::from_secs(60),
            grandpa_memory: None,
            announcement_limit: 8 << 20,
            aura_ed25519: false,
            allow_plain_text: false,
        }
    }
}

impl GuardConfig {
    /// A node that dials these guards, the preferred one first.
    #[must_use]
    pub fn dial(guards: Vec<Guard>) -> Self {
        Self { guards, ..Self::default() }
    }

    /// A node that waits for its guards to dial it.
    #[must_use]
    pub fn listen(listen: Listen) -> Self {
        Self { listen: Some(listen), ..Self::default() }
    }

    /// Refuses what could not work or would not be safe.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.guards.is_empty() && self.listen.is_none() {
            return Err(ConfigError::NoGuard);
        }
        for guard in &self.guards {
            let target = guard.target()?;
            if !target.tls && !self.allow_plain_text && !is_loopback(&target.host) {
                return Err(ConfigError::PlainText(guard.url.clone()));
            }
        }
        if let Some(listen) = &self.listen {
            let certificate =
                listen.tls.as_ref().is_some_and(|tls| tls.client_authorities.is_some());
            if listen.token.is_none() && !certificate {
                return Err(ConfigError::OpenListener(listen.address));
            }
            if listen.tls.is_none() && !self.allow_plain_text && !listen.address.ip().is_loopback()
            {
                return Err(ConfigError::PlainText(format!("ws://{}", listen.address)));
            }
        }
        Ok(())
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// One guard that the node dials.
#[derive(Clone, Debug)]
pub struct Guard {
    /// `ws://HOST:PORT/rpc` or `wss://HOST:PORT/rpc`.
    pub url: String,
    /// Sent as `Authorization: Bearer`.
    pub token: Option<Token>,
    /// Required for `wss://`.
    pub tls: Option<ClientTls>,
}

/// A parsed guard address.
pub(crate) struct Target {
    pub(crate) tls: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Guard {
    /// A guard by its address alone.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), token: None, tls: None }
    }

    /// The same guard with a bearer token.
    #[must_use]
    pub fn with_token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }

    /// The same guard over TLS.
    #[must_use]
    pub fn with_tls(mut self, tls: ClientTls) -> Self {
        self.tls = Some(tls);
        self
    }

    pub(crate) fn target(&self) -> Result<Target, ConfigError> {
        let bad = |what: &str| ConfigError::BadUrl(self.url.clone(), what.to_owned());
        let uri: Uri = self.url.parse().map_err(|_| bad("it is not an address"))?;
        let tls = match uri.scheme_str() {
            Some("ws") => false,
            Some("wss") => true,
            _ => return Err(bad("it must begin with ws:// or wss://")),
        };
        if tls && self.tls.is_none() {
            return Err(bad("wss:// needs a file with the authority of the guard's certificate"));
        }
        let host = uri.host().ok_or_else(|| bad("it names no host"))?.to_owned();
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        Ok(Target { tls, host, port })
    }
}

/// TLS towards a guard. All files are PEM.
#[derive(Clone, Debug)]
pub struct ClientTls {
    /// Certificates of the authorities that may have issued the guard's certificate; nothing else
    /// is trusted.
    pub authorities: PathBuf,
    /// The node's own certificate chain and key, if the guard asks for one.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Where the node waits for guards.
#[derive(Clone, Debug)]
pub struct Listen {
    /// The address to bind.
    pub address: SocketAddr,
    /// The bearer token that a guard must show. Either this or a client certificate is required.
    pub token: Option<Token>,
    /// TLS of the listener.
    pub tls: Option<ServerTls>,
}

/// TLS of the listener. All files are PEM.
#[derive(Clone, Debug)]
pub struct ServerTls {
    /// The node's certificate chain and key.
    pub identity: (PathBuf, PathBuf),
    /// If given, a guard must show a certificate that one of these authorities issued.
    pub client_authorities: Option<PathBuf>,
}

/// A bearer token; never shown, wiped when dropped.
#[derive(Clone)]
pub struct Token(Zeroizing<String>);

impl Token {
    /// Takes a token as it would stand in a file: surrounding white space is not part of it.
    ///
    /// # Errors
    /// If it is empty or holds anything but visible ASCII.
    pub fn new(text: &str) -> Result<Self, ConfigError> {
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ConfigError::BadToken);
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(..)")
    }
}

/// Why a configuration cannot be used.
#[derive(Debug)]
pub enum ConfigError {
    /// Neither a guard to dial nor an address to wait on.
    NoGuard,
    /// The address of a guard, and what is wrong with it.
    BadUrl(String, String),
    /// Clear text to another machine.
    PlainText(String),
    /// A listener that anyone could use.
    OpenListener(SocketAddr),
    /// An empty token, or one that does not fit into a header.
    BadToken,
    /// A certificate or key file, and what is wrong with it.
    BadFile(PathBuf, String),
    /// The listener's address could not be bound.
    Bind(SocketAddr, std::io::Error),
    /// The thread of the connection could not be started.
    Thread(std::io::Error),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoGuard => formatter.write_str(
                "no guard is configured; give the address of one to dial or one to listen on",
            ),
            Self::BadUrl(url, what) => write!(formatter, "the guard address {url:?}: {what}"),
            Self::PlainText(url) => write!(
                formatter,
                "{url} would carry signing requests in clear between machines; use wss:// and TLS, \
                 or allow plain text if the link is protected otherwise"
            ),
            Self::OpenListener(address) => write!(
                formatter,
                "the listener on {address} would accept anyone as a guard; require a token or a \
                 client certificate"
            ),
            Self::BadToken => {
                formatter.write_str("a bearer token must be visible ASCII and not empty")
            }
            Self::BadFile(path, what) => write!(formatter, "{}: {what}", path.display()),
            Self::Bind(address, error) => {
                write!(formatter, "cannot listen on {address}: {error}; is another node there?")
            }
            Self::Thread(error) => {
                write!(formatter, "cannot start the thread of the guard connection: {error}")
            }
        }
    }
}

impl std::error::Error for ConfigError {}
