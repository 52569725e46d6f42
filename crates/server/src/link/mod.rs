//! What stands between the process that meets the network and the process that holds the keys.
//!
//! The *front* asks ([`message::Question`]), the *core* answers ([`message::Reply`]). Both are
//! plain values; `CoreHandle` carries them over a socket pair, or calls the core in the same
//! process.
//!
//! Invariants: the core treats the front as hostile: a frame is bounded before it is read, what it
//! holds is parsed and judged again, and a front that does not keep to the protocol ends the guard.
//! What is under way is bounded on both sides; nobody waits for room.

mod codec;
mod far;
pub mod message;
mod near;
mod pulse;

use std::sync::Arc;

pub use codec::LinkFault;
pub(crate) use far::{RemoteCore, Told};
pub(crate) use near::{Ends, Limits, serve};
pub(crate) use pulse::Pulse;

use crate::core::Core;
use crate::policy::Presented;
use message::{Question, Reply};

/// The core, wherever it is.
#[derive(Clone)]
pub(crate) enum CoreHandle {
    /// In this process.
    Here(Arc<Core>),
    /// In another one.
    Apart(RemoteCore),
}

impl CoreHandle {
    /// Asks on behalf of whoever presented this.
    pub(crate) async fn ask(&self, presented: &Presented, question: Question) -> Reply {
        match self {
            Self::Here(core) => {
                let _on_its_way = core.engine().on_its_way();
                core.answer(presented, question).await
            }
            Self::Apart(core) => core.ask(presented, question).await,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
