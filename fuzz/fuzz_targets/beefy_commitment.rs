//! BEEFY commitments: none may crash the parser, and what is read stands at the end of its bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use palisade_protect::{Digest, Duty, Message};
use palisade_substrate::{BlockNumberBits, Chain, beefy_commitment};

fn chain(block_number: BlockNumberBits) -> Chain {
    let genesis = Digest([7; 32]);
    Chain { name: "fuzz".to_owned(), genesis, slot_ms: 6_000, block_number, discovery: None }
}

fuzz_target!(|commitment: &[u8]| {
    for bits in [BlockNumberBits::U32, BlockNumberBits::U64] {
        let Ok(judged) = beefy_commitment(commitment, &chain(bits)) else { continue };
        let Duty::BeefyVote { set_id, block } = judged.intent.duty else {
            panic!("a commitment is {:?}", judged.intent.duty)
        };
        let mut tail = block.to_le_bytes().to_vec();
        if bits == BlockNumberBits::U32 {
            assert!(tail.split_off(4).iter().all(|byte| *byte == 0));
        }
        tail.extend(set_id.to_le_bytes());
        assert!(commitment.ends_with(&tail));
        assert_eq!(judged.message, Message::Keccak(commitment));
        assert_eq!(judged.intent.digest, judged.message.digest());
    }
});
