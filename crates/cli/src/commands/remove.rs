//! `palisade keys remove`
//!
//! Invariant: the keys' history is in a durable file before a key is gone.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use palisade_server::admin::{Answer, PublicKeyText, Request};
use palisade_server::home::Home;

use super::history::{parse_public_keys, write_whole};
use super::status::unexpected;
use crate::arguments::RemoveArguments;
use crate::target::Target;
use crate::{Done, Outcome, output};

pub(super) fn run(home: &Home, arguments: &RemoveArguments) -> Done {
    let public_keys = parse_public_keys(&arguments.public_keys)?;
    let mut target = Target::of(home)?;
    let Answer::Keys { keys } = target.ask(Request::KeysList)? else { return Err(unexpected()) };
    if !public_keys.iter().any(|key| keys.iter().any(|row| row.public_key == key.0.to_string())) {
        return report(None, &[], &public_keys, arguments.json);
    }
    let file = history_file(home);
    // Out of service first: what is exported then is final. A crash before the removal leaves keys
    // that do not sign; the same command again removes them.
    let request = Request::KeysRetire { public_keys: public_keys.clone() };
    let Answer::History { interchange, .. } = target.ask(request)? else {
        return Err(unexpected());
    };
    write_whole(&file, interchange.as_bytes())?;
    let answer = target.ask(Request::KeysRemove { public_keys })?;
    let Answer::Removed { removed, not_found, .. } = answer else {
        return Err(unexpected());
    };
    report(Some(&file), &removed, &not_found, arguments.json)
}

fn report(
    file: Option<&Path>,
    removed: &[PublicKeyText],
    not_found: &[PublicKeyText],
    json: bool,
) -> Done {
    if json {
        output::json(&serde_json::json!({
            "removed": removed, "not_found": not_found, "history": file,
        }))?;
    } else if let Some(file) = file {
        let removed = output::keys(removed.len());
        output::line(&format!("Removed {removed}; the history is in {}", file.display()))?;
    }
    for key in not_found {
        output::diagnostic(&format!("this home does not hold {}", key.0));
    }
    Ok(if not_found.is_empty() { Outcome::Yes } else { Outcome::No })
}

fn history_file(home: &Home) -> PathBuf {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis());
    home.path().join(format!("removed-{now}-history.json"))
}
