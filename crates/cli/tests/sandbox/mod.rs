//! A directory, a bare environment and a shell without a terminal, to run the real command in.
//!
//! Invariant: nothing of the person's own home, environment or terminal gets in, and no guard that
//! was started here outlives the test.

#![allow(dead_code, reason = "each test file uses a part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// An empty directory to run commands in.
pub(crate) struct Sandbox {
    directory: TempDir,
}

/// What a command printed, and its exit status.
pub(crate) struct Printed {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) status: i32,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        // Unix sockets have short paths: not below a deep target directory.
        let directory = tempfile::Builder::new().prefix("palisade-cli-").tempdir().unwrap();
        Self { directory }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Runs a line of shell and waits for it. Guards that it starts go on running.
    pub(crate) fn run(&self, line: &str) -> Printed {
        let Output { status, stdout, stderr } = self.shell(line).output().unwrap();
        Printed {
            stdout: self.redacted(&stdout),
            stderr: self.redacted(&stderr),
            status: status.code().unwrap_or(-1),
        }
    }

    /// As [`Self::run`], and it must succeed; returns standard output.
    pub(crate) fn must(&self, line: &str) -> String {
        let Output { status, stdout, stderr } = self.shell(line).output().unwrap();
        let stdout = String::from_utf8(stdout).unwrap();
        assert!(status.success(), "{line}\n{stdout}\n{}", String::from_utf8_lossy(&stderr));
        stdout
    }

    /// A shell in this directory, in a session without a terminal.
    pub(crate) fn shell(&self, line: &str) -> Command {
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/tools.sh");
        let binary = Path::new(env!("CARGO_BIN_EXE_palisade")).parent().unwrap();
        let mut command = Command::new("setsid");
        command
            .args(["--wait", "sh", "-c", &format!(". {}\n{line}", tools.display())])
            .current_dir(self.path())
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", binary.display()))
            .env("HOME", self.path())
            .env("COLUMNS", "100")
            .env("LC_ALL", "C.UTF-8")
            .env("REPOSITORY", repository())
            .stdin(Stdio::null());
        command
    }

    fn redacted(&self, bytes: &[u8]) -> String {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let text = text.replace(self.path().to_str().unwrap(), "[DIR]");
        let text = text.replace(repository().to_str().unwrap(), "[REPOSITORY]");
        text.lines().map(|line| redact_line(line) + "\n").collect()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // Each guard's process id stands in its home's lock file while it runs.
        let stop = "for log in *.guard; do [ -e \"$log\" ] && kill -9 \"$(cat \"$log\")\"; done";
        drop(self.shell(stop).stderr(Stdio::null()).status());
    }
}

impl Printed {
    /// The form that transcripts have.
    pub(crate) fn transcript(&self) -> String {
        let mut text = self.stdout.clone();
        for line in self.stderr.lines() {
            text.push_str(format!("2> {line}").trim_end());
            text.push('\n');
        }
        if self.status != 0 {
            text.push_str(&format!("=> {}\n", self.status));
        }
        text.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
    }
}

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

/// Names what differs from run to run: times, ports, process numbers, and journal heads, which hold
/// times.
fn redact_line(line: &str) -> String {
    // What this machine can do.
    if line.starts_with("secure    ") {
        return "secure    [MEASURES]".to_owned();
    }
    let line = if line.contains("head") { redact_digest(line) } else { line.to_owned() };
    if (line.starts_with("first  ") || line.starts_with("last  ")) && line.ends_with('Z') {
        return format!("{}[TIME]", &line[..10]);
    }
    let mut out = String::new();
    let mut rest = line.as_str();
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(start);
        let end = from.find(|c: char| !c.is_ascii_digit()).unwrap_or(from.len());
        let (digits, after) = from.split_at(end);
        out.push_str(before);
        let name = match digits.len() {
            13 if digits.starts_with('1') => Some("[MILLISECONDS]"),
            _ if out.ends_with("process ") => Some("[PID]"),
            _ if out.ends_with("clock says epoch ") => Some("[EPOCH]"),
            _ if out.ends_with("127.0.0.1:") && digits.len() > 3 => Some("[PORT]"),
            _ => None,
        };
        out.push_str(name.unwrap_or(digits));
        rest = after;
    }
    out + rest
}

fn redact_digest(line: &str) -> String {
    let Some(start) = line.find("0x") else { return line.to_owned() };
    let digits: String = line[start + 2..].chars().take_while(char::is_ascii_hexdigit).collect();
    let is_zero = digits.chars().all(|digit| digit == '0');
    if digits.len() == 64 && !is_zero {
        return line.replace(&format!("0x{digits}"), "[HEAD]");
    }
    line.to_owned()
}
