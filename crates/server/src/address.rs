//! Where a listener is: an address, or nowhere.
//!
//! Invariant: a guard has no listener only where the word `none` stands; nothing is left out by
//! leaving out a line.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use serde::Deserialize;

/// The word for no listener.
const NONE: &str = "none";

/// `address` of `[listen]` and `[metrics]`: `IP:PORT`, or `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ListenAddress(pub Option<SocketAddr>);

impl ListenAddress {
    /// This port of the machine itself.
    pub(crate) fn local(port: u16) -> Self {
        Self(Some(SocketAddr::from(([127, 0, 0, 1], port))))
    }
}

/// A text that says nowhere to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoAddress(String);

impl fmt::Display for NoAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no address; write IP:PORT, as 127.0.0.1:9000, or none", self.0)
    }
}

impl std::error::Error for NoAddress {}

impl FromStr for ListenAddress {
    type Err = NoAddress;

    fn from_str(text: &str) -> Result<Self, NoAddress> {
        if text == NONE {
            return Ok(Self(None));
        }
        text.parse().map(|address| Self(Some(address))).map_err(|_| NoAddress(text.to_owned()))
    }
}

impl TryFrom<String> for ListenAddress {
    type Error = NoAddress;

    fn try_from(text: String) -> Result<Self, NoAddress> {
        text.parse()
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str(NONE),
        }
    }
}
