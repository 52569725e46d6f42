//! GRANDPA votes: none may crash the parser, and no vote reads on chains of both widths.
#![no_main]

use libfuzzer_sys::fuzz_target;
use palisade_protect::{Digest, Duty, Message};
use palisade_substrate::{BlockNumberBits, Chain, grandpa_vote};

fn chain(block_number: BlockNumberBits) -> Chain {
    let genesis = Digest([7; 32]);
    Chain { name: "fuzz".to_owned(), genesis, slot_ms: 6_000, block_number, discovery: None }
}

fuzz_target!(|payload: &[u8]| {
    let chains = [BlockNumberBits::U32, BlockNumberBits::U64].map(chain);
    let read = chains.each_ref().map(|chain| grandpa_vote(payload, chain));
    assert!(!read.iter().all(Result::is_ok));
    for judged in read.into_iter().flatten() {
        let Duty::GrandpaVote { stage, set_id, round } = judged.intent.duty else {
            panic!("a vote is {:?}", judged.intent.duty)
        };
        assert_eq!(payload.first(), Some(&(stage as u8)));
        let place = [round.to_le_bytes(), set_id.to_le_bytes()].concat();
        assert!(payload.ends_with(&place));
        assert_eq!(judged.message, Message::Payload(payload));
        assert_eq!(judged.intent.digest, judged.message.digest());
    }
});
