//! The node's settings, from the command line.
//!
//! Invariants: it listens on 127.0.0.1 alone; it has no key store on disk; it authors even when it
//! hears of nobody, because a scenario may run a single authority.

use std::net::{Ipv4Addr, SocketAddr};

use sc_network::config::{
    NetworkConfiguration, NodeKeyConfig, Role, Secret, TransportConfig, ed25519::SecretKey,
};
use sc_service::{
    BasePath, BlocksPruning, Configuration, DatabaseSource,
    config::{
        ExecutorConfiguration, KeystoreConfig, OffchainWorkerConfig, RpcBatchRequestConfig,
        RpcConfiguration, RpcEndpoint, RpcMethods,
    },
};
use sp_io::hashing::blake2_256;
use tokio::runtime::Handle;

use crate::{Failure, arguments::Run, chain};

/// What the node calls itself to its peers.
const IMPLEMENTATION: &str = "mini-node";
/// Bytes that the cache of the state may take.
const TRIE_CACHE_BYTES: usize = 64 << 20;
/// Mebibytes of a JSON-RPC message.
const RPC_MEBIBYTES: u32 = 15;
/// JSON-RPC connections, and subscriptions of one.
const RPC_CONNECTIONS: u32 = 100;
/// Answers that may wait in one JSON-RPC connection.
const RPC_BUFFER: u32 = 64;

/// The settings of a node that is started with `run`.
pub(crate) fn configuration(run: &Run, handle: Handle) -> Result<Configuration, Failure> {
    Ok(Configuration {
        impl_name: IMPLEMENTATION.into(),
        impl_version: env!("CARGO_PKG_VERSION").into(),
        role: Role::Authority,
        tokio_handle: handle,
        transaction_pool: Default::default(),
        network: network(run)?,
        keystore: KeystoreConfig::InMemory,
        database: DatabaseSource::ParityDb { path: run.base.join("database") },
        trie_cache_maximum_size: Some(TRIE_CACHE_BYTES),
        warm_up_trie_cache: None,
        state_pruning: None,
        blocks_pruning: BlocksPruning::KeepAll,
        chain_spec: Box::new(chain::specification(&run.authorities.authorities)?),
        executor: ExecutorConfiguration::default(),
        wasm_runtime_overrides: None,
        rpc: rpc(run.rpc_port),
        prometheus_config: None,
        telemetry_endpoints: None,
        offchain_worker: OffchainWorkerConfig { enabled: false, indexing_enabled: false },
        force_authoring: true,
        disable_grandpa: false,
        dev_key_seed: None,
        tracing_targets: None,
        tracing_receiver: Default::default(),
        announce_block: true,
        data_path: run.base.clone(),
        base_path: BasePath::new(run.base.clone()),
    })
}

fn network(run: &Run) -> Result<NetworkConfiguration, Failure> {
    let identity = SecretKey::try_from_bytes(blake2_256(run.name.as_bytes()))
        .map_err(|error| format!("no network identity for {:?}: {error}", run.name))?;
    let mut network = NetworkConfiguration::new(
        run.name.clone(),
        concat!("mini-node/", env!("CARGO_PKG_VERSION")),
        NodeKeyConfig::Ed25519(Secret::Input(identity)),
        None,
    );
    network.listen_addresses = vec![format!("/ip4/127.0.0.1/tcp/{}", run.port).parse()?];
    network.allow_non_globals_in_dht = true;
    network.transport = TransportConfig::Normal { enable_mdns: false, allow_private_ip: true };
    for address in &run.bootnode {
        network
            .boot_nodes
            .push(address.parse().map_err(|error| format!("--bootnode {address}: {error}"))?);
    }
    Ok(network)
}

/// JSON-RPC with every method: the harness submits extrinsics, and nobody else is let in.
fn rpc(port: u16) -> RpcConfiguration {
    let endpoint = RpcEndpoint {
        batch_config: RpcBatchRequestConfig::Disabled,
        max_connections: RPC_CONNECTIONS,
        listen_addr: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        rpc_methods: RpcMethods::Unsafe,
        rate_limit: None,
        rate_limit_trust_proxy_headers: false,
        rate_limit_whitelisted_ips: Vec::new(),
        max_payload_in_mb: RPC_MEBIBYTES,
        max_payload_out_mb: RPC_MEBIBYTES,
        max_subscriptions_per_connection: RPC_CONNECTIONS,
        max_buffer_capacity_per_connection: RPC_BUFFER,
        cors: None,
        retry_random_port: false,
        is_optional: false,
    };
    RpcConfiguration {
        addr: Some(vec![endpoint]),
        max_connections: RPC_CONNECTIONS,
        cors: None,
        methods: RpcMethods::Unsafe,
        max_request_size: RPC_MEBIBYTES,
        max_response_size: RPC_MEBIBYTES,
        id_provider: None,
        max_subs_per_conn: RPC_CONNECTIONS,
        port,
        message_buffer_capacity: RPC_BUFFER,
        batch_config: RpcBatchRequestConfig::Disabled,
        rate_limit: None,
        rate_limit_whitelisted_ips: Vec::new(),
        rate_limit_trust_proxy_headers: false,
        request_logger_limit: 1024,
    }
}
