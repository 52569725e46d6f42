//! The admin socket of a running guard: one JSON line in, one JSON line out, on a Unix socket that
//! only the guard's own user can open.
//!
//! Invariants: the socket is at no moment open to another user; requests are bounded in number,
//! size and time; a request that cannot be read is answered, never ignored; what was read is wiped.

use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::{AdminError, Administrator, Answer, Request};

/// The longest request: a history of 100,000 keys, or as many secrets.
const MAX_REQUEST_BYTES: u64 = 256 << 20;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Room for most requests, in bytes.
const FIRST_ROOM: usize = 8 << 10;

/// Requests at once; further ones wait.
const MAX_CONNECTIONS: usize = 4;

/// Binds the socket, replacing one that a killed guard left behind. Call only while holding the
/// home's lock.
///
/// # Errors
/// When the socket cannot be made or protected.
pub fn bind(path: &Path) -> std::io::Result<UnixListener> {
    // Protected first and put in its place after that: between `bind` and a change of mode, another
    // user could connect if the operator opened the home's directory.
    let staging = path.with_extension("new");
    match std::fs::remove_dir_all(&staging) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::fs::DirBuilder::new().mode(0o700).create(&staging)?;
    let staged = staging.join("s");
    let listener = UnixListener::bind(&staged)?;
    std::fs::set_permissions(&staged, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&staged, path)?;
    std::fs::remove_dir(&staging)?;
    Ok(listener)
}

/// Serves until the task is dropped.
pub async fn serve(listener: UnixListener, administrator: Arc<Administrator>) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let administrator = Arc::clone(&administrator);
                tokio::spawn(async move {
                    serve_one(stream, administrator).await;
                    drop(permit);
                });
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
    let line = line_of(read.take(MAX_REQUEST_BYTES));
    let Ok(Ok(line)) = tokio::time::timeout(REQUEST_TIMEOUT, line).await else { return };
    if line.is_empty() {
        return;
    }
    let answer = tokio::task::spawn_blocking(move || answer(&line, &administrator)).await;
    let answer = answer.unwrap_or_else(|_| {
        Err(AdminError::could_not("internal-error", "the request failed inside the guard"))
    });
    let Ok(mut text) = serde_json::to_vec(&answer) else { return };
    text.push(b'\n');
    let written = tokio::time::timeout(REQUEST_TIMEOUT, write.write_all(&text)).await;
    if !matches!(written, Ok(Ok(()))) {
        tracing::warn!("the admin socket's client went away before its answer");
    }
}

/// What comes up to and with the end of a line, in buffers that leave no copy behind: a request
/// may hold secrets.
async fn line_of(mut read: impl AsyncRead + Unpin) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut line = Zeroizing::new(Vec::with_capacity(FIRST_ROOM));
    loop {
        if line.len() == line.capacity() {
            // Not by itself: a vector that grows does not wipe what it leaves.
            let mut wider = Zeroizing::new(Vec::with_capacity(line.capacity().saturating_mul(2)));
            wider.extend_from_slice(&line);
            line = wider;
        }
        let before = line.len();
        let length = read.read_buf(&mut *line).await?;
        let end = line.iter().skip(before).position(|byte| *byte == b'\n');
        if let Some(end) = end {
            line.truncate(before.saturating_add(end).saturating_add(1));
        }
        if end.is_some() || length == 0 {
            return Ok(line);
        }
    }
}

fn answer(line: &[u8], administrator: &Administrator) -> Result<Answer, AdminError> {
    let request: Request = serde_json::from_slice(line).map_err(|error| {
        // Only the place: the text may hold secrets.
        AdminError::usage(
            "admin-request-unreadable",
            format!(
                "the request cannot be read (column {}); use the same version of `palisade` as the \
                 running guard",
                error.column()
            ),
        )
    })?;
    administrator.execute(request)
}
