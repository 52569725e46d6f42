//! The guard's real program, in a home that its own commands made: it listens nowhere and dials.
//!
//! `PALISADE_BIN` names the program; without it the one that this repository was built to last.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// What the guard shows to its nodes.
pub(crate) const TOKEN: &str = "node-token-0123456789abcdef";

fn program() -> PathBuf {
    if let Some(named) = std::env::var_os("PALISADE_BIN") {
        return named.into();
    }
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
    let built = ["release", "debug"].map(|profile| target.join(profile).join("palisade"));
    let age = |path: &PathBuf| path.metadata().and_then(|file| file.modified()).ok();
    built.into_iter().filter(|path| path.exists()).max_by_key(age).unwrap_or_else(|| {
        panic!("no guard: build it (`cargo build -p palisade-cli`), or name it in PALISADE_BIN")
    })
}

/// A guard's home, which holds Alice's keys.
pub(crate) struct Home(TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        let home = Self(TempDir::new().unwrap());
        home.run(&["init", "--network", "minimal"]);
        let genesis = "ab".repeat(32);
        home.run(&["chain", "add", "mini", "--genesis", &genesis, "--slot-ms", "6000"]);
        let secret = home.beside("secret.txt");
        fs::write(&secret, "//Alice\n").unwrap();
        let secret = secret.to_str().unwrap();
        for key_type in ["babe", "gran", "para"] {
            let chain = ["--chain", "substrate:mini", "--type", key_type, "--fresh", secret];
            home.run(&[&["keys", "import-raw"], &chain[..]].concat());
        }
        fs::write(home.path().join("node-token.txt"), TOKEN).unwrap();
        home
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("home")
    }

    /// A place beside the home.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.arg("--home").arg(self.path()).args(arguments);
        command.env_remove("PALISADE_HOME").stdin(Stdio::null());
        command
    }

    /// Runs a command that must succeed.
    pub(crate) fn run(&self, arguments: &[&str]) {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Adds to the end of `palisade.toml`.
    pub(crate) fn configure(&self, lines: &str) {
        let path = self.path().join("palisade.toml");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{text}\n{lines}\n")).unwrap();
    }

    /// Dials this node in clear.
    pub(crate) fn dial(&self, name: &str, node: SocketAddr) {
        self.configure(&format!(
            "[[node]]\nname = \"{name}\"\nurl = \"ws://{node}\"\ntoken_file = \"node-token.txt\"\n\
             [[client]]\nname = \"{name}\"\nnode = \"{name}\"\nallow = [\"session-duties\"]"
        ));
    }

    /// Starts the guard and waits until it serves.
    pub(crate) fn start(&self) -> Guard {
        let mut command = self.command(&["run", "--listen", "none", "--metrics", "none"]);
        let log = fs::File::options().create(true).append(true).open(self.beside("log")).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let guard = Guard(child);
        assert!(line.starts_with("palisade is ready"), "{}", self.log());
        guard
    }

    /// What all its guards wrote.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.beside("log")).unwrap()
    }

    /// Until the log says this.
    pub(crate) fn says(&self, wanted: &str) {
        let began = Instant::now();
        while !self.log().contains(wanted) {
            assert!(began.elapsed() < Duration::from_secs(30), "no {wanted:?}: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A running guard; dropping it is SIGKILL.
pub(crate) struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        // Both fail only if the process has ended.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
