//! `palisade history`

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use palisade_server::admin::{Answer, Request};
use palisade_server::home::Home;
use zeroize::Zeroizing;

use super::keys::parse_public_keys;
use super::status::unexpected;
use crate::arguments::HistoryCommand;
use crate::failure::Failure;
use crate::{Done, Outcome, output, target};

pub(super) fn run(home: &Home, command: HistoryCommand) -> Done {
    match command {
        HistoryCommand::Export { output: file, public_keys } => {
            let public_keys = parse_public_keys(&public_keys)?;
            export(home, file.as_deref(), Request::HistoryExport { public_keys })
        }
        HistoryCommand::Import { file, json } => import(home, &file, json),
    }
}

fn export(home: &Home, file: Option<&Path>, request: Request) -> Done {
    let Answer::History { interchange, keys } = target::ask(home, request)? else {
        return Err(unexpected());
    };
    match file {
        None => output::raw(&interchange)?,
        Some(file) => {
            write_whole(file, interchange.as_bytes())?;
            output::line(&format!("Wrote the history of {keys} keys to {}", file.display()));
        }
    }
    Ok(Outcome::Yes)
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
        output::line(&format!("Merged the history of {keys} keys, each to the stricter record."));
    }
    Ok(Outcome::Yes)
}

/// Reads a file, or standard input for `-`.
pub(super) fn read_text(file: &Path) -> Result<String, Failure> {
    let read = if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    read.map_err(|error| Failure::CouldNot(format!("cannot read {}: {error}", file.display())))
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
