//! What 10,000 keys cost at the start and in memory.

use crate::KEYS;
use crate::guard::Guard;
use crate::home::Home;
use crate::report::{Report, Row};
use crate::statistics::{median, spread};

const STARTS: usize = 7;

pub(crate) fn measure(home: &Home, report: &mut Report) {
    eprintln!("{STARTS} starts");
    let empty = Home::with_keys(1);
    let (mut seconds, mut empty_seconds) = (Vec::new(), Vec::new());
    let (mut memory, mut empty_memory) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let guard = Guard::start(&empty);
        empty_seconds.push(guard.until_ready.as_secs_f64());
        empty_memory.push(guard.resident_kibibytes());
        guard.stop();
        let guard = Guard::start(home);
        seconds.push(guard.until_ready.as_secs_f64());
        memory.push(guard.resident_kibibytes());
        guard.stop();
    }
    report.row(Row {
        name: "start_with_10000_keys_seconds",
        value: median(&seconds),
        target: Some(2.0),
        limit: median(&empty_seconds) * 1e3,
        limit_is:
            "ms a start with one key; process start to /readyz 200, files in the page cache, \
                   median"
                .to_owned(),
    });
    report.note("  its starts", spread(&seconds, " s"));
    report.note(
        "resident memory when ready",
        format!(
            "{:.2} KiB a key of the whole process; {:.2} KiB a key above a guard with one key",
            median(&memory) / KEYS as f64,
            (median(&memory) - median(&empty_memory)) / KEYS as f64
        ),
    );
}

/// After the load, when every buffer has grown to what it needs.
pub(crate) fn memory_after_load(guard: &Guard, report: &mut Report) {
    let resident = guard.resident_kibibytes();
    report.row(Row {
        name: "resident_kibibytes_per_key",
        value: resident / KEYS as f64,
        target: Some(4.0),
        limit: resident / 1024.0,
        limit_is: format!("MiB resident after all of the load, divided by {KEYS} keys"),
    });
}
