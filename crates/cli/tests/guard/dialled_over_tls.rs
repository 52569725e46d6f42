//! Nodes over TLS, with what `palisade tls node` makes, on both sides.
//!
//! Decides: the guard believes its own authorities and no others, and only the name that it looks
//! for; it shows its certificate, so that the node knows it; nothing older than TLS 1.3 is spoken,
//! and no token is shown to somebody else.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion,
};
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use super::substrate::{self, ED25519_ALICE, SR25519_ALICE, vote_parameters};
use crate::support::home::{TestHome, text};
use crate::support::node::{Node, TOKEN, shake_hands};
use crate::support::{Guard, eventually};

type Stream = StreamOwned<ServerConnection, TcpStream>;

const TLS_1_3: &SupportedProtocolVersion = &rustls::version::TLS13;

/// A node that listens with what was issued to it.
struct TlsNode {
    listening: Node,
    directory: PathBuf,
    name: &'static str,
}

/// A home with session keys and an authority, and a node that it dials.
fn home_and_node(more: &[&str]) -> (TestHome, TlsNode) {
    let home = substrate::home("--fresh");
    home.succeeds(&["tls", "init"]);
    let node = TlsNode::issue(&home, "validator", more);
    (home, node)
}

fn start(home: &TestHome) -> Guard {
    Guard::start(home.command(&["run", "--listen", "none", "--metrics", "127.0.0.1:0"]))
}

impl TlsNode {
    fn issue(home: &TestHome, name: &'static str, more: &[&str]) -> Self {
        let (listening, directory) = (Node::listen(), home.beside(name));
        let url = format!("wss://{}", listening.address());
        let out = directory.to_str().unwrap();
        let arguments = ["tls", "node", name, "--url", &url, "--out", out, "--write"];
        home.succeeds(&[&arguments, more].concat());
        Self { listening, directory, name }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// What it serves with: its own certificate, for guards that `trusted` vouches for.
    fn config(&self, trusted: &Path, version: &'static SupportedProtocolVersion) -> ServerConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(trusted).unwrap()).unwrap();
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
        let certificate =
            CertificateDer::from_pem_file(self.file(&format!("{}.pem", self.name))).unwrap();
        let key = PrivateKeyDer::from_pem_file(self.file(&format!("{}.key", self.name))).unwrap();
        ServerConfig::builder_with_protocol_versions(&[version])
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate], key)
            .unwrap()
    }

    fn stream(&self, config: ServerConfig) -> Stream {
        let session = ServerConnection::new(Arc::new(config)).unwrap();
        StreamOwned::new(session, self.listening.stream())
    }

    /// The guard, known by its certificate.
    fn welcome(&self) -> WebSocket<Stream> {
        let stream = self.stream(self.config(&self.file("ca.pem"), TLS_1_3));
        tungstenite::accept(stream).expect("turned away")
    }

    /// A handshake that must come to nothing.
    fn is_turned_away(&self, config: ServerConfig) {
        assert!(tungstenite::accept(self.stream(config)).is_err());
    }
}

fn ask(socket: &mut WebSocket<Stream>, method: &str, params: &Value) -> Value {
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    socket.send(Message::text(call.to_string())).unwrap();
    loop {
        if let Message::Text(text) = socket.read().unwrap() {
            return serde_json::from_str(&text).unwrap();
        }
    }
}

#[track_caller]
fn told(guard: &Guard, why: &str) {
    eventually(why, || guard.watch("/readyz").body.contains(why));
}

#[test]
fn both_sides_know_each_other_and_new_keys_can_be_made() {
    let (home, node) = home_and_node(&["--allow", "session-duties", "--allow", "key-management"]);
    let guard = start(&home);
    let mut socket = node.welcome();
    let shown = socket.get_ref().conn.peer_certificates().unwrap()[0].clone();
    let ours = CertificateDer::from_pem_file(home.path().join("tls/guard.pem")).unwrap();
    assert_eq!(shown, ours);
    let keys = ask(&mut socket, "palisade_publicKeys", &json!({ "keyType": "gran" }));
    assert_eq!(keys["result"], json!([ED25519_ALICE]));
    let vote = ask(&mut socket, "palisade_grandpaVote", &vote_parameters(0, 1, 4, 1));
    assert!(vote["result"]["signature"].is_string(), "{vote}");
    let wanted = json!({ "keyTypes": ["gran", "babe"], "owner": SR25519_ALICE });
    let made = ask(&mut socket, "palisade_generateSessionKeys", &wanted);
    assert_eq!(made["result"]["keys"].as_array().map(Vec::len), Some(2), "{made}");
    let ownership = json!({ "publicKey": SR25519_ALICE, "owner": SR25519_ALICE });
    let proof = ask(&mut socket, "palisade_provePossession", &ownership);
    assert!(proof["result"]["proof"].is_string(), "{proof}");
    assert!(guard.watch("/metrics").body.contains("certificate=\"node-client\""));
    eventually("it is ready", || guard.watch("/readyz").status == 200);
    let shown = home.succeeds(&["tls", "show"]);
    assert!(shown.contains("[[node]] \"validator\" in palisade.toml"), "{shown}");
}

/// `docs/substrate.md` as an operator would follow it, but for the node's address.
#[test]
fn the_commands_of_the_document_for_two_machines_serve_as_they_stand() {
    let document = include_str!("../../../../docs/substrate.md");
    let section = document.split("**On two machines**").nth(1).unwrap();
    let home = substrate::home("--fresh");
    let listening = Node::listen();
    let directory = home.beside("validator-1-tls");
    let mut commands = 0;
    let lines = section.split("## ").next().unwrap().lines();
    for line in lines.filter_map(|line| line.strip_prefix("$ palisade tls ")) {
        let line = line.replace("10.0.0.7:9955", &listening.address().to_string());
        let line = line.replace("validator-1-tls", directory.to_str().unwrap());
        home.succeeds(&[&["tls"], &line.split(' ').collect::<Vec<_>>()[..]].concat());
        commands += 1;
    }
    assert_eq!(commands, 2);
    let node = TlsNode { listening, directory, name: "validator-1" };
    let _guard = start(&home);
    let vote = vote_parameters(0, 1, 4, 1);
    let vote = ask(&mut node.welcome(), "palisade_grandpaVote", &vote);
    assert!(vote["result"]["signature"].is_string(), "{vote}");
}

#[test]
fn a_guard_that_the_node_does_not_know_is_turned_away_and_says_so() {
    let (home, node) = home_and_node(&[]);
    let (other, _) = home_and_node(&[]);
    let guard = start(&home);
    node.is_turned_away(node.config(&other.path().join("tls/ca.pem"), TLS_1_3));
    told(&guard, "node validator is not connected");
    eventually("why is told", || guard.log().contains("a node cannot be reached"));
    drop(node.welcome());
}

#[test]
fn a_node_of_another_authority_or_name_or_of_an_older_tls_is_not_believed() {
    let (home, node) = home_and_node(&[]);
    let (_other, stranger) = home_and_node(&[]);
    let ca = node.file("ca.pem");
    let guard = start(&home);
    node.is_turned_away(stranger.config(&ca, TLS_1_3));
    told(&guard, "UnknownIssuer");
    node.is_turned_away(node.config(&ca, &rustls::version::TLS12));
    told(&guard, "node validator is not connected");
    // Of the same authority, for another machine; and a client's, which is no server's.
    let elsewhere = ["--name", "10.1.2.3"];
    let mut elsewhere = TlsNode::issue(&home, "elsewhere", &elsewhere);
    node.is_turned_away(elsewhere.config(&ca, TLS_1_3));
    told(&guard, "not valid for name");
    let out = home.beside("client");
    home.succeeds(&["tls", "client", "client", "--out", out.to_str().unwrap()]);
    (elsewhere.directory, elsewhere.name) = (out, "client");
    node.is_turned_away(elsewhere.config(&ca, TLS_1_3));
    drop(node.welcome());
    // In clear, where TLS is expected.
    assert!(shake_hands(node.listening.stream()).is_none());
    drop(node.welcome());
}

#[test]
fn a_certificate_for_a_name_serves_behind_an_address_and_a_token_may_come_besides() {
    let (home, node) = home_and_node(&["--name", "validator.internal"]);
    assert!(home.config().contains("server_name = \"validator.internal\""));
    fs::write(home.path().join("token.txt"), TOKEN).unwrap();
    home.configure("\n[node.tls]", "token_file = \"token.txt\"\n\n[node.tls]");
    let guard = start(&home);
    let stream = node.stream(node.config(&node.file("ca.pem"), TLS_1_3));
    let mut socket = shake_hands(stream).expect("the token is not shown");
    let vote = ask(&mut socket, "palisade_grandpaVote", &vote_parameters(0, 1, 4, 1));
    assert!(vote["result"]["signature"].is_string(), "{vote}");
    guard.kill();
    let _guard = start(&home);
    let stream = node.stream(node.config(&node.file("ca.pem"), TLS_1_3));
    let mut socket = shake_hands(stream).unwrap();
    let twin = ask(&mut socket, "palisade_grandpaVote", &vote_parameters(0, 2, 4, 1));
    substrate::refused(&twin, -32010, "double-grandpa-vote");
}

/// Without an authority: the node's own certificate is the only one that is believed.
#[test]
fn a_self_signed_certificate_can_be_pinned() {
    let (home, node) = home_and_node(&[]);
    let signed = rcgen::generate_simple_self_signed(vec!["validator".to_owned()]).unwrap();
    fs::write(home.path().join("pinned.pem"), signed.cert.pem()).unwrap();
    home.configure("authorities = \"tls/ca.pem\"", "authorities = \"pinned.pem\"");
    fs::write(node.file("self.pem"), signed.cert.pem()).unwrap();
    fs::write(node.file("self.key"), signed.signing_key.serialize_pem()).unwrap();
    let pinned = TlsNode { name: "self", ..node };
    let guard = start(&home);
    drop(pinned.welcome());
    let issued = TlsNode { name: "validator", ..pinned };
    issued.is_turned_away(issued.config(&issued.file("ca.pem"), TLS_1_3));
    told(&guard, "UnknownIssuer");
}

#[test]
fn what_cannot_be_issued_is_refused_and_leaves_nothing() {
    let home = TestHome::empty();
    home.succeeds(&["tls", "init"]);
    for (arguments, why) in [
        (["n", "--url", "wss://node.example:1"], "looks up no names"),
        (["n", "--url", "ws://10.0.0.1:1"], "begins with wss://"),
        (["N", "--url", "wss://10.0.0.1:1"], "is no name"),
    ] {
        let output = home.run(&[&["tls", "node"], &arguments[..]].concat());
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(why), "{said}");
    }
    let output =
        home.run(&["tls", "node", "n", "--url", "wss://10.0.0.1:1", "--allow", "proposals"]);
    assert!(text(&output.stderr).contains("asks over /rpc only"), "{}", text(&output.stderr));
    assert!(!home.path().join("tls/nodes").exists());
}
