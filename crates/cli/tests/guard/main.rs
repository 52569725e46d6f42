//! The real process, asked over its sockets as its clients and its operators ask it.
//!
//! Each module shows one side of the contract; each test starts the built binary on a home of its
//! own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    missing_docs,
    reason = "tests fail by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod bad_homes;
mod bad_input;
mod bounds;
mod clients;
mod contract;
mod dialled_nodes;
mod dialled_over_tls;
mod front_log;
mod hardening;
mod key_manager;
mod memory;
mod openapi;
mod openrpc;
mod own_authority;
mod processes;
mod races;
mod resilience;
mod rpc_bad_input;
mod rpc_clients;
mod rpc_generate;
mod rpc_races;
mod rpc_socket;
mod secrets;
mod secure;
mod service_install;
mod service_manager;
mod session_custody;
mod session_keys;
mod session_metadata;
mod shares;
mod snapshots;
mod substrate;
mod tls;
mod validators;
