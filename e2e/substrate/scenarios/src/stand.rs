//! What a scenario stands on: the programs, a fresh folder, free ports.

use std::{
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
};

use clap::Args;

use crate::{Failure, children};

/// The programs under test, and where their files go.
#[derive(Args)]
pub(crate) struct Binaries {
    /// The guard.
    #[arg(long, env = "PALISADE_BIN")]
    pub(crate) palisade: PathBuf,
    /// The node.
    #[arg(long, env = "MINI_NODE_BIN")]
    pub(crate) mini_node: PathBuf,
    /// Each scenario makes its own folder in here, anew.
    #[arg(long, env = "E2E_DIR")]
    pub(crate) directory: PathBuf,
}

/// The stand of one scenario.
pub(crate) struct Stand<'a> {
    pub(crate) binaries: &'a Binaries,
    directory: PathBuf,
}

impl<'a> Stand<'a> {
    /// Clears the folder of the scenario.
    pub(crate) fn new(scenario: &str, binaries: &'a Binaries) -> Result<Self, Failure> {
        let directory = binaries.directory.join(scenario);
        if directory.exists() {
            std::fs::remove_dir_all(&directory)?;
        }
        std::fs::create_dir_all(&directory)?;
        Ok(Self { binaries, directory })
    }

    /// A path in the scenario's folder.
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.join(name)
    }

    /// The hash of the genesis block of these authorities' chain, 0x hex.
    pub(crate) fn genesis(&self, authorities: &str) -> Result<String, Failure> {
        let arguments = ["genesis", "--authorities", authorities].map(str::to_owned);
        Ok(children::output(&self.binaries.mini_node, &arguments)?.trim().to_owned())
    }
}

/// A port of 127.0.0.1 that nobody listens on at the moment.
pub(crate) fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
