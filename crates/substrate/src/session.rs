//! Session keys as a chain takes them: in the runtime's order, and the call that announces them.

use parity_scale_codec::Encode;

/// The public keys behind one another, as `session.setKeys` takes them
/// (`sp_runtime::impl_opaque_keys`). Order them as the runtime's `SessionKeys` does.
#[must_use]
pub fn session_keys<'a>(public_keys: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    public_keys.into_iter().flatten().copied().collect()
}

/// The encoded call `session.set_keys(keys, proof)`: the pallet's and the call's index, the keys
/// as they are, the proof as bytes behind their length.
#[must_use]
pub fn set_keys_call(pallet: u8, call: u8, keys: &[u8], proof: &[u8]) -> Vec<u8> {
    let mut out = vec![pallet, call];
    out.extend_from_slice(keys);
    proof.encode_to(&mut out);
    out
}
