//! A node that waits for its guard: listens, checks what the guard shows, and asks.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use tungstenite::WebSocket;
use tungstenite::handshake::server::{ErrorResponse, Request, Response};

use super::PATIENCE;
use super::home::TestHome;
use super::socket::Socket;

/// What the guard shows to every node of these tests.
pub const TOKEN: &str = "node-token-0123456789abcdef";

/// A listening node.
pub struct Node {
    listener: TcpListener,
}

impl Node {
    /// On a port that the system chooses.
    pub fn listen() -> Self {
        Self::listen_at("127.0.0.1:0".parse().unwrap())
    }

    /// On an address that another node had a moment ago.
    #[track_caller]
    pub fn listen_at(address: SocketAddr) -> Self {
        let started = Instant::now();
        loop {
            match TcpListener::bind(address) {
                Ok(listener) => {
                    listener.set_nonblocking(true).unwrap();
                    return Self { listener };
                }
                Err(error) => assert!(started.elapsed() < PATIENCE, "{address}: {error}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// The next connection, if one comes within this time.
    pub fn stream_within(&self, time: Duration) -> Option<TcpStream> {
        let started = Instant::now();
        loop {
            if let Ok((stream, _)) = self.listener.accept() {
                stream.set_nonblocking(false).unwrap();
                stream.set_nodelay(true).unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                stream.set_write_timeout(Some(PATIENCE)).unwrap();
                return Some(stream);
            }
            if time < started.elapsed() {
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The next connection.
    #[track_caller]
    pub fn stream(&self) -> TcpStream {
        self.stream_within(PATIENCE).expect("no guard dials")
    }

    /// The next guard that dials, if it shows the token.
    #[track_caller]
    pub fn welcome(&self) -> Socket {
        Socket(shake_hands(self.stream()).expect("turned away"))
    }
}

/// The WebSocket of a guard that shows the token; others are turned away.
pub fn shake_hands<S: Read + Write>(stream: S) -> Option<WebSocket<S>> {
    let check = |request: &Request, response: Response| {
        let shown = request.headers().get("authorization");
        if shown.is_some_and(|shown| *shown == *format!("Bearer {TOKEN}")) {
            return Ok(response);
        }
        let mut refusal = ErrorResponse::new(None);
        *refusal.status_mut() = tungstenite::http::StatusCode::UNAUTHORIZED;
        Err(refusal)
    };
    tungstenite::accept_hdr(stream, check).ok()
}

/// Has the guard of this home dial a node over `ws://`, which may ask for session duties.
pub fn dial(home: &TestHome, name: &str, node: SocketAddr) {
    std::fs::write(home.path().join("node-token.txt"), TOKEN).unwrap();
    home.add_config(&format!(
        "[[node]]\nname = \"{name}\"\nurl = \"ws://{node}\"\ntoken_file = \"node-token.txt\"\n\
         [[client]]\nname = \"client-{name}\"\nnode = \"{name}\"\nallow = [\"session-duties\"]\n"
    ));
}
