//! `palisade tls show`: what certificates there are, and how long they hold.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use palisade_server::certificate::Certificate;
use palisade_server::config::{ClientEntry, Config};
use palisade_server::home::Home;
use serde::Serialize;

use super::files;
use crate::arguments::JsonArguments;
use crate::failure::Failure;
use crate::{Done, Outcome, output};

/// One certificate, as `--json` prints it.
#[derive(Serialize)]
struct Shown {
    role: &'static str,
    file: PathBuf,
    subject: String,
    names: Vec<String>,
    sha256: String,
    not_before: String,
    not_after: String,
    expired: bool,
    days_left: u64,
    /// The `[[client]]` that is recognised by it, or the `[[node]]` of this name.
    listed_as: Option<String>,
}

pub(super) fn run(home: &Home, arguments: &JsonArguments) -> Done {
    let config = home.read_config()?;
    let mut shown = Vec::new();
    for (role, file) in found(home, &config)? {
        let all = Certificate::read_all(&file).map_err(|error| Failure::Usage(error.0))?;
        shown.extend(all.into_iter().map(|one| describe(role, &file, one, &config)));
    }
    let outcome = if shown.iter().any(|one| one.expired) { Outcome::No } else { Outcome::Yes };
    if arguments.json {
        output::json(&shown)?;
        return Ok(outcome);
    }
    for one in &shown {
        print(one)?;
    }
    if shown.is_empty() {
        output::diagnostic("this home has no certificate; see `palisade tls init --help`");
    }
    Ok(outcome)
}

/// When, as people read it.
pub(super) fn date(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

fn print(one: &Shown) -> Result<(), Failure> {
    let left =
        if one.expired { "EXPIRED".to_owned() } else { format!("{} days left", one.days_left) };
    output::line(&format!("{}  {}  {}", one.role, one.subject, one.file.display()))?;
    output::line(&format!("    sha256 {}", one.sha256))?;
    output::line(&format!("    until {}, {left}", one.not_after))?;
    if !one.names.is_empty() {
        output::line(&format!("    for {}", one.names.join(", ")))?;
    }
    match &one.listed_as {
        Some(node) if one.role == "node" => {
            output::line(&format!("    [[node]] {node:?} in palisade.toml"))
        }
        Some(client) => output::line(&format!("    [[client]] {client:?} in palisade.toml")),
        None if one.role == "client" => output::line("    not in palisade.toml: not recognised"),
        None if one.role == "node" => output::line("    not in palisade.toml: not dialled"),
        None => Ok(()),
    }
}

/// The files of the home's authority, and what `[listen.tls]` names beside them.
fn found(home: &Home, config: &Config) -> Result<Vec<(&'static str, PathBuf)>, Failure> {
    let mut found = vec![
        ("authority", files::authority_certificate(home)),
        ("server", files::guard_certificate(home)),
    ];
    found.retain(|(_, file)| file.exists());
    if let Some(tls) = &config.listen.tls {
        let authorities = tls.client_authorities.as_ref().map(|file| ("authority", file));
        for (role, file) in [("server", &tls.certificate)].into_iter().chain(authorities) {
            let file = home.path().join(file);
            if !found.iter().any(|(_, known)| *known == file) {
                found.push((role, file));
            }
        }
    }
    found.extend(issued(&files::clients(home))?.into_iter().map(|file| ("client", file)));
    found.extend(issued(&files::nodes(home))?.into_iter().map(|file| ("node", file)));
    Ok(found)
}

/// The certificates below this directory, `NAME/NAME.pem` each.
fn issued(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(Failure::io(format!("cannot read {}", directory.display()), &error));
        }
    };
    let mut issued: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path().join(entry.file_name()).with_extension("pem"))
        .filter(|file| file.exists())
        .collect();
    issued.sort();
    Ok(issued)
}

fn describe(role: &'static str, file: &Path, one: Certificate, config: &Config) -> Shown {
    let sha256 = hex::encode(one.fingerprint.0);
    let is_it = |digest: &String| {
        palisade_server::policy::Fingerprint::from_hex(digest) == Some(one.fingerprint.clone())
    };
    let left = one.time_left(SystemTime::now());
    let listed_as = if role == "node" {
        let is_its = |name: &&str| file.file_stem().is_some_and(|stem| stem == *name);
        config.nodes.iter().map(|node| node.name.as_str()).find(is_its)
    } else {
        let is_its = |client: &&ClientEntry| client.certificate_sha256.as_ref().is_some_and(is_it);
        config.clients.iter().find(is_its).map(|client| client.name.as_str())
    };
    Shown {
        role,
        file: file.to_owned(),
        names: one.names,
        sha256,
        not_before: date(one.not_before),
        not_after: date(one.not_after),
        expired: left.is_none(),
        days_left: left.map_or(0, |left| left.as_secs() / 86_400),
        listed_as: listed_as.map(str::to_owned),
        subject: one.subject,
    }
}
