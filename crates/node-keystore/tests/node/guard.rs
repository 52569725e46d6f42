//! A scripted guard: it signs with real keys as a guard does, and fails where a test says so.
//!
//! Blocking sockets and one thread per connection, so that nothing of the code under test is
//! shared.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sp_consensus_babe::make_vrf_sign_data;
use sp_core::crypto::{Pair, VrfSecret};
use sp_core::{ecdsa, ed25519, sr25519};
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

/// What a scripted guard does instead of answering.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// Closes the connection without an answer.
    Drop,
    /// Answers late.
    Delay(Duration),
    /// Never answers, but lives.
    Silence,
    /// Sends text that is no JSON-RPC.
    Garbage,
    /// Sends a binary message.
    Binary,
    /// Answers another id, then the right one.
    WrongIdFirst,
    /// Answers another id only.
    WrongId,
    /// Answers with two megabytes.
    Giant,
    /// A signature of another key.
    Forged,
    /// A result with this member instead.
    Other(&'static str, &'static str),
    /// A JSON-RPC error.
    Error(i64, &'static str),
}

pub(crate) const REFUSED: Fault = Fault::Error(-32010, "slashable");
pub(crate) const UNKNOWN_KEY: Fault = Fault::Error(-32011, "unknown-key");
pub(crate) const NOT_READY: Fault = Fault::Error(-32012, "starting");
pub(crate) const STORE_FAILURE: Fault = Fault::Error(-32013, "store");

/// The keys of every scripted guard.
#[derive(Clone)]
pub(crate) struct Keys {
    pub(crate) sr25519: sr25519::Pair,
    pub(crate) ed25519: ed25519::Pair,
    pub(crate) ecdsa: ecdsa::Pair,
}

/// Alice's, as a development node has them. Deriving them takes long, so it is done once.
pub(crate) fn keys() -> Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    let derive = || Keys {
        sr25519: Pair::from_string("//Alice", None).unwrap(),
        ed25519: Pair::from_string("//Alice", None).unwrap(),
        ecdsa: Pair::from_string("//Alice", None).unwrap(),
    };
    KEYS.get_or_init(derive).clone()
}

#[derive(Default)]
pub(crate) struct State {
    /// Taken one by one.
    pub(crate) next: HashMap<String, VecDeque<Fault>>,
    /// Holds for every request of the method.
    pub(crate) always: HashMap<String, Fault>,
    /// Every request, in order.
    pub(crate) log: Vec<(String, Value)>,
    pub(crate) connections: usize,
    /// The token that was shown last.
    pub(crate) token: Option<String>,
    pub(crate) no_keys: bool,
    announced: HashSet<String>,
    sockets: Vec<TcpStream>,
    stopped: bool,
}

/// A guard that listens, or that dials a node.
pub(crate) struct Guard {
    pub(crate) address: SocketAddr,
    pub(crate) state: Arc<Mutex<State>>,
}

impl Guard {
    pub(crate) fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap())
    }

    pub(crate) fn start_at(address: SocketAddr) -> Self {
        let listener = bind(address);
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.lock().unwrap().stopped {
                    return;
                }
                let (stream, shared) = (stream.unwrap(), shared.clone());
                thread::spawn(move || welcome(stream, &shared));
            }
        });
        Self { address, state }
    }

    /// A guard that dials; `Err` is the node's refusal.
    pub(crate) fn dial(node: SocketAddr, token: &str) -> Result<Self, tungstenite::Error> {
        let stream = TcpStream::connect(node).unwrap();
        let request = http_request(node, token);
        let kept = stream.try_clone().unwrap();
        let (socket, _) = tungstenite::client(request, stream).map_err(|error| match error {
            tungstenite::HandshakeError::Failure(error) => error,
            tungstenite::HandshakeError::Interrupted(_) => panic!("interrupted"),
        })?;
        let state = Arc::new(Mutex::new(State { connections: 1, ..State::default() }));
        state.lock().unwrap().sockets.push(kept);
        let shared = state.clone();
        thread::spawn(move || serve(socket, &shared));
        Ok(Self { address: node, state })
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/rpc", self.address)
    }

    /// As a process that is killed: every socket closes and nothing listens.
    pub(crate) fn stop(&self) {
        let mut state = self.state.lock().unwrap();
        state.stopped = true;
        for socket in state.sockets.drain(..) {
            drop(socket.shutdown(std::net::Shutdown::Both));
        }
        drop(state);
        // Wakes the listener, which then ends.
        drop(TcpStream::connect(self.address));
        thread::sleep(Duration::from_millis(20));
    }

    pub(crate) fn script(&self, method: &str, faults: &[Fault]) {
        let mut state = self.state.lock().unwrap();
        state.next.entry(format!("palisade_{method}")).or_default().extend(faults.iter().cloned());
    }

    pub(crate) fn always(&self, method: &str, fault: Option<Fault>) {
        let mut state = self.state.lock().unwrap();
        let method = format!("palisade_{method}");
        match fault {
            Some(fault) => drop(state.always.insert(method, fault)),
            None => drop(state.always.remove(&method)),
        }
    }

    /// How often a method was asked.
    pub(crate) fn asked(&self, method: &str) -> usize {
        let state = self.state.lock().unwrap();
        state.log.iter().filter(|(name, _)| *name == format!("palisade_{method}")).count()
    }

    /// The parameters of the last request of a method.
    pub(crate) fn last(&self, method: &str) -> Value {
        let state = self.state.lock().unwrap();
        let name = format!("palisade_{method}");
        state.log.iter().rev().find(|(found, _)| *found == name).unwrap().1.clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.state.lock().unwrap().connections
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.stop();
    }
}

fn http_request(node: SocketAddr, token: &str) -> tungstenite::http::Request<()> {
    use tungstenite::client::IntoClientRequest;
    let mut request = format!("ws://{node}/").into_client_request().unwrap();
    let value = format!("Bearer {token}").parse().unwrap();
    request.headers_mut().insert("authorization", value);
    request
}

/// A port that has just been closed may still be held for a moment.
fn bind(address: SocketAddr) -> TcpListener {
    let began = Instant::now();
    loop {
        match TcpListener::bind(address) {
            Ok(listener) => return listener,
            Err(error) if began.elapsed() > Duration::from_secs(5) => panic!("{error}"),
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn welcome(stream: TcpStream, state: &Arc<Mutex<State>>) {
    let kept = stream.try_clone().unwrap();
    let note = |request: &Request, response: Response| {
        let token = request.headers().get("authorization");
        let token = token.map(|value| value.to_str().unwrap().to_owned());
        state.lock().unwrap().token = token;
        Ok(response)
    };
    let Ok(socket) = tungstenite::accept_hdr(stream, note) else { return };
    {
        let mut state = state.lock().unwrap();
        state.connections += 1;
        state.sockets.push(kept);
    }
    serve(socket, state);
}

/// One thread per request, so that a late answer holds up no other.
fn serve(mut socket: WebSocket<TcpStream>, state: &Arc<Mutex<State>>) {
    let raw = socket.get_ref().try_clone().unwrap();
    raw.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
    let (sender, answers) = std::sync::mpsc::channel::<Option<Message>>();
    loop {
        while let Ok(answer) = answers.try_recv() {
            let Some(message) = answer else {
                drop(raw.shutdown(std::net::Shutdown::Both));
                return;
            };
            if socket.send(message).is_err() {
                return;
            }
        }
        match socket.read() {
            Ok(Message::Text(text)) => {
                let (state, sender) = (state.clone(), sender.clone());
                thread::spawn(move || {
                    for answer in answer(&text, &state) {
                        drop(sender.send(answer));
                    }
                });
            }
            Ok(_) => {}
            Err(tungstenite::Error::Io(error))
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                ) => {}
            Err(_) => return,
        }
    }
}

/// The messages to send; `None` closes.
fn answer(text: &str, state: &Arc<Mutex<State>>) -> Vec<Option<Message>> {
    let request: Value = serde_json::from_str(text).unwrap();
    assert_eq!(request["jsonrpc"], "2.0");
    let method = request["method"].as_str().unwrap().to_owned();
    let (id, params) = (request["id"].clone(), request["params"].clone());
    let fault = {
        let mut state = state.lock().unwrap();
        state.log.push((method.clone(), params.clone()));
        let next = state.next.get_mut(&method).and_then(VecDeque::pop_front);
        next.or_else(|| state.always.get(&method).cloned())
    };
    let respond = |id: &Value, outcome: Result<Value, Value>| {
        let mut response = json!({"jsonrpc": "2.0", "id": id});
        match outcome {
            Ok(result) => response["result"] = result,
            Err(error) => response["error"] = error,
        }
        Some(Message::text(response.to_string()))
    };
    let good = || respond(&id, sign(&method, &params, state, false));
    match fault {
        None => vec![good()],
        Some(Fault::Drop) => vec![None],
        Some(Fault::Delay(delay)) => {
            thread::sleep(delay);
            vec![good()]
        }
        Some(Fault::Silence) => vec![],
        Some(Fault::Garbage) => vec![Some(Message::text("{\"hello\": 1"))],
        Some(Fault::Binary) => vec![Some(Message::binary(vec![1, 2, 3]))],
        Some(Fault::WrongIdFirst) => vec![respond(&json!(999_999), Ok(json!({}))), good()],
        Some(Fault::WrongId) => vec![respond(&json!(999_999), Ok(json!({})))],
        Some(Fault::Giant) => vec![respond(&id, Ok(json!("x".repeat(2 << 20))))],
        Some(Fault::Forged) => vec![respond(&id, sign(&method, &params, state, true))],
        Some(Fault::Other(member, value)) => vec![respond(&id, Ok(json!({member: value})))],
        Some(Fault::Error(code, rule)) => vec![respond(&id, Err(error(code, rule)))],
    }
}

fn error(code: i64, rule: &str) -> Value {
    json!({"code": code, "message": "scripted", "data": {"code": rule, "evidence": {"round": 7}}})
}

pub(crate) fn hex_of(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

pub(crate) fn bytes_of(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap().strip_prefix("0x").unwrap()).unwrap()
}

/// What a guard answers. A forged answer is signed by a key that nobody asked for.
fn sign(
    method: &str,
    params: &Value,
    state: &Arc<Mutex<State>>,
    forged: bool,
) -> Result<Value, Value> {
    let mut keys = keys();
    if forged {
        keys.sr25519 = sr25519::Pair::from_seed(&[9; 32]);
        keys.ed25519 = ed25519::Pair::from_seed(&[9; 32]);
        keys.ecdsa = ecdsa::Pair::from_seed(&[9; 32]);
    }
    let bytes = |member: &str| bytes_of(&params[member]);
    let signature = |bytes: &[u8]| Ok(json!({"signature": hex_of(bytes)}));
    match method {
        "palisade_publicKeys" => Ok(list(params["keyType"].as_str().unwrap(), &keys, state)),
        "palisade_announceBlock" => {
            let hash = sp_crypto_hashing::blake2_256(&bytes("header"));
            state.lock().unwrap().announced.insert(hex_of(&hash));
            Ok(json!({"preHash": hex_of(&hash)}))
        }
        "palisade_sealBlock" => {
            let hash = params["preHash"].as_str().unwrap();
            if !state.lock().unwrap().announced.contains(hash) {
                return Err(error(-32010, "block-not-announced"));
            }
            signature(keys.sr25519.sign(&bytes("preHash")).as_ref())
        }
        "palisade_grandpaVote" => signature(keys.ed25519.sign(&bytes("payload")).as_ref()),
        "palisade_babeVrf" => {
            let randomness = bytes("randomness").try_into().unwrap();
            let slot = params["slot"].as_u64().unwrap().into();
            let epoch = params["epoch"].as_u64().unwrap();
            let signed = keys.sr25519.vrf_sign(&make_vrf_sign_data(&randomness, slot, epoch));
            let signed = codec::Encode::encode(&signed);
            Ok(json!({"preOutput": hex_of(&signed[..32]), "proof": hex_of(&signed[32..])}))
        }
        "palisade_beefyCommitment" => {
            let hash = sp_crypto_hashing::keccak_256(&bytes("commitment"));
            signature(keys.ecdsa.sign_prehashed(&hash).as_ref())
        }
        "palisade_authorityRecord" | "palisade_paraStatement" => {
            signature(keys.sr25519.sign(&bytes("payload")).as_ref())
        }
        "palisade_provePossession" => {
            let statement = [b"POP_".to_vec(), bytes("owner")].concat();
            let proof = match bytes("publicKey") {
                key if key == keys.ed25519.public().to_vec() => {
                    keys.ed25519.sign(&statement).to_vec()
                }
                key if key.len() == 33 => keys.ecdsa.sign(&statement).to_vec(),
                _ => keys.sr25519.sign(&statement).to_vec(),
            };
            Ok(json!({"proof": hex_of(&proof)}))
        }
        "palisade_generateSessionKeys" => Ok(generate(params)),
        other => Err(json!({"code": -32601, "message": format!("no method {other}")})),
    }
}

fn list(key_type: &str, keys: &Keys, state: &Arc<Mutex<State>>) -> Value {
    if state.lock().unwrap().no_keys {
        return json!([]);
    }
    match key_type {
        "babe" | "aura" | "audi" | "para" => json!([hex_of(&keys.sr25519.public())]),
        "gran" => json!([hex_of(&keys.ed25519.public())]),
        "beef" => json!([hex_of(&keys.ecdsa.public())]),
        _ => json!([]),
    }
}

/// New keys of 32 bytes that nobody can sign with: enough to see what the node makes of them.
fn generate(params: &Value) -> Value {
    let types = params["keyTypes"].as_array().unwrap();
    let key = |(index, key_type): (usize, &Value)| {
        let public = [u8::try_from(index).unwrap() + 0x40; 32];
        let mut entry = json!({"keyType": key_type, "publicKey": hex_of(&public)});
        if params.get("owner").is_some() {
            entry["proof"] = hex_of(&[7; 64]).into();
        }
        entry
    };
    let keys: Vec<Value> = types.iter().enumerate().map(key).collect();
    let all: Vec<u8> = keys.iter().flat_map(|key| bytes_of(&key["publicKey"])).collect();
    json!({"keys": keys, "sessionKeys": hex_of(&all)})
}
