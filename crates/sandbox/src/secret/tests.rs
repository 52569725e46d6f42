//! Room, wiping and the fallback, within one process. `tests/processes` looks from outside.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;

fn bytes(number: u32) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    bytes[28..].copy_from_slice(&(!number).to_le_bytes());
    bytes
}

#[test]
fn many_keys_fill_five_regions_and_stay_apart() {
    let keys = u32::try_from(4 * REGION_BYTES / 32 + 1).unwrap();
    let pages = SecretPages::new();
    let secrets: Vec<Secret<32>> =
        (0..keys).map(|number| pages.store(&mut bytes(number)).unwrap()).collect();
    for (number, secret) in (0..).zip(&secrets) {
        assert!(secret.expose(|held| *held == bytes(number)), "{number}");
    }
    let regions: BTreeSet<_> =
        secrets.iter().map(|secret| Arc::as_ptr(&secret.region) as usize).collect();
    assert_eq!(regions.len(), 5);
}

#[test]
fn the_source_is_wiped() {
    let mut source = bytes(7);
    drop(SecretPages::new().store(&mut source).unwrap());
    assert_eq!(source, [0; 32]);
}

#[test]
fn a_dropped_secret_is_wiped_and_its_neighbours_are_not() {
    let pages = SecretPages::new();
    let [first, second, third] = [1, 2, 3].map(|number| pages.store(&mut bytes(number)).unwrap());
    let region = Arc::clone(&second.region);
    let start = second.start;
    drop(second);
    // SAFETY: the range's owner is gone, and ranges are not given out again.
    let left: &[u8; 32] = unsafe { region.read(start) };
    assert_eq!(*left, [0; 32]);
    assert!(first.expose(|held| *held == bytes(1)) && third.expose(|held| *held == bytes(3)));
}

#[test]
fn a_secret_that_was_not_made_after_all_leaves_nothing() {
    #[derive(Debug, PartialEq)]
    enum Why {
        NoPages(SecretError),
        HalfWay,
    }
    impl From<SecretError> for Why {
        fn from(error: SecretError) -> Self {
            Self::NoPages(error)
        }
    }
    let pages = SecretPages::new();
    let before = pages.store(&mut bytes(1)).unwrap();
    let half_way = pages.fill(|room: &mut [u8; 32]| {
        assert_eq!(*room, [0; 32]);
        *room = bytes(2);
        Err(Why::HalfWay)
    });
    assert_eq!(half_way.err(), Some(Why::HalfWay));
    // SAFETY: the range's owner is gone, and ranges are not given out again.
    assert_eq!(unsafe { before.region.read::<32>(before.start + 32) }, &[0; 32]);
    let whole = pages.fill::<32, Why>(|room| {
        *room = bytes(3);
        Ok(())
    });
    assert!(whole.unwrap().expose(|held| *held == bytes(3)));
}

#[test]
fn a_secret_outlives_its_pages() {
    let secret = SecretPages::new().store(&mut bytes(9)).unwrap();
    assert!(secret.expose(|held| *held == bytes(9)));
}

#[test]
fn secrets_of_every_length_fit_and_threads_share_them() {
    let pages = SecretPages::new();
    std::thread::scope(|scope| {
        for thread in 0..4_u8 {
            let pages = &pages;
            scope.spawn(move || {
                stays_as_it_is::<0>(pages, thread);
                stays_as_it_is::<1>(pages, thread);
                stays_as_it_is::<17>(pages, thread);
                stays_as_it_is::<96>(pages, thread);
                stays_as_it_is::<REGION_BYTES>(pages, thread);
            });
        }
    });
}

fn stays_as_it_is<const N: usize>(pages: &SecretPages, byte: u8) {
    let held: Vec<_> = (0..8).map(|_| pages.store(&mut [byte; N]).unwrap()).collect();
    for secret in held {
        assert!(secret.expose(|held| held.iter().all(|at| *at == byte)), "{N}");
    }
}

#[test]
fn anonymous_pages_serve_where_secret_memory_is_not() {
    let region = Region::map_anonymous(100).unwrap();
    assert_eq!(region.backing(), Backing::Locked);
    // SAFETY: nobody else has the region.
    unsafe { region.change(10, |room: &mut [u8; 20]| *room = [5; 20]) };
    // SAFETY: as above, and nobody writes meanwhile.
    assert_eq!(unsafe { region.read::<22>(9) }[..2], [0, 5]);
    // SAFETY: as above.
    unsafe { region.wipe(10, 20) };
    // SAFETY: as above.
    assert_eq!(unsafe { region.read::<100>(0) }, &[0; 100]);
}

#[test]
#[should_panic(expected = "a range outside of its region")]
fn a_range_that_ends_outside_of_its_region_has_no_address() {
    let region = Region::map(REGION_BYTES).unwrap();
    // SAFETY: never reached: nobody gets a reference.
    let _: &[u8; 17] = unsafe { region.read(REGION_BYTES - 16) };
}

#[test]
#[should_panic(expected = "a range outside of its region")]
fn a_range_whose_end_is_no_number_has_no_address() {
    let region = Region::map(REGION_BYTES).unwrap();
    // SAFETY: never reached: nothing is wiped.
    unsafe { region.wipe(usize::MAX, 2) };
}
