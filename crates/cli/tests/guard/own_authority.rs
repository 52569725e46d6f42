//! `palisade tls` and the guard that serves with what it made.
//!
//! Decides: what the commands print is all that the guard needs; only listed certificates of the
//! own authority get in; `/rpc` and its WebSocket are served over TLS; an expiry is seen in time.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};

use super::substrate;
use crate::support::duty::randao;
use crate::support::home::{KEYS, TestHome, text};
use crate::support::http::{Answer, Connection};
use crate::support::{Guard, PATIENCE, eventually};

type Stream = StreamOwned<ClientConnection, TcpStream>;

/// The directory of one client's files, as `tls client NAME --out DIR` left it.
struct Client {
    name: &'static str,
    directory: PathBuf,
}

impl Client {
    fn issue(home: &TestHome, name: &'static str, more: &[&str]) -> Self {
        let directory = home.beside(name);
        let out = ["tls", "client", name, "--out", directory.to_str().unwrap()];
        home.succeeds(&[&out, more].concat());
        Self { name, directory }
    }

    fn file(&self, ending: &str) -> PathBuf {
        self.directory.join(format!("{}.{ending}", self.name))
    }

    fn connect(&self, guard: &Guard) -> std::io::Result<Stream> {
        let certificate = CertificateDer::from_pem_file(self.file("pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(self.file("key")).unwrap();
        open(guard, &self.directory.join("ca.pem"), Some((certificate, key)))
    }

    fn sign(&self, guard: &Guard) -> std::io::Result<Answer> {
        sign(self.connect(guard)?)
    }
}

fn open(
    guard: &Guard,
    trusted: &Path,
    identity: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
) -> std::io::Result<Stream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(trusted).unwrap()).unwrap();
    let builder = ClientConfig::builder().with_root_certificates(roots);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => builder.with_client_auth_cert(vec![certificate], key).unwrap(),
    };
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let session = ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = TcpStream::connect(guard.listen)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(StreamOwned::new(session, stream))
}

fn sign(stream: Stream) -> std::io::Result<Answer> {
    let path = format!("/api/v1/eth2/sign/{}", KEYS[0]);
    Connection::over(stream).exchange("POST", &path, &[], &randao(1).to_string())
}

fn home_with_authority() -> TestHome {
    let home = TestHome::with_keys(1);
    home.succeeds(&["tls", "init", "--name", "127.0.0.1", "--name", "guard.internal", "--write"]);
    home
}

#[test]
fn a_listed_certificate_signs_and_no_other_gets_in() {
    let home = home_with_authority();
    let signer = Client::issue(&home, "vc-1", &["--write"]);
    let watcher = Client::issue(&home, "watcher", &["--allow", "sync", "--write"]);
    let unlisted = Client::issue(&home, "unlisted", &[]);
    let guard = home.start();
    assert!(signer.sign(&guard).unwrap().signature().starts_with("0x"));
    let denied = watcher.sign(&guard).unwrap();
    denied.is_error(412, "policy-denied", "\"watcher\" may not ask for randao");
    unlisted.sign(&guard).unwrap().is_error(401, "credential-wrong", "[[client]]");

    let none = open(&guard, &home.path().join("tls/ca.pem"), None).and_then(sign);
    let error = none.unwrap_err().to_string();
    assert!(error.contains("CertificateRequired"), "{error}");
    let other = home_with_authority();
    let stranger = Client::issue(&other, "vc-1", &[]);
    let error = stranger.sign(&guard).unwrap_err().to_string();
    assert!(error.contains("UnknownIssuer"), "the stranger does not know the guard: {error}");
    // Nor does the guard know the stranger, who has learned whom to trust.
    fs::copy(home.path().join("tls/ca.pem"), stranger.directory.join("ca.pem")).unwrap();
    assert!(stranger.sign(&guard).is_err());
    assert_eq!(signer.sign(&guard).unwrap().status, 200, "and the guard goes on");
}

#[test]
fn a_client_that_is_added_later_gets_in_after_a_reload() {
    let home = home_with_authority();
    let first = Client::issue(&home, "vc-1", &["--write"]);
    let guard = home.start();
    let second = Client::issue(&home, "vc-2", &["--write"]);
    assert_eq!(second.sign(&guard).unwrap().status, 401);
    guard.signal("HUP");
    eventually("the second client is known", || second.sign(&guard).unwrap().status == 200);
    assert_eq!(first.sign(&guard).unwrap().status, 200);
}

#[test]
fn rpc_and_its_websocket_are_served_over_tls() {
    let home = substrate::home("--fresh");
    home.succeeds(&["tls", "init", "--write"]);
    let node = Client::issue(&home, "node", &["--allow", "session-duties", "--write"]);
    let guard = home.start();
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "palisade_grandpaVote",
        "params": substrate::vote_parameters(0, 9, 1, 1) });
    let mut http = Connection::over(node.connect(&guard).unwrap());
    let answer = http.exchange("POST", "/rpc", &[], &call.to_string()).unwrap().json();
    let signature = answer["result"]["signature"].as_str().unwrap().to_owned();
    assert_eq!(signature.len(), 2 + 128, "{answer}");

    let mut socket = WebSocket::open(node.connect(&guard).unwrap());
    assert_eq!(socket.ask(&call)["result"]["signature"], signature.as_str(), "the same again");
    let conflict = json!({ "jsonrpc": "2.0", "id": 2, "method": "palisade_grandpaVote",
        "params": substrate::vote_parameters(0, 8, 1, 1) });
    let refused = socket.ask(&conflict);
    assert_eq!(refused["error"]["code"], -32010, "{refused}");

    let unlisted = Client::issue(&home, "unlisted", &[]);
    let mut http = Connection::over(unlisted.connect(&guard).unwrap());
    assert_eq!(http.exchange("POST", "/rpc", &[], &call.to_string()).unwrap().status, 401);
}

/// As much of RFC 6455 as short text messages need.
struct WebSocket(Stream);

impl WebSocket {
    fn open(mut stream: Stream) -> Self {
        let request = "GET /rpc HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\n\
            Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = text(&head);
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        // The answer to that key in the RFC's own example.
        assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
        Self(stream)
    }

    fn ask(&mut self, call: &Value) -> Value {
        let message = call.to_string();
        let length = u16::try_from(message.len()).unwrap();
        assert!(length > 125);
        // A final text frame, its length in two bytes, masked with zeros.
        let mut frame = vec![0x81, 0x80 | 126];
        frame.extend(length.to_be_bytes());
        frame.extend([0; 4]);
        frame.extend(message.bytes());
        self.0.write_all(&frame).unwrap();
        let mut head = [0; 2];
        self.0.read_exact(&mut head).unwrap();
        assert_eq!(head[0], 0x81);
        let length = match head[1] {
            126 => {
                let mut length = [0; 2];
                self.0.read_exact(&mut length).unwrap();
                usize::from(u16::from_be_bytes(length))
            }
            short => usize::from(short),
        };
        let mut message = vec![0; length];
        self.0.read_exact(&mut message).unwrap();
        serde_json::from_slice(&message).unwrap()
    }
}

/// Replaces the guard's certificate by one that ends at `end`.
fn replace_certificate(home: &TestHome, end: SystemTime) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.not_after = end.into();
    let certificate = params.self_signed(&key).unwrap();
    fs::write(home.path().join("tls/guard.pem"), certificate.pem()).unwrap();
    fs::write(home.path().join("tls/guard.key"), key.serialize_pem()).unwrap();
}

#[test]
fn an_expired_certificate_is_not_ready_and_one_that_ends_soon_is_in_the_log() {
    let home = home_with_authority();
    let day = Duration::from_secs(86_400);
    let soon = SystemTime::now() + day * 10 + day / 2;
    replace_certificate(&home, soon);
    let guard = home.start();
    assert_eq!(guard.watch("/readyz").status, 200);
    let seconds = soon.duration_since(UNIX_EPOCH).unwrap().as_secs();
    let metrics = guard.watch("/metrics").body;
    let name = "palisade_tls_certificate_not_after_timestamp_seconds";
    let line = format!("{name}{{certificate=\"server\"}} {seconds}\n");
    assert!(metrics.contains(&line), "{metrics}");
    assert!(metrics.contains(&format!("{name}{{certificate=\"client-authority\"}} ")), "{metrics}");
    let log = guard.stop().1;
    assert!(log.contains("WARN") && log.contains("days_left=10"), "{log}");

    replace_certificate(&home, SystemTime::now() - day);
    assert_eq!(home.run(&["tls", "show"]).status.code(), Some(1));
    let guard = home.start();
    let answer = guard.watch("/readyz");
    answer.is_error(503, "not-ready", "the server certificate has expired");
    assert!(guard.watch("/metrics").body.contains("palisade_ready 0\n"));
    assert!(guard.stop().1.contains("the certificate has expired"));

    // A certificate of a foreign authority is no hindrance: the key stays, the authority signs.
    home.succeeds(&["tls", "renew"]);
    let client = Client::issue(&home, "vc-1", &["--write"]);
    let guard = home.start();
    assert_eq!(guard.watch("/readyz").status, 200);
    assert_eq!(client.sign(&guard).unwrap().status, 200);
}

#[test]
fn a_healthy_certificate_brings_no_warning() {
    let home = home_with_authority();
    let log = home.start().stop().1;
    assert!(!log.contains("certificate"), "{log}");
}

#[test]
fn renewal_keeps_the_key_and_takes_new_names() {
    let home = home_with_authority();
    let client = Client::issue(&home, "vc-1", &["--write"]);
    let read = |name: &str| fs::read(home.path().join("tls").join(name)).unwrap();
    let (certificate, key) = (read("guard.pem"), read("guard.key"));
    home.succeeds(&["tls", "renew", "--name", "127.0.0.1", "--name", "::1"]);
    assert_ne!(read("guard.pem"), certificate);
    assert_eq!(read("guard.key"), key);
    let shown: Value = serde_json::from_str(&home.succeeds(&["tls", "show", "--json"])).unwrap();
    let server = shown.as_array().unwrap().iter().find(|one| one["role"] == "server").unwrap();
    assert_eq!(server["names"], json!(["127.0.0.1", "::1"]));
    assert_eq!(client.sign(&home.start()).unwrap().status, 200);
}

#[test]
fn keys_are_private_and_nothing_is_written_over_or_left_behind() {
    let home = home_with_authority();
    let client = Client::issue(&home, "vc-1", &["--write"]);
    let keys = ["tls/ca.key", "tls/guard.key"].map(|name| home.path().join(name));
    for key in keys.iter().chain([&client.file("key")]) {
        assert_eq!(fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600, "{key:?}");
    }
    assert!(!home.path().join("tls/clients/vc-1/vc-1.key").exists(), "the key is the client's");
    let before = snapshot(home.path().parent().unwrap());
    let elsewhere = home.beside("elsewhere");
    let occupied = home.beside("vc-1");
    for (arguments, said) in [
        (vec!["tls", "init"], "is there already"),
        (vec!["tls", "init", "--write"], "has [listen.tls] already"),
        (vec!["tls", "client", "vc-1"], "is there already"),
        (vec!["tls", "client", "vc-1", "--write"], "has a client \"vc-1\" already"),
        (vec!["tls", "client", "vc-2", "--out", occupied.to_str().unwrap()], "is there already"),
        (vec!["tls", "client", "../vc", "--out", elsewhere.to_str().unwrap()], "no name"),
        (vec!["tls", "client", "vc-2", "--allow", "everything"], "unknown variant"),
        (vec!["tls", "renew", "--name", "https://guard"], "neither a DNS name nor an address"),
    ] {
        let output = home.run(&arguments);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(said), "{arguments:?}: {stderr}");
        assert!(snapshot(home.path().parent().unwrap()) == before, "{arguments:?}");
    }
    // Without the authority's key nothing can be issued, and the message says where to look.
    fs::remove_file(home.path().join("tls/ca.key")).unwrap();
    let output = home.run(&["tls", "client", "vc-2"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("ca.key"), "{}", text(&output.stderr));
    assert!(!home.path().join("tls/clients/vc-2").exists());
}

/// Every file below a directory with its content.
fn snapshot(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(snapshot(&path));
        } else if path.file_name().unwrap() != "lock" {
            found.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}
