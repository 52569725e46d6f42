//! Many keys at once: all of them come in, or none.
//!
//! [`plan`] finds the files and their passwords, [`decrypt_all`] opens them in parallel;
//! [`raw_hex`] and [`secret_lines`] read secrets in clear, one a line; [`node_keystore`] reads the
//! directory in which a Substrate node keeps its keys. Invariants: every file at fault is listed,
//! not only the first; the walk through directories is bounded and ends on loops of symbolic links;
//! the memory that key derivations take together is bounded; errors name files and line numbers,
//! never their content.

mod decrypt;
mod error;
mod node;
mod plan;
mod raw;
mod walk;

pub use decrypt::{ImportedKey, decrypt_all, decrypt_each};
pub use error::{BadFile, BadFiles, FileProblem, PlanError};
pub use node::{NodeKey, NodeKeystore, NodeKeystoreError, node_keystore};
pub use plan::{Passwords, Plan, plan};
pub use raw::{LineError, LineProblem, raw_hex, secret_lines};
pub use walk::MAX_FILES;
