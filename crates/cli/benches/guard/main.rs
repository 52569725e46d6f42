//! What the guard costs, each measure beside a limit that is measured in the same run.
//!
//! Starts the real program on a home with 10,000 keys that its own command line made on the real
//! disk, and drives it over HTTP/1.1. Every attestation is new, protected and durable: at the end
//! the journal is replayed and every record compared with what was asked. A table for people goes
//! to standard error, one JSON line for each measure to standard output. Never fails for being
//! slow. `cargo bench -p palisade-cli --bench guard`
//!
//! `cargo bench -p palisade-cli --bench guard -- single burst` measures only these of start,
//! single, burst, latency and sessions (Substrate's session keys, over WebSockets, in a home of
//! their own). `PALISADE_BIN` measures another build of the program instead.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs,
    reason = "a benchmark prints, and fails by panicking"
)]

mod attestations;
mod bare;
mod burst;
mod guard;
mod home;
mod hops;
mod http;
mod latency;
mod limits;
mod nodes;
mod proof;
mod report;
mod sessions;
mod single;
mod start;
mod statistics;

use attestations::Duties;
use guard::Guard;
use home::Home;
use limits::Limits;
use report::Report;

/// Keys of the measured home.
const KEYS: usize = 10_000;

fn main() {
    // `cargo test --all-targets` runs this program too, without this argument.
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("measures only under `cargo bench`");
        return;
    }
    let named: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |name: &str| named.is_empty() || named.iter().any(|named| named == name);
    let mut report = Report::default();
    if ["start", "single", "burst", "latency"].into_iter().any(&wanted) {
        validators(&wanted, &mut report);
    }
    if wanted("sessions") {
        sessions::measure(&mut report);
    }
    report.print();
}

/// A home of validators, over HTTP.
fn validators(wanted: &impl Fn(&str) -> bool, report: &mut Report) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut limits = Limits::new();
    eprintln!("making a home with {KEYS} keys");
    let home = Home::with_keys(KEYS);
    let mut duties = Duties::new(home.public_keys());

    if wanted("start") {
        start::measure(&home, report);
    }
    let guard = Guard::start(&home);
    if wanted("single") {
        single::measure(&runtime, &guard, &mut duties, &mut limits, report);
    }
    if wanted("burst") {
        burst::measure(&runtime, &guard, &mut duties, &mut limits, report);
    }
    if wanted("latency") {
        latency::measure(&runtime, &guard, &mut duties, report);
    }
    start::memory_after_load(&guard, report);
    guard.stop();
    proof::check(&home, &duties);
    limits.report(report);
}
