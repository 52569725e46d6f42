//! `palisade service`: the guard under systemd.
//!
//! Invariants: nothing is changed without `--yes`; the files are the very ones that the Debian
//! package brings, with the place of this program put in; the home, its keys and its user are never
//! removed; the service is never switched on here, because that is the moment when a second signer
//! may come to life.

mod plan;
mod program;
mod state;

use std::path::Path;

use self::plan::{Action, File, Verb};
use self::state::State;
use crate::arguments::service::{ServiceChangeArguments, ServiceCommand, ServiceStatusArguments};
use crate::failure::Failure;
use crate::{Done, Outcome, output};

/// Where the service's home is: below the only directory that its user may write.
pub(super) const HOME: &str = "/var/lib/palisade/home";

/// Where the sealed unlock secret is looked for.
pub(super) const CREDENTIAL: &str = "/etc/credstore.encrypted/palisade-unlock";

/// The unit that the Debian package brings.
pub(super) const PACKAGED_UNIT: &str = "/usr/lib/systemd/system/palisade.service";

pub(super) fn run(command: &ServiceCommand) -> Done {
    match command {
        ServiceCommand::Install(arguments) => install(arguments),
        ServiceCommand::Status(arguments) => status(arguments),
        ServiceCommand::Uninstall(arguments) => uninstall(arguments),
    }
}

/// A path of the running system, in the tree that is worked on.
pub(super) fn below(root: &Path, path: &str) -> std::path::PathBuf {
    root.join(path.trim_start_matches('/'))
}

fn install(arguments: &ServiceChangeArguments) -> Done {
    let root = arguments.root.root.as_path();
    refuse_packaged(root, "apt-get upgrade")?;
    let files = plan::files(&program::to_start(root)?);
    carry_out(&plan::install(root, &files)?, arguments)?;
    if !arguments.yes {
        for file in &files {
            show(file)?;
        }
        return done(arguments, "install");
    }
    output::line(&format!(
        "Next, as root:\n  sudo -u palisade palisade --home {HOME} init --network NAME\n  \
         sudo -u palisade palisade --home {HOME} keys import …\n  systemctl enable --now palisade"
    ))?;
    Ok(Outcome::Yes)
}

fn uninstall(arguments: &ServiceChangeArguments) -> Done {
    let root = arguments.root.root.as_path();
    refuse_packaged(root, "apt-get remove")?;
    let actions = plan::uninstall(root)?;
    if actions.is_empty() {
        return Err(Failure::Refused(
            "there is no service that `palisade service install` wrote".to_owned(),
        ));
    }
    carry_out(&actions, arguments)?;
    if !arguments.yes {
        return done(arguments, "uninstall");
    }
    output::line(&format!("{HOME} and the user palisade are still there, with all keys."))?;
    Ok(Outcome::Yes)
}

fn refuse_packaged(root: &Path, instead: &str) -> Result<(), Failure> {
    if !below(root, PACKAGED_UNIT).exists() {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "the Debian package has installed the service ({PACKAGED_UNIT}); use `{instead} palisade`"
    )))
}

fn carry_out(actions: &[Action], arguments: &ServiceChangeArguments) -> Result<(), Failure> {
    let verb = if arguments.yes { Verb::Did } else { Verb::Would };
    for action in actions {
        if arguments.yes {
            action.carry_out()?;
        }
        output::line(&action.describe(verb))?;
    }
    Ok(())
}

fn show(file: &File) -> Result<(), Failure> {
    output::line(&format!("\n{}:\n", file.path))?;
    for line in file.text.lines() {
        output::line(format!("    {line}").trim_end())?;
    }
    Ok(())
}

fn done(arguments: &ServiceChangeArguments, command: &str) -> Done {
    let root = arguments.root.root.display();
    let root = if arguments.root.root == Path::new("/") {
        String::new()
    } else {
        format!(" --root {root}")
    };
    output::line(&format!(
        "\nNothing was changed. As root, `palisade service {command}{root} --yes` does it."
    ))?;
    Ok(Outcome::Yes)
}

fn status(arguments: &ServiceStatusArguments) -> Done {
    let rows = state::look(&arguments.root.root);
    let is_whole = rows.iter().all(|row| !matches!(row.state, State::Missing | State::Wrong));
    let outcome = if is_whole { Outcome::Yes } else { Outcome::No };
    if arguments.json {
        output::json(&rows)?;
        return Ok(outcome);
    }
    for row in &rows {
        output::line(&format!("{:<10}{:<9}{}", row.what, row.state.word(), row.detail))?;
    }
    Ok(outcome)
}
