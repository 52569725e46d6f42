//! `palisade chain add` and `chain list`

use palisade_server::chains::{self, ChainEntry};
use palisade_server::home::Home;
use palisade_substrate::{BlockNumberBits, Chain};

use crate::arguments::{ChainAddArguments, ChainCommand, JsonArguments};
use crate::failure::Failure;
use crate::{Done, Outcome, output};

pub(super) fn run(home: &Home, command: &ChainCommand) -> Done {
    match command {
        ChainCommand::Add(arguments) => add(home, arguments),
        ChainCommand::List(arguments) => list(home, arguments),
    }
}

fn add(home: &Home, arguments: &ChainAddArguments) -> Done {
    // Says that there is no home, or what is wrong with its configuration, in its own words.
    home.read_config()?;
    let entry = ChainEntry {
        name: arguments.name.clone(),
        genesis: arguments.genesis.clone(),
        slot_ms: arguments.slot_ms,
        block_number_bits: if arguments.block_number_bits == "64" { 64 } else { 32 },
        authority_discovery: None,
    };
    let chain = chains::add(&home.config_path(), &entry)?;
    if arguments.json {
        output::json(&json_of(&chain))?;
        return Ok(Outcome::Yes);
    }
    output::line(&format!("Added {} (genesis {}).", chain.name, chain.genesis))?;
    if home.is_in_use()? {
        output::diagnostic("the guard that runs on this home knows the chain after a restart");
    }
    Ok(Outcome::Yes)
}

fn list(home: &Home, arguments: &JsonArguments) -> Done {
    let config = home.read_config()?;
    let chains = config.substrate_chains().map_err(|error| Failure::Usage(error.to_string()))?;
    if arguments.json {
        output::json(&chains.iter().map(json_of).collect::<Vec<_>>())?;
        return Ok(Outcome::Yes);
    }
    for chain in &chains {
        output::line(&format!(
            "{}  genesis {}, slots of {} ms, {}-bit block numbers",
            chain.name,
            chain.genesis,
            chain.slot_ms,
            bits(chain)
        ))?;
    }
    if chains.is_empty() {
        output::diagnostic(
            "this home signs for no Substrate chain; see `palisade chain add --help`",
        );
    }
    Ok(Outcome::Yes)
}

fn json_of(chain: &Chain) -> serde_json::Value {
    serde_json::json!({
        "name": chain.name,
        "genesis": chain.genesis.to_string(),
        "slot_ms": chain.slot_ms,
        "block_number_bits": bits(chain),
    })
}

fn bits(chain: &Chain) -> u8 {
    match chain.block_number {
        BlockNumberBits::U32 => 32,
        BlockNumberBits::U64 => 64,
    }
}
