//! `[[node]]` of `palisade.toml`: the nodes that the guard dials, so that it needs no inbound port.
//!
//! Invariants: a node is dialled by an IP address and a port, because a guard in secure mode looks
//! up no names; nothing is sent in clear to another machine unless the file says so in so many
//! words; the guard always shows a node who it is, by a certificate or a token; a node's client may
//! ask for what a node asks for and nothing else.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use axum::http::Uri;
use rustls_pki_types::ServerName;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::config::ConfigError;
use crate::credential::read_token;
use crate::policy::Operation;
use crate::tls::DialFiles;

/// Nodes of one guard: each has a connection of its own, however many clients connect.
const MAX_NODES: usize = 16;

/// `[[node]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeEntry {
    /// The operator's name for the node, in `[[client]]`, logs and metrics.
    pub name: String,
    /// `ws://ADDRESS:PORT` or `wss://ADDRESS:PORT`, perhaps with a path.
    pub url: String,
    /// The bearer token that the guard shows to the node.
    pub token_file: Option<PathBuf>,
    /// For `wss://`: whom the guard believes, and what it shows.
    pub tls: Option<NodeTls>,
    /// Speak `ws://` with another machine, because the link is protected otherwise.
    #[serde(default)]
    pub danger_allow_plain_text: bool,
}

/// `[node.tls]`. All files are PEM; relative paths start at the home.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeTls {
    /// The authorities that may vouch for the node, or the node's own self-signed certificate.
    pub authorities: PathBuf,
    /// The name in the node's certificate, where it is not the address in `url`.
    pub server_name: Option<String>,
    /// The certificate chain that the guard shows to the node.
    pub certificate: Option<PathBuf>,
    /// Its private key.
    pub key: Option<PathBuf>,
}

/// Where a node is.
struct Place {
    /// Its address and port.
    address: SocketAddr,
    /// Whether it speaks TLS.
    has_tls: bool,
}

/// A node to dial, with its files read: what a front needs.
#[derive(Serialize, Deserialize)]
pub(crate) struct Destination {
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) address: SocketAddr,
    pub(crate) token: Option<Zeroizing<String>>,
    pub(crate) tls: Option<DialFiles>,
}

impl NodeEntry {
    /// Its address and port, when all that can be said without its files is right.
    ///
    /// # Errors
    /// [`ConfigError`] says what is wrong, and what would be right.
    pub fn address(&self) -> Result<SocketAddr, ConfigError> {
        self.place().map(|place| place.address)
    }

    /// Checks all that can be said without its files.
    ///
    /// # Errors
    /// [`ConfigError`] says what is wrong, and what would be right.
    fn place(&self) -> Result<Place, ConfigError> {
        let fail = |why: &str| self.fails(why);
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if self.name.is_empty() || 64 < self.name.len() || !self.name.bytes().all(is_word) {
            return Err(fail("a name has 1 to 64 lowercase letters, digits and dashes"));
        }
        let place = self.parse_url()?;
        let is_near = place.address.ip().is_loopback();
        match (&self.tls, place.has_tls) {
            (None, true) => {
                return Err(fail("wss:// needs [node.tls] with the authorities to believe"));
            }
            (Some(_), false) => return Err(fail("[node.tls] needs a url that begins with wss://")),
            (None, false) if !is_near && !self.danger_allow_plain_text => {
                return Err(fail(
                    "ws:// to another machine can be read and changed on the way. Use wss://, or \
                     set danger_allow_plain_text = true where the link is protected otherwise",
                ));
            }
            _ => {}
        }
        let shown = self.tls.as_ref().map(|tls| (&tls.certificate, &tls.key));
        match (shown, &self.token_file) {
            (Some((Some(_), None) | (None, Some(_))), _) => {
                Err(fail("[node.tls] certificate and key come together"))
            }
            (Some((Some(_), Some(_))), _) | (_, Some(_)) => Ok(place),
            _ => Err(fail(
                "the guard must show the node who it is: give a token_file, or certificate and key \
                 in [node.tls]",
            )),
        }
    }

    /// The name or address that the node's certificate must have.
    ///
    /// # Errors
    /// [`ConfigError`] for a url that is none.
    pub fn known_by(&self) -> Result<String, ConfigError> {
        let named = self.tls.as_ref().and_then(|tls| tls.server_name.clone());
        named.map_or_else(|| Ok(self.address()?.ip().to_string()), Ok)
    }

    fn parse_url(&self) -> Result<Place, ConfigError> {
        let form = "url is ws://ADDRESS:PORT or wss://ADDRESS:PORT";
        let uri: Uri = self.url.parse().map_err(|_| self.fails(form))?;
        let has_tls = match uri.scheme_str() {
            Some("ws") => false,
            Some("wss") => true,
            _ => return Err(self.fails(form)),
        };
        let authority = uri.authority().ok_or_else(|| self.fails(form))?.as_str();
        if authority.contains('@') {
            return Err(
                self.fails("a url with a user or a password is not dialled; use token_file")
            );
        }
        if uri.query().is_some() {
            return Err(self.fails(
                "a url with a query is not dialled: it is shown on the console and in the log; use \
                 token_file",
            ));
        }
        let port = uri.port_u16().filter(|port| *port != 0);
        let port = port.ok_or_else(|| self.fails("url names no port; add the node's, as :9955"))?;
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let address = host.parse().map_err(|_| {
            self.fails(&format!(
                "{host:?} is no IP address, and a guard in secure mode looks up no names. Write \
                 the node's address; the name in its certificate goes into [node.tls] server_name"
            ))
        })?;
        Ok(Place { address: SocketAddr::new(address, port), has_tls })
    }

    /// Reads its files; relative paths start at the home.
    ///
    /// # Errors
    /// [`ConfigError`] names the file and what is wrong with it.
    pub(crate) fn destination(&self, home: &Path) -> Result<Destination, ConfigError> {
        let address = self.address()?;
        let token = self.token_file.as_ref().map(|file| read_token(&home.join(file)));
        let token = token.transpose().map_err(|why| self.fails(&why))?;
        if token.as_ref().is_some_and(|token| !token.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(self.fails("a bearer token is visible ASCII without spaces"));
        }
        let files = self.tls.as_ref().map(|tls| {
            let name = self.known_by()?;
            if ServerName::try_from(name.as_str()).is_err() {
                return Err(self.fails(&format!("server_name {name:?} is no name of a server")));
            }
            let identity = tls.certificate.as_ref().zip(tls.key.as_ref());
            DialFiles::read(home, &tls.authorities, identity, name)
        });
        let (name, url) = (self.name.clone(), self.url.clone());
        Ok(Destination { name, url, address, token, tls: files.transpose()? })
    }

    /// Whether a client that is this node may be allowed this.
    ///
    /// # Errors
    /// Why not.
    pub fn check_allowed(&self, operation: Operation) -> Result<(), String> {
        match operation {
            Operation::SessionDuties => Ok(()),
            Operation::KeyManagement if self.tls.is_some() => Ok(()),
            Operation::KeyManagement => Err(format!(
                "node {:?} speaks ws:// and shows nothing of itself; it cannot do key-management. \
                 Use wss://",
                self.name
            )),
            other => Err(format!("a node asks over /rpc only, so it cannot be allowed {other}")),
        }
    }

    fn fails(&self, why: &str) -> ConfigError {
        ConfigError(format!("node {:?}: {why}", self.name))
    }
}

/// Checks what `[[node]]` says of all nodes together.
///
/// # Errors
/// [`ConfigError`] names the node.
pub(crate) fn check(nodes: &[NodeEntry]) -> Result<(), ConfigError> {
    if MAX_NODES < nodes.len() {
        return Err(ConfigError(format!("a guard dials {MAX_NODES} nodes at most")));
    }
    for (index, node) in nodes.iter().enumerate() {
        node.place()?;
        if nodes.iter().take(index).any(|other| other.name == node.name) {
            return Err(node.fails("the name stands twice"));
        }
    }
    Ok(())
}

/// The ports that a front must be able to connect to, each once.
#[must_use]
pub(crate) fn ports(destinations: &[Destination]) -> Vec<u16> {
    let mut ports: Vec<u16> = destinations.iter().map(|node| node.address.port()).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}
