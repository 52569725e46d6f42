//! `palisade keys import` and `keys import-raw` with `--chain substrate:NAME`, and `keys floor`
//!
//! Invariants: a node's keystore is read and never written, so that no further copy of a secret in
//! clear comes into being; what the operator still has to do there is said.

use std::io::Read;
use std::path::{Path, PathBuf};

use palisade_keys::Password;
use palisade_keys::import::{self, LineError, LineProblem, NodeKeystore, NodeKeystoreError};
use palisade_protect::KeyType;
use palisade_server::admin::{
    Answer, Request, SessionFloor, SessionImport, SessionKeyKind, SessionKeyName, SessionPast,
    SessionSecret,
};
use palisade_server::home::Home;
use palisade_substrate::Chain;
use serde_json::{Value, json};

use super::history::read_text;
use super::status::unexpected;
use crate::arguments::{ImportArguments, ImportRawArguments, PastArguments};
use crate::failure::Failure;
use crate::session_arguments::FloorArguments;
use crate::target::{self, Target};
use crate::{Done, Outcome, output};

/// `name` is what stands behind `substrate:`.
pub(super) fn import_raw(home: &Home, name: &str, arguments: &ImportRawArguments) -> Done {
    let chain = chain_named(home, name)?;
    let past = past(&arguments.past)?;
    let what = "secret: one secret URI or 0x seed";
    let uris = read_secrets(&arguments.file, what, |file| import::secret_lines(file))?;
    let kind =
        SessionKeyKind { key_type: arguments.r#type.clone(), crypto: arguments.crypto.clone() };
    let secrets = uris.into_iter().map(|uri| SessionSecret { kind: kind.clone(), uri }).collect();
    let imported =
        Imported::by(&mut Target::of(home)?, &chain, secrets, past, arguments.accept_far_ahead)?;
    if arguments.json {
        output::json(&imported.to_json())?;
        return Ok(Outcome::Yes);
    }
    imported.report(&arguments.past)?;
    if arguments.past.from_now {
        output::diagnostic("stop the node that had these keys, and remove its keystore, for good");
    }
    Ok(Outcome::Yes)
}

/// The directory in which a node keeps its keys.
pub(super) fn import_node(home: &Home, name: &str, arguments: &ImportArguments) -> Done {
    let chain = chain_named(home, name)?;
    let past = past(&arguments.past)?;
    let [directory] = arguments.paths.as_slice() else {
        return Err(Failure::Usage("name one directory, the node's keystore".to_owned()));
    };
    if arguments.passwords.is_some() {
        return Err(Failure::Usage(
            "a node's keystore has one password or none; give it with --password-file".to_owned(),
        ));
    }
    let mut target = Target::of(home)?;
    let keystore = read_keystore(directory, arguments)?;
    let secret = |key: &import::NodeKey| SessionSecret {
        kind: SessionKeyKind {
            key_type: key.key_type.to_string(),
            crypto: Some(key.secret.public_key().scheme().name().to_owned()),
        },
        uri: key.secret.to_uri(),
    };
    let secrets = keystore.keys.iter().map(secret).collect();
    let imported = Imported::by(&mut target, &chain, secrets, past, arguments.accept_far_ahead)?;
    let texts = |paths: &[PathBuf]| -> Vec<String> {
        paths.iter().map(|path| path.display().to_string()).collect()
    };
    let (left_out, open) = (texts(&keystore.left_out), texts(&keystore.open_to_others));
    if arguments.json {
        let mut answer = imported.to_json();
        if let Some(fields) = answer.as_object_mut() {
            fields.insert("left_out".to_owned(), json!(left_out));
            fields.insert("open_to_others".to_owned(), json!(open));
        }
        output::json(&answer)?;
        return Ok(Outcome::Yes);
    }
    imported.report(&arguments.past)?;
    for path in &left_out {
        output::diagnostic(&format!("left with the node: {path}"));
    }
    for path in &open {
        output::diagnostic(&format!(
            "others than its owner can read or change {path}: whoever could has these secrets; \
             better make new keys (`palisade keys generate`) than keep the old ones"
        ));
    }
    output::diagnostic(&format!(
        "nothing in {} was changed. No node may run with these keys any more, neither this one nor \
         a copy: stop it, then delete the files that were imported, there and in every backup",
        directory.display()
    ));
    Ok(Outcome::Yes)
}

fn read_keystore(directory: &Path, arguments: &ImportArguments) -> Result<NodeKeystore, Failure> {
    let types = arguments.keys.iter().map(|text| {
        let wrong = || Failure::Usage(format!("a key type has four letters, not {text:?}"));
        <[u8; 4]>::try_from(text.as_bytes()).map(KeyType).map_err(|_| wrong())
    });
    let types = types.collect::<Result<Vec<_>, _>>()?;
    let password = match &arguments.password_file {
        Some(file) => Some(Password::new(read_text(file)?)),
        None => None,
    };
    import::node_keystore(directory, &types, password.as_ref()).map_err(|error| match error {
        NodeKeystoreError::Unreadable { path, source } => {
            Failure::io(format!("nothing was imported; {}", path.display()), &source)
        }
        NodeKeystoreError::Files(files) => Failure::Usage(files.to_string()),
        other => Failure::Usage(format!("nothing was imported; {other}")),
    })
}

fn past(arguments: &PastArguments) -> Result<SessionPast, Failure> {
    match &arguments.history {
        Some(file) => Ok(SessionPast::History(read_text(file)?)),
        None if arguments.fresh => Ok(SessionPast::Fresh),
        None => Ok(SessionPast::FromNow),
    }
}

/// What an import did.
struct Imported {
    imported: Vec<SessionKeyName>,
    duplicates: Vec<SessionKeyName>,
    from_now: Vec<SessionKeyName>,
    await_floor: Vec<SessionKeyName>,
}

impl Imported {
    fn by(
        target: &mut Target,
        chain: &Chain,
        secrets: Vec<SessionSecret>,
        past: SessionPast,
        accept_far_ahead: bool,
    ) -> Result<Self, Failure> {
        let (genesis, slot_ms) = (chain.genesis.to_string(), chain.slot_ms);
        let import = SessionImport { genesis, slot_ms, secrets, past, accept_far_ahead };
        let answer = target.ask(Request::SessionKeysImport(import))?;
        let Answer::SessionsImported { imported, duplicates, from_now, await_floor } = answer
        else {
            return Err(unexpected());
        };
        Ok(Self { imported, duplicates, from_now, await_floor })
    }

    fn to_json(&self) -> Value {
        let texts = |keys: &[SessionKeyName]| -> Vec<String> {
            keys.iter().map(|key| key.public_key.clone()).collect()
        };
        json!({
            "imported": texts(&self.imported), "duplicates": texts(&self.duplicates),
            "from_now": texts(&self.from_now), "await_floor": texts(&self.await_floor),
        })
    }

    fn report(&self, past: &PastArguments) -> Result<(), Failure> {
        output::line(&format!("Imported {}.", output::keys(self.imported.len())))?;
        for key in &self.imported {
            output::line(&format!("  {}  {}", key.public_key, key.key_type))?;
        }
        if !self.duplicates.is_empty() {
            output::line(&format!(
                "Already here: {}; the stricter record holds.",
                output::keys(self.duplicates.len())
            ))?;
        }
        if past.fresh && !self.from_now.is_empty() {
            output::line(&format!(
                "Not fresh, because this home knows messages of theirs: {}.",
                output::keys(self.from_now.len())
            ))?;
        }
        for key in &self.await_floor {
            output::line(&format!(
                "{} signs nothing until you say from where: `palisade keys floor --help`.",
                key.public_key
            ))?;
        }
        Ok(())
    }
}

pub(super) fn floor(home: &Home, arguments: &FloorArguments) -> Done {
    let floor = SessionFloor {
        public_key: arguments.public_key.clone(),
        set_id: arguments.set_id,
        number: arguments.number,
        accept_far_ahead: arguments.accept_far_ahead,
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
