//! The way of a lone request without a guard: over TCP to a thread, over a socket pair to another,
//! one durable write, and back. No signer in two processes can be faster on this machine.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Instant;

use crate::statistics::quantile;

/// About a vote as JSON in a WebSocket frame.
const MESSAGE_BYTES: usize = 256;
const ROUNDS: usize = 500;
/// The durable write's place in a file of this many sectors, which are written beforehand.
const SECTORS: u64 = 64;
const SECTOR_BYTES: usize = 512;

/// Median and 99th percentile, in microseconds.
pub(crate) fn bare(directory: &Path) -> [f64; 2] {
    let path = directory.join("hops");
    let file = File::create(&path).unwrap();
    file.write_all_at(&[1; SECTOR_BYTES * SECTORS as usize], 0).unwrap();
    file.sync_all().unwrap();
    let (near, far) = UnixStream::pair().unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let times = std::thread::scope(|scope| {
        scope.spawn(move || write_and_answer(far, &file));
        scope.spawn(move || pass_on(listener.accept().unwrap().0, near));
        ask(TcpStream::connect(address).unwrap())
    });
    std::fs::remove_file(path).unwrap();
    [0.5, 0.99].map(|share| quantile(&times, share))
}

fn ask(mut stream: TcpStream) -> Vec<f64> {
    stream.set_nodelay(true).unwrap();
    let mut message = [7; MESSAGE_BYTES];
    let round = |_| {
        let start = Instant::now();
        stream.write_all(&message).unwrap();
        stream.read_exact(&mut message).unwrap();
        start.elapsed().as_secs_f64() * 1e6
    };
    (0..ROUNDS).map(round).collect()
}

/// Until the client hangs up.
fn pass_on(mut client: TcpStream, mut other: UnixStream) {
    client.set_nodelay(true).unwrap();
    let mut message = [0; MESSAGE_BYTES];
    while client.read_exact(&mut message).is_ok() {
        other.write_all(&message).unwrap();
        other.read_exact(&mut message).unwrap();
        client.write_all(&message).unwrap();
    }
}

fn write_and_answer(mut stream: UnixStream, file: &File) {
    let mut message = [0; MESSAGE_BYTES];
    for sector in (0..SECTORS).cycle() {
        if stream.read_exact(&mut message).is_err() {
            return;
        }
        file.write_all_at(&message, sector * SECTOR_BYTES as u64).unwrap();
        file.sync_data().unwrap();
        stream.write_all(&message).unwrap();
    }
}
