//! The sealed key file: damaged in any way it is refused; it opens only as it was written.
//!
//! The closing digest is repaired before the file is read, because a checksum stops a fuzzer and
//! not an attacker. The seeds are sealed under the unlock secret below.
#![no_main]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use palisade_keys::{UnlockSecret, Vault};
use sha2::{Digest as _, Sha256};

const UNLOCK: &str = "palisade-unlock-1:\
    1111111111111111111111111111111111111111111111111111111111111111\n";
/// The digest, then nonce and tag of the seal over it.
const CLOSING_BYTES: usize = 32 + 24 + 16;

/// A directory of this process, with the unlock file in it.
static HOME: LazyLock<PathBuf> = LazyLock::new(|| {
    let home = std::env::temp_dir().join(format!("palisade-fuzz-{}", std::process::id()));
    fs::create_dir_all(&home).expect("the temporary directory can be written");
    let unlock = home.join("unlock");
    fs::write(&unlock, UNLOCK).expect("the unlock file can be written");
    fs::set_permissions(&unlock, Permissions::from_mode(0o600)).expect("its mode can be set");
    home
});

fn repaired(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some(end) = bytes.len().checked_sub(CLOSING_BYTES) {
        let digest = Sha256::digest(&bytes[..end]);
        bytes[end..end + 32].copy_from_slice(&digest);
    }
    bytes
}

fuzz_target!(|bytes: &[u8]| {
    let unlock = UnlockSecret::from_file(&HOME.join("unlock")).expect("the unlock file is whole");
    fs::write(HOME.join("keys.sealed"), repaired(bytes)).expect("the directory can be written");
    match Vault::open(&HOME, &unlock) {
        Ok(vault) => drop(vault.load_ring()),
        Err(error) => assert!(error.to_string().len() < 1024, "an error repeats too much"),
    }
});
