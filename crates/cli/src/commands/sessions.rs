//! `palisade keys import-raw --chain substrate:NAME` and `keys floor`

use std::io::Read as _;
use std::path::Path;

use palisade_server::admin::{Answer, Request, SessionFloor, SessionImport};
use palisade_server::home::Home;
use zeroize::Zeroizing;

use super::status::unexpected;
use crate::arguments::{FloorArguments, ImportRawArguments};
use crate::failure::Failure;
use crate::target::{self, Target};
use crate::{Done, Outcome, output};

/// The longest file of secret URIs. Read into one buffer of this size, which is wiped: one that
/// grows would leave copies.
const MAX_FILE_BYTES: usize = 1 << 20;

/// `name` is what stands behind `substrate:`.
pub(super) fn import(home: &Home, name: &str, arguments: &ImportRawArguments) -> Done {
    if arguments.past.history.is_some() {
        return Err(Failure::Usage(
            "session keys have no history file; say --fresh or --from-now".to_owned(),
        ));
    }
    let config = home.read_config()?;
    let chains = config.substrate_chains().map_err(|error| Failure::Usage(error.to_string()))?;
    let chain = chains.iter().find(|chain| chain.name == name).ok_or_else(|| {
        Failure::Usage(format!(
            "this home has no chain {name:?}; `palisade chain list` shows its chains, `palisade \
             chain add` adds one"
        ))
    })?;
    let uris = read_uris(&arguments.file)?;
    let import = SessionImport {
        genesis: chain.genesis.to_string(),
        slot_ms: chain.slot_ms,
        key_type: arguments.r#type.clone(),
        crypto: arguments.crypto.clone(),
        uris,
        fresh: arguments.past.fresh,
    };
    let answer = Target::of(home)?.ask(Request::SessionKeysImport(import))?;
    report(&answer, arguments)
}

fn report(answer: &Answer, arguments: &ImportRawArguments) -> Done {
    let Answer::SessionsImported { imported, duplicates, from_now, await_floor } = answer else {
        return Err(unexpected());
    };
    if arguments.json {
        output::json(&serde_json::json!({
            "imported": imported, "duplicates": duplicates, "from_now": from_now,
            "await_floor": await_floor,
        }))?;
        return Ok(Outcome::Yes);
    }
    output::line(&format!("Imported {}.", output::keys(imported.len())))?;
    for key in imported {
        output::line(&format!("  {key}  {}", arguments.r#type))?;
    }
    if !duplicates.is_empty() {
        output::line(&format!(
            "Already here: {}; the stricter record holds.",
            output::keys(duplicates.len())
        ))?;
    }
    if arguments.past.fresh && !from_now.is_empty() {
        output::line(&format!(
            "Not fresh, because this home knows messages of theirs: {}.",
            output::keys(from_now.len())
        ))?;
    }
    for key in await_floor {
        output::line(&format!(
            "{key} signs nothing until you say from where: `palisade keys floor --help`."
        ))?;
    }
    if !arguments.past.fresh && !from_now.is_empty() {
        output::diagnostic("stop the node that had these keys, and remove its keystore, for good");
    }
    Ok(Outcome::Yes)
}

pub(super) fn floor(home: &Home, arguments: &FloorArguments) -> Done {
    let floor = SessionFloor {
        public_key: arguments.public_key.clone(),
        set_id: arguments.set_id,
        number: arguments.number,
    };
    match target::ask(home, Request::SessionKeysFloor(floor))? {
        Answer::FloorSet => {
            output::line(&format!(
                "{} signs what lies behind set {}, number {}.",
                arguments.public_key, arguments.set_id, arguments.number
            ))?;
            Ok(Outcome::Yes)
        }
        _ => Err(unexpected()),
    }
}

fn read_uris(file: &Path) -> Result<Vec<Zeroizing<String>>, Failure> {
    let named = file.display();
    let cannot = |error: &std::io::Error| Failure::io(format!("cannot read {named}"), error);
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_FILE_BYTES + 1));
    let most = MAX_FILE_BYTES as u64 + 1;
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(most).read_to_end(&mut bytes)
    } else {
        let open = std::fs::File::open(file).map_err(|error| cannot(&error))?;
        open.take(most).read_to_end(&mut bytes)
    };
    read.map_err(|error| cannot(&error))?;
    if MAX_FILE_BYTES < bytes.len() {
        return Err(Failure::Usage(format!("{named} is longer than {MAX_FILE_BYTES} bytes")));
    }
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Failure::Usage(format!("{named} is not text: one secret URI on each line")))?;
    let lines = text.lines().map(str::trim);
    let uris: Vec<_> = lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| Zeroizing::new(line.to_owned()))
        .collect();
    if uris.is_empty() {
        return Err(Failure::Usage(format!(
            "{named} holds no secret: one secret URI or 0x seed on each line is expected"
        )));
    }
    Ok(uris)
}
