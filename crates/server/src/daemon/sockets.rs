//! The listening sockets, bound before anything else and handed on.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use super::Bound;
use crate::config::{Config, ListenAddress};
use crate::home::HomeError;

/// How long an address may still belong to a guard that is on its way out: a front outlives a
/// killed core by the moment that it takes to answer what was under way, or to be ended.
const HANDOVER: Duration = Duration::from_secs(4);

/// The listeners that the configuration wants.
pub(super) struct Sockets {
    pub(super) signing: Option<TcpListener>,
    pub(super) watching: Option<TcpListener>,
}

impl Sockets {
    pub(super) fn bind(config: &Config) -> Result<Self, HomeError> {
        let bind = |address: ListenAddress| address.0.map(bind).transpose();
        Ok(Self { signing: bind(config.listen.address)?, watching: bind(config.metrics.address)? })
    }

    pub(super) fn bound(&self) -> Result<Bound, HomeError> {
        let address = |socket: &Option<TcpListener>| {
            let address = socket.as_ref().map(TcpListener::local_addr).transpose();
            let address = address.map_err(|error| HomeError::CouldNot(error.to_string()))?;
            Ok::<_, HomeError>(ListenAddress(address))
        };
        Ok(Bound { listen: address(&self.signing)?, metrics: address(&self.watching)? })
    }
}

fn bind(address: SocketAddr) -> Result<TcpListener, HomeError> {
    let started = Instant::now();
    loop {
        match TcpListener::bind(address) {
            Ok(socket) => return Ok(socket),
            Err(error) if error.kind() == ErrorKind::AddrInUse && started.elapsed() < HANDOVER => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) => {
                return Err(HomeError::CouldNot(format!(
                    "cannot listen on {address}: {error}; is another program there? Choose \
                     another address with --listen or --metrics, or in palisade.toml"
                )));
            }
        }
    }
}
