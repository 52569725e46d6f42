//! The running node: its network and JSON-RPC, its BABE author and its GRANDPA voter.
//!
//! The lines that a node builder changes to keep session keys in a guard are in `run`: which
//! keystore the two get, and which environment makes blocks. Invariant: the author and the voter
//! are essential tasks, as in every node: if one ends, so does the process, and a scenario sees it.

use std::{sync::Arc, time::Duration};

use futures::FutureExt as _;
use palisade_node_keystore::{
    AnnouncingEnvironment, BabeAuthors, ClientEpochs, RemoteKeystore, shield_voter,
};
use sc_basic_authorship::ProposerFactory;
use sc_client_api::BlockBackend as _;
use sc_consensus::DefaultImportQueue;
use sc_consensus_babe::{BabeParams, SlotProportion};
use sc_consensus_grandpa::{
    Config as GrandpaConfig, GrandpaParams, LinkHalf, SharedVoterState, VotingRule,
    VotingRulesBuilder, warp_proof::NetworkProvider,
};
use sc_network::{
    Litep2pNetworkBackend, NetworkBackend, NotificationService, ProtocolName,
    config::{FullNetworkConfiguration, Role},
    service::traits::NetworkService,
};
use sc_network_sync::SyncingService;
use sc_service::{
    BuildNetworkParams, Configuration, SpawnTasksParams, TaskManager, WarpSyncConfig,
};
use sc_transaction_pool_api::OffchainTransactionPoolFactory;
use sp_consensus::{Environment, Error as ConsensusError, Proposer};
use sp_core::H256;
use sp_keystore::KeystorePtr;
use tokio::runtime::Handle;

use crate::{
    Failure,
    arguments::Run,
    chain::Block,
    configuration::configuration,
    keys,
    parts::{Backend, Client, JUSTIFICATION_PERIOD, Parts, Pool, SelectChain, parts},
};

/// Between two rounds of GRANDPA gossip.
const GOSSIP: Duration = Duration::from_millis(333);
/// The share of a slot in which a block is made.
const PROPOSAL_SHARE: f32 = 0.5;

/// The voter's parameters, with the rule that it votes by.
type Voting<Rule> = GrandpaParams<
    Block,
    Client,
    Arc<dyn NetworkService>,
    Arc<SyncingService<Block>>,
    SelectChain,
    Rule,
>;

/// What the voter needs of the network.
struct Network {
    service: Arc<dyn NetworkService>,
    sync: Arc<SyncingService<Block>>,
    votes: Box<dyn NotificationService>,
    protocol: ProtocolName,
}

/// Runs until an essential task ends or the process is told to stop.
pub(crate) async fn run(run: &Run, handle: Handle) -> Result<(), Failure> {
    let configuration = configuration(run, handle)?;
    let parts = parts(&configuration)?;
    let proposers = ProposerFactory::new(
        parts.tasks.spawn_handle(),
        Arc::clone(&parts.client),
        Arc::clone(&parts.pool),
        None,
        None,
    );
    if let Some(name) = &run.keys.local_seed {
        return start(configuration, parts, keys::local(name)?, proposers, None).await;
    }
    // Guard: its keystore in place of the client's, and its environment around the proposers.
    let guard = keys::guarded(&run)?;
    let epochs = ClientEpochs::new(&parts.client, parts.inherents.0.as_duration());
    guard.provide_epochs(Arc::<ClientEpochs<_, _>>::clone(&epochs));
    let announcing = AnnouncingEnvironment::new(proposers, Arc::clone(&guard), BabeAuthors(epochs));
    let keystore = Arc::<RemoteKeystore>::clone(&guard);
    start(configuration, parts, keystore, announcing, Some(guard)).await
}

/// Starts everything on the parts, with this keystore and this environment to make blocks in. With
/// a guard, its shield is around the voter.
async fn start<E>(
    configuration: Configuration,
    parts: Parts,
    keystore: KeystorePtr,
    environment: E,
    guard: Option<Arc<RemoteKeystore>>,
) -> Result<(), Failure>
where
    E: Environment<Block> + Send + Sync + 'static,
    E::Error: std::error::Error + Send + From<ConsensusError> + 'static,
    E::Proposer: Proposer<Block, Error = E::Error>,
{
    let Parts {
        client,
        backend,
        mut tasks,
        select_chain,
        pool,
        import,
        queue,
        inherents,
        babe,
        grandpa,
        babe_worker,
    } = parts;
    let network = network(NetworkInputs {
        configuration,
        client: Arc::clone(&client),
        backend,
        tasks: &mut tasks,
        keystore: Arc::clone(&keystore),
        pool: Arc::clone(&pool),
        queue,
        grandpa: &grandpa,
    })?;
    let author = sc_consensus_babe::start_babe(BabeParams {
        keystore: Arc::clone(&keystore),
        client,
        select_chain,
        env: environment,
        block_import: import,
        sync_oracle: Arc::clone(&network.sync),
        justification_sync_link: Arc::clone(&network.sync),
        create_inherent_data_providers: inherents,
        force_authoring: true,
        backoff_authoring_blocks: None::<()>,
        babe_link: babe,
        block_proposal_slot_portion: SlotProportion::new(PROPOSAL_SHARE),
        max_block_proposal_slot_portion: None,
        telemetry: None,
    })?;
    let essential = tasks.spawn_essential_handle();
    essential.spawn_blocking("babe-author", Some("block-authoring"), author);
    let voter = sc_consensus_grandpa::run_grandpa_voter(voter(keystore, grandpa, network, pool))?;
    let voter = match guard {
        Some(guard) => shield_voter(guard, voter).boxed(),
        None => voter.boxed(),
    };
    essential.spawn_blocking("grandpa-voter", None, voter);
    tasks.future().await?;
    drop(babe_worker);
    Ok(())
}

/// How the voter votes.
fn voter(
    keystore: KeystorePtr,
    link: LinkHalf<Block, Client, SelectChain>,
    network: Network,
    pool: Arc<Pool>,
) -> Voting<impl VotingRule<Block, Client> + Clone + 'static> {
    GrandpaParams {
        config: GrandpaConfig {
            gossip_duration: GOSSIP,
            justification_generation_period: JUSTIFICATION_PERIOD,
            name: None,
            observer_enabled: false,
            keystore: Some(keystore),
            local_role: Role::Authority,
            telemetry: None,
            protocol_name: network.protocol,
        },
        link,
        network: network.service,
        sync: network.sync,
        notification_service: network.votes,
        voting_rule: VotingRulesBuilder::default().build(),
        prometheus_registry: None,
        shared_voter_state: SharedVoterState::empty(),
        telemetry: None,
        offchain_tx_pool_factory: OffchainTransactionPoolFactory::new(pool),
    }
}

/// What `network` is made from.
struct NetworkInputs<'a> {
    configuration: Configuration,
    client: Arc<Client>,
    backend: Arc<Backend>,
    tasks: &'a mut TaskManager,
    keystore: KeystorePtr,
    pool: Arc<Pool>,
    queue: DefaultImportQueue<Block>,
    grandpa: &'a LinkHalf<Block, Client, SelectChain>,
}

/// Joins the network, and opens JSON-RPC.
fn network(inputs: NetworkInputs<'_>) -> Result<Network, Failure> {
    let NetworkInputs { configuration, client, backend, tasks, keystore, pool, queue, grandpa } =
        inputs;
    let genesis = client.block_hash(0)?.ok_or("the database holds no genesis block")?;
    let mut protocols = FullNetworkConfiguration::<Block, H256, Litep2pNetworkBackend>::new(
        &configuration.network,
        None,
    );
    let metrics =
        <Litep2pNetworkBackend as NetworkBackend<Block, H256>>::register_notification_metrics(None);
    let protocol =
        sc_consensus_grandpa::protocol_standard_name(&genesis, &configuration.chain_spec);
    let (votes_protocol, votes) =
        sc_consensus_grandpa::grandpa_peers_set_config::<Block, Litep2pNetworkBackend>(
            protocol.clone(),
            metrics.clone(),
            protocols.peer_store_handle(),
        );
    protocols.add_notification_protocol(votes_protocol);
    let warp = NetworkProvider::new(
        Arc::clone(&backend),
        grandpa.shared_authority_set().clone(),
        Vec::new(),
    );
    let (service, system_rpc_tx, tx_handler_controller, sync, _bitswap) =
        sc_service::build_network(BuildNetworkParams {
            config: &configuration,
            net_config: protocols,
            client: Arc::clone(&client),
            transaction_pool: Arc::clone(&pool),
            spawn_handle: tasks.spawn_handle(),
            spawn_essential_handle: tasks.spawn_essential_handle(),
            import_queue: queue,
            block_announce_validator_builder: None,
            warp_sync_config: Some(WarpSyncConfig::WithProvider(Arc::new(warp))),
            block_relay: None,
            metrics,
            gap_sync_body_policy: None,
        })?;
    sc_service::spawn_tasks(SpawnTasksParams {
        config: configuration,
        client,
        backend,
        task_manager: tasks,
        keystore,
        transaction_pool: pool,
        rpc_builder: Box::new(|_| Ok(jsonrpsee::RpcModule::new(()))),
        network: Arc::clone(&service),
        system_rpc_tx,
        tx_handler_controller,
        sync_service: Arc::clone(&sync),
        telemetry: None,
        tracing_execute_block: None,
    })?;
    Ok(Network { service, sync, votes, protocol })
}
