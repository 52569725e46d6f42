//! `palisade keys remove`
//!
//! Invariant: the keys' history is in a durable file before a key is gone.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use palisade_server::admin::{Answer, Request};
use palisade_server::home::Home;

use super::history::{parse_public_keys, write_whole};
use super::status::unexpected;
use crate::arguments::RemoveArguments;
use crate::failure::Failure;
use crate::target::Target;
use crate::{Done, Outcome, output};

/// What became of the keys that were named.
struct Removal {
    removed: Vec<String>,
    not_found: Vec<String>,
    /// `None` when nothing was done.
    history: Option<PathBuf>,
}

pub(super) fn run(home: &Home, arguments: &RemoveArguments) -> Done {
    let session_keys = arguments.public_keys.iter().filter(|text| is_session_key(text)).count();
    let removal = if session_keys == 0 {
        remove_validators(home, &arguments.public_keys)?
    } else if session_keys < arguments.public_keys.len() {
        return Err(Failure::Usage(
            "name validators' keys and session keys in two commands; nothing was done".to_owned(),
        ));
    } else if arguments.after_session_change {
        remove_sessions(home, &arguments.public_keys)?
    } else {
        return Err(Failure::Usage(
            "a session key serves until the chain has changed to another one, and there may be no \
             second copy of its secret; nothing was done. Once the session of these keys is over, \
             say --after-session-change"
                .to_owned(),
        ));
    };
    report(&removal, arguments.json)
}

/// 32 or 33 bytes; a validator's key has 48.
fn is_session_key(text: &str) -> bool {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    [64, 66].contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn remove_validators(home: &Home, typed: &[String]) -> Result<Removal, Failure> {
    let public_keys = parse_public_keys(typed)?;
    let names = |keys: &[palisade_server::admin::PublicKeyText]| -> Vec<String> {
        keys.iter().map(|key| key.0.to_string()).collect()
    };
    let mut target = Target::of(home)?;
    if !holds_one(&mut target, &names(&public_keys))? {
        return Ok(Removal::nothing(names(&public_keys)));
    }
    let file = history_file(home, "history");
    must_have_room(&file)?;
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
    let (removed, not_found) = (names(&removed), names(&not_found));
    Ok(Removal { removed, not_found, history: Some(file) })
}

/// As for validators' keys, with a file of our own.
fn remove_sessions(home: &Home, typed: &[String]) -> Result<Removal, Failure> {
    let name = |text: &String| format!("0x{}", text.trim_start_matches("0x").to_lowercase());
    let public_keys: Vec<String> = typed.iter().map(name).collect();
    let mut target = Target::of(home)?;
    if !holds_one(&mut target, &public_keys)? {
        return Ok(Removal::nothing(public_keys));
    }
    let file = history_file(home, "session-history");
    must_have_room(&file)?;
    let request = Request::SessionKeysRetire { public_keys: public_keys.clone() };
    let Answer::SessionHistory { history, .. } = target.ask(request)? else {
        return Err(unexpected());
    };
    write_whole(&file, history.as_bytes())?;
    let answer = target.ask(Request::SessionKeysRemove { public_keys })?;
    let Answer::SessionsRemoved { removed, not_found, .. } = answer else {
        return Err(unexpected());
    };
    Ok(Removal { removed, not_found, history: Some(file) })
}

/// A key that is out of service cannot be put back, so a disk that cannot take the history is found
/// before.
fn must_have_room(file: &Path) -> Result<(), Failure> {
    let trial = file.with_extension("trial");
    let written = write_whole(&trial, &[b' '; 64 << 10]);
    // The trial's own failure is the one to report.
    drop(std::fs::remove_file(&trial));
    written
}

fn holds_one(target: &mut Target, public_keys: &[String]) -> Result<bool, Failure> {
    let Answer::Keys { keys } = target.ask(Request::KeysList)? else { return Err(unexpected()) };
    Ok(keys.iter().any(|row| public_keys.contains(&row.public_key)))
}

impl Removal {
    fn nothing(not_found: Vec<String>) -> Self {
        Self { removed: Vec::new(), not_found, history: None }
    }
}

fn report(removal: &Removal, json: bool) -> Done {
    let Removal { removed, not_found, history } = removal;
    if json {
        output::json(&serde_json::json!({
            "removed": removed, "not_found": not_found, "history": history,
        }))?;
    } else if let Some(file) = history {
        let removed = output::keys(removed.len());
        output::line(&format!("Removed {removed}; the history is in {}", file.display()))?;
    }
    for key in not_found {
        output::diagnostic(&format!("this home does not hold {key}"));
    }
    Ok(if not_found.is_empty() { Outcome::Yes } else { Outcome::No })
}

fn history_file(home: &Home, name: &str) -> PathBuf {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis());
    home.path().join(format!("removed-{now}-{name}.json"))
}
