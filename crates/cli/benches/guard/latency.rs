//! 1,000 validators whose duties spread over the first third of a slot: how much worse than usual
//! the unlucky one is.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::task::LocalSet;

use crate::attestations::Duties;
use crate::guard::Guard;
use crate::http::Connection;
use crate::report::{Report, Row};
use crate::statistics::{least, median, quantile, spread};

const VALIDATORS: usize = 1_000;
const THIRD_OF_A_SLOT: Duration = Duration::from_secs(4);
const ROUNDS: usize = 5;
/// Enough that no request waits for one; a client opens more when all are busy, too.
const CONNECTIONS: usize = 128;

pub(crate) fn measure(runtime: &Runtime, guard: &Guard, duties: &mut Duties, report: &mut Report) {
    eprintln!("{VALIDATORS} validators over {} s", THIRD_OF_A_SLOT.as_secs());
    let (mut ratios, mut middles, mut worst) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let requests = duties.single(VALIDATORS);
        let latencies = runtime.block_on(spread_out(guard.signing, requests));
        middles.push(median(&latencies));
        worst.push(quantile(&latencies, 0.99));
        ratios.push(quantile(&latencies, 0.99) / median(&latencies));
    }
    report.row(Row {
        name: "latency_p99_over_p50",
        value: median(&ratios),
        target: Some(4.0),
        limit: median(&middles) * 1e3,
        limit_is: format!("us p50 in {ROUNDS} rounds; median of the rounds' ratios"),
    });
    report.note("  p99 / p50, its rounds", spread(&ratios, ""));
    report.note(
        "  p50; p99",
        format!(
            "{:.2} ms, least {:.2} ms; {:.2} ms, least {:.2} ms",
            median(&middles),
            least(&middles),
            median(&worst),
            least(&worst)
        ),
    );
}

/// Sends each at its own time, answered or not; milliseconds of each.
async fn spread_out(address: SocketAddr, requests: Vec<Vec<u8>>) -> Vec<f64> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(Connection::open(address).await);
    }
    let idle = Rc::new(RefCell::new(connections));
    let gap = THIRD_OF_A_SLOT / u32::try_from(requests.len()).unwrap();
    let start = tokio::time::Instant::now() + Duration::from_millis(50);
    let local = LocalSet::new();
    let tasks: Vec<_> = requests
        .into_iter()
        .zip(0_u32..)
        .map(|(request, number)| {
            local.spawn_local(ask_at(start + gap * number, request, Rc::clone(&idle)))
        })
        .collect();
    local.await;
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.push(task.await.unwrap());
    }
    latencies
}

async fn ask_at(
    due: tokio::time::Instant,
    request: Vec<u8>,
    idle: Rc<RefCell<Vec<Connection>>>,
) -> f64 {
    tokio::time::sleep_until(due).await;
    let mut connection = idle.borrow_mut().pop().expect("no idle connection left");
    let sent = Instant::now();
    let answer = connection.ask(&request).await;
    let took = sent.elapsed().as_secs_f64() * 1e3;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    idle.borrow_mut().push(connection);
    took
}
