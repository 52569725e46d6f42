//! The other end of the admin socket: used by the command line when a guard runs on the home.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use zeroize::Zeroizing;

use super::{AdminError, Answer, Request};

const ANSWER_TIMEOUT: Duration = Duration::from_secs(600);

/// Asks the running guard.
///
/// # Errors
/// The guard's own [`AdminError`], or one that says that it cannot be reached.
pub fn ask(socket: &Path, request: &Request) -> Result<Answer, AdminError> {
    let unreachable = |error: std::io::Error| {
        AdminError::could_not(
            "guard-unreachable",
            format!(
                "a guard holds this home, but its admin socket {} does not answer: {error}; it may \
                 be starting or stopping, so try again, or stop it first",
                socket.display()
            ),
        )
    };
    let mut stream = UnixStream::connect(socket).map_err(unreachable)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT)).map_err(unreachable)?;
    let mut line = Zeroizing::new(serde_json::to_vec(request).map_err(|_| {
        AdminError::could_not("internal-error", "the request could not be written as JSON")
    })?);
    line.push(b'\n');
    stream.write_all(&line).map_err(unreachable)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).map_err(unreachable)?;
    let answer: Result<Answer, AdminError> = serde_json::from_str(&answer).map_err(|_| {
        AdminError::could_not(
            "guard-unreachable",
            "the running guard gave an answer that cannot be read; use the same version of \
             `palisade` as the guard",
        )
    })?;
    answer
}
