//! One file for each group of commands.

mod announcement;
mod chain;
mod history;
mod init;
mod journal;
mod keys;
mod remove;
mod run;
mod runtime_metadata;
mod secure;
mod service;
mod sessions;
mod status;
mod tls;

use clap::CommandFactory;
use palisade_server::daemon::Stages;

use crate::arguments::{Arguments, Command};
use crate::failure::Failure;
use crate::{Done, Outcome, output, target};

pub use run::Hardening;

/// Does what the arguments ask; the processes of a guard give up what `stages` makes of it.
pub(crate) fn run<S: Stages>(arguments: Arguments, stages: impl FnOnce(Hardening) -> S) -> Done {
    match &arguments.command {
        Command::Completions { shell } => return completions(*shell),
        Command::Front(arguments) => return run::front(arguments, stages),
        Command::Service(command) => return service::run(command),
        _ => {}
    }
    let home = target::home(arguments.home)?;
    match arguments.command {
        Command::Init(arguments) => init::run(&home, &arguments),
        Command::Run(arguments) => run::run(&home, &arguments, stages),
        Command::Secure(command) => secure::run(&home, command),
        Command::Keys(command) => keys::run(&home, command),
        Command::Chain(command) => chain::run(&home, &command),
        Command::History(command) => history::run(&home, command),
        Command::Journal(command) => journal::run(&home, &command),
        Command::Status(arguments) => status::status(&home, &arguments),
        Command::StopLine(arguments) => status::stop_line(&home, &arguments),
        Command::Tls(command) => tls::run(&home, &command),
        // Done above: they need no home.
        Command::Completions { .. } | Command::Front(_) | Command::Service(_) => Ok(Outcome::Yes),
    }
}

fn completions(shell: clap_complete::Shell) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "palisade", &mut script);
    let script = String::from_utf8(script)
        .map_err(|_| Failure::CouldNot("the completion script is not UTF-8".to_owned()))?;
    output::raw(&script)?;
    Ok(Outcome::Yes)
}
