//! Secure mode: what `palisade run` gives up before it serves, and `palisade secure check`, which
//! shows it without starting.
//!
//! Order in `run`: a clean start → nobody looks into its memory → the unlock secret → the table →
//! sockets, and the front's process → everything but system calls, while there is one thread →
//! files and threads → system calls. A missing measure ends the start with exit code 3.

use std::path::PathBuf;

use palisade_sandbox::{CleanStart, Facts, Measure, Plan, State, Table, clean_start, judge};
use palisade_server::admin::MeasureRow;
use palisade_server::config::Config;
use palisade_server::home::Home;
use palisade_server::named_files;

use crate::failure::Failure;
use crate::run_arguments::SecureCommand;
use crate::{Done, Outcome, output};

/// The variables that a guard reads, and the ones that systemd hands over. All others go.
const KEPT_VARIABLES: &[&str] = &[
    "HOME",
    "PALISADE_HOME",
    "XDG_DATA_HOME",
    "RUST_LOG",
    "RUST_BACKTRACE",
    "CREDENTIALS_DIRECTORY",
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "SYSTEMD_EXEC_PID",
];

pub(super) fn run(home: &Home, command: SecureCommand) -> Done {
    let SecureCommand::Check { json, allow_unhardened } = command;
    // The check needs no home, and one that cannot be read dials nobody.
    let config = home.read_config().ok();
    let table = judge(&facts(home, config.as_ref()), &allow_unhardened);
    let missing = table.missing().count();
    if json {
        output::json(&serde_json::json!({
            "holds": missing == 0,
            "measures": table.measures,
        }))?;
    } else {
        for line in table.lines() {
            output::line(&line)?;
        }
        output::line(&match missing {
            0 => "A guard may start here.".to_owned(),
            1 => "1 measure is missing: a guard does not start here.".to_owned(),
            count => format!("{count} measures are missing: a guard does not start here."),
        })?;
    }
    Ok(if missing == 0 { Outcome::Yes } else { Outcome::No })
}

/// Starts this program anew, without the environment and the descriptors of its starter. Comes
/// before everything else.
pub(super) fn start_clean(allowed: &[Measure]) -> Result<(), Failure> {
    let is_on = |measure| !allowed.contains(&measure);
    let wanted = CleanStart {
        variables: is_on(Measure::EmptyEnvironment).then_some(KEPT_VARIABLES),
        closes_descriptors: is_on(Measure::ClosedDescriptors),
    };
    clean_start(wanted).map_err(|error| {
        Failure::CouldNot(format!(
            "the guard cannot start itself anew without its starter's environment and files: \
             {error}; `palisade secure check` says what is missing"
        ))
    })
}

/// Keeps other processes out of this one's memory, before a secret is in it.
pub(super) fn shield(allowed: &[Measure]) -> Result<(), Failure> {
    palisade_sandbox::shield(allowed).map_err(|error| Failure::CouldNot(error.to_string()))
}

fn facts(home: &Home, config: Option<&Config>) -> Facts {
    let dials = config.is_some_and(|config| !config.nodes.is_empty());
    Facts { dials, ..Facts::gather(Some(home.path())) }
}

/// Tries all measures. A missing one ends the start, with the whole table in the log.
pub(super) fn table(home: &Home, config: &Config, allowed: &[Measure]) -> Result<Table, Failure> {
    let table = judge(&facts(home, Some(config)), allowed);
    let missing: Vec<String> = table.missing().map(in_words).collect();
    if missing.is_empty() {
        return Ok(table);
    }
    report(&table);
    Err(Failure::CouldNot(format!(
        "the guard does not start, because this machine does not protect its keys:\n{}\n\
         `palisade secure check` shows all measures",
        missing.join("\n")
    )))
}

/// Writes the table to the log.
pub(super) fn report(table: &Table) {
    for row in &table.measures {
        let (measure, state, why) = (row.measure.name(), row.state.name(), row.reason.as_str());
        let remedy = row.remedy.as_deref().unwrap_or_default();
        match row.state {
            State::On if remedy.is_empty() => {
                tracing::info!(measure, state, why, "secure mode");
            }
            State::On | State::OffAllowed => {
                tracing::warn!(measure, state, why, remedy, "secure mode")
            }
            State::Missing => tracing::error!(measure, state, why, remedy, "secure mode"),
        }
    }
    let is_off = |measure| table.off().any(|row| row.measure == measure);
    if is_off(Measure::NotRoot) {
        tracing::warn!(
            "THIS GUARD RUNS AS ROOT. That is for development: whoever breaks it has the machine"
        );
    }
    if is_off(Measure::DurableHome) {
        tracing::warn!(
            "THE RECORDS OF THIS GUARD ARE NOT ON A DISK. After a restart of the machine these \
             keys are not fresh: import them with --from-now"
        );
    }
}

fn in_words(row: &palisade_sandbox::Row) -> String {
    format!(
        "  {measure}: {reason}; to mend it: {remedy}; or run without it: \
         --allow-unhardened={measure}",
        measure = row.measure,
        reason = row.reason,
        remedy = row.measure.remedy(),
    )
}

/// For metrics and `status`.
pub(super) fn rows(table: &Table) -> Vec<MeasureRow> {
    let row = |row: &palisade_sandbox::Row| MeasureRow {
        measure: row.measure.name().to_owned(),
        state: row.state.name().to_owned(),
        reason: row.reason.clone(),
    };
    table.measures.iter().map(row).collect()
}

/// How much memory is free, which bounds how many keystores are opened at once.
const MEMORY_INFORMATION: &str = "/proc/meminfo";

/// What the core needs of the machine: its home, and what the configuration names. Its sockets are
/// open by then.
pub(super) fn plan_of_core(config: &Config, home: &Home) -> Plan {
    let mut read_only = named_files::read_only(home.path(), config);
    read_only.extend(Some(MEMORY_INFORMATION.into()).filter(|path: &PathBuf| path.exists()));
    Plan { read_write: vec![home.path().to_owned()], read_only, ..Plan::default() }
}
