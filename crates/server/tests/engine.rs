//! The engine without HTTP: what happens while the ledger is busy, broken or gone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

use std::collections::HashSet;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use palisade_ethereum::Network;
use palisade_keys::{BlsSecretKey, KeyRing, Scheme, key_id};
use palisade_protect::{EthereumRecord, Record};
use palisade_server::engine::{Denial, Engine, Keychain};
use palisade_server::metrics::Metrics;
use palisade_server::policy::{Client, Credential, KeySet, Operation, Policy};
use palisade_store::{Admission, Creation, LedgerThread, Limits, Store};
use tempfile::TempDir;

const SECRET: &str = "25295f0d1d592a90b333e26e85149708208e9f8e8bc18f6c77bd62f8ad7a6866";

struct Bench {
    engine: Arc<Engine>,
    thread: LedgerThread,
    public_key: String,
    _directory: TempDir,
}

/// An engine with one key, on a real store, whose ledger's queue has room for one batch.
fn bench() -> Bench {
    let directory = TempDir::new().unwrap();
    let creation = Creation { network: "minimal".to_owned(), genesis_validators_root: None };
    let mut store = Store::create(&directory.path().join("store.redb"), creation).unwrap();
    let secret = BlsSecretKey::from_hex(SECRET).unwrap();
    let public_key = secret.public_key();
    let admission = Admission {
        key: key_id(Scheme::Bls12381, &public_key.0),
        public_key: public_key.0.to_vec(),
        record: Record::Ethereum(EthereumRecord::default()),
    };
    store.admit(&[admission]).unwrap();
    let limits = Limits { queue_batches: 1, ..Limits::default() };
    let (ledger, thread) = LedgerThread::spawn(store, limits);
    let engine = Engine::new(
        Network::built_in("minimal").unwrap(),
        None,
        Policy::default(),
        Keychain::new(KeyRing::new([secret]).unwrap()),
        ledger,
        Metrics::new(),
    );
    let public_key = format!("0x{}", hex::encode(public_key.0));
    Bench { engine: Arc::new(engine), thread, public_key, _directory: directory }
}

fn client() -> Client {
    Client {
        name: "test".to_owned(),
        credential: Credential::Anonymous,
        allow: HashSet::from(Operation::ALL),
        keys: KeySet::All,
    }
}

/// A registration needs no network, so that nothing but the queue is in its way.
fn registration(public_key: &str) -> Vec<u8> {
    serde_json::json!({
        "type": "VALIDATOR_REGISTRATION",
        "validator_registration": {
            "fee_recipient": "0x0101010101010101010101010101010101010101",
            "gas_limit": "30000000", "timestamp": "1", "pubkey": public_key,
        },
    })
    .to_string()
    .into_bytes()
}

/// Keeps the ledger's thread busy until the sender is dropped; returns once it is.
fn occupy(engine: &Arc<Engine>) -> (Sender<()>, std::thread::JoinHandle<()>) {
    let (release, released): (Sender<()>, Receiver<()>) = channel();
    let (busy, is_busy) = channel();
    let released = Mutex::new(released);
    let ledger = engine.ledger().clone();
    let occupied = std::thread::spawn(move || {
        let hold = move |_: &mut Store| {
            busy.send(()).unwrap();
            // Comes when the sender is gone.
            released.lock().unwrap().recv().unwrap_err();
        };
        ledger.call(hold).unwrap();
    });
    is_busy.recv().unwrap();
    (release, occupied)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_answered_at_once_and_what_had_queued_is_signed() {
    let Bench { engine, public_key, .. } = &bench();
    let (release, occupied) = occupy(engine);
    let body = registration(public_key);
    let first = {
        let (engine, public_key, body) = (Arc::clone(engine), public_key.clone(), body.clone());
        tokio::spawn(async move { engine.sign(&client(), &public_key, &body).await })
    };
    while engine.ledger().queue_depth() == 0 {
        tokio::task::yield_now().await;
    }
    // The ledger's thread is stuck, so that an answer can only be one that did not wait for it.
    for _ in 0..100 {
        let denial = engine.sign(&client(), public_key, &body).await.unwrap_err();
        assert!(matches!(denial, Denial::Overloaded), "{denial}");
        assert!(denial.to_string().contains("try again"));
    }
    assert!(!first.is_finished());
    drop(release);
    assert!(first.await.unwrap().is_ok());
    occupied.join().unwrap();
    assert!(engine.sign(&client(), public_key, &body).await.is_ok(), "and it goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_has_stopped_signs_nothing() {
    let Bench { engine, thread, public_key, _directory } = bench();
    assert!(engine.ledger().is_writable());
    thread.stop().unwrap();
    let denial = engine.sign(&client(), &public_key, &registration(&public_key)).await.unwrap_err();
    assert_eq!(denial.code(), "store-stopped");
    assert!(!engine.ledger().is_writable());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_without_a_record_does_not_sign() {
    let Bench { engine, public_key, .. } = &bench();
    let other = BlsSecretKey::from_hex(&"11".repeat(32)).unwrap();
    let other_public = format!("0x{}", hex::encode(other.public_key().0));
    engine.replace_keychain(Keychain::new(KeyRing::new([other]).unwrap()));
    let body = registration(&other_public);
    let denial = engine.sign(&client(), &other_public, &body).await.unwrap_err();
    assert_eq!(denial.code(), "unknown-key");
    let denial = engine.sign(&client(), public_key, &body).await.unwrap_err();
    assert_eq!(denial.code(), "unknown-key", "and a key that was removed neither");
}
