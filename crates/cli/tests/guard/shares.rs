//! Places that clients share: one that takes all it can get keeps no other out.
//!
//! Decides: WebSockets, connections, requests under way and the room for long bodies have a part
//! that is kept for each client; connections that bring nothing give way.

use std::time::Duration;

use serde_json::{Value, json};

use super::clients::{TOKEN_A, TOKEN_B, two_clients};
use super::processes::stop_core;
use crate::support::duty::randao;
use crate::support::home::KEYS;
use crate::support::http::{Answer, Connection, head};
use crate::support::socket::Socket;
use crate::support::{Guard, eventually};

const BATCH: &str = "/api/v1/eth2/sign";

const UPGRADE: [(&str, &str); 4] = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

fn as_client<'a>(bearer: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&[("Authorization", bearer)], more].concat()
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[track_caller]
fn signs(guard: &Guard, token: &str) {
    let path = format!("/api/v1/eth2/sign/{}", KEYS[0]);
    let headers = bearer(token);
    let body = randao(1).to_string();
    guard.request("POST", &path, &as_client(&headers, &[]), &body).signature();
}

/// A series of the metrics listener.
fn series(guard: &Guard, name: &str) -> u64 {
    let text = guard.watch("/metrics").body;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("{name} is not in {text}")).trim().parse().unwrap()
}

fn turned_away(guard: &Guard, what: &str) -> u64 {
    series(guard, &format!("palisade_turned_away_total{{what=\"{what}\"}}"))
}

#[test]
fn one_client_cannot_take_all_web_sockets() {
    let home = two_clients();
    let guard = home.start();
    let open = |token| Socket::try_open_as(guard.listen, Some(token));
    let mut of_a: Vec<Socket> = std::iter::from_fn(|| open(TOKEN_A).ok()).take(64).collect();
    assert_eq!(of_a.len(), 56);
    let headers = bearer(TOKEN_A);
    let refused = guard.request("GET", "/rpc", &as_client(&headers, &UPGRADE), "");
    refused.is_error(503, "share-used-up", r#"client "a" has used up its share"#);
    let of_b: Vec<Socket> = std::iter::from_fn(|| open(TOKEN_B).ok()).take(64).collect();
    assert_eq!(of_b.len(), 8);
    assert_eq!(series(&guard, "palisade_websockets "), 64);
    // One that ended each series, and the one above.
    assert_eq!(turned_away(&guard, "websocket"), 3);
    // Single requests go on.
    signs(&guard, TOKEN_A);
    of_a[0].ask(1, "palisade_publicKeys", &json!({ "keyType": "babe" }));
    assert_eq!(of_a[0].answer().unwrap()["result"], json!([]));
    drop(of_a.pop());
    eventually("a place is free again", || open(TOKEN_A).is_ok());
    let (_, log) = guard.stop();
    assert!(log.contains(r#"a share is used up client="a" what=WebSocket"#), "{log}");
}

/// A connection on which this client has asked something.
fn connect(guard: &Guard, token: &str) -> (Connection<std::net::TcpStream>, Answer) {
    let mut connection = Connection::open(guard.listen);
    let headers = bearer(token);
    let answer = connection.exchange("GET", "/upcheck", &as_client(&headers, &[]), "").unwrap();
    (connection, answer)
}

#[test]
fn one_client_cannot_take_all_connections() {
    let home = two_clients();
    home.add_config("[limits]\nmax_connections = 16");
    let guard = home.start();
    // A quarter of all is kept, half of it for the other.
    let mut of_a: Vec<_> = (0..14).map(|_| connect(&guard, TOKEN_A)).collect();
    assert!(of_a.iter().all(|(_, answer)| answer.status == 200));
    let (mut connection, refused) = connect(&guard, TOKEN_A);
    refused.is_error(503, "share-used-up", "max_connections");
    assert!(connection.is_closed());
    assert_eq!(turned_away(&guard, "connection"), 1);
    signs(&guard, TOKEN_B);
    // Whose a connection is follows from its last request.
    let (mut of_b, answer) = connect(&guard, TOKEN_B);
    assert_eq!(answer.status, 200);
    let headers = bearer(TOKEN_A);
    let refused = of_b.exchange("GET", "/upcheck", &as_client(&headers, &[]), "").unwrap();
    refused.is_error(503, "share-used-up", "max_connections");
    let (first, _) = &mut of_a[0];
    let headers = bearer(TOKEN_B);
    let answer = first.exchange("GET", "/upcheck", &as_client(&headers, &[]), "").unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(connect(&guard, TOKEN_A).1.status, 200);
    drop(of_a);
    eventually("there is room again", || connect(&guard, TOKEN_A).1.status == 200);
}

/// The first has sent all but the last byte of as many long bodies as are read of one of two
/// clients at a time.
#[test]
fn one_client_cannot_take_all_the_room_for_long_bodies() {
    let home = two_clients();
    home.add_config("[limits]\nbody_timeout_ms = 600000");
    let guard = home.start();
    let almost = vec![b'x'; (8 << 20) - 1];
    let headers = bearer(TOKEN_A);
    let begin = || {
        let mut connection = Connection::open(guard.listen);
        let head = head("POST", BATCH, &as_client(&headers, &[]), 8 << 20);
        connection.send(head.as_bytes()).unwrap();
        connection.send(&almost).unwrap();
        connection
    };
    let mut holding: Vec<_> = (0..14).map(|_| begin()).collect();
    let long = "x".repeat(7_000_000);
    let post = |token| {
        let headers = bearer(token);
        guard.request("POST", BATCH, &as_client(&headers, &[]), &long)
    };
    eventually("the share is used up", || {
        // One that found no room, because others were not whole yet, is out for good.
        std::thread::sleep(Duration::from_millis(500));
        let is_used_up = post(TOKEN_A).status == 503;
        holding.extend((!is_used_up).then(begin));
        is_used_up
    });
    // What the other sends is read, and is no JSON.
    post(TOKEN_B).is_error(400, "malformed-json", "");
    drop(holding);
    eventually("there is room again", || post(TOKEN_A).status == 400);
}

/// Each could stay for ten minutes.
#[test]
fn connections_that_bring_nothing_give_way_to_those_that_do() {
    let home = two_clients();
    home.add_config("[limits]\nmax_connections = 16\nbody_timeout_ms = 600000");
    let guard = home.start();
    let (mut known, _) = connect(&guard, TOKEN_A);
    let mut silent: Vec<_> = (0..15).map(|_| Connection::open(guard.listen)).collect();
    silent[1].send(b"GET /upcheck HTTP/1.1\r\n").unwrap();
    eventually("all places are taken", || series(&guard, "palisade_connections ") == 16);
    signs(&guard, TOKEN_B);
    assert_eq!(turned_away(&guard, "silent"), 1);
    assert!(silent[0].is_closed(), "the oldest is another");
    signs(&guard, TOKEN_B);
    let headers = bearer(TOKEN_A);
    let answer = known.exchange("GET", "/upcheck", &as_client(&headers, &[]), "").unwrap();
    assert_eq!(answer.status, 200);
    // The others are still served.
    silent[1].send(format!("Authorization: {headers}\r\n\r\n").as_bytes()).unwrap();
    assert_eq!(silent[1].answer().unwrap().status, 200);
}

fn has_an_answer(socket: &Socket) -> bool {
    let stream = socket.0.get_ref();
    stream.set_nonblocking(true).unwrap();
    let there = stream.peek(&mut [0]).is_ok();
    stream.set_nonblocking(false).unwrap();
    there
}

/// The core stands still while more is asked of it than it takes from one client.
#[test]
fn one_client_cannot_have_everything_under_way() {
    const SOCKETS: u64 = 29;
    const EACH: u64 = 128;
    // Of 4,096, an eighth is kept for the other.
    const SHARE: u64 = 3_584;
    let home = two_clients();
    let guard = home.start();
    let open = |_| Socket::try_open_as(guard.listen, Some(TOKEN_A)).unwrap();
    let mut sockets: Vec<Socket> = (0..SOCKETS).map(open).collect();
    let listen = guard.listen;
    stop_core(&guard);
    for socket in &mut sockets {
        for id in 0..EACH {
            socket.ask(id, "palisade_publicKeys", &json!({ "keyType": "babe" }));
        }
    }
    // The front alone answers what goes beyond the share, on whichever socket it is.
    eventually("the share is used up", || sockets.iter().any(has_an_answer));
    let of_b = std::thread::spawn(move || {
        let headers = [("Authorization", &*bearer(TOKEN_B))];
        crate::support::http::request(listen, "GET", "/api/v1/eth2/publicKeys", &headers, "")
    });
    guard.signal("CONT");
    assert_eq!(of_b.join().unwrap().status, 200);
    let (mut served, mut refused) = (0, 0);
    for socket in &mut sockets {
        for _ in 0..EACH {
            match socket.answer().unwrap() {
                answer if answer["result"] == json!([]) => served += 1,
                answer => {
                    let code: &Value = &answer["error"]["data"]["code"];
                    assert_eq!(*code, "share-used-up", "{answer}");
                    refused += 1;
                }
            }
        }
    }
    assert_eq!((served, refused), (SHARE, SOCKETS * EACH - SHARE));
    assert_eq!(turned_away(&guard, "request"), refused);
    signs(&guard, TOKEN_A);
}
