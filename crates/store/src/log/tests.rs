//! Tests of the log alone, on a disk in memory.

use std::sync::Arc;

use palisade_protect::Digest;
use palisade_protect::journal::{self, GENESIS};
use redb::StorageBackend as _;

use super::*;
use crate::testing::{Fault, FaultyDisk, SMALL_LOG_BYTES};

/// A log of `count` frames of two pages each, from entry 1 on; the head after the last.
fn log(count: u64) -> (FaultyDisk, Log, Digest) {
    let disk = FaultyDisk::new();
    let shared: Disk = Arc::new(disk.clone());
    let layout = Layout::create(&shared, SMALL_LOG_BYTES).unwrap();
    let mut log = Log::new(shared, layout);
    let head = append(&mut log, 1..=count, GENESIS);
    (disk, log, head)
}

fn append(log: &mut Log, numbers: std::ops::RangeInclusive<u64>, mut head: Digest) -> Digest {
    for number in numbers {
        let entry = vec![u8::try_from(number).unwrap(); 5_000];
        let (records, stances) = Default::default();
        let next = journal::chain(&head, &entry);
        let frame = Frame { number, head_before: head, entry, records, stances };
        log.append(log.encode(&frame)).unwrap();
        head = next;
    }
    head
}

/// Flips a bit in the middle of a frame, in the copies of choice.
fn damage(disk: &FaultyDisk, log: &Log, frame: u64, copies: &[usize]) {
    for copy in copies {
        let place = log.layout.log_copies()[*copy] + (frame - 1) * 8_192 + 300;
        let mut byte = [0];
        disk.read(place, &mut byte).unwrap();
        disk.write(place, &[byte[0] ^ 1]).unwrap();
    }
}

fn numbers(read: Result<Vec<Frame>, StoreError>) -> Vec<u64> {
    read.unwrap().iter().map(|frame| frame.number).collect()
}

fn is_damage(read: &Result<Vec<Frame>, StoreError>) -> bool {
    matches!(read, Err(StoreError::Damaged(Damage::Log)))
}

#[test]
fn what_was_appended_is_read_until_it_is_taken_over() {
    let (_disk, mut log, head) = log(3);
    assert_eq!(numbers(log.read(0, GENESIS)), [1, 2, 3]);
    assert_eq!(numbers(log.read(3, head)), [0; 0]);
    log.restart();
    append(&mut log, 4..=5, head);
    assert_eq!(numbers(log.read(3, head)), [4, 5]);
}

#[test]
fn one_damaged_copy_does_no_harm_and_two_of_them_are_noticed_or_were_never_finished() {
    for frame in 1..=3 {
        for copy in [0, 1] {
            let (disk, log, _) = log(3);
            damage(&disk, &log, frame, &[copy]);
            assert_eq!(numbers(log.read(0, GENESIS)), [1, 2, 3], "copy {copy} of {frame}");
        }
    }
    let (disk, log_of_three, _) = log(3);
    damage(&disk, &log_of_three, 3, &[0, 1]);
    assert_eq!(numbers(log_of_three.read(0, GENESIS)), [1, 2]);
    for frame in 1..=2 {
        let (disk, log, _) = log(3);
        damage(&disk, &log, frame, &[0, 1]);
        assert!(is_damage(&log.read(0, GENESIS)), "both copies of {frame}");
    }
}

#[test]
fn a_log_beside_an_older_or_another_database_is_damage() {
    let (_disk, mut log, head) = log(3);
    log.restart();
    append(&mut log, 4..=4, head);
    assert!(is_damage(&log.read(0, GENESIS)), "the first three are gone");
    assert!(is_damage(&log.read(2, GENESIS)), "the third is gone");
    assert!(is_damage(&log.read(3, GENESIS)), "it continues another journal");
}

#[test]
fn a_full_log_takes_nothing_more() {
    let (disk, mut log, head) = log(8);
    let (records, stances) = Default::default();
    let next = Frame { number: 9, head_before: head, entry: vec![9], records, stances };
    let next = log.encode(&next);
    assert!(!log.has_room_for(&next));
    let before = disk.image();
    assert!(matches!(log.append(next), Err(StoreError::Bug(_))));
    assert_eq!(disk.image(), before);
    assert_eq!(numbers(log.read(0, GENESIS)), [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn one_copy_that_cannot_be_read_does_no_harm_and_two_are_an_error() {
    let (disk, log, _) = log(3);
    for piece in 1..=12 {
        disk.fail_at(disk.operations() + piece, Fault::ReadError);
        assert_eq!(numbers(log.read(0, GENESIS)), [1, 2, 3], "piece {piece}");
    }
    disk.fail_at(disk.operations() + 1, Fault::ErrorForEver);
    assert!(matches!(log.read(0, GENESIS), Err(StoreError::Unavailable { .. })));
}

/// What a client chooses can stand at the beginning of a page, in the middle of a frame.
#[test]
fn nobody_can_write_a_frame_into_a_frame_without_the_salt() {
    // The place of the entry in the frame, after its number, length, head and own length.
    const BEFORE: usize = 8 + 4 + 32 + 4;
    let frame = |number, head_before, entry| {
        let (records, stances) = Default::default();
        Frame { number, head_before, entry, records, stances }
    };
    let (_disk, mut log, head) = log(0);
    let own = log.layout.salt;
    for (salt, passes) in [([0; 32], false), (own, true)] {
        let inside = frame(u64::MAX, Digest([9; 32]), vec![]).encode(&salt);
        let entry = [vec![0; ALIGNMENT - BEFORE], inside].concat();
        log.restart();
        log.append(log.encode(&frame(1, head, entry))).unwrap();
        let read = log.read(0, GENESIS);
        assert_eq!(is_damage(&read), passes, "the search can find: {read:?}");
    }
}

#[test]
fn two_files_have_two_salts() {
    let ((_, one, _), (_, other, _)) = (log(0), log(0));
    assert_ne!(one.layout.salt, other.layout.salt);
    assert_ne!(one.layout.salt, [0; 32]);
}
