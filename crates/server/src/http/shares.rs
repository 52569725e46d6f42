//! Places that clients share: connections, WebSockets, questions under way, room for long bodies.
//!
//! Invariants: all clients together never have more places than there are; a client that has fewer
//! than each can count on gets another one whatever the others have, because what is kept for it is
//! given to nobody else; beyond that, whoever comes first has it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Of all places, the part that is kept: one in this many, divided among the clients.
const KEPT_PART: usize = 4;

/// A number of places.
#[derive(Clone, Debug)]
pub(crate) struct Shares {
    places: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// By the client's name, of those who have any.
    each: HashMap<String, usize>,
}

/// Some places of one client; free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    client: String,
    count: usize,
    taken: Arc<Mutex<Taken>>,
}

/// Who wants a place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker<'a> {
    /// The client's name.
    pub(super) client: &'a str,
    /// How many clients there are.
    pub(super) clients: usize,
}

impl Shares {
    pub(crate) fn of(places: usize) -> Self {
        Self { places, taken: Arc::default() }
    }

    /// One place.
    pub(super) fn take(&self, asker: Asker<'_>) -> Option<Place> {
        self.take_many(asker, 1)
    }

    /// So many places, or none.
    pub(super) fn take_many(&self, asker: Asker<'_>, count: usize) -> Option<Place> {
        let Asker { client, clients } = asker;
        let reserve = reserve(self.places, clients);
        let mut taken = lock(&self.taken);
        let own = taken.each.get(client).copied().unwrap_or(0);
        let of_others = |(name, count): (&String, &usize)| {
            if name == client { 0 } else { reserve.min(*count) }
        };
        let used: usize = taken.each.iter().map(of_others).sum();
        let kept = clients.saturating_sub(1).saturating_mul(reserve).saturating_sub(used);
        let (own, all) = (own.saturating_add(count), taken.all.saturating_add(count));
        let open = if own <= reserve { self.places } else { self.places.saturating_sub(kept) };
        if open < all {
            return None;
        }
        taken.all = all;
        taken.each.insert(client.to_owned(), own);
        drop(taken);
        Some(Place { client: client.to_owned(), count, taken: Arc::clone(&self.taken) })
    }
}

impl Place {
    /// Whose it is.
    pub(crate) fn client(&self) -> &str {
        &self.client
    }

    /// How many.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Holds what `more` held as well, of the same client.
    pub(super) fn merge(&mut self, mut more: Self) {
        self.count = self.count.saturating_add(std::mem::take(&mut more.count));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        taken.all = taken.all.saturating_sub(self.count);
        let own = taken.each.get(&self.client).copied().unwrap_or(0);
        let left = own.saturating_sub(self.count);
        if left == 0 {
            taken.each.remove(&self.client);
        } else if let Some(count) = taken.each.get_mut(&self.client) {
            *count = left;
        }
    }
}

/// How many places each client can count on; none where there are hardly more places than clients.
fn reserve(places: usize, clients: usize) -> usize {
    let clients = clients.max(1);
    if places / 2 < clients {
        return 0;
    }
    (places / KEPT_PART / clients).max(1)
}

fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    const CLIENTS: [&str; 3] = ["one", "two", "three"];

    fn asker(client: &str, clients: usize) -> Asker<'_> {
        Asker { client, clients }
    }

    /// As many as the client gets.
    fn all_for(shares: &Shares, client: &str, clients: usize) -> Vec<Place> {
        std::iter::from_fn(|| shares.take(asker(client, clients))).collect()
    }

    #[test]
    fn one_client_has_what_is_not_kept_for_the_others() {
        let shares = Shares::of(64);
        let held = all_for(&shares, "one", 2);
        assert_eq!(held.len(), 56);
        assert!(shares.take_many(asker("two", 2), 9).is_none());
        let others = all_for(&shares, "two", 2);
        assert_eq!(others.len(), 8);
        drop(held);
        assert_eq!(all_for(&shares, "two", 2).len(), 48);
    }

    #[test]
    fn a_lone_client_has_all_and_more_clients_than_half_the_places_keep_none() {
        for (places, clients, had) in
            [(64, 1, 64), (64, 32, 33), (64, 33, 64), (2, 2, 2), (0, 1, 0)]
        {
            let held = all_for(&Shares::of(places), "one", clients);
            assert_eq!(held.len(), had, "{places} places, {clients} clients");
        }
    }

    proptest! {
        /// Against nothing but the promise.
        #[test]
        fn nobody_below_its_reserve_is_turned_away_and_there_are_never_too_many(
            places in 0_usize..60,
            steps in proptest::collection::vec((0_usize..3, 0_usize..4), 0..200),
        ) {
            let shares = Shares::of(places);
            let mut held: [Vec<Place>; 3] = Default::default();
            let count = |places: &Vec<Place>| places.iter().map(Place::count).sum::<usize>();
            for (client, wanted) in steps {
                if wanted == 0 {
                    held[client].pop();
                    continue;
                }
                let place = shares.take_many(asker(CLIENTS[client], CLIENTS.len()), wanted);
                if count(&held[client]) + wanted <= reserve(places, CLIENTS.len()) {
                    prop_assert!(place.is_some());
                }
                match (held[client].last_mut(), place) {
                    (Some(last), Some(place)) if wanted == 2 => last.merge(place),
                    (_, place) => held[client].extend(place),
                }
                prop_assert!(held.iter().map(count).sum::<usize>() <= places);
            }
            drop(held);
            prop_assert!(lock(&shares.taken).each.is_empty());
            prop_assert_eq!(lock(&shares.taken).all, 0);
        }
    }
}
