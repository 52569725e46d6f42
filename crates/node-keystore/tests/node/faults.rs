//! Every way in which a connection or a guard fails, and what a block duty makes of it.

use std::time::{Duration, Instant};

use palisade_node_keystore::config::{AUTHORITY_DISCOVERY, BABE, GRANDPA, PARACHAIN};
use palisade_node_keystore::{
    ClientTls, ConfigError, Guard as Target, GuardConfig, RemoteKeystore, Token,
};
use sp_core::Pair;
use sp_core::sr25519;
use sp_keystore::{Error, Keystore};

use crate::guard::{Fault, Guard, NOT_READY, REFUSED, STORE_FAILURE, UNKNOWN_KEY, keys};
use crate::{eventually, node, quick, started};

const STATEMENT: &[u8] = b"BKNG statement";

type Signed = Result<Option<sr25519::Signature>, Error>;

/// A duty that may take 600 ms.
fn statement(keystore: &RemoteKeystore) -> Signed {
    keystore.sr25519_sign(PARACHAIN, &keys().sr25519.public(), STATEMENT)
}

fn good(signed: Signed) {
    let signed = signed.unwrap().unwrap();
    assert!(sr25519::Pair::verify(&signed, STATEMENT, &keys().sr25519.public()));
}

#[test]
fn a_dropped_connection_is_opened_again_and_the_request_repeated() {
    let guard = Guard::start();
    let keystore = node(&[&guard]);
    guard.script("paraStatement", &[Fault::Drop]);
    good(statement(&keystore));
    assert_eq!(guard.asked("paraStatement"), 2);
    assert_eq!(guard.connections(), 2);
}

#[test]
fn a_late_answer_costs_one_duty_within_its_bound() {
    let guard = Guard::start();
    let keystore = node(&[&guard]);
    guard.script("paraStatement", &[Fault::Delay(Duration::from_millis(1500)); 2]);
    let began = Instant::now();
    assert!(matches!(statement(&keystore), Err(Error::Unavailable)));
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(550) && took < Duration::from_millis(1300), "{took:?}");
    good(statement(&keystore));
}

#[test]
fn a_slow_answer_within_the_bound_is_taken() {
    let guard = Guard::start();
    let keystore = node(&[&guard]);
    guard.script("paraStatement", &[Fault::Delay(Duration::from_millis(250))]);
    good(statement(&keystore));
    assert_eq!(guard.asked("paraStatement"), 1);
}

#[test]
fn a_guard_that_never_answers_is_left_for_the_next() {
    let (first, second) = (Guard::start(), Guard::start());
    let keystore = node(&[&first, &second]);
    first.always("paraStatement", Some(Fault::Silence));
    good(statement(&keystore));
    assert_eq!(second.asked("paraStatement"), 1);
}

#[test]
fn garbage_ends_the_connection_and_the_request_goes_on() {
    for fault in [Fault::Garbage, Fault::Binary, Fault::Giant] {
        let guard = Guard::start();
        let keystore = node(&[&guard]);
        guard.script("paraStatement", &[fault]);
        good(statement(&keystore));
        eventually("a second connection", || guard.connections() == 2);
    }
}

#[test]
fn an_answer_with_a_wrong_id_is_ignored() {
    let guard = Guard::start();
    let keystore = node(&[&guard]);
    guard.script("paraStatement", &[Fault::WrongIdFirst]);
    good(statement(&keystore));
    assert_eq!(keystore.metrics().unasked, 1);
    assert_eq!(guard.connections(), 1);
}

#[test]
fn a_guard_that_answers_only_wrong_ids_costs_the_duty() {
    let guard = Guard::start();
    let keystore = node(&[&guard]);
    guard.always("paraStatement", Some(Fault::WrongId));
    assert!(matches!(statement(&keystore), Err(Error::Unavailable)));
}

#[test]
fn a_forged_signature_is_not_given_to_the_node() {
    let guard = Guard::start();
    let keystore = node(&[&guard]);
    guard.script("paraStatement", &[Fault::Forged]);
    let error = statement(&keystore).unwrap_err();
    assert!(error.to_string().contains("does not fit"), "{error}");
    guard.script("grandpaVote", &[Fault::Forged]);
    let public = keys().ed25519.public();
    assert!(keystore.ed25519_sign(GRANDPA, &public, &crate::vote(1)).is_err());
}

#[test]
fn a_refusal_is_final_and_says_why() {
    let guard = Guard::start();
    let keystore = node(&[&guard]);
    guard.script("paraStatement", &[REFUSED]);
    let error = statement(&keystore).unwrap_err();
    assert!(error.to_string().contains("slashable"), "{error}");
    assert!(error.to_string().contains("round"), "the evidence: {error}");
    assert_eq!(guard.asked("paraStatement"), 1);
    assert_eq!(keystore.metrics().refused, 1);
}

#[test]
fn a_key_that_left_the_guard_is_an_error_not_an_absence() {
    let guard = Guard::start();
    let keystore = node(&[&guard]);
    guard.script("paraStatement", &[UNKNOWN_KEY]);
    assert!(matches!(statement(&keystore), Err(Error::KeyNotSupported(PARACHAIN))));
}

#[test]
fn a_guard_that_is_not_ready_is_asked_again_within_the_bound() {
    let guard = Guard::start();
    let keystore = node(&[&guard]);
    guard.script("paraStatement", &[NOT_READY, NOT_READY]);
    good(statement(&keystore));
    assert_eq!(guard.asked("paraStatement"), 3);
    assert_eq!(guard.connections(), 1);
    guard.always("paraStatement", Some(NOT_READY));
    let error = statement(&keystore).unwrap_err();
    assert!(error.to_string().contains("not ready"), "{error}");
}

#[test]
fn a_dead_store_moves_the_node_to_the_next_guard() {
    let (first, second) = (Guard::start(), Guard::start());
    let keystore = node(&[&first, &second]);
    first.always("paraStatement", Some(STORE_FAILURE));
    good(statement(&keystore));
    assert_eq!(second.asked("paraStatement"), 1);
}

#[test]
fn a_stopped_guard_is_replaced_by_the_next() {
    let (first, second) = (Guard::start(), Guard::start());
    let keystore = node(&[&first, &second]);
    first.stop();
    good(statement(&keystore));
    assert_eq!((first.asked("paraStatement"), second.asked("paraStatement")), (0, 1));
}

#[test]
fn a_guard_that_cannot_be_reached_at_the_start_is_skipped() {
    let (away, here) = (Guard::start(), Guard::start());
    away.stop();
    let keystore = node(&[&away, &here]);
    good(statement(&keystore));
    assert!(keystore.metrics().failed_connections >= 1);
}

#[test]
fn a_guard_that_restarts_is_found_again() {
    let guard = Guard::start();
    let keystore = node(&[&guard]);
    guard.stop();
    let again = Guard::start_at(guard.address);
    eventually("a connection", || again.asked("publicKeys") >= 1);
    good(statement(&keystore));
}

#[test]
fn a_lost_connection_keeps_the_list_of_keys() {
    let guard = Guard::start();
    let keystore = node(&[&guard]);
    guard.stop();
    eventually("the loss", || !keystore.is_connected());
    assert_eq!(keystore.sr25519_public_keys(BABE), [keys().sr25519.public()]);
    assert!(keystore.has_keys(&[(keys().ed25519.public().to_vec(), GRANDPA)]));
}

#[test]
fn without_any_guard_a_duty_fails_within_its_bound() {
    let guard = Guard::start();
    let keystore = node(&[&guard]);
    guard.stop();
    let began = Instant::now();
    assert!(matches!(statement(&keystore), Err(Error::Unavailable)));
    assert!(began.elapsed() < Duration::from_millis(1300));
    let began = Instant::now();
    let record = keystore.sr25519_sign(AUTHORITY_DISCOVERY, &keys().sr25519.public(), b"r");
    assert!(record.is_err());
    assert!(began.elapsed() < Duration::from_millis(2600));
}

#[test]
fn a_node_that_starts_before_its_guard_becomes_a_validator_when_it_comes() {
    let guard = Guard::start();
    guard.stop();
    let keystore = RemoteKeystore::start(quick(vec![Target::new(guard.url())])).unwrap();
    assert!(!keystore.wait_ready(Duration::from_millis(200)));
    assert!(!keystore.has_keys(&[(keys().ed25519.public().to_vec(), GRANDPA)]));
    let _again = Guard::start_at(guard.address);
    assert!(keystore.wait_ready(Duration::from_secs(5)));
    assert!(keystore.has_keys(&[(keys().ed25519.public().to_vec(), GRANDPA)]));
}

#[test]
fn many_threads_share_one_connection() {
    let guard = Guard::start();
    let keystore = node(&[&guard]);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..10 {
                    good(statement(&keystore));
                }
            });
        }
    });
    assert_eq!(guard.connections(), 1);
    assert_eq!(guard.asked("paraStatement"), 160);
}

#[test]
fn the_bearer_token_is_sent_and_never_shown() {
    let guard = Guard::start();
    let token = Token::new("s3cret-token\n").unwrap();
    let config = quick(vec![Target::new(guard.url()).with_token(token)]);
    assert!(!format!("{config:?}").contains("s3cret"));
    let _keystore = started(config);
    let shown = guard.state.lock().unwrap().token.clone();
    assert_eq!(shown.as_deref(), Some("Bearer s3cret-token"));
}

#[test]
fn a_call_is_allowed_inside_an_async_runtime() {
    let guard = Guard::start();
    let keystore = node(&[&guard]);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async { good(statement(&keystore)) });
}

#[test]
fn dropping_the_keystore_closes_the_connection() {
    let guard = Guard::start();
    let keystore = node(&[&guard]);
    drop(keystore);
    std::thread::sleep(Duration::from_millis(100));
    let asked = guard.asked("publicKeys");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(guard.asked("publicKeys"), asked);
    assert_eq!(guard.connections(), 1);
}

#[test]
fn an_unsafe_or_incomplete_configuration_is_refused() {
    let refused = |guards: Vec<Target>| RemoteKeystore::start(GuardConfig::dial(guards)).err();
    assert!(matches!(refused(vec![]), Some(ConfigError::NoGuard)));
    let plain = refused(vec![Target::new("ws://10.0.0.1:9000/rpc")]);
    assert!(matches!(plain, Some(ConfigError::PlainText(_))));
    for url in ["http://127.0.0.1/rpc", "127.0.0.1:9000", "ws:///rpc", "wss://10.0.0.1/rpc", ""] {
        assert!(matches!(refused(vec![Target::new(url)]), Some(ConfigError::BadUrl(..))), "{url}");
    }
    let tls = ClientTls { authorities: "/nowhere.pem".into(), identity: None };
    let missing = refused(vec![Target::new("wss://10.0.0.1:9000/rpc").with_tls(tls)]);
    assert!(matches!(missing, Some(ConfigError::BadFile(..))));
    assert!(Token::new(" \n").is_err() && Token::new("a b").is_err());
    for url in ["ws://localhost:1/rpc", "ws://[::1]:1/rpc", "ws://127.0.0.1:1"] {
        assert!(refused(vec![Target::new(url)]).is_none(), "{url}");
    }
}
