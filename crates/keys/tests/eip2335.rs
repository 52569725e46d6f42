//! Keystores: the vectors of EIP-2335 open, and each way of spoiling them is refused.
//!
//! Every refusal is checked for its kind: a spoiled file must not be taken for a wrong password,
//! nor the other way round.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

use palisade_keys::keystore::{self, Kdf, KeystoreError, MAX_BYTES};
use palisade_keys::{BlsSecretKey, Password};
use serde_json::{Value, json};

const SCRYPT: &str = include_str!("data/eip2335-scrypt.json");
const PBKDF2: &str = include_str!("data/eip2335-pbkdf2.json");
const PASSWORD: &str = "𝔱𝔢𝔰𝔱𝔭𝔞𝔰𝔰𝔴𝔬𝔯𝔡🔑";
const SECRET: &str = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f";
const CHEAP: Kdf = Kdf::Pbkdf2 { rounds: 1 };

fn password(text: &str) -> Password {
    Password::new(text.to_owned())
}

fn error_of(json: impl AsRef<[u8]>) -> KeystoreError {
    keystore::decrypt(json.as_ref(), &password(PASSWORD)).err().expect("must be refused")
}

/// The vector with one value changed; `null` removes the field.
fn changed(vector: &str, pointer: &str, value: Value) -> String {
    let mut json: Value = serde_json::from_str(vector).unwrap();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = json.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Value::Null => assert!(parent.remove(name).is_some(), "{pointer} was not there"),
        value => drop(parent.insert(name.to_owned(), value)),
    }
    json.to_string()
}

macro_rules! opens {
    ($($name:ident: $vector:expr;)*) => { $(
        #[test]
        fn $name() {
            let key = keystore::decrypt($vector.as_bytes(), &password(PASSWORD)).unwrap();
            assert!(key == BlsSecretKey::from_hex(SECRET).unwrap());
        }
    )* };
}

/// One test for each spoiled vector, for both functions.
macro_rules! is_refused {
    ($($name:ident: $spoil:expr => $error:pat,)*) => { $(
        mod $name {
            use super::*;

            #[test]
            fn scrypt() {
                let error = error_of(($spoil)(SCRYPT));
                assert!(matches!(error, $error), "{error:?}");
            }

            #[test]
            fn pbkdf2() {
                let error = error_of(($spoil)(PBKDF2));
                assert!(matches!(error, $error), "{error:?}");
            }
        }
    )* };
}

fn set(pointer: &'static str, value: Value) -> impl Fn(&str) -> String {
    move |vector| changed(vector, pointer, value.clone())
}

fn remove(pointer: &'static str) -> impl Fn(&str) -> String {
    set(pointer, Value::Null)
}

fn replace(from: &'static str, to: &'static str) -> impl Fn(&str) -> String {
    move |vector| {
        assert!(vector.contains(from), "{from} is not in the vector");
        vector.replacen(from, to, 1)
    }
}

opens! {
    the_scrypt_vector: SCRYPT;
    the_pbkdf2_vector: PBKDF2;
    a_vector_without_pubkey: changed(PBKDF2, "/pubkey", Value::Null);
    a_vector_with_0x_before_pubkey: PBKDF2.replace("\"9612", "\"0x9612");
    a_vector_without_path_and_uuid:
        changed(&changed(PBKDF2, "/path", Value::Null), "/uuid", Value::Null);
    a_vector_with_a_field_of_some_tool: changed(PBKDF2, "/name", json!("validator 1"));
    a_vector_with_a_longer_derived_key: changed(PBKDF2, "/crypto/kdf/params/dklen", json!(64));
}

is_refused! {
    flipped_checksum: |vector: &str| {
        vector.replace("\"d2217f", "\"d3217f").replace("\"8a9f5d", "\"8b9f5d")
    } => KeystoreError::WrongPassword,
    flipped_ciphertext: |vector: &str| {
        vector.replace("\"06ae90", "\"07ae90").replace("\"cee03f", "\"cfe03f")
    } => KeystoreError::WrongPassword,
    flipped_salt: replace("d4e567", "d5e567") => KeystoreError::WrongPassword,
    flipped_initialisation_vector: replace("264daa", "364daa")
        => KeystoreError::NotASecretKey(_) | KeystoreError::OtherPublicKey { .. },
    other_public_key: replace("9612d7", "9712d7") => KeystoreError::OtherPublicKey { .. },

    unknown_cipher: set("/crypto/cipher/function", json!("aes-256-gcm"))
        => KeystoreError::UnsupportedFunction { module: "cipher", .. },
    unknown_checksum: set("/crypto/checksum/function", json!("keccak256"))
        => KeystoreError::UnsupportedFunction { module: "checksum", .. },
    unknown_kdf: set("/crypto/kdf/function", json!("argon2id"))
        => KeystoreError::UnsupportedFunction { module: "kdf", .. },
    kdf_name_in_capitals: |vector: &str| {
        vector.replace("\"scrypt\"", "\"Scrypt\"").replace("\"pbkdf2\"", "\"PBKDF2\"")
    } => KeystoreError::UnsupportedFunction { module: "kdf", .. },
    kdf_name_of_the_other_function: |vector: &str| {
        let other = if vector == SCRYPT { "pbkdf2" } else { "scrypt" };
        changed(vector, "/crypto/kdf/function", json!(other))
    } => KeystoreError::BadField { field: "crypto.kdf.params", .. },
    params_of_both_functions: |vector: &str| {
        let with_n = changed(vector, "/crypto/kdf/params/n", json!(2));
        changed(&with_n, "/crypto/kdf/params/c", json!(2))
    } => KeystoreError::BadField { field: "crypto.kdf.params", .. },
    params_of_neither_function: |vector: &str| {
        let cost = if vector == SCRYPT { "n" } else { "c" };
        changed(vector, &format!("/crypto/kdf/params/{cost}"), Value::Null)
    } => KeystoreError::BadField { field: "crypto.kdf.params", .. },
    message_of_the_kdf: set("/crypto/kdf/message", json!("00"))
        => KeystoreError::BadField { field: "crypto.kdf.message", .. },

    zero_derived_key: set("/crypto/kdf/params/dklen", json!(0))
        => KeystoreError::OutOfBounds { field: "crypto.kdf.params.dklen", .. },
    short_derived_key: set("/crypto/kdf/params/dklen", json!(31))
        => KeystoreError::OutOfBounds { field: "crypto.kdf.params.dklen", .. },
    huge_derived_key: set("/crypto/kdf/params/dklen", json!(u64::MAX))
        => KeystoreError::OutOfBounds { field: "crypto.kdf.params.dklen", .. },
    negative_derived_key: set("/crypto/kdf/params/dklen", json!(-1))
        => KeystoreError::Malformed { .. },

    version_3: set("/version", json!(3)) => KeystoreError::UnsupportedVersion(3),
    version_5: set("/version", json!(5)) => KeystoreError::UnsupportedVersion(5),
    version_as_text: set("/version", json!("4")) => KeystoreError::Malformed { .. },
    no_version: remove("/version") => KeystoreError::Malformed { .. },
    no_crypto: remove("/crypto") => KeystoreError::Malformed { .. },
    no_kdf: remove("/crypto/kdf") => KeystoreError::Malformed { .. },
    no_salt: remove("/crypto/kdf/params/salt") => KeystoreError::Malformed { .. },
    no_checksum: remove("/crypto/checksum") => KeystoreError::Malformed { .. },
    no_cipher_message: remove("/crypto/cipher/message") => KeystoreError::Malformed { .. },
    no_initialisation_vector: remove("/crypto/cipher/params/iv") => KeystoreError::Malformed { .. },
    duplicate_crypto: replace("\"path\"", "\"crypto\": {}, \"path\"")
        => KeystoreError::Malformed { .. },
    duplicate_version: replace("\"path\"", "\"version\": 4, \"path\"")
        => KeystoreError::Malformed { .. },
    duplicate_salt: replace("\"dklen\"", "\"salt\": \"00\", \"dklen\"")
        => KeystoreError::Malformed { .. },
    unknown_field_in_crypto: set("/crypto/mac", json!("00")) => KeystoreError::Malformed { .. },
    unknown_kdf_parameter: set("/crypto/kdf/params/t", json!(3)) => KeystoreError::Malformed { .. },
    parameter_of_the_checksum: set("/crypto/checksum/params/n", json!(3))
        => KeystoreError::Malformed { .. },

    checksum_not_hex: set("/crypto/checksum/message", json!("zz".repeat(32)))
        => KeystoreError::BadField { field: "crypto.checksum.message", .. },
    ciphertext_not_hex: set("/crypto/cipher/message", json!("é".repeat(32)))
        => KeystoreError::BadField { field: "crypto.cipher.message", .. },
    ciphertext_too_short: set("/crypto/cipher/message", json!("00".repeat(31)))
        => KeystoreError::BadField { field: "crypto.cipher.message", .. },
    ciphertext_too_long: set("/crypto/cipher/message", json!("00".repeat(33)))
        => KeystoreError::BadField { field: "crypto.cipher.message", .. },
    initialisation_vector_empty: set("/crypto/cipher/params/iv", json!(""))
        => KeystoreError::BadField { field: "crypto.cipher.params.iv", .. },
    salt_not_hex: set("/crypto/kdf/params/salt", json!("salt"))
        => KeystoreError::BadField { field: "crypto.kdf.params.salt", .. },
    salt_empty: set("/crypto/kdf/params/salt", json!(""))
        => KeystoreError::BadField { field: "crypto.kdf.params.salt", .. },
    salt_huge: set("/crypto/kdf/params/salt", json!("00".repeat(257)))
        => KeystoreError::BadField { field: "crypto.kdf.params.salt", .. },
    public_key_too_short: set("/pubkey", json!("9612"))
        => KeystoreError::BadField { field: "pubkey", .. },
    public_key_not_hex: set("/pubkey", json!("x".repeat(96)))
        => KeystoreError::BadField { field: "pubkey", .. },

    empty: |_: &str| String::new() => KeystoreError::Malformed { .. },
    cut_in_half: |vector: &str| vector[..vector.len() / 2].to_owned()
        => KeystoreError::Malformed { .. },
    followed_by_more: |vector: &str| vector.to_owned() + "{}" => KeystoreError::Malformed { .. },
    in_a_list: |vector: &str| format!("[{vector}]") => KeystoreError::Malformed { .. },
    nested_deeply: |_: &str| "[".repeat(MAX_BYTES) => KeystoreError::Malformed { .. },
    ten_megabytes: |vector: &str| vector.to_owned() + &" ".repeat(10_000_000)
        => KeystoreError::TooLarge,
}

fn scrypt_with(n: Value, r: Value, p: Value) -> KeystoreError {
    let mut json = SCRYPT.to_owned();
    for (name, value) in [("n", n), ("r", r), ("p", p)] {
        json = changed(&json, &format!("/crypto/kdf/params/{name}"), value);
    }
    error_of(json)
}

#[test]
fn a_cost_that_would_stop_the_machine_is_refused_before_it_is_paid() {
    let costs = [
        (json!(1_u64 << 62), json!(8), json!(1)),
        (json!(1 << 20), json!(8), json!(1)),
        (json!(262_144), json!(u32::MAX), json!(1)),
        (json!(u64::MAX), json!(u32::MAX), json!(u32::MAX)),
        (json!(262_144), json!(8), json!(1_000_000)),
        (json!(262_143), json!(8), json!(1)),
        (json!(0), json!(8), json!(1)),
        (json!(1), json!(8), json!(1)),
        (json!(262_144), json!(0), json!(1)),
        (json!(262_144), json!(8), json!(0)),
    ];
    for (n, r, p) in costs {
        let error = scrypt_with(n.clone(), r.clone(), p.clone());
        assert!(matches!(error, KeystoreError::OutOfBounds { .. }), "n {n} r {r} p {p}: {error:?}");
    }
    for rounds in [json!(0), json!(u32::MAX)] {
        let error = error_of(changed(PBKDF2, "/crypto/kdf/params/c", rounds.clone()));
        assert!(matches!(error, KeystoreError::OutOfBounds { .. }), "c {rounds}: {error:?}");
    }
}

#[test]
fn another_pseudorandom_function_is_refused() {
    let error = error_of(changed(PBKDF2, "/crypto/kdf/params/prf", json!("hmac-sha512")));
    assert!(matches!(error, KeystoreError::BadField { field: "crypto.kdf.params.prf", .. }));
}

#[test]
fn a_wrong_password_is_told_from_a_bad_file() {
    for wrong in ["", "testpassword", "𝔱𝔢𝔰𝔱𝔭𝔞𝔰𝔰𝔴𝔬𝔯𝔡"] {
        let result = keystore::decrypt(PBKDF2.as_bytes(), &password(wrong));
        assert_eq!(result.err(), Some(KeystoreError::WrongPassword), "{wrong}");
    }
}

/// Somebody may name a wrong file, with a mnemonic or a password in it.
#[test]
fn an_error_repeats_nothing_of_the_file() {
    let secret = "abandon-ability-able";
    for content in [
        format!("\"{secret}\""),
        secret.to_owned(),
        format!("{{\"{secret}\": 1}}"),
        format!("{{\"version\": \"{secret}\"}}"),
        format!("{{\"crypto\": {{\"{secret}\": 1}}}}"),
        changed(SCRYPT, "/crypto/kdf/function", json!(secret)),
        changed(SCRYPT, "/crypto/kdf/params/salt", json!(secret)),
        changed(SCRYPT, "/pubkey", json!(secret)),
    ] {
        let error = error_of(&content);
        assert!(!format!("{error} {error:?}").contains(secret), "{error:?} for {content}");
    }
}

#[test]
fn an_error_names_the_missing_field() {
    let text = error_of(changed(SCRYPT, "/crypto/checksum", Value::Null)).to_string();
    assert!(text.contains("missing field `checksum`"), "{text}");
}

#[test]
fn what_is_written_opens_again_and_differs_each_time() {
    let secret = BlsSecretKey::from_hex(SECRET).unwrap();
    for kdf in [CHEAP, Kdf::Scrypt { n: 2, r: 8, p: 1 }] {
        let written = keystore::encrypt(&secret, &password(PASSWORD), kdf).unwrap();
        let opened = keystore::decrypt(written.as_bytes(), &password(PASSWORD)).unwrap();
        assert!(opened == secret);
        let again = keystore::encrypt(&secret, &password(PASSWORD), kdf).unwrap();
        assert_ne!(written, again, "salt, initialisation vector and uuid are new");
        assert!(!written.contains(SECRET));
    }
}

#[test]
fn nothing_is_written_at_a_cost_that_is_not_read() {
    let secret = BlsSecretKey::from_hex(SECRET).unwrap();
    let kdf = Kdf::Scrypt { n: 1 << 40, r: 8, p: 1 };
    let result = keystore::encrypt(&secret, &password(PASSWORD), kdf);
    assert!(matches!(result, Err(KeystoreError::OutOfBounds { .. })));
}
