//! One attestation to a request: what each costs the guard, and what a lone client waits.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use tokio::runtime::Runtime;
use tokio::task::LocalSet;

use crate::attestations::Duties;
use crate::guard::Guard;
use crate::http::Connection;
use crate::limits::{Limits, durable_write};
use crate::report::{Report, Row};
use crate::statistics::{least, median, quantile, spread};

const CONNECTIONS: usize = 64;
const REQUESTS: usize = 2_500;
const ROUNDS: usize = 8;
/// Requests of the lone client.
const ALONE: usize = 500;

/// What one round told.
struct Round {
    guard_microseconds: f64,
    commits: f64,
    wall_seconds: f64,
    latencies: Vec<f64>,
}

pub(crate) fn measure(
    runtime: &Runtime,
    guard: &Guard,
    duties: &mut Duties,
    limits: &mut Limits,
    report: &mut Report,
) {
    eprintln!("single attestations, {CONNECTIONS} connections");
    round(runtime, guard, duties.single(REQUESTS), CONNECTIONS);
    let (mut rounds, mut ratios, mut bare_costs) = (Vec::new(), Vec::new(), Vec::new());
    let mut before = limits.read();
    for _ in 0..ROUNDS {
        let round = round(runtime, guard, duties.single(REQUESTS), CONNECTIONS);
        let after = limits.read();
        let bare = before.between(after).new_message;
        ratios.push(round.guard_microseconds / REQUESTS as f64 / bare);
        bare_costs.push(bare);
        rounds.push(round);
        before = after;
    }
    report.row(Row {
        name: "attestation_cpu_over_bare_sign",
        value: median(&ratios),
        target: Some(1.25),
        limit: median(&bare_costs),
        limit_is:
            "us bare blst sign of a new message, CPU, before and after each round; median of \
                   the rounds' ratios"
                .to_owned(),
    });
    report.note("  its rounds", spread(&ratios, ""));
    note_rounds(&rounds, report);
    alone(runtime, guard, duties, limits, report);
}

fn note_rounds(rounds: &[Round], report: &mut Report) {
    let count = REQUESTS as f64;
    let all = |of: fn(&Round) -> f64| rounds.iter().map(of).collect::<Vec<f64>>();
    let guard_costs = all(|round| round.guard_microseconds / REQUESTS as f64);
    report.note("  guard CPU per attestation", spread(&guard_costs, " us"));
    let rates = all(|round| REQUESTS as f64 / round.wall_seconds);
    report.note(
        format!("  attestations per second, {CONNECTIONS} connections"),
        format!("median {:.0}, most {:.0}", median(&rates), quantile(&rates, 1.0)),
    );
    let commits: f64 = rounds.iter().map(|round| round.commits).sum();
    report.note(
        "  commits; attestations in each, mean",
        format!("{commits:.0}; {:.1}", rounds.len() as f64 * count / commits),
    );
    let latencies: Vec<f64> = rounds.iter().flat_map(|round| round.latencies.clone()).collect();
    report.note(
        "  latency, wall",
        format!("p50 {:.2} ms, p99 {:.2} ms", median(&latencies), quantile(&latencies, 0.99)),
    );
}

/// One connection, nothing else asked meanwhile.
fn alone(
    runtime: &Runtime,
    guard: &Guard,
    duties: &mut Duties,
    limits: &mut Limits,
    report: &mut Report,
) {
    eprintln!("single attestations, one connection");
    let disk = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (write_before, bare) = (durable_write(disk), limits.read());
    let round = round(runtime, guard, duties.single(ALONE), 1);
    let write = f64::midpoint(write_before, durable_write(disk));
    let floor = (write + bare.new_message) / 1e3;
    report.note("4 KiB write and fdatasync, median", format!("{write:.0} us"));
    report.note(
        "one connection: latency / (fdatasync + sign)",
        format!(
            "{:.2} (p50 {:.2} ms, least {:.2} ms; a commit is one fdatasync)",
            median(&round.latencies) / floor,
            median(&round.latencies),
            least(&round.latencies)
        ),
    );
    report.note(
        "one connection: guard CPU per attestation",
        format!("{:.1} us", round.guard_microseconds / ALONE as f64),
    );
}

fn round(runtime: &Runtime, guard: &Guard, requests: Vec<Vec<u8>>, connections: usize) -> Round {
    let commits = guard.commits();
    let times = guard.thread_times();
    let start = Instant::now();
    let latencies = runtime.block_on(ask_all(guard.signing, requests, connections));
    let wall_seconds = start.elapsed().as_secs_f64();
    let guard_microseconds = guard.thread_times().microseconds_since(&times);
    Round { guard_microseconds, commits: guard.commits() - commits, wall_seconds, latencies }
}

/// Sends all, a new one on each connection as soon as the last was answered; milliseconds of each.
async fn ask_all(address: SocketAddr, requests: Vec<Vec<u8>>, connections: usize) -> Vec<f64> {
    let waiting = Rc::new(RefCell::new(VecDeque::from(requests)));
    let local = LocalSet::new();
    let tasks: Vec<_> = (0..connections)
        .map(|_| local.spawn_local(ask_while_any(address, Rc::clone(&waiting))))
        .collect();
    local.await;
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await.unwrap());
    }
    latencies
}

async fn ask_while_any(address: SocketAddr, waiting: Rc<RefCell<VecDeque<Vec<u8>>>>) -> Vec<f64> {
    let mut connection = Connection::open(address).await;
    let mut latencies = Vec::new();
    loop {
        let Some(request) = waiting.borrow_mut().pop_front() else { return latencies };
        let start = Instant::now();
        let answer = connection.ask(&request).await;
        latencies.push(start.elapsed().as_secs_f64() * 1e3);
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    }
}
