//! A real guard in a real home, and a small HTTP client: what all tests of the process share.
//!
//! Invariants: every guard is started from the built binary on ports that the system chooses, and
//! is gone when its value is dropped; what it writes is collected, so that it never blocks.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod duty;
pub mod home;
pub mod http;
pub mod node;
pub mod schema;
pub mod socket;

use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use http::Answer;
use serde_json::Value;

/// How long anything may take before a test gives up on it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Where nothing can listen.
pub const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A running guard.
pub struct Guard {
    child: Child,
    /// Of the signing listener; [`NOWHERE`] without one.
    pub listen: SocketAddr,
    /// Of metrics, health and console; [`NOWHERE`] without one.
    pub metrics: SocketAddr,
    written: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Guard {
    /// Starts the command, which must be a `palisade run`, and waits for its ready line.
    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let written = Arc::new(Mutex::new(String::new()));
        let stderr = collect(child.stderr.take().unwrap(), &written);
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let Some((listen, metrics)) = addresses(&line) else {
            let status = child.wait().unwrap();
            stderr.join().unwrap();
            panic!("no ready line but {line:?}, {status}: {}", written.lock().unwrap());
        };
        written.lock().unwrap().push_str(&line);
        let stdout = collect(stdout, &written);
        Self { child, listen, metrics, written, readers: vec![stderr, stdout] }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// One request to the signing listener, on a connection of its own.
    pub fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        http::request(self.listen, method, path, headers, body)
    }

    /// `GET` without headers.
    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], "")
    }

    /// `GET` from the metrics listener.
    pub fn watch(&self, path: &str) -> Answer {
        http::request(self.metrics, "GET", path, &[], "")
    }

    /// `POST` of JSON.
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.request("POST", path, &[("Content-Type", "application/json")], &body.to_string())
    }

    /// Asks one key for one signature.
    pub fn sign(&self, public_key: &str, body: &Value) -> Answer {
        self.post(&format!("/api/v1/eth2/sign/{public_key}"), body)
    }

    /// SIGKILL, and waits until the process is gone.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let id = self.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// SIGTERM; the status and everything that was written to standard output and error.
    pub fn stop(self) -> (ExitStatus, String) {
        self.signal("TERM");
        self.wait()
    }

    /// Waits for the end that something else brings.
    pub fn wait(mut self) -> (ExitStatus, String) {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(started.elapsed() < PATIENCE, "it does not end: {}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        };
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        (status, self.log())
    }

    /// What was written so far.
    pub fn log(&self) -> String {
        self.written.lock().unwrap().clone()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Both fail only if the process has ended.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn addresses(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let line = line.trim().strip_prefix("palisade is ready: signing ")?;
    let (signing, watching) = line.split_once(", ")?;
    let address = |text: &str, before: &str, without: &str| match text.strip_prefix(before) {
        Some(address) => address.parse().ok(),
        None => (text == without).then_some(NOWHERE),
    };
    Some((
        address(signing, "on ", "for the nodes that it dials")?,
        address(watching, "metrics and console on http://", "no metrics")?,
    ))
}

fn collect(source: impl Read + Send + 'static, written: &Arc<Mutex<String>>) -> JoinHandle<()> {
    let written = Arc::clone(written);
    std::thread::spawn(move || {
        for line in BufReader::new(source).lines().map_while(Result::ok) {
            let mut written = written.lock().unwrap();
            written.push_str(&line);
            written.push('\n');
        }
    })
}

/// Tries until it holds, or until patience ends.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
