//! `palisade init`

use palisade_protect::Digest;
use palisade_sandbox::{Finding, Measure, durability_of};
use palisade_server::home::{GenesisRoot, Home, NewHome, NewUnlock};

use crate::arguments::InitArguments;
use crate::failure::Failure;
use crate::{Done, Outcome, output, target, unlock};

pub(super) fn run(home: &Home, arguments: &InitArguments) -> Done {
    // Before a passphrase is asked for twice.
    let genesis_validators_root = genesis_root(arguments.genesis_validators_root.as_deref())?;
    if home.config_path().exists() {
        return Err(Failure::Usage(format!(
            "there is a home at {} already; it is never written over. Choose another directory \
             with --home",
            home.path().display()
        )));
    }
    let unlock = match &arguments.unlock_file {
        Some(file) => NewUnlock::File(file.clone()),
        None if arguments.passphrase => NewUnlock::Passphrase(unlock::new_passphrase()?),
        None => NewUnlock::Generate,
    };
    let new = NewHome { network: arguments.network.clone(), genesis_validators_root, unlock };
    let network = home.create(&new)?;
    warn_of_memory(home);
    output::line(&format!("Made a home for {} at {}", network.name, home.path().display()))?;
    output::line(&opened_by(home, &new.unlock))?;
    output::line(&format!(
        "The key manager API's bearer token is in {}.",
        home.token_path().display()
    ))?;
    let palisade = command_for(home);
    output::line(&format!("Next: `{palisade} keys import --help`, then `{palisade} run`."))?;
    Ok(Outcome::Yes)
}

/// A home that a restart of the machine forgets can be made, but no guard starts on it.
fn warn_of_memory(home: &Home) {
    let (why, measure) = match durability_of(home.path()) {
        Finding::Works => return,
        Finding::WorksAs(how) => (how, String::new()),
        Finding::Fails(why) => {
            (why, format!("; `run` refuses it without --allow-unhardened={}", Measure::DurableHome))
        }
    };
    let remedy = Measure::DurableHome.remedy();
    output::diagnostic(&format!("warning: {why}; to mend it: {remedy}{measure}"));
}

/// How to name this home on the next command line.
fn command_for(home: &Home) -> String {
    let is_default = target::home(None).is_ok_and(|default| default.path() == home.path());
    if is_default {
        return "palisade".to_owned();
    }
    format!("palisade --home {}", home.path().display())
}

fn opened_by(home: &Home, unlock: &NewUnlock) -> String {
    match unlock {
        NewUnlock::Generate => format!(
            "The secret that opens its keys is {}: back it up apart from the keys.",
            home.unlock_path().display()
        ),
        NewUnlock::File(file) => format!("Its keys are opened by {}.", file.display()),
        NewUnlock::Passphrase(_) => {
            "Its keys are opened by the passphrase; nobody can recover it.".to_owned()
        }
    }
}

fn genesis_root(text: Option<&str>) -> Result<GenesisRoot, Failure> {
    let Some(text) = text else { return Ok(GenesisRoot::OfNetwork) };
    if text == "learn" {
        return Ok(GenesisRoot::Learn);
    }
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let mut root = [0; 32];
    hex::decode_to_slice(digits, &mut root).map_err(|_| {
        Failure::Usage(
            "--genesis-validators-root takes 64 hex digits, or the word learn".to_owned(),
        )
    })?;
    Ok(GenesisRoot::Given(Digest(root)))
}
