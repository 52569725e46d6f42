//! The log: what is durable already, and not yet in the database.
//!
//! A write of the database touches pages all over the file and waits for the disk twice. A write
//! that a signature waits for goes here instead: one frame, in two copies, one wait. The database
//! takes over many frames at once in a quiet moment, or when the log is full, and the log begins
//! anew from its start.
//!
//! Invariants:
//! - A frame is durable, in both copies, when [`Log::append`] returns `Ok`.
//! - Frames stand behind each other from the start, each at a multiple of [`ALIGNMENT`], so that
//!   none shares a sector with an older one; each continues the journal of the one before.
//! - A frame that the database has taken over brings an entry that the database has: it is passed
//!   over when the file is opened, so the log need not be cleared.
//! - One copy of a frame that is damaged, or was not written, does no harm. Where both are damaged
//!   and a newer frame is to be found anywhere, the file is damaged. Where none is, the frame was
//!   on its way when the power went, and nothing depended on it; or both of its copies were
//!   damaged since, which nothing in the file tells.

mod frame;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;

use palisade_protect::Digest;
use palisade_protect::journal;

pub(crate) use frame::Frame;

use crate::error::{Damage, StoreError};
use crate::layout::{Disk, Layout};

/// The sector of a disk: what it writes whole or not at all.
const ALIGNMENT: usize = 512;

/// The log of one file.
pub(crate) struct Log {
    disk: Disk,
    layout: Layout,
    /// Where the next frame goes, in each copy.
    next: usize,
}

impl Log {
    pub(crate) fn new(disk: Disk, layout: Layout) -> Self {
        Self { disk, layout, next: 0 }
    }

    /// Whether an encoded frame finds room behind the others.
    pub(crate) fn has_room_for(&self, frame: &[u8]) -> bool {
        self.next.saturating_add(padded(frame.len())) <= self.bytes()
    }

    /// Makes an encoded frame durable. After an error it may be there or not.
    ///
    /// # Errors
    /// What the disk said; [`StoreError::Bug`] when there is no room.
    pub(crate) fn append(&mut self, mut frame: Vec<u8>) -> Result<(), StoreError> {
        if !self.has_room_for(&frame) {
            return Err(StoreError::Bug("a write to a log that is full"));
        }
        frame.resize(padded(frame.len()), 0);
        let write = || -> io::Result<()> {
            for copy in self.layout.log_copies() {
                self.disk.write(copy + self.next as u64, &frame)?;
            }
            self.disk.sync_data()
        };
        let writing = StoreError::while_doing("writing the store's log");
        write().map_err(redb::Error::Io).map_err(writing)?;
        self.next += frame.len();
        Ok(())
    }

    /// Begins anew: the database has taken over every frame.
    pub(crate) fn restart(&mut self) {
        self.next = 0;
    }

    /// The frames that continue a journal of `entries` entries with this `head`, in order.
    ///
    /// # Errors
    /// [`Damage::Log`] when a frame is missing before one that is there; what the disk said.
    pub(crate) fn read(
        &self,
        mut entries: u64,
        mut head: Digest,
    ) -> Result<Vec<Frame>, StoreError> {
        let copies = self.read_copies()?;
        let (mut found, mut place) = (Vec::new(), 0);
        while let Some(frame) = continuing(&copies, place, entries, &head)? {
            place += padded(frame.encode().len());
            entries = frame.number;
            head = journal::chain(&head, &frame.entry);
            found.push(frame);
        }
        for copy in &copies {
            for place in (0..copy.len()).step_by(ALIGNMENT) {
                if is_newer_than(copy, place, entries) {
                    return Err(StoreError::Damaged(Damage::Log));
                }
            }
        }
        Ok(found)
    }

    fn read_copies(&self) -> Result<[Vec<u8>; 2], StoreError> {
        let mut copies = [vec![0; self.bytes()], vec![0; self.bytes()]];
        for (copy, start) in copies.iter_mut().zip(self.layout.log_copies()) {
            let reading = StoreError::while_doing("reading the store's log");
            self.disk.read(start, copy).map_err(redb::Error::Io).map_err(reading)?;
        }
        Ok(copies)
    }

    fn bytes(&self) -> usize {
        usize::try_from(self.layout.log_bytes).unwrap_or(usize::MAX)
    }
}

fn padded(length: usize) -> usize {
    length.next_multiple_of(ALIGNMENT)
}

/// The frame at `place` that continues the journal, out of whichever copy has it: the other may
/// be damaged, or still hold an older frame.
fn continuing(
    copies: &[Vec<u8>; 2],
    place: usize,
    entries: u64,
    head: &Digest,
) -> Result<Option<Frame>, StoreError> {
    for copy in copies {
        let bytes = copy.get(place..).unwrap_or_default();
        let frame = Frame::decode(bytes).transpose()?;
        let continues = |frame: &Frame| {
            entries.checked_add(1) == Some(frame.number) && frame.head_before == *head
        };
        if let Some(frame) = frame.filter(continues) {
            return Ok(Some(frame));
        }
    }
    Ok(None)
}

/// Whether a whole frame with a later entry stands at `place`.
fn is_newer_than(copy: &[u8], place: usize, entries: u64) -> bool {
    let bytes = copy.get(place..).unwrap_or_default();
    let number = bytes.first_chunk::<8>().map_or(0, |number| u64::from_le_bytes(*number));
    entries < number && Frame::decode(bytes).is_some()
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("next", &self.next).finish_non_exhaustive()
    }
}
