//! `palisade tls node`: a certificate for a node that the guard dials, and the lines by which it
//! does.
//!
//! Invariant: what it prints is a configuration, checked as the guard checks it, before a file is
//! made.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::SystemTime;

use palisade_server::config::{NodeEntry, NodeTls};
use palisade_server::home::Home;
use palisade_server::policy::Operation;

use super::authority::{Purpose, check_names};
use super::files::{self, NewFile};
use super::{authority, check_name, operations, put};
use crate::arguments::tls::TlsNodeArguments;
use crate::failure::Failure;
use crate::{Done, Outcome, output};

pub(super) fn run(home: &Home, arguments: &TlsNodeArguments) -> Done {
    let config = home.read_config()?;
    let name = arguments.name.as_str();
    check_name(name)?;
    let is_known = config.nodes.iter().any(|node| node.name == name)
        || config.clients.iter().any(|client| client.name == name);
    if arguments.write && is_known {
        return Err(Failure::Usage(format!(
            "palisade.toml has a node or a client {name:?} already"
        )));
    }
    let entry = entry(arguments);
    let address = entry.address().map_err(|error| Failure::Usage(error.0))?;
    let allow = match arguments.allow.as_slice() {
        [] => vec![Operation::SessionDuties],
        words => operations(words)?,
    };
    allow
        .iter()
        .try_for_each(|operation| entry.check_allowed(*operation))
        .map_err(Failure::Usage)?;
    let names = names(arguments);
    check_names(&names)?;
    check_own(&config.nodes, name, &names)?;
    let record = files::nodes(home).join(name);
    files::must_be_free(&record)?;
    let now = SystemTime::now();
    let (authority_pem, authority) = authority(home, now)?;
    let issued = authority.issue(&Purpose::Node { name, names: &names }, now)?;
    let certificate = || NewFile::public(format!("{name}.pem"), &issued.certificate);
    let place = arguments.out.as_deref().unwrap_or(&record);
    files::create_directory(
        place,
        &[
            certificate(),
            NewFile::private(format!("{name}.key"), &issued.key),
            NewFile::public("ca.pem", &authority_pem),
        ],
    )?;
    if arguments.out.is_some() {
        // The home keeps the certificate, to show it; the key is the node's alone.
        files::create_directory(&record, &[certificate()])?;
    }
    output::line(&format!(
        "Issued {name} for {}: {name}.pem, {name}.key and ca.pem in {}.",
        names.join(", "),
        place.display()
    ))?;
    put(home, &lines(&entry, &names, address, &allow), arguments.write)?;
    output::line("The guard dials the node after a restart.")?;
    Ok(Outcome::Yes)
}

/// As it will stand in `palisade.toml`, with what `palisade tls init` made.
fn entry(arguments: &TlsNodeArguments) -> NodeEntry {
    let file = |name: &str| PathBuf::from("tls").join(name);
    let tls = NodeTls {
        authorities: file("ca.pem"),
        server_name: None,
        certificate: Some(file("guard.pem")),
        key: Some(file("guard.key")),
    };
    NodeEntry {
        name: arguments.name.clone(),
        url: arguments.url.clone(),
        token_file: None,
        tls: Some(tls),
        danger_allow_plain_text: false,
    }
}

/// Its own name, unless others are given: the address may be another node's too, or the guard's,
/// and whoever holds the certificate would pass for that.
fn names(arguments: &TlsNodeArguments) -> Vec<String> {
    match arguments.names.as_slice() {
        [] => vec![arguments.name.clone()],
        names => names.to_vec(),
    }
}

/// No other node is known by one of these.
fn check_own(nodes: &[NodeEntry], node: &str, names: &[String]) -> Result<(), Failure> {
    let others = nodes.iter().filter(|other| other.name != node);
    for other in others.filter(|other| other.tls.is_some()) {
        let known_by = other.known_by().map_err(|error| Failure::Usage(error.0))?;
        if names.contains(&known_by) {
            return Err(Failure::Usage(format!(
                "the node {:?} is known by {known_by} already: whoever holds the certificate of \
                 one would pass for the other; give --name NAME that only this node has",
                other.name
            )));
        }
    }
    Ok(())
}

fn lines(entry: &NodeEntry, names: &[String], address: SocketAddr, allow: &[Operation]) -> String {
    let NodeEntry { name, url, .. } = entry;
    let ip = address.ip().to_string();
    let server_name = match names {
        [first, ..] if !names.contains(&ip) => format!("server_name = \"{first}\"\n"),
        _ => String::new(),
    };
    let allow: Vec<String> = allow.iter().map(|operation| format!("\"{operation}\"")).collect();
    format!(
        "[[node]]\nname = \"{name}\"\nurl = \"{url}\"\n\n[node.tls]\nauthorities = \"tls/ca.pem\"\n\
         {server_name}certificate = \"tls/guard.pem\"\nkey = \"tls/guard.key\"\n\n\
         [[client]]\nname = \"{name}\"\nnode = \"{name}\"\nallow = [{}]",
        allow.join(", ")
    )
}
