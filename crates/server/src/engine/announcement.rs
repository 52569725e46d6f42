//! A header that a node is about to ask the seal of, and what comes with it.
//!
//! Invariants: what is kept was read whole and checked; a header that claims a slot far from the
//! present is not kept; parts that are another block's keep the header out too, since one of the
//! two is not what the node means to seal.

use std::time::Instant;

use palisade_protect::{Digest, KeyType};
use palisade_substrate::{BlockBody, Engine as Consensus, GivenBody, Window, announcement};

use super::recent::Asked;
use super::session::{SEALING, find, present};
use super::{Denial, Engine, Held, SessionDenial};
use crate::policy::{Client, Operation, Policy};

/// The kind of an announcement in metrics, in the log and on the console, beside those of duties.
const KIND: &str = "announcement";

impl Engine {
    /// Reads a header that a node is about to ask the seal of, and keeps what the seal needs. What
    /// came with it is checked against it and kept as well.
    ///
    /// # Errors
    /// [`SessionDenial`]; the slot is then better skipped.
    pub async fn announce(
        &self,
        client: &Client,
        public_key: &[u8],
        header: &[u8],
        given: GivenBody,
    ) -> Result<Digest, SessionDenial> {
        let started = Instant::now();
        let outcome = self.read_announcement(client, public_key, header, given).await;
        let outcome_code = outcome.as_ref().map_or_else(SessionDenial::code, |_| "announced");
        self.metrics.observe_session(KIND, outcome_code, started.elapsed());
        if let Err(denial) = &outcome {
            self.recent.note_denied(client, &Asked::of_session(public_key, KIND), denial);
        }
        outcome
    }

    /// How much is held of what was announced.
    #[must_use]
    pub fn announced(&self) -> Held {
        self.announced.held()
    }

    async fn read_announcement(
        &self,
        client: &Client,
        public_key: &[u8],
        header: &[u8],
        given: GivenBody,
    ) -> Result<Digest, SessionDenial> {
        let keychain = self.keychain();
        let key = find(&keychain, public_key, &SEALING)?;
        let operation = Operation::SessionDuties;
        Policy::check(client, operation, Some(public_key)).map_err(Denial::from)?;
        let read = announcement(header, self.chain_of(&key)?)?;
        let expected = match read.engine {
            Consensus::Babe => KeyType::BABE,
            Consensus::Aura => KeyType::AURA,
        };
        // The key may be for both.
        let key = find(&keychain, public_key, &[expected])?;
        let chain = self.chain_of(&key)?.clone();
        Window::SEAL.check(read.slot, present(&chain))?;
        let bytes = given.bytes();
        let check = move || BlockBody::check(&read, given, &chain);
        let body = self.reader.take_turn(bytes, check).await??;
        self.announced.keep(key.id, read, body);
        Ok(read.pre_hash)
    }
}
