//! Decides which slot and epoch a BABE VRF input stands for.
//!
//! The trait hands over a transcript that cannot be read, and sending the transcript would make the
//! guard an oracle over inputs that it does not understand. So the node rebuilds the transcript of
//! each slot near now and each epoch that may hold it, compares fingerprints, and sends the slot,
//! the epoch and the randomness of the one that matches; the guard rebuilds the input by itself.
//!
//! Invariant: nothing is sent for a transcript that was not rebuilt here.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use sp_consensus_babe::{Epoch, Randomness, Slot, make_vrf_transcript};
use sp_core::sr25519::vrf::{VrfSignData, VrfTranscript};

/// How far a slot may lie before or after now.
const SLOTS_AROUND: u64 = 2;

/// Knows the BABE epochs that a slot near now may lie in.
pub trait EpochSource: Send + Sync {
    /// The length of a slot.
    fn slot_duration(&self) -> Duration;

    /// The epochs at the best block: the current one and the next. An empty list makes every VRF
    /// signature fail, which costs the slot.
    fn epochs(&self) -> Vec<Epoch>;
}

/// What the guard needs to rebuild a VRF input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) slot: u64,
    pub(crate) epoch: u64,
    pub(crate) randomness: Randomness,
}

type Fingerprint = [u8; 32];

/// The transcripts of the slots near now, built once per slot.
#[derive(Default)]
pub(crate) struct Claims {
    source: RwLock<Option<Arc<dyn EpochSource>>>,
    built: Mutex<(u64, Vec<(Fingerprint, Claim)>)>,
}

impl Claims {
    pub(crate) fn provide(&self, source: Arc<dyn EpochSource>) {
        *self.source.write().unwrap_or_else(PoisonError::into_inner) = Some(source);
    }

    /// The claim behind a VRF input, if it is one of BABE near `since_epoch` (the Unix time).
    ///
    /// The list is built again when the slot has changed or nothing matched: a new best block may
    /// have opened another epoch.
    pub(crate) fn find(&self, data: &VrfSignData, since_epoch: Duration) -> Option<Claim> {
        let source = self.source.read().unwrap_or_else(PoisonError::into_inner).clone()?;
        let now = current_slot(since_epoch, source.slot_duration());
        let wanted = fingerprint(data.as_ref());
        let found = |list: &[(Fingerprint, Claim)]| {
            list.iter().find(|(print, _)| *print == wanted).map(|(_, claim)| *claim)
        };
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        if built.0 == now
            && let Some(claim) = found(&built.1)
        {
            return Some(claim);
        }
        *built = (now, candidates(&source.epochs(), now));
        found(&built.1)
    }
}

fn current_slot(since_epoch: Duration, slot_duration: Duration) -> u64 {
    let slot = since_epoch.as_millis() / slot_duration.as_millis().max(1);
    u64::try_from(slot).unwrap_or(u64::MAX)
}

/// Every slot near now in every epoch that may hold it.
///
/// When whole epochs went by without a block, BABE continues with the next epoch's data under an
/// index that counts the skipped ones; both indices are tried.
fn candidates(epochs: &[Epoch], now: u64) -> Vec<(Fingerprint, Claim)> {
    let mut list = Vec::new();
    for slot in now.saturating_sub(SLOTS_AROUND)..=now.saturating_add(SLOTS_AROUND) {
        for epoch in epochs {
            let randomness = epoch.randomness;
            let skipped = slot.saturating_sub(*epoch.start_slot) / epoch.duration.max(1);
            let by_slot = epoch.epoch_index.saturating_add(skipped);
            let mut add = |index: u64| {
                let transcript = make_vrf_transcript(&randomness, Slot::from(slot), index);
                list.push((fingerprint(&transcript), Claim { slot, epoch: index, randomness }));
            };
            add(epoch.epoch_index);
            if by_slot != epoch.epoch_index {
                add(by_slot);
            }
        }
    }
    list
}

/// Equal for equal transcripts only; the transcript itself stays as it is.
fn fingerprint(transcript: &VrfTranscript) -> Fingerprint {
    let mut print = [0; 32];
    transcript.0.clone().challenge_bytes(b"palisade fingerprint", &mut print);
    print
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use sp_consensus_babe::{AllowedSlots, BabeEpochConfiguration, make_vrf_sign_data};

    use super::*;

    struct Fixed(Vec<Epoch>, AtomicUsize);

    impl EpochSource for Fixed {
        fn slot_duration(&self) -> Duration {
            Duration::from_secs(6)
        }

        fn epochs(&self) -> Vec<Epoch> {
            self.1.fetch_add(1, Ordering::Relaxed);
            self.0.clone()
        }
    }

    fn epoch(index: u64, start: u64) -> Epoch {
        let config = BabeEpochConfiguration {
            c: (1, 4),
            allowed_slots: AllowedSlots::PrimaryAndSecondaryVRFSlots,
        };
        Epoch {
            epoch_index: index,
            start_slot: start.into(),
            duration: 10,
            authorities: Vec::new(),
            randomness: [u8::try_from(index).unwrap(); 32],
            config,
        }
    }

    fn claims() -> (Claims, Arc<Fixed>) {
        let source = Arc::new(Fixed(vec![epoch(4, 100), epoch(5, 110)], AtomicUsize::new(0)));
        let claims = Claims::default();
        claims.provide(source.clone());
        (claims, source)
    }

    fn at(slot: u64) -> Duration {
        Duration::from_secs(slot * 6 + 1)
    }

    #[test]
    fn a_slot_of_either_epoch_is_found() {
        let (claims, _) = claims();
        for (slot, index) in [(108, 4), (109, 4), (110, 5), (111, 5)] {
            let randomness = [u8::try_from(index).unwrap(); 32];
            let data = make_vrf_sign_data(&randomness, slot.into(), index);
            let claim = claims.find(&data, at(109)).unwrap();
            assert_eq!(claim, Claim { slot, epoch: index, randomness });
        }
    }

    #[test]
    fn skipped_epochs_are_counted_into_the_index() {
        let (claims, _) = claims();
        // Slot 137 lies two epochs after the next one, which starts at 110.
        let data = make_vrf_sign_data(&[5; 32], 137.into(), 7);
        assert_eq!(claims.find(&data, at(137)).unwrap().epoch, 7);
    }

    #[test]
    fn a_far_slot_another_randomness_and_another_epoch_are_not_found() {
        let (claims, _) = claims();
        for (randomness, slot, index) in
            [([4; 32], 103, 4), ([4; 32], 112, 4), ([9; 32], 108, 4), ([4; 32], 108, 5)]
        {
            let data = make_vrf_sign_data(&randomness, Slot::from(slot), index);
            assert_eq!(claims.find(&data, at(106)), None);
        }
        assert_eq!(Claims::default().find(&make_vrf_sign_data(&[0; 32], 1.into(), 0), at(1)), None);
    }

    #[test]
    fn the_epochs_are_asked_once_per_slot() {
        let (claims, source) = claims();
        let data = make_vrf_sign_data(&[4; 32], 108.into(), 4);
        for _ in 0..50 {
            assert!(claims.find(&data, at(108)).is_some());
        }
        assert_eq!(source.1.load(Ordering::Relaxed), 1);
        assert!(claims.find(&data, at(109)).is_some());
        assert_eq!(source.1.load(Ordering::Relaxed), 2);
    }
}
