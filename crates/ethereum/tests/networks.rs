//! Networks: the built-in ones, and those read from a `config.yaml`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    missing_docs,
    reason = "tests fail by panicking, and read their data from files"
)]

use palisade_ethereum::{Network, NetworkError, Preset};
use palisade_protect::{Epoch, Slot};

const CONFIG: &str = "
# A private network.
PRESET_BASE: 'minimal'
CONFIG_NAME: \"devnet-7\"
TERMINAL_TOTAL_DIFFICULTY: 115792089237316195423570985008687907853269984665640564
MIN_GENESIS_TIME: 1700000000
GENESIS_DELAY: 60
GENESIS_FORK_VERSION: 0x10000038
ALTAIR_FORK_VERSION: 0x20000038
CAPELLA_FORK_VERSION: 0x40000038
DENEB_FORK_VERSION: 0x50000038
DENEB_FORK_EPOCH: 18446744073709551615
FULU_FORK_VERSION: 0x70000038 # in quotes or not
SECONDS_PER_SLOT: 3
DEPOSIT_CONTRACT_ADDRESS: 0x4242424242424242424242424242424242424242
BLOB_SCHEDULE:
  - EPOCH: 412672
    MAX_BLOBS_PER_BLOCK: 15
  - EPOCH: 419072
    MAX_BLOBS_PER_BLOCK: 21
";

#[test]
fn every_built_in_name_has_a_network() {
    for name in Network::BUILT_IN {
        let network = Network::built_in(name).unwrap();
        assert_eq!(network.name, name);
        assert_eq!(network.genesis_validators_root.is_none(), name == "minimal");
    }
    assert!(Network::built_in("Mainnet").is_none());
    assert!(Network::built_in("goerli").is_none());
}

#[test]
fn time_and_slots_of_mainnet() {
    let mainnet = Network::built_in("mainnet").unwrap();
    let root = mainnet.genesis_validators_root.unwrap().to_string();
    assert_eq!(root, "0x4b363db94e286120d76eb905340fdd4e54bfe9f06bf33ff6cf5ad27f511bfe95");
    // Capella began at epoch 194,048, on 2023-04-12 at 22:27:35 UTC (EIP-7600's predecessor,
    // consensus-specs configs/mainnet.yaml).
    let slot = mainnet.slot_at(1_681_338_455).unwrap();
    assert_eq!((slot, mainnet.epoch_of(slot)), (Slot(6_209_536), Epoch(194_048)));
    assert_eq!(mainnet.slot_at(1_681_338_454), Some(Slot(6_209_535)));
    assert_eq!(mainnet.slot_at(1_606_824_023), Some(Slot(0)));
    assert_eq!(mainnet.slot_at(1_606_824_022), None);
    assert_eq!(mainnet.last_slot_of(Epoch(0)), Slot(31));
    assert_eq!(mainnet.last_slot_of(Epoch(u64::MAX)), Slot(u64::MAX));
    assert_eq!(mainnet.epoch_of(Slot(u64::MAX)), Epoch(u64::MAX / 32));
    assert_eq!(mainnet.slot_at(u64::MAX), None);
}

#[test]
fn epochs_of_the_other_presets() {
    let slots = |name: &str| Network::built_in(name).unwrap().slots_per_epoch();
    assert_eq!((slots("minimal"), slots("gnosis"), slots("hoodi")), (8, 16, 32));
    let gnosis = Network::built_in("gnosis").unwrap();
    assert_eq!(gnosis.slot_at(1_638_993_340 + 80).unwrap(), Slot(16));
}

#[test]
fn a_configuration_is_read() {
    let network = Network::from_config_yaml(CONFIG).unwrap();
    assert_eq!(network.name, "devnet-7");
    assert_eq!(network.preset, Preset::Minimal);
    assert_eq!(network.genesis_fork_version, [0x10, 0, 0, 0x38]);
    assert_eq!(network.genesis_time_unix_s, Some(1_700_000_000));
    assert_eq!(network.slot_duration_ms.get(), 3000);
    assert_eq!(network.genesis_validators_root, None);
    assert_eq!(network.capella_fork_version, Some([0x40, 0, 0, 0x38]));
    assert_eq!(network.fork_versions_after_capella, [[0x50, 0, 0, 0x38], [0x70, 0, 0, 0x38]]);
}

fn published_config(name: &str) -> Network {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/configs");
    let text = std::fs::read_to_string(format!("{directory}/{name}.yaml")).unwrap();
    Network::from_config_yaml(&text).unwrap()
}

#[test]
fn the_published_configurations_give_the_built_in_networks() {
    for name in ["mainnet", "minimal"] {
        let mut built_in = Network::built_in(name).unwrap();
        let read = published_config(name);
        // The file knows one fork more, Heze.
        let last = *read.fork_versions_after_capella.last().unwrap();
        assert_eq!(last[0], 8);
        built_in.fork_versions_after_capella.push(last);
        assert_eq!(read, built_in);
    }
}

#[test]
fn another_chain_with_a_known_name_gets_nothing_of_the_known_one() {
    let text = CONFIG.replace("\"devnet-7\"", "mainnet");
    let network = Network::from_config_yaml(&text).unwrap();
    assert_eq!(network.genesis_time_unix_s, Some(1_700_000_000));
    assert_eq!(network.genesis_validators_root, None);
}

#[test]
fn our_own_keys_and_milliseconds_are_read() {
    let root = format!("0x{}", "cd".repeat(32));
    let text = format!(
        "{CONFIG}\nGENESIS_TIME: 1700009999\nSLOT_DURATION_MS: 2500\n\
         GENESIS_VALIDATORS_ROOT: {root}\n"
    );
    let network = Network::from_config_yaml(&text).unwrap();
    assert_eq!(network.genesis_time_unix_s, Some(1_700_009_999));
    assert_eq!(network.slot_duration_ms.get(), 2500);
    assert_eq!(network.genesis_validators_root.unwrap().to_string(), root);
}

#[test]
fn quotes_do_not_matter() {
    let quoted = CONFIG.replace("0x10000038", "\"0x10000038\"").replace(": 3\n", ": '3'\n");
    assert_eq!(Network::from_config_yaml(&quoted), Network::from_config_yaml(CONFIG));
}

#[test]
fn a_needed_key_that_is_missing_is_named() {
    for (key, named) in [
        ("PRESET_BASE", "PRESET_BASE"),
        ("GENESIS_FORK_VERSION", "GENESIS_FORK_VERSION"),
        ("SECONDS_PER_SLOT", "SLOT_DURATION_MS"),
    ] {
        let text = CONFIG.replace(&format!("\n{key}:"), "\nOTHER:");
        assert_eq!(Network::from_config_yaml(&text), Err(NetworkError::MissingKey(named)));
    }
    let text = CONFIG.replace("MIN_GENESIS_TIME", "OTHER");
    assert_eq!(Network::from_config_yaml(&text).unwrap().genesis_time_unix_s, None);
}

#[test]
fn a_value_that_cannot_be_used_is_named() {
    for (from, to, named) in [
        ("'minimal'", "'large'", "PRESET_BASE"),
        ("0x10000038", "0x100000", "GENESIS_FORK_VERSION"),
        ("0x10000038", "268435512", "GENESIS_FORK_VERSION"),
        ("0x40000038", "4", "CAPELLA_FORK_VERSION"),
        ("0x70000038", "later", "FULU_FORK_VERSION"),
        ("SLOT: 3", "SLOT: 0", "SECONDS_PER_SLOT"),
        ("SLOT: 3", "SLOT: 2.5", "SECONDS_PER_SLOT"),
        ("1700000000", "yesterday", "MIN_GENESIS_TIME"),
    ] {
        match Network::from_config_yaml(&CONFIG.replace(from, to)) {
            Err(NetworkError::BadValue { key, .. }) => assert_eq!(key, named),
            other => panic!("{to}: {other:?}"),
        }
    }
}

#[test]
fn what_is_not_a_configuration() {
    for text in ["", "- a\n- b", "just words", "{", "PRESET_BASE: [a]", "\0", "a: &x [*x, *x]"] {
        assert!(Network::from_config_yaml(text).is_err(), "{text:?}");
    }
    let long = format!("{CONFIG}# {}", "x".repeat(1 << 20));
    assert_eq!(Network::from_config_yaml(&long), Err(NetworkError::TooLong));
}
