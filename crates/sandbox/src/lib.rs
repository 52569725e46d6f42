//! What a Palisade process gives up before it serves, and pages for its secrets.
//!
//! The only crate with `unsafe`, and it knows nothing of chains, keys or HTTP. A process starts so:
//!
//! 1. [`clean_start`], first of all: the environment and inherited descriptors go.
//! 2. [`shield`], before it reads a secret: other processes are kept out of its memory.
//! 3. [`Facts::gather`] asks the kernel, in a child process, what it can do.
//! 4. [`judge`] makes a [`Table`] of that: each [`Measure`] is on, off and allowed, or missing.
//! 5. [`harden_early`], while the process has one thread: everything but system calls.
//! 6. [`restrict_syscalls`], once its threads run and its sockets are open.
//!
//! # Invariants
//! - A measure that the table calls on is in force when the step that applies it has returned `Ok`.
//! - Nothing here can be undone by the process that asked for it.
//! - `judge` is pure: the same facts give the same table, so that it is tested with kernels that
//!   this machine is not.

#[cfg(feature = "forbidden-acts")]
pub mod acts;
mod apply;
mod disk;
mod facts;
mod filter;
mod kernel;
mod measure;
mod paths;
mod probe;
mod secret;
mod start;
mod syscalls;
mod table;

pub use apply::{ApplyError, Plan, harden_early, restrict_syscalls, shield};
pub use disk::durability_of;
pub use facts::{Facts, Finding};
pub use filter::Profile;
pub use kernel::effective_user;
pub use measure::{Measure, UnknownMeasure};
pub use probe::{PROBE_ARGUMENT, answer_if_asked};
pub use secret::{Backing, Secret, SecretError, SecretPages};
pub use start::{CleanStart, clean_start, keep_few_heaps};
pub use table::{Row, State, Table, judge};
