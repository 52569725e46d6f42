//! Requests on a guard that serves.
//!
//! Invariants: one request at a time changes anything; the ledger's thread does what must stand
//! between two commits, and what is slow beside that (making and sealing generated keys, loading
//! keys, signing proofs) is done by the thread that asks, so that signatures do not wait for it;
//! keys serve when they are sealed and have a record, and no earlier.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use palisade_keys::Vault;
use palisade_protect::Bound;
use palisade_store::{LedgerHandle, Store, StoreError};

use super::execute::{self, Parts, Prepared};
use super::ledger::Ledger;
use super::{AdminError, Answer, MeasureRow, Request, generation};
use crate::engine::{Engine, Keychain, SessionKey};

/// Runs requests on a guard that serves at the same time.
pub struct Administrator {
    ledger: LedgerHandle,
    vault: Arc<Mutex<Vault>>,
    /// Held for a whole request: taken before the vault, and never on the ledger's thread.
    turn: Mutex<()>,
    configured_keys: AtomicUsize,
    engine: Arc<Engine>,
    measures: Vec<MeasureRow>,
}

impl Administrator {
    /// For a running guard.
    #[must_use]
    pub fn new(ledger: LedgerHandle, vault: Vault, engine: Arc<Engine>) -> Self {
        let configured_keys = AtomicUsize::new(vault.len());
        let (vault, turn) = (Arc::new(Mutex::new(vault)), Mutex::default());
        Self { ledger, vault, turn, configured_keys, engine, measures: Vec::new() }
    }

    /// The same, of a process that took these measures.
    #[must_use]
    pub fn with_measures(self, measures: Vec<MeasureRow>) -> Self {
        Self { measures, ..self }
    }

    /// Does one thing.
    ///
    /// # Errors
    /// [`AdminError`]; nothing is half-done.
    pub fn execute(&self, request: Request) -> Result<Answer, AdminError> {
        if matches!(request, Request::JournalVerify) {
            // Minutes of work on a long journal: on a snapshot.
            let snapshot = self.ledger.call(|store| store.snapshot());
            let snapshot = snapshot.and_then(|snapshot| snapshot);
            return execute::journal_verify(&snapshot.map_err(|error| AdminError::store(&error))?);
        }
        let prepared = execute::prepare(request, self.engine.genesis_validators_root())?;
        let _turn = lock(&self.turn);
        match prepared {
            Prepared::Generation(prepared) => self.generate(prepared),
            Prepared::Proofs(wanted) => {
                let keychain = self.engine.keychain();
                generation::prove(&mut self.ledger(), &lock(&self.vault), keychain.ring(), &wanted)
            }
            other => self.run(other),
        }
    }

    fn run(&self, prepared: Prepared) -> Result<Answer, AdminError> {
        let (vault, engine) = (Arc::clone(&self.vault), Arc::clone(&self.engine));
        let run = move |store: &mut Store| {
            let (mut vault, network) = (lock(&vault), engine.network());
            execute::run(prepared, Parts { store, vault: &mut vault, network, running: true })
        };
        let mut answer = self.ledger().call(run)?;
        // A key that is held already may have become one of another type.
        let new_types = matches!(answer, Ok(Answer::SessionsImported { .. }));
        if new_types || lock(&self.vault).len() != self.configured_keys() {
            self.load_keys()?;
        }
        if let Ok(Answer::Status(status)) = &mut answer {
            status.measures.clone_from(&self.measures);
        }
        answer
    }

    /// New keys are in service before their proofs are made: those that sign are those that serve.
    fn generate(&self, prepared: generation::Prepared) -> Result<Answer, AdminError> {
        let add = |keys| lock(&self.vault).add(keys);
        let sealed = prepared.seal(&mut self.ledger(), add)?;
        self.load_keys()?;
        sealed.prove(&mut self.ledger(), self.engine.keychain().ring())
    }

    /// Puts the vault's keys in service.
    fn load_keys(&self) -> Result<(), AdminError> {
        let vault = lock(&self.vault);
        let keychain = Keychain::new(vault.load_ring().map_err(AdminError::vault)?);
        let keys: Vec<_> = keychain.ring().session_public_keys().collect();
        let sessions = self.ledger().call(move |store| SessionKey::in_service(keys, store))?;
        self.engine.replace_keychain(keychain.with_sessions(sessions));
        self.configured_keys.store(vault.len(), Ordering::Release);
        Ok(())
    }

    fn ledger(&self) -> Ledger<'_> {
        Ledger::Shared(&self.ledger)
    }

    /// The lowest line of any key at or above which nothing is signed.
    ///
    /// # Errors
    /// When the ledger cannot tell.
    pub fn lowest_stop_line(&self) -> Result<Option<Bound>, StoreError> {
        self.ledger.call(|store| execute::lowest_stop_line(store))
    }

    /// How many keys the vault holds, usable or not.
    #[must_use]
    pub fn configured_keys(&self) -> usize {
        self.configured_keys.load(Ordering::Acquire)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use std::sync::mpsc::channel;
    use std::time::Duration;

    use tempfile::TempDir;

    use super::*;
    use crate::admin::{SessionGeneration, SessionKeyKind};
    use crate::link::tests::core_of;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn generation(key_types: &[&str]) -> Request {
        let kind = |key_type: &&str| SessionKeyKind { key_type: (*key_type).into(), crypto: None };
        Request::SessionKeysGenerate(SessionGeneration {
            genesis: "ab".repeat(32),
            kinds: key_types.iter().map(kind).collect(),
            owner: Some("07".repeat(32)),
        })
    }

    /// What the ledger's thread says, if it does anything at all.
    fn records(ledger: &LedgerHandle) -> usize {
        let (answer, answered) = channel();
        let ledger = ledger.clone();
        std::thread::spawn(move || {
            answer.send(ledger.call(|store| store.key_infos().unwrap().len()).unwrap())
        });
        answered.recv_timeout(PATIENCE).unwrap()
    }

    #[test]
    fn the_ledger_goes_on_while_new_keys_are_sealed() {
        let directory = TempDir::new().unwrap();
        let (core, ledger, _thread) = core_of(&directory);
        let administrator = Arc::clone(core.administrator());
        let vault = Arc::clone(&administrator.vault);
        let busy = lock(&vault);
        let generating =
            std::thread::spawn(move || administrator.execute(generation(&["gran", "babe"])));
        // Their records are durable, and their secrets are not sealed yet.
        while records(&ledger) < 3 {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(records(&ledger), 3);
        assert!(!generating.is_finished());
        assert_eq!(core.engine().keychain().sessions(), []);
        drop(busy);
        let Answer::SessionKeys { keys } = generating.join().unwrap().unwrap() else { panic!() };
        assert!(keys.iter().all(|key| key.proof.is_some()));
        assert_eq!((keys.len(), core.engine().keychain().sessions().len()), (2, 2));
        assert_eq!(
            (core.administrator().configured_keys(), core.engine().keychain().len()),
            (3, 3)
        );
    }

    #[test]
    fn requests_of_all_kinds_at_once_wait_for_each_other_and_for_nothing_else() {
        let directory = TempDir::new().unwrap();
        let (core, _ledger, _thread) = core_of(&directory);
        let (done, is_done) = channel();
        for worker in 0..4 {
            let (administrator, done) = (Arc::clone(core.administrator()), done.clone());
            std::thread::spawn(move || {
                for _ in 0..5 {
                    let request = match worker {
                        0 => Request::Status,
                        1 => Request::KeysList,
                        _ => generation(&["gran", "beef", "audi"]),
                    };
                    administrator.execute(request).unwrap();
                }
                done.send(()).unwrap();
            });
        }
        for _ in 0..4 {
            is_done.recv_timeout(PATIENCE).unwrap();
        }
        assert_eq!(core.engine().keychain().sessions().len(), 2 * 5 * 3);
    }
}
