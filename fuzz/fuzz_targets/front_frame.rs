//! What a front that was broken into writes to the core: a message or an error, never a panic, and
//! never more bytes than the frame has.
#![no_main]

use libfuzzer_sys::fuzz_target;
use palisade_server::link::message::{FromFront, Question};

fuzz_target!(|frame: &[u8]| {
    let Ok(FromFront::Ask { question, .. }) = FromFront::read(frame) else { return };
    let held = match question {
        Question::Sign { public_key, body } => public_key.len() + body.len(),
        Question::SignBatch { body }
        | Question::Rpc { body }
        | Question::KeystoresImport { body }
        | Question::KeystoresDelete { body } => body.len(),
        _ => 0,
    };
    assert!(held < frame.len());
});
