//! `palisade history`, and the files that histories come from and go to.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use palisade_server::admin::{Answer, PublicKeyText, Request};
use palisade_server::home::Home;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::status::unexpected;
use crate::arguments::HistoryCommand;
use crate::failure::Failure;
use crate::target::{self, Target};
use crate::{Done, Outcome, output};

pub(super) fn run(home: &Home, command: HistoryCommand) -> Done {
    match command {
        HistoryCommand::Export { output: file, public_keys } => {
            export(home, file.as_deref(), &parse_public_keys(&public_keys)?)
        }
        HistoryCommand::Import { file, json } => import(home, &file, json),
    }
}

fn export(home: &Home, file: Option<&Path>, public_keys: &[PublicKeyText]) -> Done {
    let interchange = of_all(&mut Target::of(home)?, public_keys)?;
    let keys = keys_in(&interchange)?.len();
    match file {
        None => output::raw(&interchange)?,
        Some(file) => {
            write_whole(file, interchange.as_bytes())?;
            let keys = output::keys(keys);
            output::line(&format!("Wrote the history of {keys} to {}", file.display()))?;
        }
    }
    Ok(Outcome::Yes)
}

/// The history of these keys, or of all if none is named. A mistyped key must not give a file that
/// only looks complete.
pub(super) fn of_all(
    target: &mut Target,
    public_keys: &[PublicKeyText],
) -> Result<String, Failure> {
    let request = Request::HistoryExport { public_keys: public_keys.to_vec() };
    let Answer::History { interchange, .. } = target.ask(request)? else {
        return Err(unexpected());
    };
    let known = keys_in(&interchange)?;
    let unknown: Vec<_> = public_keys
        .iter()
        .filter(|key| !known.contains(key))
        .map(|key| key.0.to_string())
        .collect();
    if unknown.is_empty() {
        return Ok(interchange);
    }
    Err(Failure::Refused(format!(
        "this home never held {}; nothing was done. `palisade keys list` shows what it holds",
        unknown.join(", ")
    )))
}

fn import(home: &Home, file: &Path, json: bool) -> Done {
    let interchange = Zeroizing::new(read_text(file)?);
    let Answer::HistoryImported { keys } =
        target::ask(home, Request::HistoryImport { interchange })?
    else {
        return Err(unexpected());
    };
    if json {
        output::json(&serde_json::json!({ "keys": keys }))?;
    } else {
        let keys = output::keys(keys);
        output::line(&format!("Merged the history of {keys}; the stricter record holds."))?;
    }
    Ok(Outcome::Yes)
}

/// Public keys as typed.
pub(super) fn parse_public_keys(texts: &[String]) -> Result<Vec<PublicKeyText>, Failure> {
    texts
        .iter()
        .map(|text| {
            text.parse().map(PublicKeyText).map_err(|_| {
                Failure::Usage(format!("{text:?} is not a public key: 0x and 96 hex digits"))
            })
        })
        .collect()
}

/// The keys that a history of our own names.
fn keys_in(interchange: &str) -> Result<BTreeSet<PublicKeyText>, Failure> {
    #[derive(Deserialize)]
    struct Interchange {
        data: Vec<Row>,
    }
    #[derive(Deserialize)]
    struct Row {
        pubkey: PublicKeyText,
    }
    let interchange: Interchange = serde_json::from_str(interchange)
        .map_err(|error| Failure::CouldNot(format!("the history cannot be read back: {error}")))?;
    Ok(interchange.data.into_iter().map(|row| row.pubkey).collect())
}

/// Reads a file, or standard input for `-`.
pub(super) fn read_text(file: &Path) -> Result<String, Failure> {
    let read = if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    read.map_err(|error| Failure::io(format!("cannot read {}", file.display()), &error))
}

/// Writes a file so that it is there whole and durable, or as it was before.
pub(super) fn write_whole(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut name = file.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = file.with_file_name(name);
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or_else(|| Path::new("."));
    let write = || {
        let mut handle =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        handle.write_all(bytes)?;
        handle.sync_all()?;
        std::fs::rename(&temporary, file)?;
        std::fs::File::open(parent)?.sync_all()
    };
    write().map_err(|error: std::io::Error| {
        drop(std::fs::remove_file(&temporary));
        Failure::CouldNot(format!("cannot write {}: {error}", file.display()))
    })
}
