//! Exits since Deneb: every client's way of asking gives the one signature that the chain takes.

use crate::samples::{one_of, parse};

fn exit_root(current_version: &str) -> String {
    let mut body = one_of("VOLUNTARY_EXIT").body;
    body["fork_info"]["fork"]["epoch"] = "0".into();
    body["fork_info"]["fork"]["current_version"] = current_version.into();
    parse(&body, "mainnet").unwrap().intent.digest.to_string()
}

#[test]
fn capella_and_later_versions_give_one_root_and_earlier_ones_their_own() {
    let capella = exit_root("0x03000000");
    for later in ["0x04000000", "0x05000000", "0x06000000", "0x07000000"] {
        assert_eq!(exit_root(later), capella);
    }
    for other in ["0x02000000", "0x03000001", "0x05000001", "0xffffffff"] {
        assert_ne!(exit_root(other), capella);
    }
}

#[test]
fn only_exits_are_signed_with_a_fork_version_that_was_not_claimed() {
    let root = |version: &str| {
        let mut body = one_of("RANDAO_REVEAL").body;
        body["fork_info"]["fork"]["epoch"] = "0".into();
        body["fork_info"]["fork"]["current_version"] = version.into();
        parse(&body, "mainnet").unwrap().intent.digest
    };
    assert_ne!(root("0x03000000"), root("0x05000000"));
}
