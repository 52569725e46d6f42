//! Slashing protection histories: what is read never lets an imported message be signed again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use palisade_ethereum::interchange::read;
use palisade_protect::Digest;

fuzz_target!(|history: &[u8]| {
    let Ok(records) = read(history, &Digest([0; 32])) else { return };
    for record in records.values() {
        assert!(record.proposal.is_none_or(|proposal| proposal.root.is_none()));
        assert!(record.attestation.is_none_or(|attestation| attestation.root.is_none()));
    }
});
