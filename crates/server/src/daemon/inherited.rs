//! Sockets that the service manager opened and handed over (sd_listen_fds(3)).
//!
//! Invariants: all sockets come or none; other programs that this process starts do not get them.

use std::net::TcpListener;

use listenfd::ListenFd;

use super::sockets::Sockets;
use crate::config::Config;
use crate::home::HomeError;

/// The sockets of a guard that was started by its socket unit: one for each listener that `config`
/// wants. To be called once, before the process has threads: the variables that name them are taken
/// out of the environment.
///
/// # Errors
/// [`HomeError::Configuration`] when something else than these sockets was handed over.
pub(super) fn sockets(config: &Config) -> Result<Option<Sockets>, HomeError> {
    let wanted = [config.listen.address.0.is_some(), config.metrics.address.0.is_some()];
    let mut handed_over = ListenFd::from_env();
    match (handed_over.len(), wanted.iter().filter(|wanted| **wanted).count()) {
        (0, _) => return Ok(None),
        (count, wanted) if count == wanted => {}
        (count, wanted) => return Err(wrong(&format!("there are {count}, and not {wanted}"))),
    }
    let mut indices = 0..;
    let mut take = |wanted: bool| -> Result<Option<TcpListener>, HomeError> {
        let Some(index) = wanted.then(|| indices.next()).flatten() else { return Ok(None) };
        let socket = handed_over.take_tcp_listener(index).map_err(|error| wrong(&error))?;
        socket.map(Some).ok_or_else(|| wrong(&"one is missing"))
    };
    let [signing, watching] = wanted;
    Ok(Some(Sockets { signing: take(signing)?, watching: take(watching)? }))
}

fn wrong(why: &dyn std::fmt::Display) -> HomeError {
    HomeError::Configuration(format!(
        "the sockets of the service manager cannot be used: {why}. The guard takes a TCP socket \
         for each address of palisade.toml that is not none: ListenStream= for signing, then for \
         metrics and console"
    ))
}
