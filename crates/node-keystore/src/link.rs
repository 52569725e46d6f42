//! Decides how the node's threads and tasks speak with the guard: one background thread with its
//! own runtime carries the connection, and callers wait on it with a bound.
//!
//! Invariants: no call blocks longer than its limit and a small grace; calling is allowed from any
//! thread, inside or outside an async runtime; when the last [`GuardLink`] is dropped, the thread
//! and its sockets end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sp_core::crypto::KeyTypeId;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::sleep;

use crate::cache::KeyCache;
use crate::config::{ConfigError, GuardConfig};
use crate::dial::{Destination, Door, keep_dialling, keep_listening};
use crate::hub::{Call, Event, Hub, Outcome, Reply};
use crate::metrics::Counters;
use crate::wire::{GuardError, from_hex};

/// A caller waits this much longer than the hub takes to give up.
const GRACE: Duration = Duration::from_millis(500);
/// The limit of one list of keys.
const LISTING: Duration = Duration::from_secs(5);

/// What the tasks of the background thread share with callers.
pub(crate) struct Shared {
    pub(crate) metrics: Counters,
    /// The connection in use; 0 is none.
    pub(crate) session: AtomicU64,
    pub(crate) next_session: AtomicU64,
    /// Rung at each new connection.
    pub(crate) connected: Notify,
    pub(crate) keys: KeyCache,
}

/// A handle on the connection.
pub(crate) struct GuardLink {
    events: mpsc::UnboundedSender<Event>,
    pub(crate) shared: Arc<Shared>,
    runtime: Handle,
    listening: Option<SocketAddr>,
    /// Dropped with the link; the thread waits for that.
    _stop: oneshot::Sender<()>,
}

impl GuardLink {
    /// Checks the configuration, reads its files, binds, and starts the thread.
    pub(crate) fn start(config: &GuardConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let destinations: Vec<Destination> =
            config.guards.iter().map(Destination::new).collect::<Result<_, _>>()?;
        let door = config.listen.as_ref().map(Door::open).transpose()?;
        let listening = door.as_ref().and_then(Door::address);
        let shared = Arc::new(Shared {
            metrics: Counters::default(),
            session: AtomicU64::new(0),
            next_session: AtomicU64::new(1),
            connected: Notify::new(),
            keys: KeyCache::default(),
        });
        let runtime = Builder::new_current_thread().enable_io().enable_time().build();
        let runtime = runtime.map_err(ConfigError::Thread)?;
        let handle = runtime.handle().clone();
        let (events, inbox) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let hub = Hub::new(shared.clone(), config.attempt_timeout);
        runtime.spawn(hub.run(inbox));
        if !destinations.is_empty() {
            let limit = config.reconnect_limit;
            runtime.spawn(keep_dialling(destinations, limit, shared.clone(), events.clone()));
        }
        if let Some(door) = door {
            runtime.spawn(keep_listening(door, shared.clone(), events.clone()));
        }
        let (types, interval) = (config.key_types.clone(), config.refresh_interval);
        runtime.spawn(keep_listing(types, interval, shared.clone(), events.clone()));
        std::thread::Builder::new()
            .name("palisade-guard".to_owned())
            .spawn(move || drop(runtime.block_on(stopped)))
            .map_err(ConfigError::Thread)?;
        Ok(Self { events, shared, runtime: handle, listening, _stop: stop })
    }

    /// The address that the listener got.
    pub(crate) fn listening(&self) -> Option<SocketAddr> {
        self.listening
    }

    /// The connection in use; 0 is none.
    pub(crate) fn session(&self) -> u64 {
        self.shared.session.load(Ordering::Acquire)
    }

    /// Runs a timer or another small task on the background thread.
    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Asks and blocks the calling thread for `limit` at most.
    pub(crate) fn call(
        &self,
        method: &'static str,
        params: Value,
        limit: Duration,
    ) -> Result<Value, GuardError> {
        self.ask(method, Arc::new(params), limit, true).map(|(value, _)| value)
    }

    /// As [`GuardLink::call`], for what must not be sent twice.
    pub(crate) fn call_once(
        &self,
        method: &'static str,
        params: Value,
        limit: Duration,
    ) -> Result<Value, GuardError> {
        self.ask(method, Arc::new(params), limit, false).map(|(value, _)| value)
    }

    /// As [`GuardLink::call`], and says which connection answered.
    pub(crate) fn ask(
        &self,
        method: &'static str,
        params: Arc<Value>,
        limit: Duration,
        repeatable: bool,
    ) -> Outcome {
        let (sender, receiver) = sync_channel(1);
        let call = new_call(method, params, limit, repeatable, Reply::Thread(sender));
        let since = call.since;
        let gone = |_| GuardError::NoAnswer { waited: since.elapsed(), connected: false };
        self.events.send(Event::Call(call)).map_err(|_| gone(()))?;
        receiver.recv_timeout(limit + GRACE).unwrap_or_else(|_| Err(gone(())))
    }

    /// Asks without blocking.
    pub(crate) async fn ask_later(
        &self,
        method: &'static str,
        params: Arc<Value>,
        limit: Duration,
    ) -> Outcome {
        ask_later(&self.events, method, params, limit).await
    }
}

fn new_call(
    method: &'static str,
    params: Arc<Value>,
    limit: Duration,
    repeatable: bool,
    reply: Reply,
) -> Call {
    let since = Instant::now();
    Call { method, params, since, deadline: since + limit, repeatable, reply }
}

async fn ask_later(
    events: &mpsc::UnboundedSender<Event>,
    method: &'static str,
    params: Arc<Value>,
    limit: Duration,
) -> Outcome {
    let (sender, receiver) = oneshot::channel();
    let call = new_call(method, params, limit, true, Reply::Task(sender));
    let since = call.since;
    let gone = || GuardError::NoAnswer { waited: since.elapsed(), connected: false };
    events.send(Event::Call(call)).map_err(|_| gone())?;
    receiver.await.unwrap_or_else(|_| Err(gone()))
}

/// Asks for the keys of every type at each connection and interval.
async fn keep_listing(
    types: Vec<KeyTypeId>,
    interval: Duration,
    shared: Arc<Shared>,
    events: mpsc::UnboundedSender<Event>,
) {
    loop {
        tokio::select! {
            () = shared.connected.notified() => {}
            () = sleep(interval) => {}
        }
        if shared.session.load(Ordering::Acquire) == 0 {
            continue;
        }
        let mut complete = true;
        for key_type in &types {
            match list(&events, *key_type).await {
                Ok(keys) => {
                    let count = keys.len();
                    if shared.keys.replace(*key_type, keys) {
                        let name = name_of(*key_type);
                        log::info!(target: crate::LOG, "the guard holds {count} {name} keys");
                    }
                }
                // Not a key type of this guard, or not for this node; what was known stays known.
                Err(GuardError::BadRequest(_) | GuardError::Refused { .. }) => {}
                Err(error) => {
                    complete = false;
                    let name = name_of(*key_type);
                    log::warn!(target: crate::LOG, "cannot list the {name} keys: {error}");
                }
            }
        }
        if complete {
            shared.keys.set_listed();
        }
    }
}

async fn list(
    events: &mpsc::UnboundedSender<Event>,
    key_type: KeyTypeId,
) -> Result<Vec<Vec<u8>>, GuardError> {
    let params = Arc::new(json!({"keyType": name_of(key_type)}));
    let (value, _) = ask_later(events, "palisade_publicKeys", params, LISTING).await?;
    let bad = || GuardError::BadAnswer("not a list of public keys".to_owned());
    let keys = value.as_array().ok_or_else(bad)?;
    keys.iter().map(|key| key.as_str().and_then(from_hex).ok_or_else(bad)).collect()
}

/// The four letters of a key type; what is not text is shown as hex, which no guard knows.
pub(crate) fn name_of(key_type: KeyTypeId) -> String {
    match std::str::from_utf8(&key_type.0) {
        Ok(name) => name.to_owned(),
        Err(_) => hex::encode(key_type.0),
    }
}
