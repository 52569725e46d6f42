//! What the front writes, in the core's log: a front has no other way there than a pipe that the
//! core reads.
//!
//! Invariants: whatever a front writes becomes lines of the core's own format with the target
//! [`TARGET`], which no other line has, so that it can neither pass for the core nor touch what the
//! core wrote; lines are bounded in length and in number, and what is left out is counted; reading
//! never stops for long, not even when the log cannot be written, so that a front is not held up;
//! the last lines of a front that dies are all there.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, PipeReader, Read};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use tokio::sync::oneshot;
use tracing::Level;

use crate::home::HomeError;
use crate::log_budget::LogBudget;

/// The target of each line that a front wrote.
const TARGET: &str = "palisade_server::front";

/// What is kept of a line, in bytes.
const MAX_LINE_BYTES: usize = 2 << 10;

/// Lines of a second that are written.
const LINES_PER_SECOND: u32 = 100;

/// Of those that were left out, how many are written all the same when the front ends: a panic is
/// the last thing that it says.
const LAST_LINES: usize = 20;

/// How long the last lines may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is taken out of the pipe at a time: all that it holds.
const CHUNK_BYTES: usize = 64 << 10;

/// Before more is taken from a front that floods: to read it all takes little of a processor.
const PAUSE: Duration = Duration::from_millis(2);

/// Lines that wait to be written: those of ten seconds, if standard error takes none.
const WAITING_LINES: usize = 1_024;

/// The reading of one front's pipe, on a thread of its own, and the writing, on another.
pub(super) struct FrontLog(oneshot::Receiver<()>);

impl FrontLog {
    /// Writes what comes out of the pipe, until the front is gone.
    pub(super) fn follow(pipe: PipeReader) -> Result<Self, HomeError> {
        Self::follow_to(write, pipe).map_err(|error| {
            HomeError::CouldNot(format!("cannot start the threads that read the front: {error}"))
        })
    }

    fn follow_to(
        mut write: impl FnMut(Line) + Send + 'static,
        pipe: PipeReader,
    ) -> std::io::Result<Self> {
        let (done, is_done) = oneshot::channel();
        let (lines, waiting) = sync_channel(WAITING_LINES);
        let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
        thread("front-log").spawn(move || {
            waiting.iter().for_each(&mut write);
            // Nobody waits when the guard ended first.
            let _is_awaited = done.send(()).is_ok();
        })?;
        thread("front-pipe").spawn(move || {
            let mut sink = Sink { lines, lost: 0 };
            let last = copy(pipe, &LogBudget::of(LINES_PER_SECOND), &mut |line| sink.offer(line));
            sink.finish(last);
        })?;
        Ok(Self(is_done))
    }

    /// Until all that the front wrote is in the log; not for long, if the front is still there.
    pub(super) async fn end(&mut self) {
        if tokio::time::timeout(PATIENCE, &mut self.0).await.is_err() {
            tracing::warn!("the front still holds its log open");
        }
    }
}

/// One line, as it goes into the log.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Line {
    /// What the front said, at the level that it gave.
    Said(Level, String),
    /// How many were left out here.
    LeftOut(u64),
}

impl Line {
    /// How many lines of the front it stands for.
    fn count(&self) -> u64 {
        match self {
            Self::Said(..) => 1,
            Self::LeftOut(lines) => *lines,
        }
    }
}

/// The way to whoever writes.
struct Sink {
    lines: SyncSender<Line>,
    /// Lines for which there was no room.
    lost: u64,
}

impl Sink {
    /// Hands a line on, or counts it: never waits.
    fn offer(&mut self, line: Line) {
        if 0 < self.lost && self.lines.try_send(Line::LeftOut(self.lost)).is_ok() {
            self.lost = 0;
        }
        let count = line.count();
        if 0 < self.lost || self.lines.try_send(line).is_err() {
            self.lost = self.lost.saturating_add(count);
        }
    }

    /// Hands the last lines on. The front is gone, so this may wait.
    fn finish(self, last: Vec<Line>) {
        for line in left_out_line(self.lost).into_iter().chain(last) {
            if self.lines.send(line).is_err() {
                // Whoever writes has ended.
                return;
            }
        }
    }
}

/// A line while it comes in.
#[derive(Default)]
struct Incoming {
    kept: Vec<u8>,
    cut: usize,
}

impl Incoming {
    fn add(&mut self, bytes: &[u8]) {
        let room = MAX_LINE_BYTES.saturating_sub(self.kept.len()).min(bytes.len());
        let (kept, cut) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
        self.kept.extend_from_slice(kept);
        self.cut = self.cut.saturating_add(cut.len());
    }

    /// The line, if there is anything in it.
    fn take(&mut self) -> Option<Line> {
        let Self { kept, cut } = std::mem::take(self);
        let text = String::from_utf8_lossy(&kept);
        let text: String = text.trim().chars().map(visible).collect();
        if text.is_empty() {
            return None;
        }
        let (first, rest) = text.split_once(' ').unwrap_or((&text, ""));
        let (level, said) = match first {
            "TRACE" => (Level::TRACE, rest),
            "DEBUG" => (Level::DEBUG, rest),
            "INFO" => (Level::INFO, rest),
            "WARN" => (Level::WARN, rest),
            // An error, or none of the front's log: a panic, or worse.
            "ERROR" => (Level::ERROR, rest),
            _ => (Level::ERROR, text.as_str()),
        };
        let ends = if cut == 0 { String::new() } else { format!(" [{cut} bytes cut]") };
        Some(Line::Said(level, format!("{}{ends}", said.trim_start())))
    }
}

/// The letter, if it shows as one: nothing that moves the cursor, turns the direction of writing,
/// or hides.
fn visible(letter: char) -> char {
    let mut escaped = letter.escape_debug();
    let is_itself = escaped.next() == Some(letter);
    if is_itself || matches!(letter, '"' | '\'' | '\\') { letter } else { '\u{fffd}' }
}

/// Copies lines to `write`, within the budget, and returns the last ones.
fn copy(pipe: impl Read, budget: &LogBudget, write: &mut impl FnMut(Line)) -> Vec<Line> {
    let mut pipe = BufReader::with_capacity(CHUNK_BYTES, pipe);
    let mut incoming = Incoming::default();
    let mut newest = VecDeque::with_capacity(LAST_LINES);
    let mut floods = false;
    loop {
        if floods && pipe.buffer().is_empty() {
            std::thread::sleep(PAUSE);
        }
        let chunk = match pipe.fill_buf() {
            Ok([]) => break,
            Ok(chunk) => chunk,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let (part, taken) = match end {
            Some(end) => (chunk.get(..end).unwrap_or_default(), end.saturating_add(1)),
            None => (chunk, chunk.len()),
        };
        incoming.add(part);
        pipe.consume(taken);
        if end.is_none() {
            floods = 0 < incoming.cut;
        }
        let Some(line) = end.and_then(|_| incoming.take()) else { continue };
        let spent = budget.spend();
        floods = spent.is_none();
        match spent {
            Some(left_out) => {
                newest.clear();
                left_out_line(left_out).into_iter().chain([line]).for_each(&mut *write);
            }
            None => {
                if newest.len() == LAST_LINES {
                    newest.pop_front();
                }
                newest.push_back(line);
            }
        }
    }
    let left_out = budget.left_out().saturating_sub(newest.len() as u64);
    left_out_line(left_out).into_iter().chain(newest).chain(incoming.take()).collect()
}

fn left_out_line(lines: u64) -> Option<Line> {
    (0 < lines).then_some(Line::LeftOut(lines))
}

fn write(line: Line) {
    match line {
        Line::Said(Level::TRACE, said) => tracing::trace!(target: TARGET, "{said}"),
        Line::Said(Level::DEBUG, said) => tracing::debug!(target: TARGET, "{said}"),
        Line::Said(Level::INFO, said) => tracing::info!(target: TARGET, "{said}"),
        Line::Said(Level::WARN, said) => tracing::warn!(target: TARGET, "{said}"),
        Line::Said(_, said) => tracing::error!(target: TARGET, "{said}"),
        Line::LeftOut(lines) => tracing::warn!(lines, "lines of the front were left out"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

    use std::io::Write;

    use super::*;

    fn lines_of(bytes: &[u8], most: u32) -> Vec<Line> {
        let mut lines = Vec::new();
        let last = copy(bytes, &LogBudget::of(most), &mut |line| lines.push(line));
        lines.extend(last);
        lines
    }

    fn said(level: Level, text: &str) -> Line {
        Line::Said(level, text.to_owned())
    }

    #[test]
    fn a_line_keeps_its_level_and_what_is_no_line_of_the_log_is_an_error() {
        let bytes = b" INFO one: two\n WARN three\nthread 'main' panicked\n\n\r\nERROR";
        let wanted = [
            said(Level::INFO, "one: two"),
            said(Level::WARN, "three"),
            said(Level::ERROR, "thread 'main' panicked"),
            said(Level::ERROR, ""),
        ];
        assert_eq!(lines_of(bytes, 100), wanted);
    }

    #[test]
    fn nothing_that_moves_the_cursor_or_turns_the_text_gets_through() {
        let bytes = "INFO a\rb\u{1b}[2Jc\u{7f}d\u{202e}e\u{200b}f\u{85}g\u{2028}h \"quoted\\\" é\n";
        let Line::Said(_, text) = lines_of(bytes.as_bytes(), 100).remove(0) else { panic!() };
        assert!(!text.chars().any(char::is_control), "{text:?}");
        assert!(text.ends_with("h \"quoted\\\" é"), "{text:?}");
        assert_eq!(text.matches('\u{fffd}').count(), 7, "{text:?}");
        let Line::Said(_, text) = lines_of(b"INFO \xff\xfe\n", 100).remove(0) else { panic!() };
        assert_eq!(text, "\u{fffd}\u{fffd}");
    }

    #[test]
    fn a_line_without_end_is_cut_and_takes_no_memory() {
        let endless = std::io::repeat(b'x').take(10 << 20);
        let lines = copy(endless, &LogBudget::of(1), &mut |line| panic!("{line:?}"));
        let [Line::Said(Level::ERROR, text)] = &lines[..] else { panic!("{lines:?}") };
        assert!(text.ends_with(&format!("x [{} bytes cut]", (10 << 20) - MAX_LINE_BYTES)));
        assert!(text.len() < MAX_LINE_BYTES + 40);
    }

    #[test]
    fn a_flood_is_cut_and_counted_and_its_last_lines_are_there() {
        let mut bytes: String = (0..10_000).map(|index| format!("INFO {index}\n")).collect();
        bytes.push_str("thread 'main' panicked at the end");
        let lines = lines_of(bytes.as_bytes(), 10);
        // More than one second may have passed.
        assert_eq!(lines.iter().map(Line::count).sum::<u64>(), 10_001);
        assert!(lines.len() < 100, "{}", lines.len());
        assert_eq!(lines[0], said(Level::INFO, "0"));
        let last = lines.len() - 1;
        assert_eq!(lines[last], said(Level::ERROR, "thread 'main' panicked at the end"));
        for (line, index) in lines[last - LAST_LINES..last].iter().zip(9_980..) {
            assert_eq!(*line, said(Level::INFO, &index.to_string()));
        }
    }

    #[test]
    fn a_log_that_takes_nothing_holds_no_front_up_and_what_is_lost_is_counted() {
        let (pipe, mut front) = std::io::pipe().unwrap();
        let (stuck, until) = std::sync::mpsc::channel::<()>();
        let (counts, counted) = std::sync::mpsc::channel();
        let write = move |line: Line| {
            // Until the other end is gone.
            until.recv().unwrap_err();
            counts.send(line.count()).unwrap();
        };
        let mut log = FrontLog::follow_to(write, pipe).unwrap();
        // Far more than pipe and queue hold.
        front.write_all(&b"INFO line\n".repeat(200_000)).unwrap();
        drop(front);
        drop(stuck);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(log.end());
        assert_eq!(counted.iter().sum::<u64>(), 200_000);
    }

    #[test]
    fn what_finds_no_room_is_counted_before_what_comes_next() {
        let (lines, waiting) = sync_channel(2);
        let mut sink = Sink { lines, lost: 0 };
        let line = |text: &str| said(Level::INFO, text);
        for text in ["a", "b", "c", "d"] {
            sink.offer(line(text));
        }
        assert_eq!([waiting.recv().unwrap(), waiting.recv().unwrap()], [line("a"), line("b")]);
        sink.offer(line("e"));
        assert_eq!(
            [waiting.recv().unwrap(), waiting.recv().unwrap()],
            [Line::LeftOut(2), line("e")]
        );
        sink.finish(vec![line("f")]);
        assert_eq!(waiting.iter().collect::<Vec<_>>(), [line("f")]);
    }
}
