//! What the guard reads and signs, against the types and the verifiers of the chains.
//!
//! Decides: the guard reads from a payload what the chain's own type wrote into it; a signature is
//! one that the chain takes; and of whatever a node may ask, nothing that was signed is an
//! equivocation by the very function that runs on the chain.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod announcement;
mod bodies;
mod commitments;
mod headers;
mod records;
mod seals;
mod statements;
mod support;
mod votes;
mod vrf;
