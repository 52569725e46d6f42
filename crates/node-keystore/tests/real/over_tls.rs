//! The same over TLS, with what `palisade tls node` makes on both sides.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use palisade_node_keystore::config::{BABE, GRANDPA};
use palisade_node_keystore::{GuardConfig, Listen, RemoteKeystore, ServerTls};

use crate::guard::Home;
use crate::{PATIENCE, signs};

/// An address that is free now.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A home that dials a node at this address, and the node's files.
fn home(address: SocketAddr) -> Home {
    let home = Home::new();
    home.run(&["tls", "init"]);
    let (url, files) = (format!("wss://{address}"), home.beside("node"));
    let issue = ["tls", "node", "validator", "--url", &url, "--out", files.to_str().unwrap()];
    let allow = ["--allow", "session-duties", "--allow", "key-management", "--write"];
    home.run(&[&issue[..], &allow].concat());
    home
}

/// A node with these files, for guards that this authority vouches for.
fn node(address: SocketAddr, files: &Path, authority: &Path) -> Arc<RemoteKeystore> {
    let identity = (files.join("validator.pem"), files.join("validator.key"));
    let tls = ServerTls { identity, client_authorities: Some(authority.to_owned()) };
    let listen = Listen { address, token: None, tls: Some(tls) };
    RemoteKeystore::start(GuardConfig::listen(listen)).unwrap()
}

#[test]
fn a_node_lets_its_guard_make_new_keys_and_votes_with_the_old_ones() {
    let address = free();
    let home = home(address);
    let files = home.beside("node");
    let keystore = node(address, &files, &files.join("ca.pem"));
    let _guard = home.start();
    assert!(keystore.wait_ready(PATIENCE), "{}", home.log());
    signs(&keystore, 1);
    let owner = [7; 32];
    let made = keystore.generate_session_keys(&[GRANDPA, BABE], None, Some(&owner)).unwrap();
    assert_eq!(made.keys.len(), 2);
    assert!(made.keys.iter().all(|(_, public, proof)| public.len() == 32 && proof.is_some()));
    assert_eq!(made.session_keys.len(), 64);
    signs(&keystore, 2);
}

#[test]
fn strangers_on_either_side_come_to_nothing() {
    let (ours, theirs) = (free(), free());
    let (home, other) = (home(ours), home(theirs));
    // A node that knows another guard's authority only.
    let files = home.beside("node");
    let strict = node(ours, &files, &other.beside("node").join("ca.pem"));
    let _guard = home.start();
    home.says("a node cannot be reached");
    assert!(!strict.wait_ready(Duration::from_secs(2)));
    drop(strict);
    // A node with a certificate of another authority, that would take any guard of either.
    let stranger = node(theirs, &files, &files.join("ca.pem"));
    let _other_guard = other.start();
    other.says("UnknownIssuer");
    assert!(!stranger.is_connected());
}
