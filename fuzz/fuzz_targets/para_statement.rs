//! Parachain statements: none may crash the parser, and each takes its decisions about candidates
//! that stand in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use palisade_protect::{Duty, Message};
use palisade_substrate::para_statement;

fuzz_target!(|payload: &[u8]| {
    let Ok(judged) = para_statement(payload) else { return };
    assert_eq!(judged.message, Message::Payload(payload));
    assert_ne!(payload.len(), 32, "it would be a seal");
    assert!((1..=16).contains(&judged.intents.len()));
    let whole = judged.message.digest();
    for intent in &judged.intents {
        assert_eq!(intent.digest == whole, judged.intents.len() == 1);
        match intent.duty {
            Duty::ParaStatement { subject, .. } => {
                let candidate = subject.candidate.0;
                assert!(payload.windows(32).any(|window| window == candidate));
                let session = subject.session.to_le_bytes();
                assert!(payload.windows(4).any(|window| window == session));
            }
            Duty::Harmless => assert_eq!(judged.intents.len(), 1),
            other => panic!("a statement is {other:?}"),
        }
    }
});
