//! Session keys: what a protected vote and a protected seal cost, how long a lone one takes, and
//! how many votes a second there are when many keys ask.

use std::path::Path;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bare::Bare;
use crate::guard::Guard;
use crate::home::Home;
use crate::hops;
use crate::nodes::{Node, SLOT_MS};
use crate::report::{Report, Row};
use crate::statistics::{median, quantile, spread};

/// Validators whose keys the home holds.
const KEYS: usize = 1_024;
/// Connections; each asks for 64 keys at a time, half of what may be under way.
const NODES: usize = 16;
const ROUNDS: usize = 5;
/// Votes of each key in a round of the measurement.
const VOTES: usize = 10;
/// Seals of each key in a round: one a slot.
const SEALS: usize = 3;
/// Requests of the lone node.
const ALONE: usize = 500;
/// Over how long a vote of each key is spread: a round of GRANDPA takes some seconds.
const SPREAD: Duration = Duration::from_secs(4);

/// What one round of all nodes told, for each request.
struct Cost {
    guard_microseconds: f64,
    wall_seconds: f64,
    commits: f64,
}

pub(crate) fn measure(report: &mut Report) {
    eprintln!("making a home with {KEYS} session keys of each type");
    let home = Home::with_sessions(KEYS, SLOT_MS);
    let [voters, authors] = ["gran", "babe"].map(|key_type| home.session_keys(key_type));
    let guard = Guard::start(&home);
    let share = KEYS / NODES;
    let mut nodes: Vec<Node> = voters
        .chunks(share)
        .zip(authors.chunks(share))
        .map(|(voters, authors)| Node::open(guard.signing, voters, authors))
        .collect();
    votes(&guard, &mut nodes, report);
    seals(&guard, &mut nodes, report);
    alone(&mut nodes, report);
    spread_out(&mut nodes, report);
    guard.stop();
    check(&home, &nodes);
}

fn votes(guard: &Guard, nodes: &mut [Node], report: &mut Report) {
    eprintln!("votes of {KEYS} keys over {NODES} connections");
    together(guard, nodes, VOTES, Node::window_of_votes);
    let (mut ratios, mut rates, mut costs, mut grouped) = (vec![], vec![], vec![], vec![]);
    let mut limits = vec![];
    let mut before = Bare::read(processors());
    for _ in 0..ROUNDS {
        let cost = together(guard, nodes, VOTES, Node::window_of_votes);
        let after = Bare::read(processors());
        let bare = before.between(after);
        ratios.push(cost.guard_microseconds / (bare.ed25519 + bare.sync_cpu));
        limits.push(bare.ed25519 + bare.sync_cpu);
        rates.push(1.0 / cost.wall_seconds);
        costs.push(cost.guard_microseconds);
        grouped.push(1.0 / cost.commits);
        before = after;
    }
    report.row(Row {
        name: "vote_cpu_over_bare_sign_and_sync",
        value: median(&ratios),
        target: None,
        limit: median(&limits),
        limit_is: "us bare ed25519 sign and one fdatasync, CPU; median of the rounds' ratios"
            .to_owned(),
    });
    report.row(Row {
        name: "seconds_for_10000_protected_votes",
        value: 10_000.0 / median(&rates),
        target: Some(1.0),
        limit: median(&rates),
        limit_is: "votes a second with group commit, the load beside it on the same machine"
            .to_owned(),
    });
    report.note("  votes per second, its rounds", spread(&rates, ""));
    report.note("  guard CPU per vote", spread(&costs, " us"));
    report.note("  votes in a commit", spread(&grouped, ""));
}

fn seals(guard: &Guard, nodes: &mut [Node], report: &mut Report) {
    eprintln!("seals of {KEYS} keys over {NODES} connections");
    let (mut ratios, mut limits, mut costs) = (vec![], vec![], vec![]);
    let mut before = Bare::read(processors());
    for _ in 0..ROUNDS {
        let cost = together(guard, nodes, SEALS, Node::window_of_seals);
        let after = Bare::read(processors());
        let bare = before.between(after);
        ratios.push(cost.guard_microseconds / (bare.sr25519 + bare.sync_cpu));
        limits.push(bare.sr25519 + bare.sync_cpu);
        costs.push(cost.guard_microseconds);
        before = after;
    }
    report.row(Row {
        name: "seal_cpu_over_bare_sign_and_sync",
        value: median(&ratios),
        target: None,
        limit: median(&limits),
        limit_is: "us bare schnorrkel sign and one fdatasync, CPU; a seal with its announcement"
            .to_owned(),
    });
    report.note("  guard CPU per announced and sealed block", spread(&costs, " us"));
}

/// Every node has its windows carried out, all nodes at once.
fn together(
    guard: &Guard,
    nodes: &mut [Node],
    windows: usize,
    window: fn(&mut Node) -> Vec<String>,
) -> Cost {
    let barrier = Barrier::new(nodes.len());
    let count = (windows * KEYS) as f64;
    let (commits, times, start) = (guard.commits(), guard.thread_times(), Instant::now());
    std::thread::scope(|scope| {
        for node in nodes {
            scope.spawn(|| {
                barrier.wait();
                for _ in 0..windows {
                    let messages = window(node);
                    node.exchange(messages);
                }
            });
        }
    });
    Cost {
        wall_seconds: start.elapsed().as_secs_f64() / count,
        guard_microseconds: guard.thread_times().microseconds_since(&times) / count,
        commits: (guard.commits() - commits) / count,
    }
}

/// One node, one request at a time, nothing else asked meanwhile.
fn alone(nodes: &mut [Node], report: &mut Report) {
    eprintln!("one vote and one seal at a time");
    let node = &mut nodes[0];
    let before = Bare::read(processors());
    let mut votes = Vec::new();
    while votes.len() < ALONE {
        votes.extend(node.window_of_votes().into_iter().map(|vote| node.ask(vote)));
    }
    let between = Bare::read(processors());
    let mut seals = Vec::new();
    while seals.len() < ALONE {
        seals.extend(node.window_of_seals().into_iter().map(|seal| node.ask(seal)));
    }
    let after = Bare::read(processors());
    beside_bare_hops([&votes, &seals], report);
    let (of_votes, of_seals) = (before.between(between), between.between(after));
    for (p50, p99, latencies, floor) in [
        ("vote_p50_over_sync_and_sign", "vote_p99_over_sync_and_sign", votes, {
            of_votes.sync + of_votes.ed25519
        }),
        ("seal_p50_over_sync_and_sign", "seal_p99_over_sync_and_sign", seals, {
            of_seals.sync + of_seals.sr25519
        }),
    ] {
        for (name, share, target) in [(p50, 0.5, 2.0), (p99, 0.99, 6.0)] {
            report.row(Row {
                name,
                value: quantile(&latencies, share) * 1e3 / floor,
                target: Some(target),
                limit: floor,
                limit_is: "us bare fdatasync and sign, wall; one request at a time, idle machine"
                    .to_owned(),
            });
        }
    }
}

/// The same latencies beside what the machine takes for the way alone.
fn beside_bare_hops(latencies: [&Vec<f64>; 2], report: &mut Report) {
    let [p50, p99] = hops::bare(Path::new(env!("CARGO_TARGET_TMPDIR")));
    let names = [
        ("vote_p50_over_bare_way", "vote_p99_over_bare_way"),
        ("seal_p50_over_bare_way", "seal_p99_over_bare_way"),
    ];
    for (latencies, (name_of_p50, name_of_p99)) in latencies.into_iter().zip(names) {
        for (name, share, limit) in [(name_of_p50, 0.5, p50), (name_of_p99, 0.99, p99)] {
            report.row(Row {
                name,
                value: quantile(latencies, share) * 1e3 / limit,
                target: None,
                limit,
                limit_is: "us there and back over TCP, a socket pair and one fdatasync, no guard"
                    .to_owned(),
            });
        }
    }
}

/// A vote of every key, each at its own time.
fn spread_out(nodes: &mut [Node], report: &mut Report) {
    eprintln!("a vote of each of {KEYS} keys over {} s", SPREAD.as_secs());
    let start = Instant::now();
    let latencies: Vec<f64> = std::thread::scope(|scope| {
        let threads: Vec<_> = nodes
            .iter_mut()
            .map(|node| {
                scope.spawn(move || {
                    let votes = node.window_of_votes();
                    let gap = SPREAD / u32::try_from(votes.len()).unwrap();
                    let due = (1_u32..).map(|number| start + gap * number);
                    let asked = votes.into_iter().zip(due).map(|(vote, due)| {
                        std::thread::sleep(due.saturating_duration_since(Instant::now()));
                        node.ask(vote)
                    });
                    asked.collect::<Vec<f64>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    report.note(
        format!("a vote under the load of {KEYS} validators"),
        format!("p50 {:.2} ms, p99 {:.2} ms", median(&latencies), quantile(&latencies, 0.99)),
    );
}

/// That it was protection: the journal holds, and each record stands where its key was asked last.
fn check(home: &Home, nodes: &[Node]) {
    home.run(&["journal", "verify"]);
    let listed: Value = serde_json::from_slice(&home.run(&["keys", "list", "--json"])).unwrap();
    let rows = listed.as_array().unwrap();
    let stand = |key_type: &str, place: &dyn Fn(&Value) -> Option<u64>| {
        let of_type = rows.iter().filter(|row| row["type"] == key_type);
        of_type.map(|row| place(&row["session"]).unwrap()).collect::<Vec<u64>>()
    };
    let mut rounds = stand("gran", &|session| session["last_place"][1].as_u64());
    let mut slots = stand("babe", &|session| session["last_slot"].as_u64());
    let share = KEYS / nodes.len();
    let asked = |of: fn(&Node) -> u64| {
        let mut all: Vec<u64> = nodes.iter().flat_map(|node| vec![of(node); share]).collect();
        all.sort_unstable();
        all
    };
    rounds.sort_unstable();
    slots.sort_unstable();
    assert_eq!((rounds, slots), (asked(Node::round), asked(Node::slot)));
    eprintln!("the journal holds; {} records stand at their last place", rows.len());
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
