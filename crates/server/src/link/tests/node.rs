//! What a front that was broken into gains by a node that the guard dials.

use super::*;

/// Lines of `palisade.toml`.
pub(super) const NODE: &str = r#"
[[node]]
name = 'validator'
url = 'ws://127.0.0.1:9955'
token_file = 'node-token.txt'

[[client]]
name = 'the-node'
node = 'validator'
allow = ['session-duties']
"#;

/// A front that was broken into may say at any time that a node asks: it has what the policy gives
/// this node, over `/rpc`, and what it says besides gives it nothing more.
#[tokio::test]
async fn a_front_that_speaks_for_a_node_has_that_nodes_rights_and_no_others() {
    let mut played = play();
    let keys = || {
        let call = serde_json::json!({ "jsonrpc": "2.0", "id": 1,
            "method": "palisade_publicKeys", "params": { "keyType": "babe" } });
        Question::Rpc { body: call.to_string().into_bytes() }
    };
    let node = Presented::by_node("validator");
    for (presented, question, expected) in [
        (node.clone(), keys(), 200),
        (Presented::by_node("another"), keys(), 401),
        (node.clone(), Question::PublicKeys, 401),
        (node.clone(), Question::Keystores, 401),
        (node.clone(), Question::Reload, 401),
        (node.clone(), registration(), 401),
    ] {
        played.send(&FromFront::Ask { id: 1, presented, question }).await;
        assert_eq!(status(&played.answer().await.1), expected);
    }
    // Of the client that manages keys.
    let token = played.gate.iter().find_map(|entry| match &entry.credential {
        Credential::Token(token) => Some(token.clone()),
        _ => None,
    });
    for presented in [node.clone(), Presented { token, ..node }] {
        let body = serde_json::json!({ "jsonrpc": "2.0", "id": 1,
            "method": "palisade_generateSessionKeys", "params": { "keyTypes": ["babe"] } });
        let question = Question::Rpc { body: body.to_string().into_bytes() };
        played.send(&FromFront::Ask { id: 1, presented, question }).await;
        let Reply::Json { body, .. } = played.answer().await.1 else { panic!() };
        let body = String::from_utf8(body).unwrap();
        assert!(body.contains("policy-denied"), "{body}");
    }
}
