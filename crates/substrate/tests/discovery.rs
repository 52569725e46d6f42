//! Records of authority discovery from bytes built by hand, against policies.
//!
//! Decides: only what the operator allows passes, address by address; anything that is not exactly
//! a record is refused, without a panic.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests fail by panicking")]

use palisade_protect::{Duty, Message};
use palisade_substrate::{AddressRule, DiscoveryPolicy, PayloadError, PeerId, authority_record};
use proptest::prelude::*;

const PEER: &str = "12D3KooWAHoEkEqnKzM5PXFygh2movVBCSX3k8tDsT2cneU68Gyt";
const NOW_UNIX_MS: u64 = 1_700_000_000_000;
const TCP_30333: &[u8] = &[6, 0x76, 0x7d];
const UDP_30333: &[u8] = &[0x91, 0x02, 0x76, 0x7d];
const IP4: &[u8] = &[4, 192, 0, 2, 7];

/// What [`PEER`] stands for: the identity multihash of a public key.
fn peer() -> Vec<u8> {
    [&[0, 36, 8, 1, 18, 32], [7; 32].as_slice()].concat()
}

/// An address of these parts and the peer id, as a field of a record.
fn address(parts: &[&[u8]]) -> Vec<u8> {
    let body = [parts.concat(), vec![0xa5, 0x03, 38], peer()].concat();
    [vec![0x0a, u8::try_from(body.len()).unwrap()], body].concat()
}

fn time(unix_ns: u128) -> Vec<u8> {
    [&[0x12, 18, 0x0a, 16], unix_ns.to_le_bytes().as_slice()].concat()
}

fn now() -> Vec<u8> {
    time(u128::from(NOW_UNIX_MS) * 1_000_000)
}

fn policy(rules: &[&str]) -> DiscoveryPolicy {
    let rule = |text: &&str| AddressRule::parse(text).unwrap_or_else(|| panic!("{text}"));
    DiscoveryPolicy {
        peers: vec![PeerId::parse(PEER).unwrap()],
        addresses: rules.iter().map(rule).collect(),
    }
}

fn judge(fields: &[Vec<u8>], rules: &[&str]) -> Result<(), PayloadError> {
    authority_record(&fields.concat(), &policy(rules), NOW_UNIX_MS).map(drop)
}

fn allows(rule: &str, parts: &[&[u8]]) -> bool {
    match judge(&[address(parts), now()], &[rule]) {
        Ok(()) => true,
        Err(PayloadError::AddressNotAllowed { .. }) => false,
        Err(other) => panic!("{rule} {parts:?}: {other}"),
    }
}

#[test]
fn a_record_is_harmless_and_signed_as_it_is() {
    let payload = [address(&[IP4, TCP_30333]), now()].concat();
    let policy = policy(&["/ip4/192.0.2.7/tcp/30333"]);
    let judged = authority_record(&payload, &policy, NOW_UNIX_MS).unwrap();
    assert_eq!(judged.intent.duty, Duty::Harmless);
    assert_eq!(judged.message, Message::Payload(&payload));
    assert_eq!(judged.intent.digest, judged.message.digest());
}

#[test]
fn a_rule_allows_what_begins_like_it() {
    let name = [[53, 12].as_slice(), b"Node.example"].concat();
    let wss = [0xde, 0x03];
    for (rule, parts, expected) in [
        ("/ip4/192.0.2.7", [IP4, TCP_30333].as_slice(), true),
        ("/ip4/192.0.2.7/tcp/30333", &[IP4, TCP_30333], true),
        ("/ip4/192.0.2.7/tcp/30333", &[IP4, TCP_30333, &wss], true),
        ("/ip4/192.0.2.7/tcp/30333/wss", &[IP4, TCP_30333], false),
        ("/ip4/192.0.2.7/tcp/30334", &[IP4, TCP_30333], false),
        ("/ip4/192.0.2.7/tcp/30333", &[IP4, UDP_30333], false),
        ("/ip4/192.0.2.8", &[IP4, TCP_30333], false),
        ("/dns/node.example", &[&name, TCP_30333], true),
        ("/dns4/node.example", &[&name, TCP_30333], false),
        ("/dns/example", &[&name, TCP_30333], false),
        ("/ip4/192.0.2.0/ipcidr/24", &[IP4, TCP_30333], true),
        ("/ip4/192.0.2.0/ipcidr/30", &[IP4, TCP_30333], false),
        ("/ip4/192.0.2.4/ipcidr/30/tcp/30333", &[IP4, TCP_30333], true),
        ("/ip4/8.8.8.8/ipcidr/0", &[IP4, TCP_30333], true),
        ("/ip4/192.0.2.7/ipcidr/32", &[IP4, TCP_30333], true),
        ("/ip6/::/ipcidr/0", &[IP4, TCP_30333], false),
    ] {
        assert_eq!(allows(rule, parts), expected, "{rule} {parts:?}");
    }
    let ip6 = [[41].as_slice(), &[0x20, 1, 0x0d, 0xb8], &[0; 11], &[9]].concat();
    assert!(allows("/ip6/2001:db8::/ipcidr/32", &[&ip6, TCP_30333]));
    assert!(!allows("/ip6/2001:db8:1::/ipcidr/48", &[&ip6, TCP_30333]));
    assert!(allows("/ip6/::/ipcidr/0", &[&ip6, TCP_30333]));
}

#[test]
fn every_address_of_a_record_must_be_allowed() {
    let rules = ["/ip4/192.0.2.7"];
    let elsewhere = address(&[&[4, 198, 51, 100, 1], TCP_30333]);
    let ours = address(&[IP4, TCP_30333]);
    let expected = PayloadError::AddressNotAllowed {
        address: format!("/ip4/198.51.100.1/tcp/30333/p2p/{PEER}"),
    };
    for fields in [[ours.clone(), elsewhere.clone()], [elsewhere, ours]] {
        assert_eq!(judge(&fields, &rules), Err(expected.clone()));
    }
    assert!(expected.is_refusal());
}

#[test]
fn another_nodes_peer_id_is_refused() {
    let mut other = address(&[IP4, TCP_30333]);
    *other.last_mut().unwrap() ^= 1;
    let refused = judge(&[other], &["/ip4/192.0.2.7"]);
    assert!(matches!(refused, Err(PayloadError::PeerNotAllowed { .. })), "{refused:?}");
}

#[test]
fn a_record_is_of_now() {
    let minute = 60 * 1_000_000_000;
    let present = u128::from(NOW_UNIX_MS) * 1_000_000;
    for (unix_ns, expected) in [
        (present - 10 * minute, true),
        (present + 10 * minute, true),
        (present - 10 * minute - 1_000_000, false),
        (present + 10 * minute + 1_000_000, false),
        (0, false),
        (u128::MAX, false),
    ] {
        let judged = judge(&[address(&[IP4, TCP_30333]), time(unix_ns)], &["/ip4/192.0.2.7"]);
        assert_eq!(judged.is_ok(), expected, "{unix_ns}: {judged:?}");
    }
}

#[test]
fn what_is_no_record_is_refused() {
    let ours = || address(&[IP4, TCP_30333]);
    let long = vec![ours(); 33].concat();
    let unnamed = [&[0x0a, 8], IP4, TCP_30333].concat();
    let relayed = address(&[IP4, TCP_30333, &[0xa5, 0x03, 38], &peer(), &[0xa2, 0x02]]);
    let twice = address(&[IP4, TCP_30333, IP4, TCP_30333]);
    for (what, payload) in [
        ("nothing", vec![]),
        ("no address", now()),
        ("two times", [ours(), now(), now()].concat()),
        ("an address behind the time", [now(), ours()].concat()),
        ("an unknown field", [ours(), vec![0x1a, 0]].concat()),
        ("a number instead of bytes", [ours(), vec![0x10, 1]].concat()),
        ("an unknown field of the time", [ours(), vec![0x12, 2, 0x12, 0]].concat()),
        ("a short time", [ours(), vec![0x12, 3, 0x0a, 1, 1]].concat()),
        ("too many addresses", long),
        ("no peer id", unnamed),
        ("a relay", relayed),
        ("two hosts", twice),
        ("a long length", vec![0x0a, 0xff, 0xff, 0xff, 0xff, 0x7f]),
        ("a length of two forms", vec![0x0a, 0x80, 0]),
        ("an endless number", vec![0xff; 40]),
    ] {
        let judged = authority_record(&payload, &policy(&["/ip4/192.0.2.7"]), NOW_UNIX_MS);
        assert!(matches!(judged, Err(PayloadError::Malformed { .. })), "{what}: {judged:?}");
    }
    let huge = [ours(), vec![0; 8 << 10]].concat();
    let judged = authority_record(&huge, &policy(&["/ip4/192.0.2.7"]), NOW_UNIX_MS);
    assert!(matches!(judged, Err(PayloadError::TooLong { .. })));
}

#[test]
fn a_rule_that_is_none_is_not_taken() {
    for text in [
        "",
        "/",
        "ip4/192.0.2.7",
        "/ip4",
        "/ip4/",
        "/ip4/192.0.2",
        "/ip4/192.0.2.7/",
        "/ip4/192.0.2.7/tcp",
        "/ip4/192.0.2.7/tcp/70000",
        "/ip4/192.0.2.7/ipcidr/33",
        "/ip4/192.0.2.7/ipcidr",
        "/dns/node.example/ipcidr/8",
        "/dns/node example",
        "/ip4/192.0.2.7/ws",
        "/ip4/192.0.2.7/tcp/1/http",
        "/ip4/192.0.2.7/tcp/1/p2p/12D3KooWAHoEkEqnKzM5PXFygh2movVBCSX3k8tDsT2cneU68Gyt",
        "/ip6/192.0.2.7",
    ] {
        assert_eq!(AddressRule::parse(text), None, "{text}");
    }
    for text in ["", "12D3", "0OIl", &PEER.replace('A', "B"), &PEER[1..]] {
        let read = PeerId::parse(text);
        assert!(read.is_none_or(|read| read.to_string() != PEER), "{text}");
    }
    assert_eq!(PeerId::parse(PEER).unwrap().to_string(), PEER);
}

proptest! {
    #[test]
    fn nothing_panics(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        text in "(/(ip4|ip6|dns|tcp|ipcidr|[0-9.:a-z]{0,9})){0,6}",
    ) {
        let everywhere = policy(&["/ip4/0.0.0.0/ipcidr/0", "/ip6/::/ipcidr/0"]);
        let read = authority_record(&bytes, &everywhere, NOW_UNIX_MS);
        prop_assert!(read.is_err(), "random bytes hold our peer id");
        // A rule says each of its words, so that nothing in it is passed over.
        if AddressRule::parse(&text).is_some() {
            prop_assert!(text.starts_with("/ip") || text.starts_with("/dns"), "{text}");
        }
        prop_assert!(PeerId::parse(&text).is_none());
    }

    /// A changed byte of a record is another record, or none.
    #[test]
    fn no_two_records_are_one(at in any::<prop::sample::Index>(), with in 1..=255_u8) {
        let rules = policy(&["/ip4/192.0.2.7/tcp/30333"]);
        let payload = [address(&[IP4, TCP_30333]), now()].concat();
        let mut other = payload.clone();
        *other.get_mut(at.index(payload.len())).unwrap() ^= with;
        if let Ok(judged) = authority_record(&other, &rules, NOW_UNIX_MS) {
            let first = authority_record(&payload, &rules, NOW_UNIX_MS).unwrap();
            prop_assert_ne!(judged.intent.digest, first.intent.digest);
        }
    }
}
