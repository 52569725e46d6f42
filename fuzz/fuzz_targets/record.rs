//! Stored records: whatever decodes has exactly one encoding, and merges with itself to itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use palisade_protect::Record;

fuzz_target!(|bytes: &[u8]| {
    let Ok(record) = Record::decode(bytes) else { return };
    assert_eq!(record.encode(), bytes);
    assert_eq!(record.merge_stricter(record), Ok(record));
});
