//! Homes on the real disk, made by the real command line.
//!
//! Invariant: a home is new, its keys are fresh, and it goes when the benchmark ends.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::attestations::GENESIS_VALIDATORS_ROOT;

/// A directory with a home in it.
pub(crate) struct Home {
    directory: TempDir,
}

/// The program under measure.
pub(crate) fn program() -> PathBuf {
    let built = PathBuf::from(env!("CARGO_BIN_EXE_palisade"));
    std::env::var_os("PALISADE_BIN").map_or(built, PathBuf::from)
}

impl Home {
    /// A home with this many keys that never signed.
    pub(crate) fn with_keys(count: usize) -> Self {
        // Below the build directory, because the system's temporary one may be memory.
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let home = Self { directory };
        let root = GENESIS_VALIDATORS_ROOT;
        home.run(&["init", "--network", "mainnet", "--genesis-validators-root", root]);
        let mut secrets = String::new();
        for number in 1..=count {
            writeln!(secrets, "{}{number:08x}", "11".repeat(28)).unwrap();
        }
        let file = home.directory.path().join("secrets");
        std::fs::write(&file, secrets).unwrap();
        let file = file.to_str().unwrap();
        home.run(&["keys", "import-raw", "--chain", "ethereum", "--type", "bls", "--fresh", file]);
        home
    }

    /// A home with this many session keys of type gran and as many of type babe, all fresh, for a
    /// chain with slots of `slot_ms`.
    pub(crate) fn with_sessions(count: usize, slot_ms: u64) -> Self {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let home = Self { directory };
        home.run(&["init", "--network", "mainnet"]);
        let (slot_ms, genesis) = (slot_ms.to_string(), "ab".repeat(32));
        home.run(&["chain", "add", "bench", "--genesis", &genesis, "--slot-ms", &slot_ms]);
        let mut seeds = String::new();
        for number in 1..=count {
            writeln!(seeds, "0x{}{number:08x}", "22".repeat(28)).unwrap();
        }
        let file = home.directory.path().join("seeds");
        std::fs::write(&file, seeds).unwrap();
        let file = file.to_str().unwrap();
        for key_type in ["gran", "babe"] {
            let to = ["keys", "import-raw", "--chain", "substrate:bench", "--type", key_type];
            home.run(&[to.as_slice(), &["--fresh", file]].concat());
        }
        home
    }

    /// The public keys of one type, as the command line lists them.
    pub(crate) fn session_keys(&self, key_type: &str) -> Vec<String> {
        let listed: Value = serde_json::from_slice(&self.run(&["keys", "list", "--json"])).unwrap();
        let of_type = listed.as_array().unwrap().iter().filter(|row| row["type"] == key_type);
        of_type.map(|row| row["public_key"].as_str().unwrap().to_owned()).collect()
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("home")
    }

    /// The public keys, as the command line lists them.
    pub(crate) fn public_keys(&self) -> Vec<String> {
        let listed: Value = serde_json::from_slice(&self.run(&["keys", "list", "--json"])).unwrap();
        let keys = listed.as_array().unwrap().iter();
        keys.map(|key| key["public_key"].as_str().unwrap().to_owned()).collect()
    }

    /// Runs one command on this home to its successful end; its standard output.
    pub(crate) fn run(&self, arguments: &[&str]) -> Vec<u8> {
        let mut command = Command::new(program());
        command.arg("--home").arg(self.path()).args(arguments).stderr(Stdio::inherit());
        let output = command.output().unwrap();
        assert!(output.status.success(), "palisade {arguments:?}: {}", output.status);
        output.stdout
    }
}
