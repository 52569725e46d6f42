//! `palisade keys`

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use indicatif::{ProgressBar, ProgressStyle};
use palisade_keys::BlsSecretKey;
use palisade_keys::import::{self, Passwords};
use palisade_server::admin::{Answer, Past, PublicKeyText, Request};
use palisade_server::home::Home;

use super::history::{read_text, write_whole};
use super::status::unexpected;
use crate::arguments::{
    ImportArguments, ImportRawArguments, JsonArguments, KeysCommand, PastArguments, RemoveArguments,
};
use crate::failure::Failure;
use crate::{Done, Outcome, output, target, unlock};

pub(super) fn run(home: &Home, command: KeysCommand) -> Done {
    match command {
        KeysCommand::Import(arguments) => import(home, arguments),
        KeysCommand::ImportRaw(arguments) => import_raw(home, &arguments),
        KeysCommand::List(arguments) => list(home, &arguments),
        KeysCommand::Remove(arguments) => remove(home, &arguments),
    }
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

fn import(home: &Home, arguments: ImportArguments) -> Done {
    // Everything that can be wrong without decrypting is found before minutes of decrypting.
    home.is_in_use()?;
    let past = past(&arguments.past)?;
    let passwords = match (arguments.password_file, arguments.passwords) {
        (Some(file), _) => Passwords::OneFile(file),
        (None, Some(directory)) => Passwords::Directory(directory),
        (None, None) => Passwords::Given(unlock::prompt("Password of the key stores: ")?),
    };
    let plan = import::plan(&arguments.paths, passwords)
        .map_err(|error| Failure::Usage(format!("{error}; nothing was imported")))?;
    let bar = progress_bar(plan.len());
    let progress = |done: usize, _total: usize| bar.set_position(done as u64);
    let keys = import::decrypt_all(plan, &progress);
    bar.finish_and_clear();
    let keys = keys.map_err(|bad| Failure::Usage(format!("{bad}\nNothing was imported.")))?;
    send(home, keys.iter().map(|key| &key.secret), past, arguments.json)
}

fn import_raw(home: &Home, arguments: &ImportRawArguments) -> Done {
    if arguments.chain != "ethereum" || arguments.r#type != "bls" {
        return Err(Failure::Usage(format!(
            "this version takes --chain ethereum --type bls, not --chain {:?} --type {:?}",
            arguments.chain, arguments.r#type
        )));
    }
    let past = past(&arguments.past)?;
    let named = arguments.file.display().to_string();
    let secrets = if arguments.file == Path::new("-") {
        import::raw_hex(std::io::stdin().lock())
    } else {
        let file = std::fs::File::open(&arguments.file)
            .map_err(|error| Failure::CouldNot(format!("cannot read {named}: {error}")))?;
        import::raw_hex(file)
    };
    let secrets = secrets
        .map_err(|error| Failure::Usage(format!("{named}: {error}; nothing was imported")))?;
    send(home, secrets.iter(), past, arguments.json)
}

fn past(arguments: &PastArguments) -> Result<Past, Failure> {
    match &arguments.history {
        Some(file) => Ok(Past::History(read_text(file)?)),
        None if arguments.fresh => Ok(Past::Fresh),
        None => Ok(Past::FromNow),
    }
}

fn send<'a>(
    home: &Home,
    secrets: impl Iterator<Item = &'a BlsSecretKey>,
    past: Past,
    json: bool,
) -> Done {
    let waits = matches!(past, Past::FromNow);
    let request =
        Request::KeysImport { secrets: secrets.map(BlsSecretKey::to_hex).collect(), past };
    let answer = target::ask(home, request)?;
    let Answer::Imported { imported, duplicates } = &answer else { return Err(unexpected()) };
    if json {
        output::json(&answer)?;
        return Ok(Outcome::Yes);
    }
    output::line(&format!("Imported {} keys.", imported.len()));
    if !duplicates.is_empty() {
        output::line(&format!(
            "{} were already here; their records were kept or made stricter.",
            duplicates.len()
        ));
    }
    if waits {
        output::line(
            "They sign once the chain justifies an epoch from now on: about three epochs.",
        );
    }
    Ok(Outcome::Yes)
}

fn list(home: &Home, arguments: &JsonArguments) -> Done {
    let Answer::Keys { keys } = target::ask(home, Request::KeysList)? else {
        return Err(unexpected());
    };
    if arguments.json {
        output::json(&keys)?;
        return Ok(Outcome::Yes);
    }
    let number =
        |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    for row in &keys {
        output::line(&format!(
            "{}  {} {}  last slot {}, last epochs {} -> {}{}",
            row.public_key.0,
            row.chain,
            row.r#type,
            number(row.last_slot),
            number(row.last_source_epoch),
            number(row.last_target_epoch),
            if row.usable { "" } else { "  NO RECORD: does not sign" },
        ));
    }
    if keys.is_empty() {
        output::diagnostic("this home holds no key; add one with `palisade keys import`");
    }
    Ok(Outcome::Yes)
}

fn remove(home: &Home, arguments: &RemoveArguments) -> Done {
    let public_keys = parse_public_keys(&arguments.public_keys)?;
    let file = history_file(home);
    // First a copy, so that a crash between here and the removal cannot lose it; then the final
    // one, which also holds what a running guard signed in between.
    let request = Request::HistoryExport { public_keys: public_keys.clone() };
    let Answer::History { interchange, .. } = target::ask(home, request)? else {
        return Err(unexpected());
    };
    write_whole(&file, interchange.as_bytes())?;
    let answer = target::ask(home, Request::KeysRemove { public_keys })?;
    let Answer::Removed { removed, not_found, interchange } = answer else {
        return Err(unexpected());
    };
    write_whole(&file, interchange.as_bytes())?;
    report_removal(&file, &removed, &not_found, arguments.json)?;
    Ok(if not_found.is_empty() { Outcome::Yes } else { Outcome::No })
}

fn report_removal(
    file: &Path,
    removed: &[PublicKeyText],
    not_found: &[PublicKeyText],
    json: bool,
) -> Result<(), Failure> {
    if json {
        return output::json(&serde_json::json!({
            "removed": removed, "not_found": not_found, "history": file,
        }));
    }
    output::line(&format!(
        "Removed {} keys; their history is in {}",
        removed.len(),
        file.display()
    ));
    for key in not_found {
        output::diagnostic(&format!("{} is not in this home", key.0));
    }
    Ok(())
}

fn history_file(home: &Home) -> PathBuf {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis());
    home.path().join(format!("removed-{now}-history.json"))
}

fn progress_bar(keys: usize) -> ProgressBar {
    // Draws on standard error, and only on a terminal.
    let bar = ProgressBar::new(keys as u64);
    let style = ProgressStyle::with_template("Decrypting {bar:40} {pos}/{len} ({eta} left)");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}
