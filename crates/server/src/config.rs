//! `palisade.toml`: what the operator decides, parsed strictly.
//!
//! Invariants: an unknown field is an error, so that a misspelt rule never silently opens or closes
//! anything; every limit has a default and an upper bound; a listener that others can reach never
//! serves anonymous clients unless the file says so in so many words.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use crate::address::ListenAddress;
pub use crate::chains::ChainEntry;
use crate::credential::read_token;
use crate::nodes;
pub use crate::nodes::{NodeEntry, NodeTls};
use crate::policy::{Client, Credential, Fingerprint, KeySet, Operation, Policy};

/// Of sr25519 and ed25519, of ECDSA on secp256k1, of BLS12-381.
const PUBLIC_KEY_BYTES: [usize; 3] = [32, 33, 48];

/// The file as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// A built-in network's name, or the path of a `config.yaml`.
    pub network: String,
    /// The file that opens the sealed keys, when it is not `unlock.secret` in the home.
    pub unlock_file: Option<PathBuf>,
    /// The signing listener.
    #[serde(default)]
    pub listen: Listen,
    /// The metrics, health and console listener.
    #[serde(default)]
    pub metrics: MetricsListen,
    /// Bounds on what clients can make the guard do.
    #[serde(default)]
    pub limits: Limits,
    /// Named sets of public keys, of validators and of sessions.
    #[serde(default)]
    pub key_sets: BTreeMap<String, Vec<String>>,
    /// Who may ask, and for what.
    #[serde(default, rename = "client")]
    pub clients: Vec<ClientEntry>,
    /// The Substrate chains that this home signs for.
    #[serde(default, rename = "chain")]
    pub chains: Vec<ChainEntry>,
    /// The nodes that the guard dials.
    #[serde(default, rename = "node")]
    pub nodes: Vec<NodeEntry>,
}

/// `[listen]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listen {
    /// Where validator clients connect, if anywhere.
    pub address: ListenAddress,
    /// Certificate and key, to serve TLS 1.3.
    pub tls: Option<Tls>,
    /// Values of the `Host` header that are served; empty serves all. Against DNS rebinding.
    pub allowed_hosts: Vec<String>,
    /// Serve clients without a credential on an address that others can reach.
    pub danger_allow_anonymous_remote_clients: bool,
}

/// `[listen.tls]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// PEM file of the certificate chain; a relative path starts at the home.
    pub certificate: PathBuf,
    /// PEM file of the private key.
    pub key: PathBuf,
    /// PEM file of the authorities whose client certificates are accepted.
    pub client_authorities: Option<PathBuf>,
    /// Refuse connections without a client certificate.
    #[serde(default)]
    pub require_client_certificate: bool,
}

/// `[metrics]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsListen {
    /// Where `/metrics`, `/healthz`, `/readyz` and the console are served, if anywhere.
    pub address: ListenAddress,
}

/// `[limits]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The longest request body, in bytes.
    pub max_body_bytes: usize,
    /// How long a client may take to send one request's body, and how long a new connection may
    /// take until its first request's head is here, in milliseconds.
    pub body_timeout_ms: u64,
    /// How long a connection may stay without a request, in milliseconds.
    pub idle_timeout_ms: u64,
    /// Connections served at once; further ones wait to be accepted.
    pub max_connections: usize,
    /// Requests waiting for the ledger; further ones are answered 503 at once.
    pub max_queued_requests: usize,
    /// How long a stop waits for requests under way, in milliseconds.
    pub drain_timeout_ms: u64,
}

/// `[[client]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientEntry {
    /// A name for logs and metrics.
    pub name: String,
    /// The operations that it may ask for.
    pub allow: Vec<Operation>,
    /// Names of key sets; absent means all keys.
    pub keys: Option<Vec<String>>,
    /// Recognised by having no credential.
    #[serde(default)]
    pub anonymous: bool,
    /// Recognised by the bearer token in this file.
    pub token_file: Option<PathBuf>,
    /// Recognised by a bearer token with this SHA-256 digest.
    pub token_sha256: Option<String>,
    /// Recognised by a client certificate whose DER form has this SHA-256 digest.
    pub certificate_sha256: Option<String>,
    /// Recognised by being this node, which the guard dials.
    pub node: Option<String>,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            address: ListenAddress::local(9000),
            tls: None,
            allowed_hosts: Vec::new(),
            danger_allow_anonymous_remote_clients: false,
        }
    }
}

impl Default for MetricsListen {
    fn default() -> Self {
        Self { address: ListenAddress::local(9001) }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body_bytes: 8 << 20,
            body_timeout_ms: 10_000,
            // Longer than ten slots: a validator client that keeps its connection between duties
            // must not find it closed when the next duty comes.
            idle_timeout_ms: 300_000,
            max_connections: 1_024,
            max_queued_requests: 4_096,
            drain_timeout_ms: 10_000,
        }
    }
}

impl Config {
    /// Parses and checks the text of a `palisade.toml`.
    ///
    /// # Errors
    /// [`ConfigError`] says what is wrong and where.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|error| ConfigError(error.to_string()))?;
        config.check_limits()?;
        config.substrate_chains()?;
        nodes::check(&config.nodes)?;
        Ok(config)
    }

    /// The clients as a policy. Token files are read from beside the configuration.
    ///
    /// # Errors
    /// [`ConfigError`] names the client or key set that cannot be used.
    pub fn policy(&self, home: &Path) -> Result<Policy, ConfigError> {
        let key_sets = self.resolve_key_sets()?;
        let clients = self
            .clients
            .iter()
            .map(|entry| entry.resolve(home, &key_sets, &self.nodes))
            .collect::<Result<_, _>>()?;
        let policy = Policy::new(clients).map_err(|name| {
            ConfigError(format!("client {name:?}: its name or its credential stands twice"))
        })?;
        self.check_reach(&policy)?;
        Ok(policy)
    }

    fn resolve_key_sets(&self) -> Result<BTreeMap<&str, HashSet<Vec<u8>>>, ConfigError> {
        let parse = |name: &str, text: &String| {
            let bytes = hex::decode(text.strip_prefix("0x").unwrap_or(text)).ok();
            bytes.filter(|bytes| PUBLIC_KEY_BYTES.contains(&bytes.len())).ok_or_else(|| {
                ConfigError(format!(
                    "key set {name:?}: {text:?} is not a public key (96 hex digits; of a session \
                     64, of type beef 66)"
                ))
            })
        };
        self.key_sets
            .iter()
            .map(|(name, keys)| {
                let keys = keys.iter().map(|text| parse(name, text)).collect::<Result<_, _>>()?;
                Ok((name.as_str(), keys))
            })
            .collect()
    }

    fn check_reach(&self, policy: &Policy) -> Result<(), ConfigError> {
        let Some(address) = self.listen.address.0 else {
            return if self.nodes.is_empty() {
                Err(ConfigError(
                    "[listen] address is none, and there is no [[node]] to dial: nobody could ask \
                     for anything. Give one of both"
                        .to_owned(),
                ))
            } else {
                Ok(())
            };
        };
        let open = policy.admits_anonymous() && !address.ip().is_loopback();
        let certificate =
            self.listen.tls.as_ref().is_some_and(|tls| tls.require_client_certificate);
        if open && !certificate && !self.listen.danger_allow_anonymous_remote_clients {
            return Err(ConfigError(format!(
                "[listen] address {address} can be reached from outside, and an anonymous client \
                 may sign there. Give the client a token or a certificate, listen on 127.0.0.1, or \
                 set danger_allow_anonymous_remote_clients = true"
            )));
        }
        Ok(())
    }

    fn check_limits(&self) -> Result<(), ConfigError> {
        let limits = &self.limits;
        let within = [
            ("max_body_bytes", limits.max_body_bytes as u64, 1 << 10, 64 << 20),
            ("body_timeout_ms", limits.body_timeout_ms, 100, 600_000),
            ("idle_timeout_ms", limits.idle_timeout_ms, 1_000, 86_400_000),
            ("max_connections", limits.max_connections as u64, 1, 100_000),
            ("max_queued_requests", limits.max_queued_requests as u64, 1, 1_000_000),
            ("drain_timeout_ms", limits.drain_timeout_ms, 0, 600_000),
        ];
        for (name, value, low, high) in within {
            if value < low || high < value {
                return Err(ConfigError(format!(
                    "[limits] {name} = {value} must be from {low} to {high}"
                )));
            }
        }
        Ok(())
    }
}

impl ClientEntry {
    fn resolve(
        &self,
        home: &Path,
        key_sets: &BTreeMap<&str, HashSet<Vec<u8>>>,
        nodes: &[NodeEntry],
    ) -> Result<Client, ConfigError> {
        let fail = |why: String| ConfigError(format!("client {:?}: {why}", self.name));
        let credential = self.credential(home).map_err(fail)?;
        if self.anonymous && self.allow.contains(&Operation::KeyManagement) {
            return Err(fail(
                "an anonymous client cannot do key-management; give it a token".into(),
            ));
        }
        if let Some(name) = &self.node {
            let node = nodes.iter().find(|node| node.name == *name);
            let node = node.ok_or_else(|| {
                fail(format!("there is no [[node]] {name:?}, or it was added since the start"))
            })?;
            self.allow
                .iter()
                .try_for_each(|operation| node.check_allowed(*operation))
                .map_err(fail)?;
        }
        let keys = self.resolve_keys(key_sets).map_err(fail)?;
        let allow = self.allow.iter().copied().collect();
        Ok(Client { name: self.name.clone(), credential, allow, keys })
    }

    fn credential(&self, home: &Path) -> Result<Credential, String> {
        let mut credentials = Vec::new();
        if self.anonymous {
            credentials.push(Credential::Anonymous);
        }
        if let Some(name) = &self.node {
            credentials.push(Credential::Node(name.clone()));
        }
        if let Some(file) = &self.token_file {
            let token = read_token(&home.join(file))?;
            credentials.push(Credential::Token(Fingerprint::of(token.as_bytes())));
        }
        let digest = |text: &String| {
            Fingerprint::from_hex(text)
                .ok_or_else(|| "a SHA-256 digest has 64 hex digits".to_owned())
        };
        if let Some(text) = &self.token_sha256 {
            credentials.push(Credential::Token(digest(text)?));
        }
        if let Some(text) = &self.certificate_sha256 {
            credentials.push(Credential::Certificate(digest(text)?));
        }
        let [credential] = <[Credential; 1]>::try_from(credentials).map_err(|_| {
            "needs exactly one of anonymous, token_file, token_sha256, certificate_sha256, node"
        })?;
        Ok(credential)
    }

    fn resolve_keys(&self, key_sets: &BTreeMap<&str, HashSet<Vec<u8>>>) -> Result<KeySet, String> {
        let Some(names) = &self.keys else { return Ok(KeySet::All) };
        let mut keys = HashSet::new();
        for name in names {
            let set = key_sets
                .get(name.as_str())
                .ok_or_else(|| format!("there is no key set {name:?} under [key_sets]"))?;
            keys.extend(set.iter().cloned());
        }
        Ok(KeySet::Only(keys))
    }
}

/// The configuration cannot be used. Says what is wrong, where, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(pub String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "palisade.toml: {}", self.0)
    }
}

impl std::error::Error for ConfigError {}

/// The `palisade.toml` that `init` writes.
#[must_use]
pub fn template(network: &str) -> String {
    format!(
        r#"# The configuration of a Palisade guard. docs/configuration.md explains every field.

# A built-in network's name, or the path of the config.yaml that your clients use.
network = {network:?}

[listen]
address = "127.0.0.1:9000"
# TLS 1.3, and clients recognised by certificate:
# tls = {{ certificate = "guard.pem", key = "guard.key", client_authorities = "ca.pem" }}

[metrics]
address = "127.0.0.1:9001"

# Who may ask, and for what. Nothing is allowed that does not stand here.
# Operations: proposals, attestations, aggregation, sync, randao, registration,
#             exits, deposits, session-duties (Substrate), key-management.
[[client]]
name = "local"
anonymous = true
allow = [
    "session-duties",
    "proposals", "attestations", "aggregation", "sync", "randao", "registration", "deposits"]

[[client]]
name = "key-manager"
token_file = "api-token.txt"
allow = ["key-management"]
"#
    )
}
