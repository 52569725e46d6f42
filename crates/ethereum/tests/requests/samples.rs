//! The stored requests, and the few things that all tests do with them.

use std::path::PathBuf;

use palisade_ethereum::{Network, RequestError, SigningRequest, parse_request};
use serde_json::Value;

/// A stored request with the network that it is for.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) network: String,
    pub(crate) duty: String,
    pub(crate) body: Value,
}

impl Sample {
    fn new(value: &Value) -> Self {
        let text = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
        Self {
            name: text("name"),
            network: text("network"),
            duty: text("duty"),
            body: value["body"].clone(),
        }
    }

    pub(crate) fn kind(&self) -> &str {
        self.body["type"].as_str().unwrap()
    }

    pub(crate) fn parse(&self) -> Result<SigningRequest, RequestError> {
        parse(&self.body, &self.network)
    }

    /// The same request without the signing root that its origin computed.
    pub(crate) fn without_root(mut self) -> Self {
        self.body.as_object_mut().unwrap().remove("signingRoot").expect("all samples have a root");
        self
    }
}

pub(crate) fn network(name: &str) -> Network {
    Network::built_in(name).unwrap()
}

pub(crate) fn parse(body: &Value, on: &str) -> Result<SigningRequest, RequestError> {
    parse_request(body.to_string().as_bytes(), &network(on))
}

pub(crate) fn tests_directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn stored(file: &str) -> Vec<Sample> {
    let text = std::fs::read_to_string(tests_directory().join(file)).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    value["requests"].as_array().unwrap().iter().map(Sample::new).collect()
}

/// Computed by `vectors/generate.py` with the executable consensus specification.
pub(crate) fn specification() -> Vec<Sample> {
    stored("vectors/specification.json")
}

/// The examples in Web3Signer's OpenAPI document.
pub(crate) fn openapi() -> Vec<Sample> {
    stored("openapi/web3signer-examples.json")
}

/// Requests of Lodestar 1.5.1 and 1.22.0 on the minimal preset, recorded on the wire.
pub(crate) fn captures() -> Vec<Sample> {
    let mut samples = Vec::new();
    for directory in ["captures/merged", "captures/electra-1.22"] {
        for entry in std::fs::read_dir(tests_directory().join(directory)).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let value: Value = serde_json::from_str(&text).unwrap();
            samples.push(Sample {
                name: path.strip_prefix(tests_directory()).unwrap().display().to_string(),
                network: "minimal".to_owned(),
                duty: String::new(),
                body: value["body"].clone(),
            });
        }
    }
    samples
}

/// One well-formed request of a type, without a signing root.
pub(crate) fn one_of(kind: &str) -> Sample {
    specification().into_iter().find(|sample| sample.kind() == kind).unwrap().without_root()
}
