//! The guard under test: the real binary with a fresh home, driven as an operator would.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
    time::Duration,
};

use serde_json::{Value, json};
use ureq::Agent;

use crate::{
    Failure,
    children::{self, Child},
    node::Node,
    stand::{Stand, free_port},
    wait,
};

/// How long the guard may take until it is ready.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How long its metrics listener may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// Permissions of a file of secrets.
const OWNER_ALONE: u32 = 0o600;
/// What a guard that dials shows to its node.
const TOKEN: &str = "token-of-the-scenarios-guard";
/// The guard's name of the scenarios' chain.
pub(crate) const CHAIN: &str = "mini";
/// The chain's slot, as the runtime has it.
const SLOT_MILLISECONDS: &str = "2000";

/// A guard and its home.
pub(crate) struct Guard {
    name: String,
    binary: PathBuf,
    home: PathBuf,
    secrets: PathBuf,
    log: PathBuf,
    /// Where it listens, or where the node does that it dials.
    port: u16,
    dials: bool,
    metrics_port: u16,
    agent: Agent,
    child: Option<Child>,
}

impl Guard {
    /// Makes a home that pins the chain and holds the BABE and the GRANDPA key of these secret
    /// URIs, and starts the guard on it.
    pub(crate) fn start(
        stand: &Stand<'_>,
        name: &str,
        genesis: &str,
        secrets: &[&str],
    ) -> Result<Self, Failure> {
        let mut guard = Self::make(stand, name, genesis, secrets)?;
        guard.start_again()?;
        Ok(guard)
    }

    /// The same, but it listens for no client, and dials a node instead.
    pub(crate) fn start_dialling(
        stand: &Stand<'_>,
        name: &str,
        genesis: &str,
        secrets: &[&str],
    ) -> Result<Self, Failure> {
        let mut guard = Self { dials: true, ..Self::make(stand, name, genesis, secrets)? };
        fs::write(guard.token_file(), TOKEN)?;
        let mut file = File::options().append(true).open(guard.home.join("palisade.toml"))?;
        write!(
            file,
            "\n[[node]]\nname = \"node\"\nurl = \"ws://127.0.0.1:{}\"\n\
             token_file = \"node-token.txt\"\n\
             [[client]]\nname = \"node\"\nnode = \"node\"\nallow = [\"session-duties\"]\n",
            guard.port
        )?;
        guard.start_again()?;
        Ok(guard)
    }

    fn make(
        stand: &Stand<'_>,
        name: &str,
        genesis: &str,
        secrets: &[&str],
    ) -> Result<Self, Failure> {
        let guard = Self {
            name: name.to_owned(),
            binary: stand.binaries.palisade.clone(),
            home: stand.path(format!("{name}-home")),
            secrets: stand.path(format!("{name}-secrets.txt")),
            log: stand.path(format!("{name}.log")),
            port: free_port()?,
            dials: false,
            metrics_port: free_port()?,
            agent: Agent::config_builder().timeout_global(Some(ANSWER_LIMIT)).build().into(),
            child: None,
        };
        guard.command(&["init", "--network", "minimal"])?;
        let chain = ["chain", "add", CHAIN, "--genesis", genesis, "--slot-ms", SLOT_MILLISECONDS];
        guard.command(&chain)?;
        guard.import(secrets)?;
        Ok(guard)
    }

    /// Imports the BABE and the GRANDPA key of these secret URIs as never used before.
    fn import(&self, secrets: &[&str]) -> Result<(), Failure> {
        let mut file =
            File::options().write(true).create_new(true).mode(OWNER_ALONE).open(&self.secrets)?;
        file.write_all(secrets.join("\n").as_bytes())?;
        let chain = format!("substrate:{CHAIN}");
        let file = self.secrets.display().to_string();
        for key_type in ["babe", "gran"] {
            self.command(&[
                "keys",
                "import-raw",
                "--chain",
                &chain,
                "--type",
                key_type,
                "--fresh",
                &file,
            ])?;
        }
        Ok(fs::remove_file(&self.secrets)?)
    }

    /// Lets it make new session keys for the runtime of `node`, proven to belong to `owner`: what
    /// `keys rotate` prints.
    pub(crate) fn rotate(&self, node: &Node, owner: &[u8]) -> Result<Value, Failure> {
        let metadata: Value = node.rpc().call("state_getMetadata", json!([]))?;
        let file = self.secrets.with_extension("metadata");
        fs::write(&file, metadata.to_string())?;
        let chain = format!("substrate:{CHAIN}");
        let (owner, file) = (format!("0x{}", hex::encode(owner)), file.display().to_string());
        let arguments = ["--chain", &chain, "--owner", &owner, "--metadata", &file, "--json"];
        let printed = self.command(&[["keys", "rotate"].as_slice(), &arguments].concat())?;
        Ok(serde_json::from_str(&printed)?)
    }

    /// Starts it on the home that it has, and waits until it says that it is ready.
    pub(crate) fn start_again(&mut self) -> Result<(), Failure> {
        let arguments = [
            format!("--home={}", self.home.display()),
            "run".to_owned(),
            match self.dials {
                true => "--listen=none".to_owned(),
                false => format!("--listen=127.0.0.1:{}", self.port),
            },
            format!("--metrics=127.0.0.1:{}", self.metrics_port),
        ];
        let mut child = Child::start(&self.name, &self.log, &self.binary, &arguments)?;
        // One that dials is ready only when its node is there.
        let path = if self.dials { "healthz" } else { "readyz" };
        wait::until(&format!("{}'s /{path}", self.name), START_LIMIT, || {
            child.assert_alive()?;
            self.get(path).map(Some)
        })?;
        self.child = Some(child);
        Ok(())
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) -> Result<(), Failure> {
        match self.child.take() {
            Some(mut child) => child.kill().map(drop),
            None => Err(format!("{} does not run", self.name).into()),
        }
    }

    /// Its name in the logs and the report.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where nodes connect.
    pub(crate) fn url(&self) -> String {
        format!("ws://127.0.0.1:{}/rpc", self.port)
    }

    /// Where the node listens that it dials.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What it shows to that node.
    pub(crate) fn token_file(&self) -> PathBuf {
        self.home.join("node-token.txt")
    }

    /// Kills it, and has it check its journal. Fails if the journal does not hold.
    pub(crate) fn verify_journal(&mut self) -> Result<(), Failure> {
        self.kill()?;
        self.command(&["journal", "verify"]).map(drop)
    }

    /// How many requests to sign ended in which way since its start: `signed`, or a denial's code.
    pub(crate) fn outcomes(&self) -> Result<BTreeMap<String, u64>, Failure> {
        let mut outcomes = BTreeMap::new();
        for line in self.get("metrics")?.lines() {
            let Some(labels) = line.strip_prefix("palisade_signing_requests") else { continue };
            let outcome =
                labels.split_once("outcome=\"").and_then(|(_, rest)| rest.split_once('"'));
            let count = line.rsplit_once(' ').and_then(|(_, count)| count.parse::<u64>().ok());
            if let (Some((outcome, _)), Some(count)) = (outcome, count) {
                *outcomes.entry(outcome.to_owned()).or_default() += count;
            }
        }
        Ok(outcomes)
    }

    /// Runs a command on its home, and gives what it prints.
    pub(crate) fn command(&self, arguments: &[&str]) -> Result<String, Failure> {
        let home = format!("--home={}", self.home.display());
        let all: Vec<String> =
            std::iter::once(home).chain(arguments.iter().map(|&text| text.to_owned())).collect();
        children::output(&self.binary, &all)
    }

    fn get(&self, path: &str) -> Result<String, Failure> {
        let url = format!("http://127.0.0.1:{}/{path}", self.metrics_port);
        Ok(self.agent.get(&url).call()?.body_mut().read_to_string()?)
    }
}
