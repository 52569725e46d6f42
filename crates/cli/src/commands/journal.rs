//! `palisade journal`

use std::time::{Duration, SystemTime};

use palisade_server::admin::{Answer, Request};
use palisade_server::home::Home;

use super::status::unexpected;
use crate::arguments::JournalCommand;
use crate::{Done, Outcome, output, target};

pub(super) fn run(home: &Home, command: &JournalCommand) -> Done {
    let JournalCommand::Verify(arguments) = command;
    let Answer::Journal(report) = target::ask(home, Request::JournalVerify)? else {
        return Err(unexpected());
    };
    if arguments.json {
        output::json(&report)?;
    } else {
        let time = |time: Option<u64>| time.map_or_else(|| "-".to_owned(), utc);
        output::line(&format!("entries   {}", report.entries))?;
        if report.holds {
            output::line(&format!("first     {}", time(report.first_time_unix_ms)))?;
            output::line(&format!("last      {}", time(report.last_time_unix_ms)))?;
            output::line(&format!("head      {}", report.head))?;
        }
    }
    match report.fault {
        None => Ok(Outcome::Yes),
        Some(fault) => {
            output::diagnostic(&format!(
                "the journal does not hold: {fault}. Do not sign with this home until it is known \
                 why; compare the head with the copy that you keep elsewhere"
            ));
            Ok(Outcome::No)
        }
    }
}

/// Milliseconds since the Unix epoch as RFC 3339 in UTC.
fn utc(unix_ms: u64) -> String {
    let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(unix_ms));
    match time {
        Some(time) => humantime::format_rfc3339_millis(time).to_string(),
        None => format!("{unix_ms} ms"),
    }
}
