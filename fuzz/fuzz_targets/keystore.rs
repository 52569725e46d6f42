//! EIP-2335 keystores: none may crash the reader, and none that is refused costs a key derivation.
#![no_main]

use libfuzzer_sys::fuzz_target;
use palisade_keys::Password;
use palisade_keys::keystore::decrypt;
use serde_json::Value;

/// A derivation that would only heat the room: everything before it was looked at already.
fn is_costly(parameters: &Value) -> bool {
    let number = |name: &str| parameters[name].as_u64().unwrap_or(1);
    number("n").saturating_mul(number("r")).saturating_mul(number("p")) > 1 << 12
        || number("c") > 1 << 8
}

fuzz_target!(|json: &[u8]| {
    let value: Value = serde_json::from_slice(json).unwrap_or_default();
    if is_costly(&value["crypto"]["kdf"]["params"]) {
        return;
    }
    let read = decrypt(json, &Password::new("seed".to_owned()));
    if let Err(error) = read {
        assert!(error.to_string().len() < 1024, "an error repeats too much of the file");
    }
});
