//! A slot's attestations of 100,000 validators, as one batch: what it costs, and how long it takes.

use std::time::Instant;

use serde_json::Value;
use tokio::runtime::Runtime;

use crate::attestations::Duties;
use crate::guard::Guard;
use crate::http::Connection;
use crate::limits::Limits;
use crate::report::{Report, Row};
use crate::statistics::{median, spread};

/// 100,000 validators over 32 slots.
const BURST: usize = 3_125;
const ROUNDS: usize = 9;

pub(crate) fn measure(
    runtime: &Runtime,
    guard: &Guard,
    duties: &mut Duties,
    limits: &mut Limits,
    report: &mut Report,
) {
    eprintln!("bursts of {BURST} attestations");
    let mut connection = runtime.block_on(Connection::open(guard.signing));
    burst(runtime, guard, &mut connection, duties);
    let (mut cpu, mut wall, mut walls) = (Vec::new(), Vec::new(), Vec::new());
    let (mut new_message, mut shortest, mut wall_over_wall) = (Vec::new(), Vec::new(), Vec::new());
    let mut before = limits.read();
    for _ in 0..ROUNDS {
        let (guard_microseconds, wall_seconds) = burst(runtime, guard, &mut connection, duties);
        let after = limits.read();
        let bare = before.between(after);
        let floor = BURST as f64 * bare.cached_point / 1e6 / limits.processors() as f64;
        cpu.push(guard_microseconds / BURST as f64 / bare.new_message);
        wall.push(wall_seconds / floor);
        walls.push(wall_seconds * 1e3);
        new_message.push(bare.new_message);
        shortest.push(floor * 1e3);
        wall_over_wall.push(wall_seconds / limits.cached_wall(BURST));
        before = after;
    }
    report.row(Row {
        name: "batch_attestation_cpu_over_bare_sign",
        value: median(&cpu),
        target: Some(0.70),
        limit: median(&new_message),
        limit_is: "us bare blst sign of a new message, CPU; median of the rounds' ratios"
            .to_owned(),
    });
    report.row(Row {
        name: "slot_burst_wall_over_bare_cached_sign",
        value: median(&wall),
        target: Some(1.5),
        limit: median(&shortest),
        limit_is: format!(
            "ms for {BURST} bare cached signs on {} processors; median of the rounds' ratios",
            limits.processors()
        ),
    });
    report.note("  batch CPU, its rounds", spread(&cpu, ""));
    report.note("  burst wall, its rounds", spread(&wall, ""));
    report.note("  burst wall / wall of the bare signs, at the time", spread(&wall_over_wall, ""));
    report.note("  burst wall", spread(&walls, " ms"));
}

/// One burst: the guard's CPU in microseconds, the wall time in seconds.
fn burst(
    runtime: &Runtime,
    guard: &Guard,
    connection: &mut Connection,
    duties: &mut Duties,
) -> (f64, f64) {
    let request = duties.batch(BURST);
    let times = guard.thread_times();
    let start = Instant::now();
    let answer = runtime.block_on(connection.ask(&request));
    let wall = start.elapsed().as_secs_f64();
    let used = guard.thread_times().microseconds_since(&times);
    assert_eq!(answer.status, 200);
    let results: Vec<Value> = serde_json::from_slice(&answer.body).unwrap();
    let signed = results.iter().filter(|result| result["signature"].is_string()).count();
    assert_eq!(signed, BURST, "{:?}", results.first());
    (used, wall)
}
