//! The bytes of the vault: frozen, and refused when any of them is not as written.

use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use super::format::{Contents, Fault, Stretch};
use super::seal::{HomeKey, seal_key, unwrap, wrap};
use super::{UnlockKind, VaultError};
use crate::any::SecretKey;
use crate::unlock::UnlockFileSecret;
use crate::{BlsSecretKey, KeyRing, Password, Scheme, SessionSecretKey, UnlockSecret};

const GENERATED: &str = include_str!("../../tests/data/vault-1-generated.hex");
const PASSPHRASE: &str = include_str!("../../tests/data/vault-1-passphrase.hex");
const SESSIONS: &str = include_str!("../../tests/data/vault-1-sessions.hex");
/// Magic, version, kind, salt.
const HKDF_PREAMBLE: usize = 8 + 1 + 1 + 32;
const SEALED: usize = 24 + 32 + 16;
const KEYS_FROM: usize = HKDF_PREAMBLE + SEALED + 4;
const KEY: usize = 1 + 48 + SEALED;
const CLOSING: usize = 32 + 24 + 16;

fn generated() -> UnlockSecret {
    UnlockSecret::Generated(UnlockFileSecret::from_array([0x11; 32]))
}

fn passphrase() -> UnlockSecret {
    UnlockSecret::Passphrase(Password::new("correct horse".to_owned()))
}

fn secret(number: u8) -> BlsSecretKey {
    BlsSecretKey::from_bytes(&[number; 32]).unwrap()
}

/// Fills each buffer with one byte, counted up from `first`.
fn counting(first: u8) -> impl FnMut(&mut [u8]) -> Result<(), getrandom::Error> {
    let mut next = first;
    move |bytes| {
        bytes.fill(next);
        next += 1;
        Ok(())
    }
}

fn write(unlock: &UnlockSecret, secrets: &[BlsSecretKey]) -> Vec<u8> {
    let random = &mut counting(0xa0);
    let home_key = HomeKey::generate(random).unwrap();
    let wrap = wrap(unlock, &home_key, random).unwrap();
    let mut seal = |secret: &BlsSecretKey| {
        let secret = BlsSecretKey::from_bytes(&secret.to_bytes()).unwrap();
        seal_key(&home_key, &SecretKey::Bls(secret), random).unwrap()
    };
    let keys = secrets.iter().map(&mut seal).collect();
    Contents::seal(wrap, keys, &home_key, &mut counting(0xf0)).unwrap().encode()
}

fn two_keys() -> Vec<u8> {
    write(&generated(), &[secret(1), secret(2)])
}

/// As `Vault::open` and `Vault::load_ring` do, without a disk.
fn read(unlock: &UnlockSecret, bytes: &[u8]) -> Result<KeyRing, Fault> {
    let contents = Contents::decode(bytes)?;
    let home_key = unwrap(unlock, &contents.wrap)?;
    contents.authenticate(&home_key)?;
    super::seal::open_all(&home_key, &contents.keys)
}

/// Sets the checksum right again, as somebody would who changes the file on purpose.
fn with_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
    let body = bytes.len() - CLOSING;
    let digest = Sha256::digest(&bytes[..body]);
    bytes[body..body + 32].copy_from_slice(&digest);
    bytes
}

fn golden(text: &str) -> Vec<u8> {
    hex::decode(text.split_whitespace().collect::<String>()).unwrap()
}

#[test]
fn version_1_with_a_generated_secret_is_frozen() {
    let written = two_keys();
    assert_eq!(hex::encode(&written), hex::encode(golden(GENERATED)));
    assert_eq!(read(&generated(), &written).unwrap().len(), 2);
}

#[test]
fn version_1_with_a_passphrase_is_frozen() {
    let written = write(&passphrase(), &[secret(1)]);
    assert_eq!(hex::encode(&written), hex::encode(golden(PASSPHRASE)));
    assert_eq!(read(&passphrase(), &written).unwrap().len(), 1);
}

/// One key of each session scheme, whose public keys are shorter than their place.
fn session_keys() -> Vec<u8> {
    let random = &mut counting(0xa0);
    let home_key = HomeKey::generate(random).unwrap();
    let wrap = wrap(&generated(), &home_key, random).unwrap();
    let seal = |scheme| {
        let secret = SessionSecretKey::from_uri(scheme, "//Alice").unwrap();
        seal_key(&home_key, &SecretKey::Session(secret), random).unwrap()
    };
    let keys = [Scheme::Sr25519, Scheme::Ed25519, Scheme::Ecdsa].map(seal).into();
    Contents::seal(wrap, keys, &home_key, &mut counting(0xf0)).unwrap().encode()
}

#[test]
fn session_keys_in_version_1_are_frozen() {
    let written = session_keys();
    assert_eq!(hex::encode(&written), hex::encode(golden(SESSIONS)));
    assert_eq!(read(&generated(), &written).unwrap().session_public_keys().count(), 3);
}

#[test]
fn each_flipped_byte_of_session_keys_under_a_right_checksum_is_refused() {
    let written = session_keys();
    for place in 0..written.len() - CLOSING {
        let mut flipped = written.clone();
        flipped[place] ^= 0x01;
        assert!(read(&generated(), &with_checksum(flipped)).is_err(), "byte {place}");
    }
}

#[test]
fn a_session_key_that_goes_on_behind_its_length_is_refused() {
    let problem = Fault::Damaged("a public key is longer than its scheme's");
    for (number, length) in [32, 32, 33].into_iter().enumerate() {
        for place in length..48 {
            let mut longer = session_keys();
            longer[KEYS_FROM + number * KEY + 1 + place] = 1;
            assert_eq!(read(&generated(), &with_checksum(longer)).err(), Some(problem.clone()));
        }
    }
}

#[test]
fn each_flipped_bit_is_refused() {
    let written = two_keys();
    for place in 0..written.len() {
        for bit in 0..8 {
            let mut flipped = written.clone();
            flipped[place] ^= 1 << bit;
            let fault = read(&generated(), &flipped).err();
            assert!(
                matches!(fault, Some(Fault::Damaged(_) | Fault::UnknownVersion(_))),
                "byte {place} bit {bit}: {fault:?}"
            );
        }
    }
}

#[test]
fn each_flipped_byte_under_a_right_checksum_is_refused() {
    let written = two_keys();
    for place in 0..written.len() - CLOSING {
        let mut flipped = written.clone();
        flipped[place] ^= 0x01;
        assert!(read(&generated(), &with_checksum(flipped)).is_err(), "byte {place}");
    }
}

#[test]
fn each_shorter_or_longer_file_is_refused() {
    let written = two_keys();
    for length in 0..written.len() {
        let cut = written[..length].to_vec();
        assert!(matches!(read(&generated(), &cut), Err(Fault::Damaged(_))), "{length} bytes");
        if length >= CLOSING {
            assert!(read(&generated(), &with_checksum(cut)).is_err(), "{length} bytes");
        }
    }
    let longer = [written, vec![0]].concat();
    assert!(read(&generated(), &with_checksum(longer)).is_err());
}

/// Exchanges the byte ranges of equal length that start at `left` and `right`.
fn exchanged(bytes: &[u8], left: usize, right: usize, length: usize) -> Vec<u8> {
    let mut exchanged = bytes.to_vec();
    exchanged[left..left + length].copy_from_slice(&bytes[right..right + length]);
    exchanged[right..right + length].copy_from_slice(&bytes[left..left + length]);
    with_checksum(exchanged)
}

#[test]
fn a_seal_moved_to_another_key_does_not_open() {
    let written = two_keys();
    let (first, second) = (KEYS_FROM, KEYS_FROM + KEY);
    let seals = exchanged(&written, first + 49, second + 49, SEALED);
    let public_keys = exchanged(&written, first + 1, second + 1, 48);
    let whole = exchanged(&written, first, second, KEY);
    for changed in [seals, public_keys, whole] {
        assert!(matches!(read(&generated(), &changed), Err(Fault::Damaged(_))));
    }
}

/// Without the closing seal, so that the seal of each key is shown to hold by itself.
#[test]
fn a_moved_seal_is_refused_even_if_the_file_were_closed_again() {
    let contents = Contents::decode(&two_keys()).unwrap();
    let home_key = unwrap(&generated(), &contents.wrap).unwrap();
    let [mut first, second] = <[_; 2]>::try_from(contents.keys).ok().unwrap();
    first.secret = second.secret.clone();
    assert!(super::seal::open_key(&home_key, &first).is_err());
    assert!(super::seal::open_key(&home_key, &second).is_ok());
}

#[test]
fn a_key_taken_out_or_put_in_twice_is_refused() {
    let written = two_keys();
    let second = KEYS_FROM + KEY;
    let mut fewer = [&written[..KEYS_FROM], &written[second..]].concat();
    fewer[KEYS_FROM - 4] = 1;
    let mut twice = [&written[..second], &written[KEYS_FROM..]].concat();
    twice[KEYS_FROM - 4] = 3;
    for changed in [fewer, twice] {
        assert!(matches!(read(&generated(), &with_checksum(changed)), Err(Fault::Damaged(_))));
    }
}

#[test]
fn a_count_of_keys_that_are_not_there_is_refused() {
    let mut written = two_keys();
    written[KEYS_FROM - 4..KEYS_FROM].copy_from_slice(&u32::MAX.to_le_bytes());
    let fault = read(&generated(), &with_checksum(written)).err();
    assert_eq!(fault, Some(Fault::Damaged("more keys than a vault holds")));
}

#[test]
fn another_version_is_told_from_damage() {
    let mut written = two_keys();
    written[8] = 2;
    assert_eq!(read(&generated(), &with_checksum(written)).err(), Some(Fault::UnknownVersion(2)));
}

#[test]
fn a_costly_passphrase_header_is_refused_before_it_is_paid() {
    for (place, byte) in [(10, 63), (10, 9), (11, 255), (15, 255), (15, 0)] {
        let mut written = golden(PASSPHRASE);
        written[place] = byte;
        let fault = read(&passphrase(), &with_checksum(written)).err();
        assert_eq!(fault, Some(Fault::Damaged("scrypt parameters out of bounds")));
    }
}

#[test]
fn a_wrong_secret_and_a_secret_of_another_kind_are_told_apart() {
    let other = UnlockSecret::Generated(UnlockFileSecret::from_array([0x12; 32]));
    let kind = UnlockKind::GeneratedFile;
    assert_eq!(read(&other, &two_keys()).err(), Some(Fault::WrongSecret(kind)));
    assert_eq!(read(&passphrase(), &two_keys()).err(), Some(Fault::OtherKind(kind)));
}

#[test]
fn without_randomness_nothing_is_sealed() {
    let home_key = HomeKey::generate(&mut counting(0)).unwrap();
    let mut none = |_: &mut [u8]| Err(getrandom::Error::UNSUPPORTED);
    let results = [
        HomeKey::generate(&mut none).err(),
        wrap(&generated(), &home_key, &mut none).err(),
        seal_key(&home_key, &SecretKey::Bls(secret(1)), &mut none).err(),
    ];
    assert!(results.iter().all(|error| matches!(error, Some(VaultError::Randomness(_)))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_sealed_opens_again(numbers in prop::collection::btree_set(1_u8..=0x70, 0..20)) {
        let secrets: Vec<_> = numbers.iter().map(|number| secret(*number)).collect();
        let contents = Contents::decode(&write(&generated(), &secrets)).unwrap();
        prop_assert!(contents.wrap.stretch == Stretch::Hkdf);
        let home_key = unwrap(&generated(), &contents.wrap).unwrap();
        contents.authenticate(&home_key).unwrap();
        prop_assert_eq!(contents.keys.len(), secrets.len());
        for (sealed, secret) in contents.keys.iter().zip(&secrets) {
            let SecretKey::Bls(opened) = super::seal::open_key(&home_key, sealed).unwrap() else {
                panic!("a key of another scheme");
            };
            prop_assert!(opened == *secret);
            prop_assert_eq!(opened.public_key(), secret.public_key());
        }
    }

    #[test]
    fn foreign_bytes_are_refused_and_never_panic(
        tail in prop::collection::vec(any::<u8>(), 0..600)
    ) {
        prop_assert!(Contents::decode(&tail).is_err());
        let headed = [&two_keys()[..10], &tail].concat();
        if headed.len() >= CLOSING {
            prop_assert!(read(&generated(), &with_checksum(headed)).is_err());
        }
    }
}
