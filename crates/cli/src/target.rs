//! Which home, and whether a guard runs on it: the same request goes to the one or the other.

use std::path::PathBuf;

use palisade_server::admin::{Answer, Parts, Request, client, execute};
use palisade_server::home::Home;

use crate::failure::Failure;
use crate::unlock;

/// The home that the arguments and the environment name.
pub(crate) fn home(named: Option<PathBuf>) -> Result<Home, Failure> {
    if let Some(path) = named {
        return Ok(Home::at(path));
    }
    let data = std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share")));
    data.map(|data| Home::at(data.join("palisade")))
        .ok_or_else(|| Failure::Usage("no home: give --home DIR, or set PALISADE_HOME".to_owned()))
}

/// Asks the guard that runs on the home, or opens the home and does it here.
pub(crate) fn ask(home: &Home, request: Request) -> Result<Answer, Failure> {
    if home.is_in_use()? {
        return client::ask(&home.socket_path(), &request).map_err(Failure::from);
    }
    let secret = unlock::secret_of(home)?;
    let mut open = home.open(&secret)?;
    let parts = Parts {
        store: &mut open.store,
        vault: &mut open.vault,
        network: &open.network,
        running: false,
    };
    execute(request, parts).map_err(Failure::from)
}
