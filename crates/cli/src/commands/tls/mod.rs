//! `palisade tls`: an authority of the operator's own, and what it issues.
//!
//! Invariants: nothing is written over; what the operator has to put into `palisade.toml` is
//! printed in the very form that the guard reads, and written there only when asked. A running
//! guard needs none of this: it reads PEM files, whoever made them.

mod authority;
mod files;
mod node;
mod show;

use std::path::Path;
use std::time::SystemTime;

use palisade_server::certificate::Certificate;
use palisade_server::config_file;
use palisade_server::home::{Home, HomeError};
use palisade_server::policy::Operation;
use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use serde::de::value::Error as NotAWord;
use zeroize::Zeroizing;

use self::authority::{Authority, Purpose, check_names};
use self::files::NewFile;
use crate::arguments::tls::{TlsClientArguments, TlsCommand, TlsInitArguments, TlsRenewArguments};
use crate::failure::Failure;
use crate::{Done, Outcome, output};

/// What clients on the same machine connect to.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// What a validator client needs.
const VALIDATOR_CLIENT: [Operation; 6] = [
    Operation::Proposals,
    Operation::Attestations,
    Operation::Aggregation,
    Operation::Sync,
    Operation::Randao,
    Operation::Registration,
];

const LISTEN_LINES: &str = "\
[listen.tls]
certificate = \"tls/guard.pem\"
key = \"tls/guard.key\"
client_authorities = \"tls/ca.pem\"
require_client_certificate = true";

pub(super) fn run(home: &Home, command: &TlsCommand) -> Done {
    match command {
        TlsCommand::Init(arguments) => init(home, arguments),
        TlsCommand::Client(arguments) => client(home, arguments),
        TlsCommand::Node(arguments) => node::run(home, arguments),
        TlsCommand::Renew(arguments) => renew(home, arguments),
        TlsCommand::Show(arguments) => show::run(home, arguments),
    }
}

fn init(home: &Home, arguments: &TlsInitArguments) -> Done {
    let config = home.read_config()?;
    if arguments.write && config.listen.tls.is_some() {
        return Err(Failure::Usage(format!(
            "{} has [listen.tls] already; run this without --write and change the lines by hand",
            home.config_path().display()
        )));
    }
    files::must_be_free(&files::directory(home))?;
    let names = match arguments.names.as_slice() {
        [] => LOOPBACK.map(str::to_owned).to_vec(),
        names => names.to_vec(),
    };
    check_names(&names)?;
    let now = SystemTime::now();
    let (authority, ours) = Authority::generate(now)?;
    let guard = authority.issue(&Purpose::Guard { names: &names }, now)?;
    files::create_directory(
        &files::directory(home),
        &[
            NewFile::public("ca.pem", &ours.certificate),
            NewFile::private("ca.key", &ours.key),
            NewFile::public("guard.pem", &guard.certificate),
            NewFile::private("guard.key", &guard.key),
        ],
    )?;
    output::line(&format!(
        "Made an authority and the guard's certificate for {} in {}.",
        names.join(", "),
        files::directory(home).display()
    ))?;
    put(home, LISTEN_LINES, arguments.write)?;
    output::line("Next: `palisade tls client NAME` for each client, then start the guard again.")?;
    Ok(Outcome::Yes)
}

fn client(home: &Home, arguments: &TlsClientArguments) -> Done {
    let config = home.read_config()?;
    let name = arguments.name.as_str();
    check_name(name)?;
    let allow = operations(&arguments.allow)?;
    if arguments.write && config.clients.iter().any(|client| client.name == name) {
        return Err(Failure::Usage(format!("palisade.toml has a client {name:?} already")));
    }
    let record = files::clients(home).join(name);
    files::must_be_free(&record)?;
    let now = SystemTime::now();
    let (authority_pem, authority) = authority(home, now)?;
    let issued = authority.issue(&Purpose::Client { name }, now)?;
    let certificate = || NewFile::public(format!("{name}.pem"), &issued.certificate);
    let all = [
        certificate(),
        NewFile::private(format!("{name}.key"), &issued.key),
        NewFile::public("ca.pem", &authority_pem),
    ];
    let place = arguments.out.as_deref().unwrap_or(&record);
    files::create_directory(place, &all)?;
    if arguments.out.is_some() {
        // The home keeps the certificate, to show it; the key is the client's alone.
        files::create_directory(&record, &[certificate()])?;
    }
    output::line(&format!(
        "Issued {name}: {name}.pem, {name}.key and ca.pem in {}.",
        place.display()
    ))?;
    put(home, &client_lines(name, &place.join(format!("{name}.pem")), &allow)?, arguments.write)?;
    if arguments.write && home.is_in_use()? {
        output::line("The running guard knows the client after SIGHUP or `POST /reload`.")?;
    }
    Ok(Outcome::Yes)
}

fn renew(home: &Home, arguments: &TlsRenewArguments) -> Done {
    let now = SystemTime::now();
    let path = files::guard_certificate(home);
    let key = files::read(&files::guard_key(home))?;
    let names = match arguments.names.as_slice() {
        [] => first(&path)?.names,
        names => names.to_vec(),
    };
    check_names(&names)?;
    let (_, authority) = authority(home, now)?;
    files::replace(&path, &authority.renew(&key, &Purpose::Guard { names: &names }, now)?)?;
    output::line(&format!(
        "{} is valid until {} for {}.",
        path.display(),
        show::date(first(&path)?.not_after),
        names.join(", ")
    ))?;
    if home.is_in_use()? {
        output::line("The running guard shows it after a restart.")?;
    }
    Ok(Outcome::Yes)
}

/// The home's authority, and its certificate's text.
fn authority(home: &Home, now: SystemTime) -> Result<(Zeroizing<String>, Authority), Failure> {
    let certificate = files::read(&files::authority_certificate(home))?;
    let key = files::read(&files::authority_key(home))?;
    let authority = Authority::open(&certificate, &key, now)?;
    Ok((certificate, authority))
}

/// Prints what belongs into `palisade.toml`, or puts it there.
fn put(home: &Home, lines: &str, write: bool) -> Result<(), Failure> {
    let path = home.config_path();
    if !write {
        return output::line(&format!("Put this at the end of {}:\n\n{lines}\n", path.display()));
    }
    config_file::append(&path, lines).map_err(|error| match error {
        HomeError::Configuration(why) => Failure::Usage(format!(
            "{why}; the certificates are made, put this into palisade.toml by hand:\n{lines}"
        )),
        other => other.into(),
    })?;
    output::line(&format!("Added to {}:\n\n{lines}\n", path.display()))
}

fn client_lines(name: &str, certificate: &Path, allow: &[Operation]) -> Result<String, Failure> {
    let digest = hex::encode(first(certificate)?.fingerprint.0);
    let allow: Vec<String> = allow.iter().map(|operation| format!("\"{operation}\"")).collect();
    Ok(format!(
        "[[client]]\nname = \"{name}\"\ncertificate_sha256 = \"{digest}\"\nallow = [{}]",
        allow.join(", ")
    ))
}

fn first(path: &Path) -> Result<Certificate, Failure> {
    let all = Certificate::read_all(path).map_err(|error| Failure::Usage(error.0))?;
    all.into_iter().next().ok_or_else(|| Failure::Usage(format!("{} is empty", path.display())))
}

/// The name goes into file names and into `palisade.toml`.
fn check_name(name: &str) -> Result<(), Failure> {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || 64 < name.len() || !name.bytes().all(is_word) || name.starts_with('-') {
        return Err(Failure::Usage(format!(
            "{name:?} is no name for a client or a node: it has 1 to 64 lowercase letters, digits \
             and dashes"
        )));
    }
    Ok(())
}

fn operations(words: &[String]) -> Result<Vec<Operation>, Failure> {
    if words.is_empty() {
        return Ok(VALIDATOR_CLIENT.to_vec());
    }
    let parse = |word: &String| {
        Operation::deserialize(word.as_str().into_deserializer())
            .map_err(|error: NotAWord| Failure::Usage(format!("--allow {word}: {error}")))
    };
    words.iter().map(parse).collect()
}
