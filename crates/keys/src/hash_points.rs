//! The points on the curve of the messages that were signed last.
//!
//! Hashing a message to the curve is half the work of a signature, and the validators of a slot
//! sign the same message. Invariants: at most [`CAPACITY`] points are kept, the least recently used
//! one leaves first; no lock is held while a point is computed; threads that miss on one message
//! together compute its point once. Digests and points are public values.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use blstrs::G2Projective;
use palisade_protect::Digest;

/// Ciphersuite of Ethereum's signatures (consensus-specs `phase0/beacon-chain.md`, section
/// "BLS signatures").
pub(crate) const CIPHERSUITE: &[u8] = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";

/// How many points are kept.
pub(crate) const CAPACITY: usize = 64;

type Point = Arc<OnceLock<G2Projective>>;

/// A small bounded map from digest to point.
#[derive(Default)]
pub(crate) struct HashPoints {
    /// Most recently used last.
    recent: Mutex<Vec<(Digest, Point)>>,
}

impl HashPoints {
    /// The point of `digest`, kept or computed.
    pub(crate) fn point(&self, digest: &Digest) -> G2Projective {
        *self.place(digest).get_or_init(|| G2Projective::hash_to_curve(&digest.0, CIPHERSUITE, &[]))
    }

    fn place(&self, digest: &Digest) -> Point {
        // A panic elsewhere cannot leave the list half-changed in a way that matters: at worst a
        // point is computed again.
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let found = recent.iter().rposition(|(known, _)| known == digest);
        let entry = match found {
            Some(place) => recent.remove(place),
            None => {
                if recent.len() >= CAPACITY {
                    recent.remove(0);
                }
                (*digest, Point::default())
            }
        };
        let point = Arc::clone(&entry.1);
        recent.push(entry);
        point
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: usize) -> Digest {
        Digest([u8::try_from(number).unwrap(); 32])
    }

    fn kept(points: &HashPoints) -> Vec<Digest> {
        points.recent.lock().unwrap().iter().map(|(digest, _)| *digest).collect()
    }

    #[test]
    fn keeps_a_bounded_number_and_drops_the_least_recently_used() {
        let points = HashPoints::default();
        (0..CAPACITY).for_each(|number| drop(points.place(&digest(number))));
        points.place(&digest(0));
        points.place(&digest(CAPACITY));
        let kept = kept(&points);
        assert_eq!(kept.len(), CAPACITY);
        assert!(kept.contains(&digest(0)), "a point in use stays");
        assert!(!kept.contains(&digest(1)), "the one unused for longest leaves");
    }

    #[test]
    fn threads_that_miss_together_share_one_computation() {
        let points = HashPoints::default();
        let places: Vec<Point> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| (points.point(&digest(1)), points.place(&digest(1)))))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap().1).collect()
        });
        assert!(places.windows(2).all(|pair| Arc::ptr_eq(&pair[0], &pair[1])));
        assert_eq!(kept(&points), [digest(1)]);
    }
}
