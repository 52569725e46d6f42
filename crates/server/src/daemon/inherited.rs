//! Sockets that the service manager opened and handed over (sd_listen_fds(3)).
//!
//! Invariants: both sockets come or none; other programs that this process starts do not get them.

use std::net::TcpListener;

use listenfd::ListenFd;

use super::sockets::Sockets;
use crate::home::HomeError;

/// The sockets of a guard that was started by its socket unit. To be called once, before the
/// process has threads: the variables that name them are taken out of the environment.
///
/// # Errors
/// [`HomeError::Configuration`] when something else than the two sockets was handed over.
pub(super) fn sockets() -> Result<Option<Sockets>, HomeError> {
    let mut handed_over = ListenFd::from_env();
    match handed_over.len() {
        0 => return Ok(None),
        2 => {}
        count => return Err(wrong(&format!("there are {count}"))),
    }
    let mut take = |index| -> Result<TcpListener, HomeError> {
        let socket = handed_over.take_tcp_listener(index).map_err(|error| wrong(&error))?;
        socket.ok_or_else(|| wrong(&"one is missing"))
    };
    Ok(Some(Sockets { signing: take(0)?, watching: take(1)? }))
}

fn wrong(why: &dyn std::fmt::Display) -> HomeError {
    HomeError::Configuration(format!(
        "the sockets of the service manager cannot be used: {why}. The guard takes two TCP \
         sockets: ListenStream= for signing, then for metrics and console"
    ))
}
