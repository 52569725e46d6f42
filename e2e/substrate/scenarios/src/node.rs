//! A node of a scenario: the process, and what its chain looks like from it.

use std::time::Duration;

use serde_json::{Value, json};
use sp_core::H256;

use crate::{
    Failure,
    chain::Header,
    children::Child,
    guard::Guard,
    rpc::Rpc,
    stand::{Stand, free_port},
    wait,
};

/// How long a node may take to answer after its start.
const START_LIMIT: Duration = Duration::from_secs(60);
/// What a node logs when it sees that an authority signed twice.
const EQUIVOCATIONS: [&str; 2] = ["is equivocating at slot", "equivocation in the finality worker"];

/// Where a node's session keys are.
pub(crate) enum Keys<'a> {
    /// In its own memory, those of this development name.
    Local(&'a str),
    /// In the guard at this address.
    Guard(&'a str),
    /// In this guard, which dials.
    Dialling(&'a Guard),
}

/// How a node is started.
pub(crate) struct Setup<'a> {
    /// Its name, in the logs and for its network identity.
    pub(crate) name: &'a str,
    /// The chain's authorities, separated by commas.
    pub(crate) authorities: &'a str,
    /// Where its session keys are.
    pub(crate) keys: Keys<'a>,
    /// Nodes to connect to.
    pub(crate) peers: &'a [&'a Node],
}

/// A running node.
pub(crate) struct Node {
    child: Child,
    rpc: Rpc,
    port: u16,
    restarts: u32,
}

impl Node {
    /// Starts it, and waits until its JSON-RPC answers.
    pub(crate) fn start(stand: &Stand<'_>, setup: &Setup<'_>) -> Result<Self, Failure> {
        let (port, rpc_port) = (free_port()?, free_port()?);
        let base = stand.path(setup.name);
        let mut arguments = vec![
            "run".to_owned(),
            format!("--authorities={}", setup.authorities),
            format!("--base={}", base.display()),
            format!("--name={}", setup.name),
            format!("--port={port}"),
            format!("--rpc-port={rpc_port}"),
            match setup.keys {
                Keys::Local(name) => format!("--local-seed={name}"),
                Keys::Guard(url) => format!("--guard={url}"),
                Keys::Dialling(guard) => format!("--await-guard={}", guard.port()),
            },
        ];
        if let Keys::Dialling(guard) = setup.keys {
            arguments.push(format!("--guard-token={}", guard.token_file().display()));
        }
        for peer in setup.peers {
            arguments.push(format!("--bootnode={}", peer.address()?));
        }
        let log = stand.path(format!("{}.log", setup.name));
        let child = Child::start(setup.name, &log, &stand.binaries.mini_node, &arguments)?;
        let mut node = Self { child, rpc: Rpc::new(rpc_port), port, restarts: 0 };
        wait::until(&format!("{}'s JSON-RPC", setup.name), START_LIMIT, || {
            node.child.assert_alive()?;
            node.best().map(Some)
        })?;
        Ok(node)
    }

    /// Its JSON-RPC.
    pub(crate) fn rpc(&self) -> &Rpc {
        &self.rpc
    }

    /// The number of its process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Fails if the process has ended.
    pub(crate) fn assert_alive(&mut self) -> Result<(), Failure> {
        self.child.assert_alive()
    }

    /// Starts it again if it has ended by itself, as the supervisor of a validator does.
    pub(crate) fn supervise(&mut self) -> Result<(), Failure> {
        self.restarts += u32::from(self.child.start_if_ended()?);
        Ok(())
    }

    /// How often it was started again.
    pub(crate) fn restarts(&self) -> u32 {
        self.restarts
    }

    /// How many lines of its log have this in them.
    pub(crate) fn log_lines(&self, needle: &str) -> Result<usize, Failure> {
        self.child.count_lines(&[needle])
    }

    /// How many equivocations it has logged.
    pub(crate) fn equivocations(&self) -> Result<usize, Failure> {
        self.child.count_lines(&EQUIVOCATIONS)
    }

    /// The number of its best block.
    pub(crate) fn best(&self) -> Result<u32, Failure> {
        Ok(self.header_of(Value::Null)?.number)
    }

    /// The hash and the number of the block that it knows to be final.
    pub(crate) fn finalised(&self) -> Result<(H256, u32), Failure> {
        let hash: H256 =
            serde_json::from_value(self.rpc.call("chain_getFinalizedHead", json!([]))?)?;
        Ok((hash, self.header_of(json!(hash))?.number))
    }

    /// Waits until a block of this number is final.
    pub(crate) fn wait_finalised(&mut self, number: u32, limit: Duration) -> Result<(), Failure> {
        wait::until(&format!("block {number} final"), limit, || {
            self.assert_alive()?;
            let (_, now) = self.finalised()?;
            if now < number { Err(format!("at {now}").into()) } else { Ok(Some(())) }
        })
    }

    /// The hash of the block of this number in its best chain.
    pub(crate) fn hash(&self, number: u32) -> Result<H256, Failure> {
        Ok(serde_json::from_value(self.rpc.call("chain_getBlockHash", json!([number]))?)?)
    }

    /// The header of a block, by its hash.
    pub(crate) fn header(&self, hash: H256) -> Result<Header, Failure> {
        self.header_of(json!(hash))
    }

    fn header_of(&self, hash: Value) -> Result<Header, Failure> {
        Ok(serde_json::from_value(self.rpc.call("chain_getHeader", json!([hash]))?)?)
    }

    /// Where other nodes reach it.
    fn address(&self) -> Result<String, Failure> {
        let identity = self.rpc.call("system_localPeerId", json!([]))?;
        let identity = identity.as_str().ok_or("system_localPeerId gave no text")?;
        Ok(format!("/ip4/127.0.0.1/tcp/{}/p2p/{identity}", self.port))
    }
}
