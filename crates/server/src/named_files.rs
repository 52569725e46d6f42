//! Files outside of the home that the configuration names, so that a guard which may open nothing
//! else can still read them.
//!
//! A renewed certificate is another file under the same name, and the kernel's rules are about
//! files, not names: what is allowed is the directory that holds the file. A directory that belongs
//! to the whole system is not allowed whole; there the guard reads the one file, and a new one only
//! after a restart.

use std::path::{Path, PathBuf};

use crate::config::Config;

/// Directories of which a guard must not read all.
const SHARED: &[&str] = &[
    "/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/media", "/mnt", "/opt", "/proc",
    "/root", "/run", "/srv", "/sys", "/tmp", "/usr", "/var", "/var/lib", "/var/run", "/var/tmp",
];

/// The files and directories that a guard reads besides its home. Only those that exist: that one
/// is missing is told by whoever opens it.
#[must_use]
pub fn read_only(home: &Path, config: &Config) -> Vec<PathBuf> {
    let tls = config.listen.tls.as_ref();
    let of_tls =
        tls.map(|tls| [Some(&tls.certificate), Some(&tls.key), tls.client_authorities.as_ref()]);
    let of_clients = config.clients.iter().filter_map(|client| client.token_file.as_ref());
    let named =
        of_tls.into_iter().flatten().flatten().chain(of_clients).map(|file| home.join(file));
    let network = home.join(&config.network);
    let real_home = home.canonicalize().unwrap_or_else(|_| home.to_owned());
    let outside = named.chain([network]).filter_map(|file| file.canonicalize().ok());
    let outside = outside.filter(|file| !file.starts_with(&real_home)).map(holder);
    let mut all: Vec<PathBuf> = outside.collect();
    all.sort();
    all.dedup();
    all
}

fn holder(file: PathBuf) -> PathBuf {
    match file.parent() {
        Some(parent) if !SHARED.iter().any(|shared| parent == Path::new(shared)) => {
            parent.to_owned()
        }
        _ => file,
    }
}
