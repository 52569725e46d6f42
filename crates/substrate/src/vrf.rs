//! BABE's verifiable random function, by its parts.
//!
//! Invariant: the input is rebuilt from slot, epoch and randomness; a transcript or a point from
//! outside is never taken, since it would make the key an oracle.

use palisade_protect::{BabeVrf, Duty, Message};

use crate::Judged;

/// The duty to draw for a slot. Not slashable; only [`Window::VRF`](crate::Window::VRF) and a limit
/// on the rate stand between a thief of a session and the slots that the key will lead.
#[must_use]
pub fn babe_vrf(input: BabeVrf) -> Judged<'static> {
    Judged::new(Duty::Harmless, Message::BabeVrf(input))
}
