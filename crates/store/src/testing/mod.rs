//! Doubles for tests of what depends on the disk. Never part of a release build.

mod faulty_disk;

pub use faulty_disk::{Fault, FaultyDisk};

/// A log for tests: full after sixteen writes, so that both ways of writing are taken.
pub const SMALL_LOG_BYTES: u32 = 65_536;
