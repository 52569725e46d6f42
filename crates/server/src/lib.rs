//! The daemon: listeners, policy, engine, metrics, console, administration.
//!
//! The only crate that is async, and the only one that listens and dials. What decides and signs
//! stands behind [`engine::Engine`], which speaks in plain messages.
//!
//! # Invariants
//! - What meets the network (`http`, `listener`, `dial`, `tls`) holds no key and no ledger, and
//!   decides no duty; it asks `core` in the plain messages of `link`, across a socket pair by
//!   default.
//! - A request's way has no step that waits without a bound: connections, bodies, the ledger's
//!   queue and the drain each have a limit ([`config::Limits`]).
//! - Bodies, passwords and secrets are never logged.

mod address;
pub mod admin;
mod arrivals;
pub mod certificate;
pub mod chains;
pub mod config;
pub mod config_file;
pub mod core;
pub mod credential;
pub mod daemon;
mod dial;
pub mod engine;
pub mod home;
mod home_access;
mod home_error;
pub mod http;
pub mod link;
mod listener;
mod log_budget;
pub mod metrics;
pub mod named_files;
mod nodes;
pub mod policy;
mod tls;
