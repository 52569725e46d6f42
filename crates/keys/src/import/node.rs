//! The keystore directory of a Substrate node: one file a key, in clear.
//!
//! A file's name is the hexadecimal digits of the key type's four letters and of the public key;
//! its content is the secret URI as a JSON string (`sc-keystore`, `LocalKeystore`).
//!
//! Invariants: name, secret and type must agree for every file, or nothing is taken; every file at
//! fault is listed, not only the first; links, directories and files of another kind are refused
//! and not followed; nothing here writes, so no further copy of a secret in clear comes into being.

use std::fmt;
use std::fs::{self, DirEntry};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use palisade_protect::KeyType;
use zeroize::Zeroizing;

use super::{BadFile, BadFiles, FileProblem};
use crate::{Password, Scheme, SessionPublicKey, SessionSecretKey, files};

/// A node has about ten keys, and some for each change of them.
const MAX_NODE_KEYS: usize = 10_000;
/// A secret URI as a JSON string.
const MAX_FILE_BYTES: u64 = 4096;
/// Others than its owner read or change a file.
const OPEN_FILE: u32 = 0o077;
/// Others than its owner change a directory; the names in it are no secret.
const OPEN_DIRECTORY: u32 = 0o022;

/// One key of a node.
pub struct NodeKey {
    /// What it is for.
    pub key_type: KeyType,
    /// The key.
    pub secret: SessionSecretKey,
}

/// All keys of a directory that were asked for.
pub struct NodeKeystore {
    /// In the order of their files' names.
    pub keys: Vec<NodeKey>,
    /// Files of key types that were not asked for.
    pub left_out: Vec<PathBuf>,
    /// Files that others than their owner may read or change; the directory, if they may change it.
    pub open_to_others: Vec<PathBuf>,
}

/// Why a node's keystore was not read; nothing of it was taken.
#[derive(Debug)]
#[non_exhaustive]
pub enum NodeKeystoreError {
    /// The directory could not be read.
    Unreadable {
        /// The directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// More files than a node's keystore has.
    TooMany(PathBuf),
    /// No key in it, or none of the types that were asked for.
    Nothing(PathBuf),
    /// Files that stand in the way.
    Files(BadFiles),
}

/// Reads the keys of these types, or of all when none is named. `password` is the node's, if it has
/// one (`--password`); it is part of every phrase that does not name one itself.
///
/// # Errors
/// [`NodeKeystoreError`]
pub fn node_keystore(
    directory: &Path,
    types: &[KeyType],
    password: Option<&Password>,
) -> Result<NodeKeystore, NodeKeystoreError> {
    let mut found = NodeKeystore { keys: Vec::new(), left_out: Vec::new(), open_to_others: vec![] };
    let mut bad = Vec::new();
    if has_mode(directory, OPEN_DIRECTORY) {
        found.open_to_others.push(directory.to_owned());
    }
    for entry in entries(directory)? {
        let path = entry.path();
        match read_entry(&entry, types, password) {
            Ok(Some(key)) => {
                if has_mode(&path, OPEN_FILE) {
                    found.open_to_others.push(path);
                }
                found.keys.push(key);
            }
            Ok(None) => found.left_out.push(path),
            Err(problem) => bad.push(BadFile { path, problem }),
        }
    }
    if !bad.is_empty() {
        return Err(NodeKeystoreError::Files(BadFiles(bad)));
    }
    if found.keys.is_empty() {
        return Err(NodeKeystoreError::Nothing(directory.to_owned()));
    }
    Ok(found)
}

/// In the order of their names.
fn entries(directory: &Path) -> Result<Vec<DirEntry>, NodeKeystoreError> {
    let unreadable = |source| NodeKeystoreError::Unreadable { path: directory.to_owned(), source };
    let mut entries = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        entries.push(entry.map_err(unreadable)?);
        if MAX_NODE_KEYS < entries.len() {
            return Err(NodeKeystoreError::TooMany(directory.to_owned()));
        }
    }
    entries.sort_by_key(DirEntry::file_name);
    Ok(entries)
}

/// `None` for a key of a type that was not asked for.
fn read_entry(
    entry: &DirEntry,
    types: &[KeyType],
    password: Option<&Password>,
) -> Result<Option<NodeKey>, FileProblem> {
    let name = entry.file_name();
    let named = name.to_str().and_then(|name| hex::decode(name).ok());
    let named = named.ok_or(FileProblem::NotOfANode)?;
    let (letters, public_key) = named.split_first_chunk::<4>().ok_or(FileProblem::NotOfANode)?;
    let key_type = KeyType(*letters);
    if !types.is_empty() && !types.contains(&key_type) {
        return Ok(None);
    }
    if !entry.file_type().map_err(FileProblem::Unreadable)?.is_file() {
        return Err(FileProblem::NotAFile);
    }
    if !KeyType::ALL.contains(&key_type) {
        return Err(FileProblem::OtherKeyType(key_type));
    }
    let of_scheme = |scheme: &Scheme| SessionPublicKey::new(*scheme, public_key).ok();
    let public_keys: Vec<_> = Scheme::for_key_type(key_type).iter().filter_map(of_scheme).collect();
    if public_keys.is_empty() {
        return Err(FileProblem::NotOfANode);
    }
    let uri = secret_uri(&entry.path(), password)?;
    for known in public_keys {
        let secret = SessionSecretKey::from_uri(known.scheme(), &uri).map_err(FileProblem::Uri)?;
        if secret.public_key() == known {
            return Ok(Some(NodeKey { key_type, secret }));
        }
    }
    Err(FileProblem::OtherKey)
}

fn secret_uri(path: &Path, password: Option<&Password>) -> Result<Zeroizing<String>, FileProblem> {
    let bytes = files::read_bounded(path, MAX_FILE_BYTES).map_err(FileProblem::Unreadable)?;
    let uri: Zeroizing<String> =
        serde_json::from_slice(&bytes).map_err(|_| FileProblem::NotAString)?;
    match password {
        Some(password) if !uri.contains("///") => {
            Ok(Zeroizing::new(format!("{}///{}", uri.as_str(), password.as_typed())))
        }
        _ => Ok(uri),
    }
}

fn has_mode(path: &Path, any_of: u32) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & any_of != 0)
}

impl fmt::Display for NodeKeystoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, source } => write!(f, "{}: {source}", path.display()),
            Self::TooMany(path) => write!(
                f,
                "{}: more than {MAX_NODE_KEYS} files, so this is no node's keystore",
                path.display()
            ),
            Self::Nothing(path) => write!(
                f,
                "{}: no key to import; a node keeps its keys in BASE-PATH/chains/CHAIN/keystore",
                path.display()
            ),
            Self::Files(files) => files.fmt(f),
        }
    }
}

impl std::error::Error for NodeKeystoreError {}
