//! The parts of a node that both its consensus and its network need.
//!
//! Invariant: the key store that the client opens by itself is in memory, empty, and passed to
//! nobody.

use std::sync::Arc;

use sc_consensus::{DefaultImportQueue, LongestChain};
use sc_consensus_babe::{BabeBlockImport, BabeLink, BabeWorkerHandle, ImportQueueParams};
use sc_consensus_grandpa::{GrandpaBlockImport, LinkHalf};
use sc_service::{Configuration, TFullBackend, TFullClient, TaskManager};
use sc_transaction_pool::TransactionPoolHandle;
use sc_transaction_pool_api::OffchainTransactionPoolFactory;

use crate::{
    Failure,
    chain::{Block, Executor},
    inherents::Inherents,
    runtime_api::RuntimeApi,
};

/// Blocks between two GRANDPA justifications that are kept.
pub(crate) const JUSTIFICATION_PERIOD: u32 = 8;

pub(crate) type Backend = TFullBackend<Block>;
pub(crate) type Client = TFullClient<Block, RuntimeApi, Executor>;
pub(crate) type SelectChain = LongestChain<Backend, Block>;
pub(crate) type Pool = TransactionPoolHandle<Block, Client>;
type Grandpa = GrandpaBlockImport<Backend, Block, Client, SelectChain>;
pub(crate) type Import = BabeBlockImport<Block, Client, Grandpa, Inherents, SelectChain>;

/// The parts.
pub(crate) struct Parts {
    pub(crate) client: Arc<Client>,
    pub(crate) backend: Arc<Backend>,
    pub(crate) tasks: TaskManager,
    pub(crate) select_chain: SelectChain,
    pub(crate) pool: Arc<Pool>,
    pub(crate) import: Import,
    pub(crate) queue: DefaultImportQueue<Block>,
    pub(crate) inherents: Inherents,
    pub(crate) babe: BabeLink<Block>,
    pub(crate) grandpa: LinkHalf<Block, Client, SelectChain>,
    /// Answers questions about BABE's epochs for as long as it is kept.
    pub(crate) babe_worker: BabeWorkerHandle<Block>,
}

/// Opens the database, or begins the chain in it, and builds the parts on it.
pub(crate) fn parts(configuration: &Configuration) -> Result<Parts, Failure> {
    let executor: Executor = sc_service::new_wasm_executor(&configuration.executor);
    let (client, backend, _own_keystore, tasks) = sc_service::new_full_parts::<
        Block,
        RuntimeApi,
        Executor,
    >(configuration, None, executor, Vec::new())?;
    let client = Arc::new(client);
    let select_chain = LongestChain::new(Arc::clone(&backend));
    let pool = Arc::new(
        sc_transaction_pool::Builder::new(
            tasks.spawn_essential_handle(),
            Arc::clone(&client),
            true.into(),
        )
        .with_options(configuration.transaction_pool.clone())
        .build(),
    );
    let (grandpa_import, grandpa) = sc_consensus_grandpa::block_import(
        Arc::clone(&client),
        JUSTIFICATION_PERIOD,
        &Arc::clone(&client),
        select_chain.clone(),
        None,
    )?;
    let rules = sc_consensus_babe::configuration(&*client)?;
    let slot_duration = rules.slot_duration();
    let inherents = Inherents(slot_duration);
    let (import, babe) = sc_consensus_babe::block_import(
        rules,
        grandpa_import.clone(),
        Arc::clone(&client),
        inherents,
        select_chain.clone(),
        OffchainTransactionPoolFactory::new(Arc::clone(&pool)),
    )?;
    let (queue, babe_worker) = sc_consensus_babe::import_queue(ImportQueueParams {
        link: babe.clone(),
        block_import: import.clone(),
        justification_import: Some(Box::new(grandpa_import)),
        client: Arc::clone(&client),
        slot_duration,
        spawner: &tasks.spawn_essential_handle(),
        registry: None,
        telemetry: None,
    })?;
    let parts = Parts {
        client,
        backend,
        tasks,
        select_chain,
        pool,
        import,
        queue,
        inherents,
        babe,
        grandpa,
        babe_worker,
    };
    Ok(parts)
}
