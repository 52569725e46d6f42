//! Requests against what others compute for them: the executable specification, Web3Signer's
//! published examples and a real client's recorded requests; and requests that must be refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    missing_docs,
    reason = "tests fail by panicking, and read their data from files"
)]

mod bad_input;
mod batch;
mod captures;
mod exits;
mod mutation;
mod openapi;
mod samples;
mod specification;
