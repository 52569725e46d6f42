//! Stored records: whatever decodes has exactly one encoding, and merges with itself to itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use palisade_protect::Record;

fuzz_target!(|bytes: &[u8]| {
    let Ok(record) = Record::decode(bytes) else { return };
    // Session keys' records of version 1 are read, and written as version 2.
    let encoded = record.encode();
    assert_eq!(encoded.get(1..), bytes.get(1..));
    assert!(encoded == bytes || bytes.starts_with(&[1, 2]));
    assert_eq!(record.merge_stricter(record), Ok(record));
});
