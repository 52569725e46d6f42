//! `palisade keys import-raw --chain substrate:NAME` and `keys floor`

use std::io::Read;
use std::path::Path;

use palisade_keys::import::{self, LineError, LineProblem};
use palisade_server::admin::{
    Answer, Request, SessionFloor, SessionImport, SessionKeyKind, SessionSecret,
};
use palisade_server::home::Home;
use palisade_substrate::Chain;

use super::status::unexpected;
use crate::arguments::{FloorArguments, ImportRawArguments};
use crate::failure::Failure;
use crate::target::{self, Target};
use crate::{Done, Outcome, output};

/// `name` is what stands behind `substrate:`.
pub(super) fn import_raw(home: &Home, name: &str, arguments: &ImportRawArguments) -> Done {
    if arguments.past.history.is_some() {
        return Err(Failure::Usage(
            "session keys have no history file; say --fresh or --from-now".to_owned(),
        ));
    }
    let chain = chain_named(home, name)?;
    let what = "secret: one secret URI or 0x seed";
    let uris = read_secrets(&arguments.file, what, |file| import::secret_lines(file))?;
    let kind =
        SessionKeyKind { key_type: arguments.r#type.clone(), crypto: arguments.crypto.clone() };
    let secret = |uri| SessionSecret { kind: kind.clone(), uri };
    let import = SessionImport {
        genesis: chain.genesis.to_string(),
        slot_ms: chain.slot_ms,
        secrets: uris.into_iter().map(secret).collect(),
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

/// The chain of this home with this name.
pub(super) fn chain_named(home: &Home, name: &str) -> Result<Chain, Failure> {
    let config = home.read_config()?;
    let chains = config.substrate_chains().map_err(|error| Failure::Usage(error.to_string()))?;
    chains.into_iter().find(|chain| chain.name == name).ok_or_else(|| {
        Failure::Usage(format!(
            "this home has no chain {name:?}; `palisade chain list` shows its chains, `palisade \
             chain add` adds one"
        ))
    })
}

/// Secrets in clear from a file, or from standard input for `-`. `what` is a line of it.
pub(super) fn read_secrets<T>(
    file: &Path,
    what: &str,
    read: impl FnOnce(&mut dyn Read) -> Result<Vec<T>, LineError>,
) -> Result<Vec<T>, Failure> {
    let named = file.display();
    let cannot = |error: &std::io::Error| Failure::io(format!("cannot read {named}"), error);
    let secrets = if file == Path::new("-") {
        read(&mut std::io::stdin().lock())
    } else {
        read(&mut std::fs::File::open(file).map_err(|error| cannot(&error))?)
    };
    let secrets = secrets.map_err(|error| match &error.problem {
        LineProblem::Unreadable(io) => cannot(io),
        _ => Failure::Usage(format!("{named}: {error}")),
    })?;
    if secrets.is_empty() {
        return Err(Failure::Usage(format!("{named} holds no {what} on each line is expected")));
    }
    Ok(secrets)
}
