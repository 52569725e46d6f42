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
//!   none shares a page with an older one that signatures stand on; each continues the journal of
//!   the one before.
//! - A frame that the database has taken over brings an entry that the database has: it is passed
//!   over when the file is opened, so the log need not be cleared.
//! - One copy of a frame that is damaged, unreadable, or was not written, does no harm. Where both
//!   are damaged and a newer frame is to be found anywhere, the file is damaged. Where none is, the
//!   frame was on its way when the power went, and nothing depended on it; or both of its copies
//!   were damaged since, which nothing in the file tells.

mod frame;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;

use palisade_protect::Digest;
use palisade_protect::journal;

pub(crate) use frame::Frame;

use crate::error::{Damage, StoreError};
use crate::layout::{Disk, Layout, Salt};

/// The page of a file and the sector of a disk: what is written at one time. A power cut may
/// damage all of it.
const ALIGNMENT: usize = 4_096;

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
        let salt = &self.layout.salt;
        let (mut found, mut place) = (Vec::new(), 0);
        while let Some((frame, length)) = continuing(&copies, place, salt, entries, &head)? {
            place += padded(length);
            entries = frame.number;
            head = journal::chain(&head, &frame.entry);
            found.push(frame);
        }
        for copy in &copies {
            for place in (0..copy.len()).step_by(ALIGNMENT) {
                if is_newer_than(copy, place, salt, entries) {
                    return Err(StoreError::Damaged(Damage::Log));
                }
            }
        }
        Ok(found)
    }

    /// Both copies; what cannot be read of one of them is zeros, as if it had never been written.
    fn read_copies(&self) -> Result<[Vec<u8>; 2], StoreError> {
        let mut copies = [vec![0; self.bytes()], vec![0; self.bytes()]];
        let [first, second] = &mut copies;
        let [first_start, second_start] = self.layout.log_copies();
        let pieces = first.chunks_mut(ALIGNMENT).zip(second.chunks_mut(ALIGNMENT));
        for ((first, second), place) in pieces.zip((0..).step_by(ALIGNMENT)) {
            let one = self.disk.read(first_start + place, first);
            match (one, self.disk.read(second_start + place, second)) {
                (Err(error), Err(_)) => {
                    let reading = StoreError::while_doing("reading the store's log");
                    return Err(reading(redb::Error::Io(error)));
                }
                (Err(_), Ok(())) => first.fill(0),
                (Ok(()), Err(_)) => second.fill(0),
                (Ok(()), Ok(())) => {}
            }
        }
        Ok(copies)
    }

    /// A frame as it goes into this log.
    pub(crate) fn encode(&self, frame: &Frame) -> Vec<u8> {
        frame.encode(&self.layout.salt)
    }

    fn bytes(&self) -> usize {
        usize::try_from(self.layout.log_bytes).unwrap_or(usize::MAX)
    }
}

fn padded(length: usize) -> usize {
    length.next_multiple_of(ALIGNMENT)
}

/// The frame at `place` that continues the journal, and its length, out of whichever copy has it:
/// the other may be damaged, or still hold an older frame.
fn continuing(
    copies: &[Vec<u8>; 2],
    place: usize,
    salt: &Salt,
    entries: u64,
    head: &Digest,
) -> Result<Option<(Frame, usize)>, StoreError> {
    for copy in copies {
        let bytes = copy.get(place..).unwrap_or_default();
        let Some((frame, length)) = Frame::decode(bytes, salt).transpose()? else { continue };
        if entries.checked_add(1) == Some(frame.number) && frame.head_before == *head {
            return Ok(Some((frame, length)));
        }
    }
    Ok(None)
}

/// Whether a whole frame with a later entry stands at `place`.
fn is_newer_than(copy: &[u8], place: usize, salt: &Salt, entries: u64) -> bool {
    let bytes = copy.get(place..).unwrap_or_default();
    let number = bytes.first_chunk::<8>().map_or(0, |number| u64::from_le_bytes(*number));
    entries < number && Frame::decode(bytes, salt).is_some()
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("next", &self.next).finish_non_exhaustive()
    }
}
