//! Records of authority discovery: read as nodes encode them, signed as the network verifies them.
//!
//! The messages of `sc-authority-discovery` are private to it; here they stand anew, encoded by the
//! protobuf library that it uses, with addresses of the multiaddress library that it uses.

use codec::Encode;
use multiaddr::Multiaddr;
use palisade_keys::Scheme;
use palisade_protect::KeyType;
use palisade_substrate::{AddressRule, DiscoveryPolicy, PayloadError, PeerId, authority_record};
use prost::Message as _;
use sp_core::{Pair as _, sr25519};

use crate::support::{ALICE, Guard};

const PEER: &str = "12D3KooWAHoEkEqnKzM5PXFygh2movVBCSX3k8tDsT2cneU68Gyt";
/// A peer id that is the digest of an RSA key, as older networks have them.
const OLD_PEER: &str = "QmcgpsyWgH8Y8ajJz1Cu72KnS5uo2Aa2LpzU7kinSupNKC";
const NOW_UNIX_MS: u64 = 1_700_000_000_000;

/// `dht-v3.proto`.
#[derive(Clone, PartialEq, prost::Message)]
struct AuthorityRecord {
    #[prost(bytes = "vec", repeated, tag = "1")]
    addresses: Vec<Vec<u8>>,
    #[prost(message, optional, tag = "2")]
    creation_time: Option<TimestampInfo>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct TimestampInfo {
    #[prost(bytes = "vec", tag = "1")]
    timestamp: Vec<u8>,
}

fn record(addresses: &[String], unix_ns: Option<u128>) -> Vec<u8> {
    let encode = |address: &String| address.parse::<Multiaddr>().unwrap().to_vec();
    AuthorityRecord {
        addresses: addresses.iter().map(encode).collect(),
        creation_time: unix_ns.map(|time| TimestampInfo { timestamp: time.encode() }),
    }
    .encode_to_vec()
}

fn with_peer(address: &str) -> String {
    format!("{address}/p2p/{PEER}")
}

fn policy(rules: &[&str]) -> DiscoveryPolicy {
    DiscoveryPolicy {
        peers: [PEER, OLD_PEER].map(|peer| PeerId::parse(peer).unwrap()).to_vec(),
        addresses: rules.iter().map(|rule| AddressRule::parse(rule).expect(rule)).collect(),
    }
}

fn now() -> Option<u128> {
    Some(u128::from(NOW_UNIX_MS) * 1_000_000)
}

fn judge(addresses: &[String], rules: &[&str]) -> Result<(), PayloadError> {
    let payload = record(addresses, now());
    authority_record(&payload, &policy(rules), NOW_UNIX_MS).map(drop)
}

/// Every address is one that its own text, less the peer id, allows.
#[test]
fn every_usual_address_reads_as_the_library_wrote_it() {
    for address in [
        "/ip4/192.0.2.7/tcp/30333",
        "/ip4/192.0.2.7/tcp/30333/ws",
        "/ip4/192.0.2.7/udp/30333/quic-v1",
        "/ip4/192.0.2.7/udp/30333/quic",
        "/ip6/2001:db8::7/tcp/30333/tls/ws",
        "/dns/node.example/tcp/443/wss",
        "/dns4/node.example/tcp/30333",
        "/dns6/node.example/tcp/30333",
        "/dnsaddr/node.example",
    ] {
        assert_eq!(judge(&[with_peer(address)], &[address]), Ok(()), "{address}");
        let elsewhere = judge(&[with_peer(address)], &["/ip4/198.51.100.1"]);
        let expected = PayloadError::AddressNotAllowed { address: with_peer(address) };
        assert_eq!(elsewhere, Err(expected), "as the library writes it");
    }
    let old = [format!("/ip4/192.0.2.7/tcp/1/p2p/{OLD_PEER}")];
    assert_eq!(judge(&old, &["/ip4/192.0.2.7"]), Ok(()));
}

#[test]
fn an_address_that_leads_elsewhere_is_none() {
    for address in [
        format!("/ip4/192.0.2.7/tcp/1/p2p/{OLD_PEER}/p2p-circuit/p2p/{PEER}"),
        format!("/ip4/192.0.2.7/tcp/1/ip4/198.51.100.1/tcp/1/p2p/{PEER}"),
        format!("/ip4/192.0.2.7/tcp/1/p2p/{OLD_PEER}/p2p/{PEER}"),
        format!("/memory/7/p2p/{PEER}"),
        "/ip4/192.0.2.7/tcp/30333".to_owned(),
    ] {
        let judged = judge(std::slice::from_ref(&address), &["/ip4/192.0.2.7"]);
        assert!(matches!(judged, Err(PayloadError::Malformed { .. })), "{address}: {judged:?}");
    }
}

#[test]
fn what_the_guard_signs_the_network_takes() {
    let payload = record(&[with_peer("/ip4/192.0.2.7/tcp/30333")], now());
    let policy = policy(&["/ip4/192.0.2.0/ipcidr/24"]);
    let judged = authority_record(&payload, &policy, NOW_UNIX_MS).unwrap();
    let mut guard = Guard::new(Scheme::Sr25519, KeyType::AUTHORITY_DISCOVERY);
    let signature = guard.sign(&judged).unwrap();
    let signature = sr25519::Signature::try_from(signature.as_bytes()).unwrap();
    let alice = sr25519::Pair::from_string(ALICE, None).unwrap().public();
    assert!(sr25519::Pair::verify(&signature, &payload, &alice));
}

#[test]
fn a_record_without_a_time_is_an_older_nodes() {
    let payload = record(&[with_peer("/ip4/192.0.2.7/tcp/30333")], None);
    assert!(authority_record(&payload, &policy(&["/ip4/192.0.2.7"]), NOW_UNIX_MS).is_ok());
}
