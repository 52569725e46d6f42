//! A disk that fails at its n-th operation, in a way of choice.
//!
//! It keeps what was written (`live`), what a completed sync made lasting (`durable`), and the
//! changes in between. Invariants: a power cut keeps every synced byte, and of the rest whatever
//! whole 512-byte sectors it likes; the same seed loses the same sectors.

use std::io::{self, ErrorKind};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

const SECTOR_BYTES: usize = 512;
const PAGE_BYTES: usize = 4_096;

/// How the disk fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The operation fails without effect, once.
    ErrorOnce,
    /// The operation and all later ones fail.
    ErrorForEver,
    /// The next write puts down half of its bytes and fails, once.
    ShortWrite,
    /// The next read fails, once.
    ReadError,
    /// Writes and growth fail from here on; reads and syncs do not.
    DiskFull,
    /// All writing fails from here on as on a file system that went read-only.
    ReadOnly,
    /// The machine is off from here on. [`FaultyDisk::image_after_power_cut`] is what is left.
    PowerCut,
}

/// The disk; clones share it.
#[derive(Clone, Debug, Default)]
pub struct FaultyDisk(Arc<Mutex<Disk>>);

#[derive(Debug, Default)]
struct Disk {
    live: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
    operations: u64,
    plan: Option<(u64, Fault)>,
    failures: u64,
}

#[derive(Clone, Debug)]
enum Change {
    Length(usize),
    Write(usize, Vec<u8>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Length,
    Read,
    SetLength,
    Sync,
    Write,
}

impl FaultyDisk {
    /// An empty disk that does not fail yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A disk with this content, all of it synced, that does not fail yet.
    #[must_use]
    pub fn from_image(image: Vec<u8>) -> Self {
        let disk = Self::new();
        disk.lock().live.clone_from(&image);
        disk.lock().durable = image;
        disk
    }

    /// Fails from the `operation`-th operation on, counted from 1 since the disk was made.
    pub fn fail_at(&self, operation: u64, fault: Fault) {
        self.lock().plan = Some((operation, fault));
    }

    /// How many operations there were.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// How many operations failed.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.lock().failures
    }

    /// What a process that opens the file now would read.
    #[must_use]
    pub fn image(&self) -> Vec<u8> {
        self.lock().live.clone()
    }

    /// What is left when the power fails now: everything synced, and of the rest nothing (no
    /// seed), or sectors chosen by the seed.
    #[must_use]
    pub fn image_after_power_cut(&self, seed: Option<u64>) -> Vec<u8> {
        let disk = self.lock();
        let mut image = disk.durable.clone();
        if let Some(seed) = seed {
            let mut random = SplitMix(seed);
            disk.unsynced.iter().for_each(|change| change.apply_partly(&mut image, &mut random));
        }
        image
    }

    /// What is left when the power fails now and each page of 4,096 bytes in `range` that was not
    /// synced since it was last written is damaged, all of it; elsewhere nothing of that arrived.
    #[must_use]
    pub fn image_with_damaged_pages(&self, range: Range<usize>) -> Vec<u8> {
        let disk = self.lock();
        let mut image = disk.durable.clone();
        for change in &disk.unsynced {
            let Change::Write(start, data) = change else { continue };
            for page in start / PAGE_BYTES..(start + data.len()).div_ceil(PAGE_BYTES) {
                let page = page * PAGE_BYTES..(page + 1) * PAGE_BYTES;
                if range.contains(&page.start)
                    && let Some(page) = image.get_mut(page)
                {
                    page.fill(0xa5);
                }
            }
        }
        image
    }

    fn lock(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk {
    /// Counts the operation; says how it fails, if it does.
    fn enter(&mut self, operation: Operation) -> Result<(), Fault> {
        self.operations += 1;
        let Some((at, fault)) = self.plan else { return Ok(()) };
        let writes = matches!(operation, Operation::Write | Operation::SetLength);
        let hits = match fault {
            Fault::ErrorOnce | Fault::ErrorForEver | Fault::PowerCut => true,
            Fault::ShortWrite => operation == Operation::Write,
            Fault::ReadError => operation == Operation::Read,
            Fault::DiskFull => writes,
            Fault::ReadOnly => writes || operation == Operation::Sync,
        };
        if self.operations < at || !hits {
            return Ok(());
        }
        if matches!(fault, Fault::ErrorOnce | Fault::ShortWrite | Fault::ReadError) {
            self.plan = None;
        }
        self.failures += 1;
        Err(fault)
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.live);
        self.unsynced.push(change);
    }
}

impl Fault {
    fn error(self) -> io::Error {
        match self {
            Self::DiskFull => ErrorKind::StorageFull.into(),
            Self::ReadOnly => ErrorKind::ReadOnlyFilesystem.into(),
            Self::ShortWrite => ErrorKind::WriteZero.into(),
            other => io::Error::other(format!("injected fault: {other:?}")),
        }
    }
}

impl StorageBackend for FaultyDisk {
    fn len(&self) -> io::Result<u64> {
        let mut disk = self.lock();
        disk.enter(Operation::Length).map_err(Fault::error)?;
        u64::try_from(disk.live.len()).map_err(io::Error::other)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut disk = self.lock();
        disk.enter(Operation::Read).map_err(Fault::error)?;
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let end = start.checked_add(out.len()).ok_or(ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(disk.live.get(start..end).ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut disk = self.lock();
        disk.enter(Operation::SetLength).map_err(Fault::error)?;
        disk.change(Change::Length(usize::try_from(length).map_err(io::Error::other)?));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut disk = self.lock();
        disk.enter(Operation::Sync).map_err(Fault::error)?;
        let Disk { durable, unsynced, .. } = &mut *disk;
        unsynced.drain(..).for_each(|change| change.apply(durable));
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut disk = self.lock();
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let entered = disk.enter(Operation::Write);
        match entered {
            Ok(()) => disk.change(Change::Write(start, data.to_vec())),
            // What was on its way when the power failed may have arrived.
            Err(Fault::PowerCut) if disk.failures == 1 => {
                disk.change(Change::Write(start, data.to_vec()));
            }
            Err(Fault::ShortWrite) => {
                let half = data.get(..data.len() / 2).unwrap_or_default().to_vec();
                disk.change(Change::Write(start, half));
            }
            Err(_) => {}
        }
        entered.map_err(Fault::error)
    }
}

impl Change {
    fn apply(&self, image: &mut Vec<u8>) {
        match self {
            Self::Length(length) => image.resize(*length, 0),
            Self::Write(start, data) => put(image, *start, data),
        }
    }

    fn apply_partly(&self, image: &mut Vec<u8>, random: &mut SplitMix) {
        match self {
            Self::Length(_) if random.coin() => self.apply(image),
            Self::Length(_) => {}
            Self::Write(start, data) => {
                for (place, sector) in data.chunks(SECTOR_BYTES).enumerate() {
                    if random.coin() {
                        put(image, start + place * SECTOR_BYTES, sector);
                    }
                }
            }
        }
    }
}

fn put(image: &mut Vec<u8>, start: usize, data: &[u8]) {
    let end = start + data.len();
    if image.len() < end {
        image.resize(end, 0);
    }
    if let Some(place) = image.get_mut(start..end) {
        place.copy_from_slice(data);
    }
}

/// The generator of Steele, Lea and Flood (2014), "Fast splittable pseudorandom number generators".
#[derive(Debug)]
struct SplitMix(u64);

impl SplitMix {
    fn coin(&mut self) -> bool {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) & 1 == 1
    }
}
