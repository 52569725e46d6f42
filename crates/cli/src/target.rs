//! Which home, and whether a guard runs on it: the same request goes to the one or the other.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use palisade_server::admin::{Answer, Parts, Request, client, execute};
use palisade_server::home::{Home, HomeError, OpenHome};

use crate::failure::Failure;
use crate::unlock;

/// The variable that names the home when `--home` does not.
const HOME_VARIABLE: &str = "PALISADE_HOME";

/// How long a command waits for another one on the same home.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who does what is asked of a home.
pub(crate) enum Target {
    /// The guard that runs on it, over its admin socket.
    Running(Home),
    /// This process, which holds the home's lock from now on: no guard can start meanwhile.
    Stopped(Box<OpenHome>),
}

impl Target {
    /// Finds out whether a guard runs, and opens the home if none does. Slow or irrevocable work
    /// comes after this, so that a wrong passphrase is found first. Another command on the same
    /// home, and a guard that is starting, are waited for, within [`PATIENCE`].
    pub(crate) fn of(home: &Home) -> Result<Self, Failure> {
        let deadline = Instant::now() + PATIENCE;
        let mut secret = None;
        loop {
            let is_last_attempt = deadline <= Instant::now();
            if home.is_in_use()? {
                if home.socket_path().exists() || is_last_attempt {
                    return Ok(Self::Running(home.clone()));
                }
            } else {
                let secret = match &secret {
                    Some(secret) => secret,
                    None => secret.insert(unlock::secret_of(home)?),
                };
                match home.open(secret) {
                    Err(HomeError::InUse(_)) if !is_last_attempt => {}
                    opened => return Ok(Self::Stopped(Box::new(opened?))),
                }
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Has it done.
    pub(crate) fn ask(&mut self, request: Request) -> Result<Answer, Failure> {
        match self {
            Self::Running(home) => {
                client::ask(&home.socket_path(), &request).map_err(Failure::from)
            }
            Self::Stopped(open) => {
                let OpenHome { store, vault, network, .. } = open.as_mut();
                let parts = Parts { store, vault, network, running: false };
                execute(request, parts).map_err(Failure::from)
            }
        }
    }
}

/// Asks one thing.
pub(crate) fn ask(home: &Home, request: Request) -> Result<Answer, Failure> {
    Target::of(home)?.ask(request)
}

/// The home that the arguments and the environment name. An empty variable counts as unset, a
/// relative `$XDG_DATA_HOME` as well (XDG Base Directory Specification).
pub(crate) fn home(named: Option<PathBuf>) -> Result<Home, Failure> {
    let set = |variable: &str| {
        std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
    };
    let of_user = || {
        set("XDG_DATA_HOME")
            .filter(|path| path.is_absolute())
            .or_else(|| set("HOME").map(|home| home.join(".local/share")))
            .map(|data| data.join("palisade"))
    };
    let path = named.or_else(|| set(HOME_VARIABLE)).or_else(of_user).ok_or_else(|| {
        Failure::Usage(format!("no home: give --home DIR, or set {HOME_VARIABLE}"))
    })?;
    let path = std::path::absolute(&path)
        .map_err(|error| Failure::io(format!("the home {}", path.display()), &error))?;
    Ok(Home::at(path))
}
