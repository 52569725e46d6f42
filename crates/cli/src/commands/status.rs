//! `palisade status` and `palisade stop-line`

use palisade_server::admin::{Answer, MeasureRow, Request};
use palisade_server::home::Home;

use super::history;
use crate::arguments::{JsonArguments, StopLineArguments};
use crate::failure::Failure;
use crate::target::{self, Target};
use crate::{Done, Outcome, output};

pub(super) fn status(home: &Home, arguments: &JsonArguments) -> Done {
    let Answer::Status(status) = target::ask(home, Request::Status)? else {
        return Err(unexpected());
    };
    if arguments.json {
        output::json(&status)?;
        return Ok(Outcome::Yes);
    }
    let root = status.genesis_validators_root.as_deref().unwrap_or("not learned yet");
    output::line(&format!("home      {}", home.path().display()))?;
    output::line(&format!("network   {} (genesis validators root {root})", status.network))?;
    output::line(&format!("guard     {}", if status.running { "running" } else { "stopped" }))?;
    output::line(&format!("keys      {}", status.keys))?;
    output::line(&format!("records   {}", status.records))?;
    output::line(&format!(
        "journal   {} entries, head {}",
        status.journal_entries, status.journal_head
    ))?;
    if status.running {
        output::line(&format!("ready     {}", if status.ready { "yes" } else { "no" }))?;
    }
    for reason in &status.not_ready_because {
        output::line(&format!("          {reason}"))?;
    }
    if let Some(line) = secure_mode(&status.measures) {
        output::line(&line)?;
    }
    Ok(Outcome::Yes)
}

/// How many measures are on, and which are not.
fn secure_mode(measures: &[MeasureRow]) -> Option<String> {
    let off = measures.iter().filter(|row| row.state != "on").map(|row| row.measure.as_str());
    let off: Vec<&str> = off.collect();
    match (measures.len(), off.as_slice()) {
        (0, _) => None,
        (all, []) => Some(format!("secure    all {all} measures are on")),
        (all, off) => {
            Some(format!("secure    {} measures are on; off: {}", all - off.len(), off.join(", ")))
        }
    }
}

pub(super) fn stop_line(home: &Home, arguments: &StopLineArguments) -> Done {
    if !arguments.clear && arguments.at_or_above.is_none() && arguments.below.is_none() {
        return Err(Failure::Usage(
            "say where: --at-or-above EPOCH, --below EPOCH, or --clear".to_owned(),
        ));
    }
    let public_keys = history::parse_public_keys(&arguments.public_keys)?;
    let mut target = Target::of(home)?;
    if !public_keys.is_empty() {
        history::of_all(&mut target, &public_keys)?;
    }
    let request = Request::StopLine {
        public_keys,
        at_or_above_epoch: arguments.at_or_above,
        below_epoch: arguments.below,
    };
    let Answer::StopLineSet { keys } = target.ask(request)? else {
        return Err(unexpected());
    };
    if keys == 0 {
        return Err(Failure::Refused("this home never held a key; no line was set".to_owned()));
    }
    if arguments.json {
        output::json(&serde_json::json!({
            "keys": keys, "at_or_above": arguments.at_or_above, "below": arguments.below,
        }))?;
        return Ok(Outcome::Yes);
    }
    let what = if arguments.clear { "cleared for" } else { "set for" };
    output::line(&format!("Stop-line {what} {}.", output::keys(keys)))?;
    Ok(Outcome::Yes)
}

/// The running guard answered another question.
pub(super) fn unexpected() -> Failure {
    Failure::CouldNot(
        "the running guard gave an answer to another question; use the same version of `palisade` \
         as the guard"
            .to_owned(),
    )
}
