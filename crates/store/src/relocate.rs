//! From a file that is nothing but a database (format versions 1 and 2) to the present layout.
//!
//! Invariants: the old file is left as it is until the new one is whole and durable, and then is
//! replaced by it in one step; whenever it is interrupted, the next opening finds one of both and
//! goes on. The caller holds the [`HomeLock`](crate::HomeLock).

use std::fs;
use std::io::{self, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use redb::backends::FileBackend;

use crate::error::{StoreError, guarded};
use crate::layout::{Disk, LOG_BYTES, Layout};
use crate::open::{create_private, file_backend, open_database, sync_directory};

/// Lays the database in `path` out anew.
pub(crate) fn to_present_layout(path: &Path, backend: FileBackend) -> Result<(), StoreError> {
    // Opening and closing brings the database into a state that can be copied.
    guarded(|| open_database(backend).map(drop))?;
    let unfinished = path.with_extension("unfinished");
    let made = make(path, &unfinished).and_then(|()| {
        fs::rename(&unfinished, path)
            .and_then(|()| sync_directory(path))
            .map_err(StoreError::io("naming the store's file", path))
    });
    if made.is_err() {
        // It would only take room; what stands in the way of removing it stood in its way, too.
        drop(fs::remove_file(&unfinished));
    }
    made
}

fn make(path: &Path, unfinished: &Path) -> Result<(), StoreError> {
    let laying_out = || StoreError::io("laying out the store's file anew", unfinished);
    let file = create_private(unfinished).map_err(laying_out())?;
    let disk: Disk = Arc::new(file_backend(file.try_clone().map_err(laying_out())?)?);
    let layout = Layout::create(&disk, LOG_BYTES)?;
    copy_behind(path, &file, layout.database()).map_err(laying_out())
}

fn copy_behind(from: &Path, mut to: &fs::File, place: u64) -> io::Result<()> {
    let mut from = fs::File::open(from)?;
    to.seek(SeekFrom::Start(place))?;
    io::copy(&mut from, &mut to)?;
    to.sync_all()
}
