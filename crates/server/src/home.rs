//! A guard's directory: what lies where, and how it is made and opened.
//!
//! | file | what |
//! |---|---|
//! | `palisade.toml` | what the operator decides |
//! | `network.yaml` | a copy of the network's `config.yaml`, for a network that is not built in |
//! | `store.redb` | records and journal |
//! | `keys/` | the sealed keys |
//! | `unlock.secret` | opens the home key, unless another file was named |
//! | `api-token.txt` | the key manager API's bearer token |
//! | `tls/` | the operator's own authority and what it issued, if `palisade tls` was used |
//! | `lock`, `admin.sock` | of the one process that uses the home |
//!
//! Invariants: a home is made whole or not at all; everything that opens it holds its lock, and has
//! looked who else could write in it.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use palisade_ethereum::Network;
use palisade_keys::{UnlockSecret, Vault};
use palisade_protect::Digest;
use palisade_store::{Creation, HomeLock, LockError, Store};

use crate::config::{self, Config};
use crate::home_access;
pub use crate::home_error::HomeError;

/// The places of a home.
#[derive(Clone, Debug)]
pub struct Home(PathBuf);

/// What a new home is made with.
pub struct NewHome {
    /// A built-in name, or the path of a `config.yaml`.
    pub network: String,
    /// The root to pin; `None` learns it from the first request.
    pub genesis_validators_root: GenesisRoot,
    /// What will open the sealed keys.
    pub unlock: NewUnlock,
}

/// What opens a new home's sealed keys.
pub enum NewUnlock {
    /// A generated secret in the home.
    Generate,
    /// The operator's own file.
    File(PathBuf),
    /// A passphrase.
    Passphrase(UnlockSecret),
}

/// Where a new home's genesis validators root comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GenesisRoot {
    /// The network's own; a network that has none learns it.
    OfNetwork,
    /// Pinned at the first request.
    Learn,
    /// Given by the operator.
    Given(Digest),
}

/// An opened home, locked to this process.
pub struct OpenHome {
    /// The records and the journal.
    pub store: Store,
    /// The sealed keys.
    pub vault: Vault,
    /// The network's profile.
    pub network: Network,
    /// The configuration.
    pub config: Config,
    /// Held until dropped.
    pub lock: HomeLock,
}

impl Home {
    /// The home at this path; nothing is looked at yet.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// `palisade.toml`
    #[must_use]
    pub fn config_path(&self) -> PathBuf {
        self.0.join("palisade.toml")
    }

    /// `store.redb`
    #[must_use]
    pub fn store_path(&self) -> PathBuf {
        self.0.join("store.redb")
    }

    /// `keys/`
    #[must_use]
    pub fn keys_path(&self) -> PathBuf {
        self.0.join("keys")
    }

    /// `admin.sock`
    #[must_use]
    pub fn socket_path(&self) -> PathBuf {
        self.0.join("admin.sock")
    }

    /// `api-token.txt`
    #[must_use]
    pub fn token_path(&self) -> PathBuf {
        self.0.join("api-token.txt")
    }

    /// `unlock.secret`
    #[must_use]
    pub fn unlock_path(&self) -> PathBuf {
        self.0.join("unlock.secret")
    }

    /// Makes a home, in a directory beside it that is renamed when all is written.
    ///
    /// # Errors
    /// [`HomeError`]; nothing is left behind.
    pub fn create(&self, new: &NewHome) -> Result<Network, HomeError> {
        let occupied = fs::read_dir(&self.0).is_ok_and(|mut entries| entries.next().is_some());
        if occupied || self.0.is_file() {
            return Err(HomeError::Configuration(format!(
                "{} exists and is not empty; a home is never written over. Choose another \
                 directory with --home, or remove it if it holds nothing that you need",
                self.0.display()
            )));
        }
        let (network, yaml) = read_network(&new.network)?;
        let staging = self.staging()?;
        let staged = Self(staging.clone());
        let result = staged.fill(new, &network, yaml.as_deref()).and_then(|()| {
            fs::rename(&staging, &self.0).map_err(|error| could_not("rename", &staging, &error))?;
            sync_parent(&self.0)
        });
        if result.is_err() {
            // The error that brought us here is the one to report.
            drop(fs::remove_dir_all(&staging));
        }
        result.map(|()| network)
    }

    /// Locks and opens everything. `unlock` opens the vault.
    ///
    /// # Errors
    /// [`HomeError`] says what is in the way and what to do.
    pub fn open(&self, unlock: &UnlockSecret) -> Result<OpenHome, HomeError> {
        let lock = self.lock()?;
        let config = self.read_config()?;
        self.open_locked(lock, config, unlock)
    }

    /// Takes the home for this process.
    ///
    /// # Errors
    /// [`HomeError`] when there is none, or another process has it.
    pub fn lock(&self) -> Result<HomeLock, HomeError> {
        self.must_exist()?;
        HomeLock::acquire(&self.0).map_err(HomeError::InUse)
    }

    /// Opens everything in a home that is locked, and whose configuration was read.
    ///
    /// # Errors
    /// [`HomeError`] says what is in the way and what to do.
    pub fn open_locked(
        &self,
        lock: HomeLock,
        config: Config,
        unlock: &UnlockSecret,
    ) -> Result<OpenHome, HomeError> {
        let network = self.read_own_network(&config)?;
        let store = Store::open(&self.store_path())?;
        if store.network() != network.name {
            return Err(HomeError::Configuration(format!(
                "palisade.toml says network {:?}, but this home was made for {:?}: records of one \
                 network say nothing about another. Make a new home for the other network",
                network.name,
                store.network()
            )));
        }
        let vault = Vault::open(&self.keys_path(), unlock)?;
        Ok(OpenHome { store, vault, network, config, lock })
    }

    /// Whether another process holds the home: it is then asked over its admin socket.
    ///
    /// # Errors
    /// [`HomeError`] when the lock cannot even be tried.
    pub fn is_in_use(&self) -> Result<bool, HomeError> {
        self.must_exist()?;
        match HomeLock::acquire(&self.0) {
            Ok(lock) => {
                drop(lock);
                Ok(false)
            }
            Err(LockError::Held { .. }) => Ok(true),
            Err(error) => Err(HomeError::InUse(error)),
        }
    }

    /// Reads and parses `palisade.toml`.
    ///
    /// # Errors
    /// [`HomeError::Configuration`] or [`HomeError::CouldNot`].
    pub fn read_config(&self) -> Result<Config, HomeError> {
        self.must_exist()?;
        let path = self.config_path();
        let text = fs::read_to_string(&path).map_err(|error| could_not("read", &path, &error))?;
        Config::parse(&text).map_err(|error| HomeError::Configuration(error.to_string()))
    }

    fn must_exist(&self) -> Result<(), HomeError> {
        home_access::must_be_closed_to_others(&self.0)?;
        let config = self.config_path();
        if config.try_exists().map_err(|error| could_not("look at", &config, &error))? {
            return Ok(());
        }
        Err(HomeError::Configuration(format!(
            "there is no Palisade home at {}; make one with `palisade --home {} init --network \
             NAME`, or name another with --home or PALISADE_HOME",
            self.0.display(),
            self.0.display()
        )))
    }

    fn read_own_network(&self, config: &Config) -> Result<Network, HomeError> {
        match Network::built_in(&config.network) {
            Some(network) => Ok(network),
            None => {
                let path = self.0.join(&config.network);
                read_network_file(&path).map(|(network, _)| network)
            }
        }
    }

    fn staging(&self) -> Result<PathBuf, HomeError> {
        let mut name = self.0.file_name().unwrap_or_default().to_os_string();
        name.push(format!(".new-{}", std::process::id()));
        let staging = self.0.with_file_name(name);
        if let Some(parent) = self.0.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::create_dir_all(parent).map_err(|error| could_not("create", parent, &error))?;
        }
        DirBuilder::new()
            .mode(0o700)
            .create(&staging)
            .map_err(|error| could_not("create", &staging, &error))?;
        Ok(staging)
    }

    fn fill(&self, new: &NewHome, network: &Network, yaml: Option<&str>) -> Result<(), HomeError> {
        let named = if yaml.is_some() { "network.yaml" } else { network.name.as_str() };
        let mut text = config::template(named);
        if let Some(yaml) = yaml {
            write_new(&self.0.join("network.yaml"), 0o644, yaml.as_bytes())?;
        }
        if let NewUnlock::File(file) = &new.unlock {
            let file = fs::canonicalize(file).map_err(|e| could_not("read", file, &e))?;
            let file = file.to_str().ok_or_else(|| {
                HomeError::Configuration("the unlock file's path is not UTF-8".to_owned())
            })?;
            let file = toml::Value::String(file.to_owned());
            let line = format!("\n# Opens the sealed keys.\nunlock_file = {file}\n\n[listen]");
            text = text.replacen("\n[listen]", &line, 1);
        }
        write_new(&self.config_path(), 0o600, text.as_bytes())?;
        let mut token = [0; 32];
        getrandom::fill(&mut token)
            .map_err(|error| HomeError::CouldNot(format!("no randomness: {error}")))?;
        write_new(&self.token_path(), 0o600, format!("{}\n", hex::encode(token)).as_bytes())?;
        let generated;
        let unlock = match &new.unlock {
            NewUnlock::Passphrase(secret) => secret,
            NewUnlock::File(file) => {
                generated = unlock_from(file)?;
                &generated
            }
            NewUnlock::Generate => {
                let path = self.unlock_path();
                Vault::generate_unlock_file(&path)
                    .map_err(|error| HomeError::CouldNot(error.to_string()))?;
                generated = unlock_from(&path)?;
                &generated
            }
        };
        Vault::create(&self.keys_path(), unlock)?;
        let genesis_validators_root = match new.genesis_validators_root {
            GenesisRoot::OfNetwork => network.genesis_validators_root,
            GenesisRoot::Learn => None,
            GenesisRoot::Given(root) => Some(root),
        };
        let creation = Creation { network: network.name.clone(), genesis_validators_root };
        Store::create(&self.store_path(), creation)?;
        Ok(())
    }
}

fn unlock_from(file: &Path) -> Result<UnlockSecret, HomeError> {
    UnlockSecret::from_file(file).map_err(|error| HomeError::CouldNot(error.to_string()))
}

fn read_network(named: &str) -> Result<(Network, Option<String>), HomeError> {
    if let Some(network) = Network::built_in(named) {
        return Ok((network, None));
    }
    let path = Path::new(named);
    if !path.exists() {
        return Err(HomeError::Configuration(format!(
            "{named:?} is neither a built-in network ({}) nor a file",
            Network::BUILT_IN.join(", ")
        )));
    }
    read_network_file(path).map(|(network, text)| (network, Some(text)))
}

fn read_network_file(path: &Path) -> Result<(Network, String), HomeError> {
    let text = fs::read_to_string(path).map_err(|error| could_not("read", path, &error))?;
    let network = Network::from_config_yaml(&text).map_err(|error| {
        HomeError::Configuration(format!(
            "{} is not a network's config.yaml: {error}",
            path.display()
        ))
    })?;
    Ok((network, text))
}

/// Writes a file that is not there yet, durably but for its name in the directory.
pub(crate) fn write_new(path: &Path, mode: u32, bytes: &[u8]) -> Result<(), HomeError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .map_err(|error| could_not("create", path, &error))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(|error| could_not("write", path, &error))
}

/// Makes the names in the directory of `path` durable.
pub(crate) fn sync_parent(path: &Path) -> Result<(), HomeError> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or_else(|| Path::new("."));
    fs::File::open(parent)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| could_not("sync", parent, &error))
}

pub(crate) fn could_not(what: &str, path: &Path, error: &std::io::Error) -> HomeError {
    HomeError::CouldNot(format!("cannot {what} {}: {error}", path.display()))
}
