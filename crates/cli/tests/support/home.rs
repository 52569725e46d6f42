//! A home in a directory of its own, made and filled by the real commands.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use super::Guard;
use super::duty::GENESIS;

/// Publicly known interoperability keys of the consensus specifications.
pub const SECRETS: [&str; 4] = [
    "0x25295f0d1d592a90b333e26e85149708208e9f8e8bc18f6c77bd62f8ad7a6866",
    "0x51d0b65185db6989ab0b560d6deed19c7ead0e24b9b6372cbecb1f26bdfad000",
    "0x315ed405fafe339603932eebe8dbfd650ce5dafa561f6928664c75db85f97857",
    "0x25b1166a43c109cb330af8945d364722757c65ed2bfed5444b5a2f057f82d391",
];

/// The public keys of [`SECRETS`].
pub const KEYS: [&str; 4] = [
    "0xa99a76ed7796f7be22d5b7e85deeb7c5677e88e511e0b337\
     618f8c4eb61349b4bf2d153f649f7b53359fe8b94a38e44c",
    "0xb89bebc699769726a318c8e9971bd3171297c61aea4a6578\
     a7a4f94b547dcba5bac16a89108b6b6a1fe3695d1a874a0b",
    "0xa3a32b0f8b4ddb83f1a0a853d81dd725dfe577d4f4c3db8e\
     ce52ce2b026eca84815c1a7e8e92a4de3d755733bf7e4a9b",
    "0x88c141df77cd9d8d7a71a75c826c41a9c9f03c6ee1b180f3\
     e7852f6a280099ded351b58d66e653af8e42816a4d8f532e",
];

/// A home that is removed with its value.
pub struct TestHome {
    directory: TempDir,
}

impl TestHome {
    /// Without keys.
    pub fn empty() -> Self {
        Self::made_with(&["--network", "minimal", "--genesis-validators-root", GENESIS])
    }

    /// Without keys, by `init` with these arguments.
    pub fn made_with(arguments: &[&str]) -> Self {
        let home = Self { directory: TempDir::new().unwrap() };
        home.succeeds(&[&["init"], arguments].concat());
        home
    }

    /// A place for a home below this directory, with nothing there yet.
    pub fn in_directory(parent: &std::path::Path) -> Self {
        Self { directory: TempDir::new_in(parent).unwrap() }
    }

    /// Makes the home of [`TestHome::in_directory`].
    pub fn init(&self) -> Output {
        self.run(&["init", "--network", "minimal", "--genesis-validators-root", GENESIS])
    }

    /// With the first `count` of [`KEYS`], which never signed anything.
    pub fn with_keys(count: usize) -> Self {
        let home = Self::empty();
        home.import_raw(&SECRETS[..count], &["--fresh"]);
        home
    }

    /// The home's directory.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("home")
    }

    /// A place beside the home.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Imports secrets through standard input.
    pub fn import_raw(&self, secrets: &[&str], past: &[&str]) {
        let mut command = self.command(&["keys", "import-raw", "--chain", "ethereum"]);
        command.args(["--type", "bls"]).args(past).arg("-");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(secrets.join("\n").as_bytes()).unwrap();
        assert_success(&child.wait_with_output().unwrap());
    }

    /// `palisade --home …`, ready to be changed and run.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_palisade"));
        command.arg("--home").arg(self.path()).args(arguments);
        command.env_remove("PALISADE_HOME").env_remove("CREDENTIALS_DIRECTORY");
        command.env_remove("RUST_LOG").stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs a command that must succeed, and gives its standard output.
    #[track_caller]
    pub fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_success(&output);
        String::from_utf8(output.stdout).unwrap()
    }

    /// The command that serves this home on ports that the system chooses.
    pub fn run_command(&self) -> Command {
        self.command(&["run", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"])
    }

    /// Serves this home.
    #[track_caller]
    pub fn start(&self) -> Guard {
        Guard::start(self.run_command())
    }

    /// `palisade.toml`
    pub fn config(&self) -> String {
        std::fs::read_to_string(self.path().join("palisade.toml")).unwrap()
    }

    /// Replaces a part of `palisade.toml`.
    #[track_caller]
    pub fn configure(&self, from: &str, to: &str) {
        let config = self.config();
        assert!(config.contains(from), "{from:?} is not in {config}");
        self.write_config(&config.replacen(from, to, 1));
    }

    /// Adds to the end of `palisade.toml`.
    pub fn add_config(&self, text: &str) {
        self.write_config(&format!("{}\n{text}\n", self.config()));
    }

    /// Writes `palisade.toml`.
    pub fn write_config(&self, text: &str) {
        std::fs::write(self.path().join("palisade.toml"), text).unwrap();
    }

    /// The key manager's bearer token.
    pub fn token(&self) -> String {
        let token = std::fs::read_to_string(self.path().join("api-token.txt")).unwrap();
        token.trim().to_owned()
    }

    /// All records as EIP-3076.
    #[track_caller]
    pub fn history(&self) -> serde_json::Value {
        serde_json::from_str(&self.succeeds(&["history", "export"])).unwrap()
    }
}

#[track_caller]
fn assert_success(output: &Output) {
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// What a command wrote.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
