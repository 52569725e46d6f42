//! The processes of a scenario.
//!
//! Invariant: none outlives this process. A `Child` that is dropped is killed; and `setpriv` asks
//! the kernel to kill each one when the thread that started it ends, so that a panic, a signal or
//! the watchdog leaves none behind. So children are started from the main thread alone.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    time::Duration,
};

use crate::{Failure, wait};

/// How long a command that should end may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);

/// A process, and the file of what it says.
pub(crate) struct Child {
    name: String,
    program: PathBuf,
    arguments: Vec<String>,
    process: std::process::Child,
    log: PathBuf,
}

impl Child {
    /// Starts a program whose output goes to the end of `log`.
    pub(crate) fn start(
        name: &str,
        log: &Path,
        program: &Path,
        arguments: &[String],
    ) -> Result<Self, Failure> {
        let process = spawn(name, log, program, arguments)?;
        Ok(Self {
            name: name.to_owned(),
            program: program.to_owned(),
            arguments: arguments.to_vec(),
            process,
            log: log.to_owned(),
        })
    }

    /// Starts it again if it has ended by itself, as a supervisor does; whether it had.
    pub(crate) fn start_if_ended(&mut self) -> Result<bool, Failure> {
        let ended = self.process.try_wait()?.is_some();
        if ended {
            self.process = spawn(&self.name, &self.log, &self.program, &self.arguments)?;
        }
        Ok(ended)
    }

    /// Its number, the same for as long as it lives.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Fails, with the end of its log, if it has ended.
    pub(crate) fn assert_alive(&mut self) -> Result<(), Failure> {
        match self.process.try_wait()? {
            None => Ok(()),
            Some(status) => {
                Err(format!("{} ended with {status}: {}", self.name, self.last_lines()?).into())
            }
        }
    }

    /// SIGKILL: no farewell, as when the machine loses power.
    pub(crate) fn kill(&mut self) -> Result<ExitStatus, Failure> {
        self.process.kill()?;
        Ok(self.process.wait()?)
    }

    /// How many lines of its log have one of these in them.
    pub(crate) fn count_lines(&self, needles: &[&str]) -> Result<usize, Failure> {
        let log = std::fs::read_to_string(&self.log)?;
        Ok(log.lines().filter(|line| needles.iter().any(|needle| line.contains(needle))).count())
    }

    fn last_lines(&self) -> Result<String, Failure> {
        let log = std::fs::read_to_string(&self.log)?;
        let mut last: Vec<&str> = log.lines().rev().take(5).collect();
        last.reverse();
        Ok(last.join(" | "))
    }
}

fn spawn(
    name: &str,
    log: &Path,
    program: &Path,
    arguments: &[String],
) -> Result<std::process::Child, Failure> {
    let output = File::options().create(true).append(true).open(log)?;
    Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--"])
        .arg(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(output.try_clone()?)
        .stdout(output)
        .spawn()
        .map_err(|error| format!("cannot start {name} through setpriv: {error}").into())
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing to do about a failure here.
        drop(self.kill());
    }
}

/// Runs a program that ends, and gives what it prints.
pub(crate) fn output(program: &Path, arguments: &[String]) -> Result<String, Failure> {
    let mut process = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start {}: {error}", program.display()))?;
    let what = format!("{} {}", program.display(), arguments.join(" "));
    let ended = wait::until(&what, COMMAND_LIMIT, || Ok(process.try_wait()?));
    if ended.is_err() {
        process.kill()?;
    }
    let output = process.wait_with_output()?;
    ended?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{what}: {}: {}", output.status, said.trim()).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}
