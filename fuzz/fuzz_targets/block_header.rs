//! Unsealed headers: none may crash the parser, a chain reads one in one way, and what its seal
//! signs is the hash of these very bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use palisade_protect::{Digest, Duty};
use palisade_substrate::{BlockNumberBits, Chain, announcement};

fn chain(block_number: BlockNumberBits) -> Chain {
    let genesis = Digest([7; 32]);
    Chain { name: "fuzz".to_owned(), genesis, slot_ms: 6_000, block_number, discovery: None }
}

fuzz_target!(|header: &[u8]| {
    for bits in [BlockNumberBits::U32, BlockNumberBits::U64] {
        let chain = chain(bits);
        let read = announcement(header, &chain);
        assert_eq!(read, announcement(header, &chain));
        let Ok(read) = read else { continue };
        assert_eq!(read.seal().intent.digest, read.pre_hash);
        assert_eq!(read.seal().intent.duty, Duty::Seal { slot: read.slot });
    }
});
