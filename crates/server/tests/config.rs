//! `palisade.toml`: what cannot be meant is refused, with the place and what would be right.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

use std::path::Path;

use palisade_server::config::{Config, template};
use palisade_server::policy::{Operation, Policy, Presented};

const KEY: &str = "0xa99a76ed7796f7be22d5b7e85deeb7c5677e88e511e0b337\
     618f8c4eb61349b4bf2d153f649f7b53359fe8b94a38e44c";

/// The error of a configuration, from its text to its policy.
#[track_caller]
fn error_of(text: &str) -> String {
    let text = format!("network = \"minimal\"\n{text}");
    let policy = Config::parse(&text).and_then(|config| config.policy(Path::new("/nowhere")));
    let message = policy.map(drop).expect_err(&text).to_string();
    assert!(message.starts_with("palisade.toml: "), "{message}");
    message
}

#[test]
fn the_template_is_valid_and_closed_by_default() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("api-token.txt"), "0123456789abcdef").unwrap();
    let config = Config::parse(&template("mainnet")).unwrap();
    for address in [config.listen.address, config.metrics.address] {
        assert!(address.0.unwrap().ip().is_loopback());
    }
    let policy = config.policy(home.path()).unwrap();
    let anonymous = policy.recognise(&Presented::default()).unwrap();
    for operation in Operation::ALL {
        let closed = [Operation::Exits, Operation::KeyManagement];
        let allowed = Policy::check(anonymous, operation, None).is_ok();
        assert_eq!(allowed, !closed.contains(&operation), "{operation}");
    }
}

#[test]
fn an_unknown_field_is_an_error_wherever_it_stands() {
    for (text, field) in [
        ("colour = 1", "colour"),
        ("[listen]\nadress = \"127.0.0.1:1\"", "adress"),
        ("[metrics]\nport = 1", "port"),
        ("[limits]\nmax_body = 1", "max_body"),
        ("[listen.tls]\ncertificate = \"a\"\nkey = \"b\"\nciphers = \"c\"", "ciphers"),
        ("[[client]]\nname = \"a\"\nallow = []\nanonymous = true\ndeny = []", "deny"),
        ("[[client]]\nname = \"a\"\nallow = [\"everything\"]\nanonymous = true", "everything"),
    ] {
        let message = error_of(text);
        assert!(message.contains(field), "{message}");
    }
}

#[test]
fn each_limit_has_bounds_and_says_them() {
    for (name, low, high) in [
        ("max_body_bytes", "1023", "67108865"),
        ("body_timeout_ms", "99", "600001"),
        ("idle_timeout_ms", "999", "86400001"),
        ("max_connections", "0", "100001"),
        ("max_queued_requests", "0", "1000001"),
    ] {
        for value in [low, high] {
            let message = error_of(&format!("[limits]\n{name} = {value}"));
            assert!(message.contains(name) && message.contains("must be from"), "{message}");
        }
        assert!(!error_of(&format!("[limits]\n{name} = -1")).is_empty());
    }
    assert!(error_of("[limits]\ndrain_timeout_ms = 600001").contains("drain_timeout_ms"));
}

#[test]
fn an_anonymous_client_is_not_served_where_others_reach_unless_it_is_said() {
    let client = "[[client]]\nname = \"all\"\nanonymous = true\nallow = [\"proposals\"]";
    for address in ["0.0.0.0:9000", "[::]:9000", "192.0.2.1:9000"] {
        let listen = format!("[listen]\naddress = \"{address}\"");
        let message = error_of(&format!("{listen}\n{client}"));
        assert!(message.contains(address) && message.contains("127.0.0.1"), "{message}");
        let said = "danger_allow_anonymous_remote_clients = true";
        let text = format!("network = \"minimal\"\n{listen}\n{said}\n{client}");
        assert!(Config::parse(&text).unwrap().policy(Path::new("/nowhere")).is_ok());
    }
    for address in ["127.0.0.1:9000", "127.8.8.8:1", "[::1]:9000"] {
        let text = format!("network = \"minimal\"\n[listen]\naddress = \"{address}\"\n{client}");
        assert!(Config::parse(&text).unwrap().policy(Path::new("/nowhere")).is_ok());
    }
}

#[test]
fn a_client_needs_exactly_one_credential_and_known_key_sets() {
    let digest = "11".repeat(32);
    let cases = [
        (String::new(), "exactly one of"),
        (format!("anonymous = true\ntoken_sha256 = \"{digest}\""), "exactly one of"),
        ("token_sha256 = \"12\"".to_owned(), "64 hex digits"),
        ("certificate_sha256 = \"zz\"".to_owned(), "64 hex digits"),
        ("token_file = \"missing.txt\"".to_owned(), "missing.txt"),
        ("anonymous = true\nkeys = [\"nobody\"]".to_owned(), "no key set \"nobody\""),
    ];
    for (lines, advice) in cases {
        let message = error_of(&format!("[[client]]\nname = \"a\"\nallow = []\n{lines}"));
        assert!(message.contains(advice) && message.contains("\"a\""), "{message}");
    }
    let manager = "[[client]]\nname = \"a\"\nanonymous = true\nallow = [\"key-management\"]";
    assert!(error_of(manager).contains("give it a token"));
    assert!(error_of("[key_sets]\nmine = [\"0x12\"]").contains("96 hex digits"));
    assert!(
        error_of(&format!("[key_sets]\nmine = [\"{}\"]", &KEY[..70])).contains("96 hex digits")
    );
    let twice = format!(
        "[[client]]\nname = \"a\"\nallow = []\ntoken_sha256 = \"{digest}\"\n\
         [[client]]\nname = \"b\"\nallow = []\ntoken_sha256 = \"{digest}\""
    );
    assert!(error_of(&twice).contains("stands twice"));
}

#[test]
fn a_token_file_must_hold_a_token() {
    let home = tempfile::tempdir().unwrap();
    let text = "network = \"minimal\"\n[[client]]\nname = \"a\"\nallow = []\ntoken_file = \"t\"";
    for (content, fits) in [("", false), ("short\n", false), ("0123456789abcdef\n", true)] {
        std::fs::write(home.path().join("t"), content).unwrap();
        let policy = Config::parse(text).unwrap().policy(home.path());
        assert_eq!(policy.is_ok(), fits, "{content:?}");
        let said = policy.map_or_else(|error| error.to_string(), |_| String::new());
        assert!(content.trim().is_empty() || !said.contains(content.trim()), "{said}");
    }
}

#[test]
fn an_empty_list_of_key_sets_is_no_key_at_all() {
    let text = format!(
        "network = \"minimal\"\n[key_sets]\nmine = [\"{KEY}\"]\n\
         [[client]]\nname = \"a\"\nanonymous = true\nkeys = []\nallow = [\"randao\"]"
    );
    let policy = Config::parse(&text).unwrap().policy(Path::new("/nowhere")).unwrap();
    let client = policy.recognise(&Presented::default()).unwrap();
    assert!(!Policy::sees(client, &hex::decode(&KEY[2..]).unwrap()));
}

#[test]
fn a_node_is_dialled_by_address_and_port_and_in_clear_elsewhere_only_by_name() {
    let node = |more: &str| {
        let text =
            format!("network = \"minimal\"\n[[node]]\nname = \"n\"\ntoken_file = \"t\"\n{more}");
        Config::parse(&text).map(|config| config.nodes[0].address().unwrap().to_string())
    };
    assert_eq!(node("url = \"ws://127.0.0.1:9955\"").unwrap(), "127.0.0.1:9955");
    assert_eq!(node("url = \"ws://[::1]:9955/guard\"").unwrap(), "[::1]:9955");
    let plain = "url = \"ws://10.0.0.7:9955\"";
    assert!(node(plain).unwrap_err().to_string().contains("danger_allow_plain_text"));
    let named = format!("{plain}\ndanger_allow_plain_text = true");
    assert_eq!(node(&named).unwrap(), "10.0.0.7:9955");
    let tls = "url = \"wss://10.0.0.7:9955\"\ntls = { authorities = \"ca.pem\" }";
    assert_eq!(node(tls).unwrap(), "10.0.0.7:9955");
    let many: String = (0..17)
        .map(|number| {
            format!("[[node]]\nname = \"n{number}\"\ntoken_file = \"t\"\nurl = \"ws://[::1]:1\"\n")
        })
        .collect();
    assert!(error_of(&many).contains("16 nodes at most"));
}

#[test]
fn a_listener_is_nowhere_only_where_none_stands() {
    assert!(error_of("[listen]\naddress = \"\"").contains("or none"));
    assert!(error_of("[listen]\naddress = \"None\"").contains("or none"));
    assert!(error_of("[listen]\naddress = \"none\"").contains("no [[node]] to dial"));
    let text = "network = \"minimal\"\n[metrics]\naddress = \"none\"";
    assert_eq!(Config::parse(text).unwrap().metrics.address.0, None);
}
