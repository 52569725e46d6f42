//! The daemon: listeners, policy, engine, metrics, console, administration.
//!
//! The only crate that is async and the only one that listens. What decides and signs stands behind
//! [`engine::Engine`], which speaks in plain messages.
//!
//! # Invariants
//! - Nothing outside `http` knows a status code; nothing inside it decides a duty.
//! - A request's way has no step that waits without a bound: connections, bodies, the ledger's
//!   queue and the drain each have a limit ([`config::Limits`]).
//! - Bodies, passwords and secrets are never logged.

pub mod admin;
pub mod chains;
pub mod config;
pub mod daemon;
pub mod engine;
pub mod home;
pub mod http;
mod listener;
mod log_budget;
pub mod metrics;
pub mod named_files;
pub mod policy;
mod readiness;
mod tls;
