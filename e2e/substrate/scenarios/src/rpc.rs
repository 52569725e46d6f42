//! JSON-RPC 2.0 over HTTP to a node.

use std::time::Duration;

use serde_json::{Value, json};
use ureq::Agent;

use crate::Failure;

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(5);

/// A node's JSON-RPC.
pub(crate) struct Rpc {
    agent: Agent,
    url: String,
}

impl Rpc {
    /// On this port of 127.0.0.1.
    pub(crate) fn new(port: u16) -> Self {
        let agent = Agent::config_builder().timeout_global(Some(LIMIT)).build().into();
        Self { agent, url: format!("http://127.0.0.1:{port}") }
    }

    /// Calls a method with parameters by position.
    pub(crate) fn call(&self, method: &str, parameters: Value) -> Result<Value, Failure> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": parameters });
        let mut response = self
            .agent
            .post(&self.url)
            .header("content-type", "application/json")
            .send(request.to_string())?;
        let mut answer: Value = serde_json::from_str(&response.body_mut().read_to_string()?)?;
        match answer.get("error") {
            Some(error) => Err(format!("{method}: {error}").into()),
            None => answer
                .get_mut("result")
                .map(Value::take)
                .ok_or_else(|| format!("{method}: an answer without a result").into()),
        }
    }

    /// Calls a method whose result is 0x hex.
    pub(crate) fn bytes(&self, method: &str, parameters: Value) -> Result<Vec<u8>, Failure> {
        let value = self.call(method, parameters)?;
        let text = value.as_str().and_then(|text| text.strip_prefix("0x"));
        let text = text.ok_or_else(|| format!("{method}: {value} is not 0x hex"))?;
        Ok(hex::decode(text)?)
    }
}
