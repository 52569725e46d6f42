//! Decides what happens to a node when the guard does not sign a GRANDPA vote.
//!
//! Upstream, the voter ends with the first vote that it cannot sign, and the service ends with the
//! voter. Nothing that a keystore may answer changes that: "no such key" ends the voter as an error
//! does, and a false signature would poison the node's own count of votes. Nor can a node live
//! without its voter: with the voter goes its network protocol, and tried with litep2p, the node
//! then lost every peer within seconds, and went on authoring alone. So the voter must not end, and
//! the only way to that is to **hold it inside the call**. It has a thread of its own; while it is
//! held, the node imports, authors, and follows finality by the justifications that come with each
//! change of authorities.
//!
//! - **The guard is away** (restart, broken link, not ready, store failure): the vote waits and
//!   goes out when a guard is back, for up to [`GuardConfig::grandpa_timeout`]. Then it fails, the
//!   node ends, and its supervisor starts it again, as an observer until a guard lists its keys.
//! - **The guard refuses**: waiting cannot help, and the voter must be started anew, which takes a
//!   new process. The voter is held for the key's **hiding time**, the node lives, then the vote
//!   fails and the node ends. Started again, it hides the key for that time once more: `has_keys`
//!   says no, so the node follows the rounds as an observer, catches up past the refused round, and
//!   votes again when the key shows again. Without this it would send the same refused vote, which
//!   it remembers in its database, and end again. The file [`GuardConfig::grandpa_memory`] carries
//!   this over the restart.
//! - **[`shield_voter`]** lets a held voter go when the node is told to stop.
//!
//! A limit that no keystore can lift: GRANDPA asks for its key at the start of a round and keeps to
//! the answer. In a set so small that no round completes without this node, a round that started
//! while the key was hidden or not yet listed does not complete; restart the node then.
//!
//! Invariant: hiding affects what is listed, never what is signed; the guard alone decides that.
//!
//! [`GuardConfig::grandpa_memory`]: crate::GuardConfig::grandpa_memory
//! [`GuardConfig::grandpa_timeout`]: crate::GuardConfig::grandpa_timeout

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use tokio::runtime::Handle;

use crate::keystore::RemoteKeystore;
use crate::wire::{GuardError, from_hex, to_hex};

/// The longest time that a key stays hidden.
const LONGEST_HIDE: Duration = Duration::from_secs(3600);

/// Why the last vote was not signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostVote {
    /// No guard signed within the bound.
    Outage,
    /// A guard refused, and the key is hidden.
    Refused,
}

struct Hidden {
    refusals: u32,
    until: Instant,
}

/// What is known of the node's GRANDPA keys.
pub(crate) struct Voters {
    first_hide: Duration,
    memory: Option<PathBuf>,
    hidden: Mutex<BTreeMap<Vec<u8>, Hidden>>,
    lost: Mutex<Option<LostVote>>,
    released: Mutex<bool>,
    release: Condvar,
}

impl Voters {
    /// Hides the keys whose last vote was refused before the restart.
    pub(crate) fn new(first_hide: Duration, memory: Option<PathBuf>) -> Self {
        let mut hidden = BTreeMap::new();
        for (key, refusals) in memory.as_ref().map(read).unwrap_or_default() {
            let hide = hide_for(first_hide, refusals);
            log::warn!(
                target: crate::LOG,
                "the last GRANDPA vote of {} was refused; observing for {hide:?} before it votes",
                to_hex(&key)
            );
            hidden.insert(key, Hidden { refusals, until: Instant::now() + hide });
        }
        Self {
            first_hide,
            memory,
            hidden: Mutex::new(hidden),
            lost: Mutex::new(None),
            released: Mutex::new(false),
            release: Condvar::new(),
        }
    }

    pub(crate) fn is_hidden(&self, public: &[u8]) -> bool {
        let hidden = self.hidden.lock().unwrap_or_else(PoisonError::into_inner);
        hidden.get(public).is_some_and(|hidden| Instant::now() < hidden.until)
    }

    /// Notes how a vote ended, and hides or shows the key.
    pub(crate) fn note(&self, public: &[u8], outcome: Option<&GuardError>) {
        let lost = match outcome {
            None => None,
            Some(
                GuardError::NoAnswer { .. }
                | GuardError::NotReady(_)
                | GuardError::StoreFailure(_)
                | GuardError::Busy,
            ) => Some(LostVote::Outage),
            Some(_) => Some(LostVote::Refused),
        };
        *self.lost.lock().unwrap_or_else(PoisonError::into_inner) = lost;
        match lost {
            None => self.show(public),
            Some(LostVote::Refused) => self.hide(public),
            Some(LostVote::Outage) => {}
        }
    }

    fn hide(&self, public: &[u8]) {
        let mut hidden = self.hidden.lock().unwrap_or_else(PoisonError::into_inner);
        let refusals = hidden.get(public).map_or(0, |hidden| hidden.refusals).saturating_add(1);
        let until = Instant::now() + hide_for(self.first_hide, refusals);
        hidden.insert(public.to_vec(), Hidden { refusals, until });
        self.remember(&hidden);
    }

    fn show(&self, public: &[u8]) {
        let mut hidden = self.hidden.lock().unwrap_or_else(PoisonError::into_inner);
        if hidden.remove(public).is_some() {
            self.remember(&hidden);
        }
    }

    /// Not a matter of safety: what is lost here costs a restart, so the file is not synced.
    fn remember(&self, hidden: &BTreeMap<Vec<u8>, Hidden>) {
        let Some(path) = &self.memory else { return };
        let entries = hidden.iter().map(|(key, hidden)| (to_hex(key), hidden.refusals.into()));
        let text = Value::Object(entries.collect::<Map<_, _>>()).to_string();
        let fresh = path.with_extension("new");
        let written = std::fs::write(&fresh, text).and_then(|()| std::fs::rename(&fresh, path));
        if let Err(error) = written {
            log::error!(
                target: crate::LOG,
                "cannot remember the refused vote in {}: {error}; the node may ask for it again",
                path.display()
            );
        }
    }

    /// Whether the last vote was lost, and how.
    pub(crate) fn lost(&self) -> Option<LostVote> {
        *self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Blocks the voter for as long as its key is hidden, or until it is let go.
    pub(crate) fn hold(&self, public: &[u8]) {
        let until = {
            let hidden = self.hidden.lock().unwrap_or_else(PoisonError::into_inner);
            hidden.get(public).map(|hidden| hidden.until)
        };
        let Some(until) = until else { return };
        let limit = until.saturating_duration_since(Instant::now());
        log::error!(
            target: crate::LOG,
            "a GRANDPA vote of {} was refused; this node goes on without voting for {limit:?}, \
             then ends, to be started again as a voter",
            to_hex(public)
        );
        let released = self.released.lock().unwrap_or_else(PoisonError::into_inner);
        // Either the time is over or the node stops; both let the voter go.
        drop(self.release.wait_timeout_while(released, limit, |released| !*released));
    }

    /// Lets every held voter go, now and later.
    pub(crate) fn release(&self) {
        *self.released.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.release.notify_all();
    }
}

fn read(path: &PathBuf) -> BTreeMap<Vec<u8>, u32> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return BTreeMap::new(),
        Err(error) => {
            log::warn!(target: crate::LOG, "cannot read {}: {error}", path.display());
            return BTreeMap::new();
        }
    };
    let entries: Map<String, Value> = serde_json::from_str(&text).unwrap_or_else(|error| {
        log::warn!(target: crate::LOG, "{} is not usable: {error}", path.display());
        Map::new()
    });
    let entry = |(key, value): (String, Value)| {
        Some((from_hex(&key)?, u32::try_from(value.as_u64()?).ok()?))
    };
    entries.into_iter().filter_map(entry).collect()
}

/// Doubles with each refusal in a row.
fn hide_for(first: Duration, refusals: u32) -> Duration {
    let factor = 1_u32.checked_shl(refusals.saturating_sub(1)).unwrap_or(u32::MAX);
    first.saturating_mul(factor).min(LONGEST_HIDE)
}

/// Runs the GRANDPA voter, and lets it go when the node stops while it is held.
///
/// Give it the future of `run_grandpa_voter`, and spawn the result in its place: blocking, as an
/// essential task, under a supervisor that starts the node again. Without this wrapper everything
/// works, but a node that is told to stop while its voter waits for a guard stops only when the
/// wait is over.
pub async fn shield_voter<F: Future<Output = ()>>(keystore: Arc<RemoteKeystore>, voter: F) {
    // A held voter cannot be dropped. A task of the node's runtime can: it is, when that ends.
    let watch = Handle::try_current().ok().map(|runtime| {
        let release = ReleaseOnDrop(keystore.clone());
        runtime.spawn(async move {
            let _release = release;
            std::future::pending::<()>().await;
        })
    });
    voter.await;
    if let Some(watch) = watch {
        watch.abort();
    }
    match keystore.lost_vote() {
        Some(LostVote::Outage) => {
            log::error!(target: crate::LOG, "the GRANDPA voter ended: no guard signed in time");
        }
        Some(LostVote::Refused) => {
            log::error!(target: crate::LOG, "the GRANDPA voter ended: a guard refused its vote");
        }
        None => {}
    }
}

struct ReleaseOnDrop(Arc<RemoteKeystore>);

impl Drop for ReleaseOnDrop {
    fn drop(&mut self) {
        self.0.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> GuardError {
        GuardError::Refused { code: "x".into(), message: "y".into(), evidence: None }
    }

    #[test]
    fn a_refusal_hides_and_a_vote_shows() {
        let voters = Voters::new(Duration::from_secs(60), None);
        voters.note(&[1; 32], Some(&refused()));
        assert!(voters.is_hidden(&[1; 32]));
        assert!(!voters.is_hidden(&[2; 32]));
        assert_eq!(voters.lost(), Some(LostVote::Refused));
        voters.note(&[1; 32], None);
        assert!(!voters.is_hidden(&[1; 32]));
        assert_eq!(voters.lost(), None);
    }

    #[test]
    fn an_outage_does_not_hide() {
        let voters = Voters::new(Duration::from_secs(60), None);
        let away = GuardError::NoAnswer { waited: Duration::ZERO, connected: false };
        voters.note(&[1; 32], Some(&away));
        assert!(!voters.is_hidden(&[1; 32]));
        assert_eq!(voters.lost(), Some(LostVote::Outage));
    }

    #[test]
    fn a_refusal_is_remembered_over_a_restart_until_a_vote_succeeds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grandpa.json");
        let first = Duration::from_millis(200);
        Voters::new(first, Some(path.clone())).note(&[1; 32], Some(&refused()));
        let again = Voters::new(first, Some(path.clone()));
        assert!(again.is_hidden(&[1; 32]));
        std::thread::sleep(first * 2);
        assert!(!again.is_hidden(&[1; 32]));
        again.note(&[1; 32], None);
        assert!(!Voters::new(first, Some(path)).is_hidden(&[1; 32]));
    }

    #[test]
    fn a_damaged_memory_hides_nothing_and_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grandpa.json");
        std::fs::write(&path, "{").unwrap();
        let voters = Voters::new(Duration::from_secs(60), Some(path.clone()));
        assert!(!voters.is_hidden(&[1; 32]));
        voters.note(&[1; 32], Some(&refused()));
        assert_eq!(read(&path).len(), 1);
    }

    #[test]
    fn the_hiding_time_doubles_up_to_an_hour() {
        let first = Duration::from_secs(60);
        assert_eq!(hide_for(first, 1), first);
        assert_eq!(hide_for(first, 3), first * 4);
        assert_eq!(hide_for(first, 7), LONGEST_HIDE);
        assert_eq!(hide_for(first, u32::MAX), LONGEST_HIDE);
    }
}
