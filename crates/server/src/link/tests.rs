//! A front that has been broken into, against a real core on a real home.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod node;
mod pulse;

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use palisade_keys::UnlockSecret;
use palisade_store::{LedgerHandle, LedgerThread, Limits as LedgerLimits};
use proptest::prelude::*;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::codec::{LinkFault, decode, encode};
use super::message::{FromCore, FromFront, GateEntry, Question, Reply};
use super::{Ends, Limits, Pulse, serve};
use crate::admin::{Administrator, Past, Request};
use crate::config_file;
use crate::core::{Core, Expiry};
use crate::engine::{Engine, Keychain};
use crate::home::{GenesisRoot, Home, NewHome, NewUnlock};
use crate::metrics::Metrics;
use crate::policy::{Credential, Fingerprint, Presented};

const LIMITS: Limits =
    Limits { max_body_bytes: 1 << 20, questions: 4, beat: Duration::from_millis(20) };

/// A publicly known interoperability key of the consensus specifications.
const SECRET: &str = "0x25295f0d1d592a90b333e26e85149708208e9f8e8bc18f6c77bd62f8ad7a6866";
const KEY: &str = "0xa99a76ed7796f7be22d5b7e85deeb7c5677e88e511e0b337\
                   618f8c4eb61349b4bf2d153f649f7b53359fe8b94a38e44c";

/// A core, and the stream of a front that this test plays.
struct Played {
    pulse: Pulse,
    gate: Vec<GateEntry>,
    front: UnixStream,
    serving: JoinHandle<Result<(), LinkFault>>,
    ledger: LedgerHandle,
    stop: watch::Sender<bool>,
    _thread: LedgerThread,
    _directory: TempDir,
}

/// A core on a new home with one validator's key.
pub(crate) fn core_of(directory: &TempDir) -> (Core, LedgerHandle, LedgerThread) {
    let home = Home::at(directory.path().join("home"));
    let new = NewHome {
        network: "minimal".to_owned(),
        genesis_validators_root: GenesisRoot::Learn,
        unlock: NewUnlock::Generate,
    };
    home.create(&new).unwrap();
    config_file::append(&home.config_path(), node::NODE).unwrap();
    let opened = home.open(&UnlockSecret::from_file(&home.unlock_path()).unwrap()).unwrap();
    let policy = opened.config.policy(home.path()).unwrap();
    let keychain = Keychain::new(opened.vault.load_ring().unwrap());
    let (ledger, thread) = LedgerThread::spawn(opened.store, LedgerLimits::default());
    let (network, metrics) = (opened.network, Metrics::new());
    let engine = Engine::new(network, None, policy, keychain, ledger.clone(), metrics);
    let engine = Arc::new(engine);
    let administrator = Administrator::new(ledger.clone(), opened.vault, Arc::clone(&engine));
    let secrets = vec![SECRET.to_owned().into()];
    administrator.execute(Request::KeysImport { secrets, past: Past::Fresh }).unwrap();
    let certificates = Expiry::of(None, &[]).unwrap();
    let core = Core::new(&home, &opened.config, engine, Arc::new(administrator), certificates);
    (core, ledger, thread)
}

fn play() -> Played {
    let directory = TempDir::new().unwrap();
    let (core, ledger, thread) = core_of(&directory);
    let (front, near) = UnixStream::pair().unwrap();
    let (stop, stopped) = watch::channel(false);
    let (ready, _is_ready) = oneshot::channel();
    let gate = core.gate().borrow().clone();
    let pulse = Pulse::default();
    let ends = Ends { stop: stopped, ready, pulse: pulse.clone() };
    let serving = tokio::spawn(serve(Arc::new(core), near, LIMITS, ends));
    Played { pulse, gate, front, serving, ledger, stop, _thread: thread, _directory: directory }
}

fn ask(id: u64, question: Question) -> FromFront {
    FromFront::Ask { id, presented: Presented::default(), question }
}

/// A harmless signature, which the ledger's thread permits.
fn registration() -> Question {
    let body = serde_json::json!({
        "type": "VALIDATOR_REGISTRATION",
        "validator_registration": {
            "fee_recipient": "0x0101010101010101010101010101010101010101",
            "gas_limit": "30000000", "timestamp": "1", "pubkey": KEY,
        },
    });
    Question::Sign { public_key: KEY.to_owned(), body: body.to_string().into_bytes() }
}

impl Played {
    async fn send(&mut self, message: &FromFront) {
        let message = encode(message).unwrap();
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        self.front.write_all(&[&length[..], &message].concat()).await.unwrap();
    }

    /// The next message that is not the gate.
    async fn next(&mut self) -> FromCore {
        loop {
            let length = self.front.read_u32().await.unwrap();
            let mut frame = vec![0; length as usize];
            self.front.read_exact(&mut frame).await.unwrap();
            match decode(&frame).unwrap() {
                FromCore::Gate(_) => {}
                message => return message,
            }
        }
    }

    async fn answer(&mut self) -> (u64, Reply) {
        match self.next().await {
            FromCore::Answer { id, reply } => (id, reply),
            _ => panic!("no answer"),
        }
    }

    /// Holds the ledger's thread until the sender is dropped.
    fn hold_ledger(&self) -> Sender<()> {
        let (held, until) = channel::<()>();
        let (is_held, begun) = channel();
        let ledger = self.ledger.clone();
        std::thread::spawn(move || {
            ledger.call(move |_| {
                is_held.send(()).unwrap();
                until.recv().unwrap_err();
            })
        });
        begun.recv().unwrap();
        held
    }

    async fn ends(self) -> Result<(), LinkFault> {
        tokio::time::timeout(Duration::from_secs(30), self.serving).await.unwrap().unwrap()
    }
}

fn status(reply: &Reply) -> u16 {
    match reply {
        Reply::Json { status, .. } => *status,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_the_client_presented_counts_and_not_what_the_front_believes() {
    let mut played = play();
    played.send(&ask(1, Question::PublicKeys)).await;
    assert_eq!(status(&played.answer().await.1), 200);
    let presented = Presented { token: Some(Fingerprint([7; 32])), ..Presented::default() };
    played.send(&FromFront::Ask { id: 2, presented, question: Question::PublicKeys }).await;
    let (id, reply) = played.answer().await;
    assert_eq!((id, status(&reply)), (2, 401));
    // The anonymous client of a new home manages no keys, however the front asks.
    played.send(&ask(3, Question::KeystoresDelete { body: b"{\"pubkeys\":[]}".to_vec() })).await;
    assert_eq!(status(&played.answer().await.1), 401);
}

#[tokio::test]
async fn what_the_front_was_told_of_clients_makes_it_none_of_them() {
    let mut played = play();
    let digests = played.gate.iter().filter_map(|entry| match &entry.credential {
        Credential::Token(digest) | Credential::Certificate(digest) => Some(digest.clone()),
        Credential::Anonymous | Credential::Node(_) => None,
    });
    let digests: Vec<Fingerprint> = digests.collect();
    assert!(!digests.is_empty(), "a new home has a client with a token");
    for (id, digest) in (0..).zip(digests) {
        let presented =
            Presented { certificate: Some(digest.clone()), token: Some(digest), node: None };
        played.send(&FromFront::Ask { id, presented, question: Question::Keystores }).await;
        assert_eq!(status(&played.answer().await.1), 401);
    }
}

#[tokio::test]
async fn a_frame_of_one_gigabyte_is_refused_by_its_length() {
    let mut played = play();
    played.front.write_all(&(1_u32 << 30).to_be_bytes()).await.unwrap();
    let fault = played.ends().await.unwrap_err();
    assert!(fault.is_breach(), "{fault}");
}

#[tokio::test]
async fn a_frame_that_is_no_message_ends_the_guard() {
    for frame in [&b""[..], b"\xff\xff\xff", b"\x02\x01\x00"] {
        let mut played = play();
        let length = u32::try_from(frame.len()).unwrap().to_be_bytes();
        played.front.write_all(&[&length[..], frame].concat()).await.unwrap();
        let fault = played.ends().await.unwrap_err();
        assert!(fault.is_breach(), "{fault}");
    }
}

#[tokio::test]
async fn a_stream_that_ends_inside_a_frame_is_a_front_that_died() {
    let mut played = play();
    played.front.write_all(&[0, 0, 1, 0, 1, 2, 3]).await.unwrap();
    let Played { front, serving, .. } = played;
    drop(front);
    let fault = serving.await.unwrap().unwrap_err();
    assert!(!fault.is_breach(), "{fault}");
}

#[tokio::test]
async fn a_front_that_hangs_up_is_the_end_and_no_fault() {
    let Played { front, serving, .. } = play();
    drop(front);
    assert!(serving.await.unwrap().is_ok());
}

#[tokio::test]
async fn two_questions_under_way_with_one_id_are_a_breach() {
    let mut played = play();
    let held = played.hold_ledger();
    played.send(&ask(9, Question::HighWatermark)).await;
    played.send(&ask(9, Question::HighWatermark)).await;
    let serving = played.ends().await;
    drop(held);
    assert!(matches!(serving, Err(LinkFault::RepeatedId)));
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_under_way_are_bounded_and_the_rest_is_overload() {
    let mut played = play();
    let held = played.hold_ledger();
    for id in 0..10 {
        played.send(&ask(id, Question::HighWatermark)).await;
    }
    for _ in 0..6 {
        let (id, reply) = played.answer().await;
        assert_eq!(status(&reply), 503);
        assert!(4 <= id, "one of the first four was answered");
    }
    drop(held);
    let mut answered = Vec::new();
    for _ in 0..4 {
        let (id, reply) = played.answer().await;
        assert_eq!(status(&reply), 200);
        answered.push(id);
    }
    answered.sort_unstable();
    assert_eq!(answered, [0, 1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_is_taken_back_is_not_answered_and_makes_room() {
    let mut played = play();
    let held = played.hold_ledger();
    for id in 0..4 {
        played.send(&ask(id, registration())).await;
    }
    played.send(&FromFront::Cancel { id: 2 }).await;
    played.send(&FromFront::Cancel { id: 77 }).await;
    played.send(&ask(5, Question::PublicKeys)).await;
    // Taken back in the order of the messages, so there is room by now; the task may need a moment
    // to end, and until then the answer is overload.
    let mut id = 5;
    while status(&played.answer().await.1) == 503 {
        id += 1;
        played.send(&ask(id, Question::PublicKeys)).await;
    }
    drop(held);
    let mut answered = vec![played.answer().await.0, played.answer().await.0];
    answered.push(played.answer().await.0);
    answered.sort_unstable();
    assert_eq!(answered, [0, 1, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_front_that_takes_no_answers_is_not_read_any_further() {
    let mut played = play();
    let body = vec![b' '; 64 << 10];
    let sent = async {
        for id in 0..100_000_u64 {
            played.send(&ask(id, Question::Rpc { body: body.clone() })).await;
        }
    };
    // 6 GB would have to be taken before this ends; what is held is bounded instead.
    assert!(tokio::time::timeout(Duration::from_secs(2), sent).await.is_err());
    assert!(!played.serving.is_finished());
}

#[tokio::test(flavor = "multi_thread")]
async fn long_answers_that_are_not_taken_are_bounded_too() {
    let mut played = play();
    let body = br#"{"jsonrpc":"2.0","method":"rpc.discover","id":1}"#.to_vec();
    let asked = std::sync::atomic::AtomicU64::new(0);
    let sent = async {
        for id in 0..1_000_000 {
            played.send(&ask(id, Question::Rpc { body: body.clone() })).await;
            asked.store(id, std::sync::atomic::Ordering::Relaxed);
        }
    };
    // 14 GB of answers. What one may hold is four questions, the streams' buffers, and the queue of
    // short refusals behind them.
    assert!(tokio::time::timeout(Duration::from_secs(3), sent).await.is_err());
    assert!(asked.into_inner() < 20_000, "it went on reading");
}

#[tokio::test]
async fn a_stop_is_told_and_what_is_asked_before_the_end_is_answered() {
    let mut played = play();
    played.stop.send_replace(true);
    assert!(matches!(played.next().await, FromCore::Stop));
    played.send(&ask(1, Question::PublicKeys)).await;
    assert_eq!(played.answer().await.0, 1);
    let Played { front, serving, .. } = played;
    drop(front);
    assert!(serving.await.unwrap().is_ok());
}

fn questions() -> impl Strategy<Value = Question> {
    let body = || proptest::collection::vec(any::<u8>(), 0..200);
    prop_oneof![
        (".{0,40}", body()).prop_map(|(public_key, body)| Question::Sign { public_key, body }),
        body().prop_map(|body| Question::SignBatch { body }),
        body().prop_map(|body| Question::Rpc { body }),
        body().prop_map(|body| Question::KeystoresImport { body }),
        Just(Question::Reload),
        Just(Question::Console),
    ]
}

proptest! {
    #[test]
    fn a_question_crosses_unchanged(id: u64, token: Option<[u8; 32]>, question in questions()) {
        let presented = Presented { token: token.map(Fingerprint), ..Presented::default() };
        let sent = FromFront::Ask { id, presented: presented.clone(), question };
        let frame = encode(&sent).unwrap();
        let FromFront::Ask { id: id_2, presented: presented_2, question } = decode(&frame).unwrap()
        else { panic!("another message") };
        let FromFront::Ask { question: asked, .. } = sent else { panic!() };
        prop_assert_eq!((id_2, presented_2, question), (id, presented, asked));
        let longer = [&frame[..], &[0]].concat();
        prop_assert!(decode::<FromFront>(&longer).is_err());
        prop_assert!(decode::<FromFront>(&frame[..frame.len() - 1]).is_err());
    }

    #[test]
    fn any_bytes_are_a_message_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        drop(decode::<FromFront>(&bytes));
        drop(decode::<FromCore>(&bytes));
    }
}
