//! Nothing but a place for tests: what the guard reads and signs, against the types, the verifiers
//! and the proofs of equivocation that run on the chains. The product cannot hold these tests,
//! because it compiles no Substrate crate.
