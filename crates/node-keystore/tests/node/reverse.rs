//! The guard dials the node: the same requests over a connection that the other side opened.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use palisade_node_keystore::config::{BABE, PARACHAIN};
use palisade_node_keystore::{
    ClientTls, ConfigError, Guard as Target, GuardConfig, Listen, RemoteKeystore, ServerTls, Token,
};
use sp_core::Pair;
use sp_keystore::Keystore;
use tokio_tungstenite::tungstenite;

use crate::guard::{Fault, Guard, keys};
use crate::{eventually, quick};

fn listening(tls: Option<ServerTls>, token: Option<&str>) -> GuardConfig {
    let token = token.map(|token| Token::new(token).unwrap());
    let address = "127.0.0.1:0".parse().unwrap();
    GuardConfig { listen: Some(Listen { address, token, tls }), ..quick(Vec::new()) }
}

fn start() -> (Arc<RemoteKeystore>, SocketAddr) {
    let keystore = RemoteKeystore::start(listening(None, Some("token"))).unwrap();
    let address = keystore.listening().unwrap();
    (keystore, address)
}

fn signs(keystore: &RemoteKeystore) -> bool {
    keystore.sr25519_sign(PARACHAIN, &keys().sr25519.public(), b"BKNG").is_ok_and(|s| s.is_some())
}

#[test]
fn a_guard_that_dials_serves_the_node() {
    let (keystore, address) = start();
    let guard = Guard::dial(address, "token").unwrap();
    assert!(keystore.wait_ready(Duration::from_secs(5)));
    assert_eq!(keystore.sr25519_public_keys(BABE), [keys().sr25519.public()]);
    assert!(signs(&keystore));
    assert_eq!(guard.asked("paraStatement"), 1);
}

#[test]
fn a_stranger_is_turned_away() {
    let (keystore, address) = start();
    for token in ["", "wrong", "toke", "token2"] {
        let Err(tungstenite::Error::Http(response)) = Guard::dial(address, token) else {
            panic!("{token:?} was let in")
        };
        assert_eq!(response.status(), 401);
    }
    assert!(!keystore.is_connected());
}

#[test]
fn a_guard_that_dials_again_takes_over_and_the_request_goes_on() {
    let (keystore, address) = start();
    let first = Guard::dial(address, "token").unwrap();
    assert!(keystore.wait_ready(Duration::from_secs(5)));
    first.always("paraStatement", Some(Fault::Silence));
    let second = Guard::dial(address, "token").unwrap();
    eventually("the second is in use", || second.asked("publicKeys") > 0);
    assert!(signs(&keystore));
    assert_eq!((first.asked("paraStatement"), second.asked("paraStatement")), (0, 1));
}

#[test]
fn when_the_newest_guard_leaves_the_older_one_serves() {
    let (keystore, address) = start();
    let first = Guard::dial(address, "token").unwrap();
    assert!(keystore.wait_ready(Duration::from_secs(5)));
    let second = Guard::dial(address, "token").unwrap();
    eventually("the second is in use", || second.asked("publicKeys") > 0);
    second.stop();
    assert!(signs(&keystore));
    assert_eq!(first.asked("paraStatement"), 1);
}

#[test]
fn a_silent_stranger_takes_no_place_for_long() {
    let (keystore, address) = start();
    let strangers: Vec<_> =
        (0..7).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
    let _guard = Guard::dial(address, "token").unwrap();
    assert!(keystore.wait_ready(Duration::from_secs(5)));
    drop(strangers);
}

#[test]
fn an_open_or_plain_listener_is_refused() {
    let open = RemoteKeystore::start(listening(None, None)).err();
    assert!(matches!(open, Some(ConfigError::OpenListener(_))));
    let mut plain = listening(None, Some("token"));
    plain.listen.as_mut().unwrap().address = "0.0.0.0:0".parse().unwrap();
    assert!(matches!(RemoteKeystore::start(plain.clone()).err(), Some(ConfigError::PlainText(_))));
    plain.allow_plain_text = true;
    assert!(RemoteKeystore::start(plain).is_ok());
    let (_keystore, address) = start();
    let mut taken = listening(None, Some("token"));
    taken.listen.as_mut().unwrap().address = address;
    assert!(matches!(RemoteKeystore::start(taken).err(), Some(ConfigError::Bind(..))));
}

/// An authority, and a certificate with a key that it issued for `127.0.0.1`, as PEM files.
struct Files {
    authority: PathBuf,
    identity: (PathBuf, PathBuf),
}

fn files(folder: &Path, name: &str) -> Files {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let write = |kind: &str, text: String| {
        let path = folder.join(format!("{name}-{kind}.pem"));
        std::fs::write(&path, text).unwrap();
        path
    };
    let identity = (write("certificate", certificate.pem()), write("key", key.serialize_pem()));
    Files { authority: write("authority", authority.pem()), identity }
}

/// The node's dialling side against a node's listening side. Neither end is a guard, so they soon
/// part again; what counts is whether they ever connect.
fn connects(server: ServerTls, client: ClientTls) -> bool {
    let listener = RemoteKeystore::start(listening(Some(server), Some("token"))).unwrap();
    let url = format!("wss://{}/", listener.listening().unwrap());
    let target = Target::new(url).with_tls(client).with_token(Token::new("token").unwrap());
    let dialler = RemoteKeystore::start(quick(vec![target])).unwrap();
    let began = std::time::Instant::now();
    while began.elapsed() < Duration::from_secs(1) {
        if dialler.metrics().connections > 0 && listener.metrics().connections > 0 {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}

#[test]
fn tls_connects_with_the_right_authority_only() {
    let folder = tempfile::tempdir().unwrap();
    let node = files(folder.path(), "node");
    let other = files(folder.path(), "other");
    let server = ServerTls { identity: node.identity.clone(), client_authorities: None };
    let client = |authority: &Path| ClientTls { authorities: authority.into(), identity: None };
    assert!(connects(server.clone(), client(&node.authority)));
    assert!(!connects(server, client(&other.authority)));
}

#[test]
fn a_client_certificate_is_required_where_an_authority_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let node = files(folder.path(), "node");
    let guard = files(folder.path(), "guard");
    let other = files(folder.path(), "other");
    let server = ServerTls {
        identity: node.identity.clone(),
        client_authorities: Some(guard.authority.clone()),
    };
    let client = |identity: Option<&Files>| ClientTls {
        authorities: node.authority.clone(),
        identity: identity.map(|files| files.identity.clone()),
    };
    assert!(connects(server.clone(), client(Some(&guard))));
    assert!(!connects(server.clone(), client(None)));
    assert!(!connects(server, client(Some(&other))));
}
