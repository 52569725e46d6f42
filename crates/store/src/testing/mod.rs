//! Doubles for tests of what depends on the disk. Never part of a release build.

mod faulty_disk;

pub use faulty_disk::{Fault, FaultyDisk};
