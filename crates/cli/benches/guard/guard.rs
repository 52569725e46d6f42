//! The guard as a process: started, watched from outside, stopped.
//!
//! Invariant: what it used is read from the system's accounts of its threads, so that the load
//! generator beside it is never counted.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::home::{Home, program};
use crate::http;

/// A running guard that was ready.
pub(crate) struct Guard {
    process: Child,
    /// Where it signs.
    pub(crate) signing: SocketAddr,
    metrics: SocketAddr,
    /// From the start of the process to its first answer that it is ready.
    pub(crate) until_ready: Duration,
}

/// Nanoseconds that each thread has run.
pub(crate) struct ThreadTimes(HashMap<String, u64>);

impl Guard {
    /// Starts one on `home` and waits until `/readyz` says yes.
    pub(crate) fn start(home: &Home) -> Self {
        let started = Instant::now();
        let mut process = Command::new(program())
            .arg("--home")
            .arg(home.path())
            .args(["run", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let [signing, metrics] = addresses(&line);
        while http::status(metrics, "/readyz") != 200 {
            std::thread::sleep(Duration::from_millis(1));
        }
        Self { process, signing, metrics, until_ready: started.elapsed() }
    }

    /// What the threads of both its processes have used until now.
    pub(crate) fn thread_times(&self) -> ThreadTimes {
        let mut times = HashMap::new();
        for process in self.processes() {
            for task in fs::read_dir(format!("/proc/{process}/task")).unwrap() {
                let task = task.unwrap();
                // A thread that ends meanwhile was idle: the program ends threads only after a
                // pause.
                let Ok(text) = fs::read_to_string(task.path().join("schedstat")) else { continue };
                let ran = text.split_whitespace().next().unwrap().parse().unwrap();
                times.insert(task.file_name().to_string_lossy().into_owned(), ran);
            }
        }
        ThreadTimes(times)
    }

    /// Resident memory of both its processes, in KiB. Pages that they share count twice.
    pub(crate) fn resident_kibibytes(&self) -> f64 {
        let resident = |process: u32| {
            let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
            line.split_whitespace().next().unwrap().parse::<f64>().unwrap()
        };
        self.processes().into_iter().map(resident).sum()
    }

    /// The core, and the front that it started.
    fn processes(&self) -> Vec<u32> {
        let core = self.process.id();
        let children = format!("/proc/{core}/task/{core}/children");
        let children = fs::read_to_string(children).unwrap();
        let children = children.split_whitespace().map(|id| id.parse().unwrap());
        std::iter::once(core).chain(children).collect()
    }

    /// The durable commits until now.
    pub(crate) fn commits(&self) -> f64 {
        let text = http::text(self.metrics, "/metrics");
        let value = text.lines().find_map(|line| line.strip_prefix("palisade_ledger_commits"));
        value.unwrap().trim_start_matches("_total").trim().parse().unwrap()
    }

    /// Stops it in order.
    pub(crate) fn stop(mut self) {
        let id = Pid::from_child(&self.process);
        kill_process(id, Signal::TERM).unwrap();
        assert!(self.process.wait().unwrap().success(), "the guard did not stop cleanly");
    }
}

impl Drop for Guard {
    /// After a panic of the benchmark nothing must stay behind.
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl ThreadTimes {
    /// Microseconds that all threads together have run since `earlier`.
    pub(crate) fn microseconds_since(&self, earlier: &Self) -> f64 {
        let used = |(thread, now): (&String, &u64)| {
            now.saturating_sub(earlier.0.get(thread).copied().unwrap_or(0))
        };
        self.0.iter().map(used).sum::<u64>() as f64 / 1e3
    }
}

/// The two addresses in the line that says that it is ready.
fn addresses(line: &str) -> [SocketAddr; 2] {
    let words = line.split([' ', ',', '/', '\n']);
    let found: Vec<SocketAddr> = words.filter_map(|word| word.parse().ok()).collect();
    found.try_into().unwrap_or_else(|_| panic!("the guard did not start; it said {line:?}"))
}
