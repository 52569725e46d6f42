//! `palisade keys import`, `keys import-raw` and `keys list`

use indicatif::{ProgressBar, ProgressStyle};
use palisade_keys::BlsSecretKey;
use palisade_keys::import::{self, Passwords, PlanError};
use palisade_server::admin::{Answer, KeyRow, Past, Request, SessionRow};
use palisade_server::home::Home;

use super::history::read_text;
use super::sessions::read_secrets;
use super::status::unexpected;
use super::{announcement, remove, sessions};
use crate::arguments::{
    ImportArguments, ImportRawArguments, JsonArguments, KeysCommand, PastArguments,
};
use crate::failure::Failure;
use crate::target::{self, Target};
use crate::{Done, Outcome, output, unlock};

pub(super) fn run(home: &Home, command: KeysCommand) -> Done {
    match command {
        KeysCommand::Import(arguments) => import(home, arguments),
        KeysCommand::ImportRaw(arguments) => import_raw(home, &arguments),
        KeysCommand::Generate(arguments) => announcement::generate(home, arguments),
        KeysCommand::Prove(arguments) => announcement::prove(home, arguments),
        KeysCommand::List(arguments) => list(home, &arguments),
        KeysCommand::Remove(arguments) => remove::run(home, &arguments),
        KeysCommand::Floor(arguments) => sessions::floor(home, &arguments),
    }
}

fn import(home: &Home, arguments: ImportArguments) -> Done {
    if let Some(name) = arguments.chain.strip_prefix("substrate:") {
        return sessions::import_node(home, name, &arguments);
    }
    if arguments.chain != "ethereum" || !arguments.keys.is_empty() {
        return Err(Failure::Usage(format!(
            "this version takes --chain ethereum, or --chain substrate:NAME with or without \
             --keys, not --chain {:?}",
            arguments.chain
        )));
    }
    // Everything that can be wrong without decrypting is found before minutes of decrypting.
    let past = past(&arguments.past)?;
    let mut target = Target::of(home)?;
    let passwords = match (arguments.password_file, arguments.passwords) {
        (Some(file), _) => Passwords::OneFile(file),
        (None, Some(directory)) => Passwords::Directory(directory),
        (None, None) => Passwords::Given(unlock::prompt(
            "Password of the keystores: ",
            "the keystores' password is asked at the terminal, and there is none; give \
             --password-file FILE or --passwords DIR",
        )?),
    };
    let plan = import::plan(&arguments.paths, passwords).map_err(|error| no_plan(&error))?;
    for path in plan.left_out() {
        output::diagnostic(&format!("left out, since it holds no key: {}", path.display()));
    }
    let bar = progress_bar(plan.len());
    let progress = |done: usize, _total: usize| bar.set_position(done as u64);
    let keys = import::decrypt_all(plan, &progress);
    bar.finish_and_clear();
    let keys = keys.map_err(|bad| Failure::Usage(bad.to_string()))?;
    send(&mut target, keys.iter().map(|key| &key.secret), past, arguments.json)
}

fn no_plan(error: &PlanError) -> Failure {
    let message = format!("nothing was imported; {error}");
    match error {
        PlanError::Unreadable { .. } | PlanError::Password { .. } => Failure::CouldNot(message),
        _ => Failure::Usage(message),
    }
}

fn import_raw(home: &Home, arguments: &ImportRawArguments) -> Done {
    if let Some(name) = arguments.chain.strip_prefix("substrate:") {
        return sessions::import_raw(home, name, arguments);
    }
    if arguments.chain != "ethereum" || arguments.r#type != "bls" {
        return Err(Failure::Usage(format!(
            "this version takes --chain ethereum --type bls, or --chain substrate:NAME, not \
             --chain {:?} --type {:?}",
            arguments.chain, arguments.r#type
        )));
    }
    let past = past(&arguments.past)?;
    let secrets =
        read_secrets(&arguments.file, "secret key: one in hex", |file| import::raw_hex(file))?;
    send(&mut Target::of(home)?, secrets.iter(), past, arguments.json)
}

fn past(arguments: &PastArguments) -> Result<Past, Failure> {
    match &arguments.history {
        Some(file) => Ok(Past::History(read_text(file)?)),
        None if arguments.fresh => Ok(Past::Fresh),
        None => Ok(Past::FromNow),
    }
}

fn send<'a>(
    target: &mut Target,
    secrets: impl Iterator<Item = &'a BlsSecretKey>,
    past: Past,
    json: bool,
) -> Done {
    let asked_for_fresh = matches!(past, Past::Fresh);
    let request =
        Request::KeysImport { secrets: secrets.map(BlsSecretKey::to_hex).collect(), past };
    let Answer::Imported { imported, duplicates, from_now, from_epoch } = target.ask(request)?
    else {
        return Err(unexpected());
    };
    if json {
        output::json(&serde_json::json!({
            "imported": imported, "duplicates": duplicates, "from_now": from_now,
            "from_epoch": from_epoch,
        }))?;
        return Ok(Outcome::Yes);
    }
    output::line(&format!("Imported {}.", output::keys(imported.len())))?;
    if !duplicates.is_empty() {
        output::line(&format!(
            "Already here: {}; the stricter record holds.",
            output::keys(duplicates.len())
        ))?;
    }
    if let Some(epoch) = from_epoch {
        let count = output::keys(from_now.len());
        if asked_for_fresh {
            output::line(&format!(
                "Not fresh, because this home knows messages of theirs: {count}."
            ))?;
        }
        output::line(&format!(
            "From now: {count}. This machine's clock says epoch {epoch}; if that is behind the \
             chain, remove them at once. They sign when the chain justifies that epoch or a later \
             one: after about three epochs."
        ))?;
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
    for row in &keys {
        output::line(&text_of(row))?;
    }
    if keys.is_empty() {
        output::diagnostic("this home holds no key; add one with `palisade keys import`");
    }
    Ok(Outcome::Yes)
}

fn text_of(row: &KeyRow) -> String {
    if let Some(session) = &row.session {
        return session_text(row, session);
    }
    let number =
        |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    let line = |words: &str, epoch: Option<u64>| {
        epoch.map_or_else(String::new, |epoch| format!(", stop-line: {words} epoch {epoch}"))
    };
    format!(
        "{}  {} {}  last slot {}, last epochs {} -> {}{}{}{}",
        row.public_key,
        row.chain,
        row.r#type,
        number(row.last_slot),
        number(row.last_source_epoch),
        number(row.last_target_epoch),
        line("nothing below", row.stop_below_epoch),
        line("nothing from", row.stop_at_or_above_epoch),
        if row.usable { "" } else { "  NO RECORD: does not sign" },
    )
}

fn session_text(row: &KeyRow, session: &SessionRow) -> String {
    let place = match (session.last_slot, session.last_place, session.first_session) {
        (Some(slot), ..) => format!("last slot {slot}"),
        (_, Some((set_id, number)), _) => format!("last set {set_id}, number {number}"),
        (.., Some(first)) => format!("sessions from {first}"),
        (None, None, None) => "nothing signed".to_owned(),
    };
    let waits = if session.awaits_floor { "  WAITS for `palisade keys floor`" } else { "" };
    let genesis = &session.genesis;
    format!("{}  {} {}  {place}, genesis {genesis}{waits}", row.public_key, row.chain, row.r#type)
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
