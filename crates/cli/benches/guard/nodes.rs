//! Nodes that ask session keys over WebSockets, each with keys of its own.
//!
//! Invariants: places only grow, and each key is asked once for each, so that everything that is
//! asked is decided, written and signed; an answer that is no signature ends the benchmark.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

/// The slot duration of the measured chain: a key seals once a slot, so slots are short.
pub(crate) const SLOT_MS: u64 = 100;

/// One node.
pub(crate) struct Node {
    socket: WebSocket<TcpStream>,
    voters: Vec<String>,
    authors: Vec<String>,
    round: u64,
    slot: u64,
}

impl Node {
    /// Connects; the node has these keys of type gran and of type babe.
    pub(crate) fn open(address: SocketAddr, voters: &[String], authors: &[String]) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let (socket, _) = tungstenite::client::client(format!("ws://{address}/rpc"), stream)
            .unwrap_or_else(|error| panic!("no WebSocket: {error}"));
        Self { socket, voters: voters.to_vec(), authors: authors.to_vec(), round: 0, slot: 0 }
    }

    /// The last round that every key voted in, after whole windows.
    pub(crate) fn round(&self) -> u64 {
        self.round
    }

    /// The last slot that every author sealed in, after whole windows.
    pub(crate) fn slot(&self) -> u64 {
        self.slot
    }

    /// A vote of each key in a new round.
    pub(crate) fn window_of_votes(&mut self) -> Vec<String> {
        self.round += 1;
        let round = self.round;
        self.voters.iter().map(|key| vote(key, round)).collect()
    }

    /// Sends all, then reads the answers.
    pub(crate) fn exchange(&mut self, messages: Vec<String>) -> Vec<String> {
        let count = messages.len();
        for message in messages {
            self.socket.write(Message::text(message)).unwrap();
        }
        self.socket.flush().unwrap();
        (0..count).map(|_| self.answer()).collect()
    }

    /// One request alone; milliseconds of wall time.
    pub(crate) fn ask(&mut self, message: String) -> f64 {
        let start = Instant::now();
        self.exchange(vec![message]);
        start.elapsed().as_secs_f64() * 1e3
    }

    /// A header of each author in a new slot, announced; the seals to ask for.
    pub(crate) fn window_of_seals(&mut self) -> Vec<String> {
        self.slot = next_slot(self.slot);
        let slot = self.slot;
        let numbered = |key: usize, method: &str, mut params: Value| {
            params["publicKey"] = json!(self.authors[key]);
            json!({ "jsonrpc": "2.0", "id": key, "method": method, "params": params }).to_string()
        };
        let announcements = (0..self.authors.len()).map(|key| {
            numbered(key, "palisade_announceBlock", json!({ "header": header(slot, key) }))
        });
        let announcements = announcements.collect();
        let answers = self.exchange(announcements);
        let announced = answers.iter().map(|text| serde_json::from_str::<Value>(text).unwrap());
        announced
            .map(|answer| {
                let key = answer["id"].as_u64().unwrap() as usize;
                let params = json!({
                    "publicKey": self.authors[key], "preHash": answer["result"]["preHash"],
                });
                let method = "palisade_sealBlock";
                json!({ "jsonrpc": "2.0", "id": key, "method": method, "params": params })
                    .to_string()
            })
            .collect()
    }

    fn answer(&mut self) -> String {
        loop {
            if let Message::Text(text) = self.socket.read().unwrap() {
                assert!(text.contains("\"result\""), "{text}");
                return text.to_string();
            }
        }
    }
}

fn vote(key: &str, round: u64) -> String {
    let (set_id, round) = (1_u64.to_le_bytes(), round.to_le_bytes());
    let parts: [&[u8]; 5] = [&[1], &[7; 32], &[5, 0, 0, 0], &round, &set_id];
    let payload = format!("0x{}", hex::encode(parts.concat()));
    let params = json!({ "publicKey": key, "payload": payload });
    json!({ "jsonrpc": "2.0", "id": 1, "method": "palisade_grandpaVote", "params": params })
        .to_string()
}

fn header(slot: u64, content: usize) -> String {
    let claim = [b"\x06BABE\x34\x02\0\0\0\0".as_slice(), &slot.to_le_bytes()].concat();
    let content = (content as u64).to_le_bytes();
    let parts: [&[u8]; 6] = [&[1; 32], &[40], &content, &[2; 56], &[4], &claim];
    format!("0x{}", hex::encode(parts.concat()))
}

/// The present slot, or the one after `last` when it has begun.
fn next_slot(last: u64) -> u64 {
    loop {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let present = u64::try_from(now).unwrap() / SLOT_MS;
        if last < present {
            return present;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
