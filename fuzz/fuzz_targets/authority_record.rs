//! Records of authority discovery: none may crash the parser, none passes a policy that allows
//! nothing, and an error stays short.
#![no_main]

use libfuzzer_sys::fuzz_target;
use palisade_protect::Message;
use palisade_substrate::{AddressRule, DiscoveryPolicy, PeerId, authority_record};

const NOW_UNIX_MS: u64 = 1_700_000_000_000;

fn policy() -> DiscoveryPolicy {
    let rules = ["/ip4/192.0.2.7/tcp/30333", "/ip4/10.0.0.0/ipcidr/8", "/dns/node.example"];
    let peer = "12D3KooWAHoEkEqnKzM5PXFygh2movVBCSX3k8tDsT2cneU68Gyt";
    let policy = DiscoveryPolicy {
        peers: PeerId::parse(peer).into_iter().collect(),
        addresses: rules.iter().filter_map(|rule| AddressRule::parse(rule)).collect(),
    };
    assert_eq!((policy.peers.len(), policy.addresses.len()), (1, 3));
    policy
}

fuzz_target!(|record: &[u8]| {
    let policy = policy();
    match authority_record(record, &policy, NOW_UNIX_MS) {
        Ok(judged) => {
            assert_eq!(judged.message, Message::Payload(record));
            let peers = DiscoveryPolicy { peers: Vec::new(), ..policy.clone() };
            let addresses = DiscoveryPolicy { addresses: Vec::new(), ..policy };
            for nothing in [peers, addresses] {
                assert!(authority_record(record, &nothing, NOW_UNIX_MS).is_err());
            }
        }
        Err(error) => assert!(error.to_string().len() < 1024, "{error}"),
    }
    if let Ok(text) = std::str::from_utf8(record) {
        let (_, _) = (AddressRule::parse(text), PeerId::parse(text));
    }
});
