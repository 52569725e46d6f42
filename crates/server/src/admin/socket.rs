//! The admin socket of a running guard: one JSON line in, one JSON line out, on a Unix socket that
//! only the guard's own user can open.
//!
//! Invariants: the socket lives in the home with mode 0600; a request is bounded; a request that
//! cannot be read is answered, never ignored.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use zeroize::Zeroizing;

use super::{AdminError, Administrator, Answer, Request};

/// The longest request: a history of 100,000 keys, or as many secrets.
pub const MAX_REQUEST_BYTES: u64 = 256 << 20;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Binds the socket, replacing one that a killed guard left behind. Call only while holding the
/// home's lock.
///
/// # Errors
/// When the socket cannot be made or protected.
pub fn bind(path: &Path) -> std::io::Result<UnixListener> {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Serves until the task is dropped.
pub async fn serve(listener: UnixListener, administrator: Arc<Administrator>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(serve_one(stream, Arc::clone(&administrator)));
            }
            Err(error) => {
                tracing::warn!(%error, "the admin socket could not accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve_one(stream: UnixStream, administrator: Arc<Administrator>) {
    let (read, mut write) = stream.into_split();
    let mut line = Zeroizing::new(Vec::new());
    let mut reader = BufReader::new(read.take(MAX_REQUEST_BYTES));
    let read = tokio::time::timeout(REQUEST_TIMEOUT, reader.read_until(b'\n', &mut line)).await;
    if !matches!(read, Ok(Ok(length)) if length > 0) {
        return;
    }
    let answer = tokio::task::spawn_blocking(move || answer(&line, &administrator)).await;
    let answer = answer.unwrap_or_else(|_| {
        Err(AdminError::could_not("internal-error", "the request failed inside the guard"))
    });
    let Ok(mut text) = serde_json::to_vec(&answer) else { return };
    text.push(b'\n');
    if let Err(error) = write.write_all(&text).await {
        tracing::warn!(%error, "the admin socket's client went away before its answer");
    }
}

fn answer(line: &[u8], administrator: &Administrator) -> Result<Answer, AdminError> {
    let request: Request = serde_json::from_slice(line).map_err(|error| {
        // Only the place: the text may hold secrets.
        AdminError::usage(
            "admin-request-unreadable",
            format!("the request cannot be read (column {}); use the same version of `palisade` as the running guard", error.column()),
        )
    })?;
    administrator.execute(request)
}
