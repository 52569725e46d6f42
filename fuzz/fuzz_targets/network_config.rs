//! `config.yaml` files of networks: read or refused, and usable afterwards.
#![no_main]

use libfuzzer_sys::fuzz_target;
use palisade_ethereum::Network;
use palisade_protect::Slot;

fuzz_target!(|text: &str| {
    let Ok(network) = Network::from_config_yaml(text) else { return };
    for place in [0, 1, u64::MAX / 2, u64::MAX] {
        let epoch = network.epoch_of(Slot(place));
        assert!(place <= network.last_slot_of(epoch).0);
        let _slot = network.slot_at(place);
    }
});
