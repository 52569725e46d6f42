//! Client × key set × operation: what is not allowed is denied, for every combination.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

use std::collections::{BTreeSet, HashSet};

use palisade_ethereum::SigningType;
use palisade_server::policy::{
    Client, Credential, Fingerprint, ForbiddenBecause, KeySet, NotRecognised, Operation, Policy,
    Presented,
};
use proptest::prelude::*;

/// Of a validator, of a session, of a session of type beef.
fn key(number: u8) -> Vec<u8> {
    vec![number; [48, 32, 33][usize::from(number % 3)]]
}

fn client(name: &str, credential: Credential, allow: &[Operation], keys: KeySet) -> Client {
    Client { name: name.to_owned(), credential, allow: allow.iter().copied().collect(), keys }
}

fn digest(of: &str) -> Fingerprint {
    Fingerprint::of(of.as_bytes())
}

fn token(of: &str) -> Credential {
    Credential::Token(digest(of))
}

fn certificate(of: &str) -> Credential {
    Credential::Certificate(digest(of))
}

/// Every subset of operations, with every operation, for a key in the set, one outside, and none.
#[test]
fn exactly_the_listed_operations_on_exactly_the_listed_keys() {
    for subset in 0_u32..1 << Operation::ALL.len() {
        let allow: Vec<_> = Operation::ALL
            .into_iter()
            .enumerate()
            .filter(|(bit, _)| subset & 1 << bit != 0)
            .map(|(_, operation)| operation)
            .collect();
        let some = client("some", token("t"), &allow, KeySet::Only(HashSet::from([key(1)])));
        let all = client("all", token("t"), &allow, KeySet::All);
        for operation in Operation::ALL {
            let allowed = allow.contains(&operation);
            for (client, key, has_key) in [
                (&some, Some(key(1)), true),
                (&some, Some(key(2)), false),
                (&all, Some(key(2)), true),
                (&some, None, true),
            ] {
                let answer = Policy::check(client, operation, key.as_deref());
                match answer {
                    Ok(()) => assert!(allowed && has_key),
                    Err(no) if !allowed => assert_eq!(no.because, ForbiddenBecause::Operation),
                    Err(no) => assert_eq!((no.because, has_key), (ForbiddenBecause::Key, false)),
                }
            }
        }
    }
}

#[test]
fn every_signing_type_belongs_to_one_operation_and_none_manages_keys() {
    let mut used = BTreeSet::new();
    for kind in SigningType::ALL {
        let operation = Operation::of(kind);
        assert_ne!(operation, Operation::KeyManagement);
        assert_ne!(operation, Operation::SessionDuties);
        used.insert(operation.code());
    }
    assert_eq!(used.len(), Operation::ALL.len() - 2);
    for closed in [SigningType::VoluntaryExit, SigningType::BlsToExecutionChange] {
        assert_eq!(Operation::of(closed), Operation::Exits);
    }
}

#[test]
fn the_codes_are_those_of_the_configuration() {
    for operation in Operation::ALL {
        let written: Operation = serde_json::from_str(&format!("{:?}", operation.code())).unwrap();
        assert_eq!(written, operation);
    }
}

#[test]
fn a_wrong_credential_never_falls_back() {
    let policy = Policy::new(vec![
        client("anonymous", Credential::Anonymous, &[], KeySet::All),
        client("by token", token("right"), &[], KeySet::All),
        client("by certificate", certificate("right"), &[], KeySet::All),
    ])
    .unwrap();
    let who = |token: Option<&str>, certificate: Option<&str>| {
        let presented = Presented {
            token: token.map(digest),
            certificate: certificate.map(digest),
            node: None,
        };
        policy.recognise(&presented).map(|client| client.name.clone())
    };
    assert_eq!(who(None, None).as_deref(), Ok("anonymous"));
    assert_eq!(who(Some("right"), None).as_deref(), Ok("by token"));
    assert_eq!(who(None, Some("right")).as_deref(), Ok("by certificate"));
    assert_eq!(who(Some("right"), Some("right")).as_deref(), Ok("by token"));
    for (token, certificate) in [
        (Some("wrong"), None),
        (None, Some("wrong")),
        (Some("wrong"), Some("right")),
        (Some("wrong"), Some("wrong")),
        (Some(""), None),
    ] {
        assert_eq!(who(token, certificate), Err(NotRecognised::WrongCredential));
    }
    let closed = Policy::default();
    assert_eq!(closed.recognise(&Presented::default()).err(), Some(NotRecognised::NoCredential));
}

#[test]
fn at_the_other_end_of_a_dialled_connection_is_its_node_whatever_else_is_shown() {
    let policy = Policy::new(vec![
        client("anonymous", Credential::Anonymous, &[], KeySet::All),
        client("by token", token("right"), &[], KeySet::All),
        client("the node", Credential::Node("node".to_owned()), &[], KeySet::All),
    ])
    .unwrap();
    let who = |node: Option<&str>, token: Option<&str>| {
        let (node, token) = (node.map(str::to_owned), token.map(digest));
        let presented = Presented { node, token, ..Presented::default() };
        policy.recognise(&presented).map(|client| client.name.clone())
    };
    assert_eq!(who(Some("node"), None).as_deref(), Ok("the node"));
    assert_eq!(who(Some("node"), Some("right")).as_deref(), Ok("the node"));
    assert_eq!(who(Some("node"), Some("wrong")).as_deref(), Ok("the node"));
    assert_eq!(who(Some("other"), None), Err(NotRecognised::WrongCredential));
    assert_eq!(who(Some("other"), Some("right")), Err(NotRecognised::WrongCredential));
    assert_eq!(who(None, Some("node")), Err(NotRecognised::WrongCredential));
}

#[test]
fn a_token_is_no_certificate_of_the_same_digest() {
    let policy = Policy::new(vec![client("a", token("x"), &[], KeySet::All)]).unwrap();
    let presented = Presented { certificate: Some(digest("x")), ..Presented::default() };
    assert_eq!(policy.recognise(&presented).err(), Some(NotRecognised::WrongCredential));
}

#[test]
fn a_name_or_a_credential_stands_once() {
    let make = |name: &str, credential| client(name, credential, &[], KeySet::All);
    let twice = Policy::new(vec![make("a", token("x")), make("a", token("y"))]);
    assert_eq!(twice.err().as_deref(), Some("a"));
    let shared = Policy::new(vec![make("a", token("x")), make("b", token("x"))]);
    assert_eq!(shared.err().as_deref(), Some("b"));
    let anonymous = vec![make("a", Credential::Anonymous), make("b", Credential::Anonymous)];
    assert!(Policy::new(anonymous).is_err());
}

#[test]
fn debug_shows_no_token() {
    let shown = format!("{:?}", client("a", token("a-secret-token"), &[], KeySet::All));
    assert!(!shown.contains("a-secret-token"), "{shown}");
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    proptest::sample::subsequence(Operation::ALL.to_vec(), 0..=Operation::ALL.len())
}

fn key_sets() -> impl Strategy<Value = Option<HashSet<u8>>> {
    proptest::option::of(proptest::collection::hash_set(0_u8..6, 0..4))
}

proptest! {
    /// Any policy, any presented token: whoever is recognised has that token, and may do exactly
    /// what the client's own line says.
    #[test]
    fn a_client_gets_its_own_line_and_nothing_of_anothers(
        lines in proptest::collection::vec((operations(), key_sets()), 0..5),
        presented in proptest::option::of(0_usize..7),
        operation in proptest::sample::select(Operation::ALL.to_vec()),
        asked in 0_u8..8,
    ) {
        let clients = lines.iter().enumerate().map(|(index, (allow, keys))| {
            let keys = match keys {
                None => KeySet::All,
                Some(keys) => KeySet::Only(keys.iter().map(|number| key(*number)).collect()),
            };
            client(&format!("client {index}"), token(&index.to_string()), allow, keys)
        });
        let policy = Policy::new(clients.collect()).unwrap();
        let token = presented.map(|index| digest(&index.to_string()));
        let recognised = policy.recognise(&Presented { token, ..Presented::default() });
        let line = presented.and_then(|index| lines.get(index));
        prop_assert_eq!(recognised.is_ok(), line.is_some());
        if let (Ok(client), Some((allow, keys))) = (recognised, line) {
            let expected = allow.contains(&operation)
                && keys.as_ref().is_none_or(|keys| keys.contains(&asked));
            let answer = Policy::check(client, operation, Some(&key(asked)));
            prop_assert_eq!(answer.is_ok(), expected);
            let sees = keys.as_ref().is_none_or(|keys| keys.contains(&asked));
            prop_assert_eq!(Policy::sees(client, &key(asked)), sees);
        }
    }
}
