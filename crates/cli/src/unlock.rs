//! Where the secret that opens the sealed keys comes from.
//!
//! In this order: the file that `palisade.toml` names, the systemd credential `palisade-unlock`,
//! `unlock.secret` in the home, a passphrase typed at the terminal. Never an argument, never the
//! environment.

use std::fs::File;
use std::path::PathBuf;

use palisade_keys::{Password, UnlockError, UnlockSecret};
use palisade_server::home::Home;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::failure::Failure;

const CREDENTIAL: &str = "palisade-unlock";

/// The secret of an existing home.
pub(crate) fn secret_of(home: &Home) -> Result<UnlockSecret, Failure> {
    let could_not = |error: UnlockError| Failure::CouldNot(error.to_string());
    if let Some(file) = home.read_config()?.unlock_file {
        return UnlockSecret::from_file(&home.path().join(file)).map_err(could_not);
    }
    if let Some(directory) = std::env::var_os("CREDENTIALS_DIRECTORY") {
        let path = PathBuf::from(directory).join(CREDENTIAL);
        // One that is there but out of reach is an error, not a reason to take another secret.
        let is_there = path.try_exists();
        if is_there.map_err(|error| Failure::io(path.display(), &error))? {
            return UnlockSecret::from_credential(&path).map_err(could_not);
        }
    }
    if home.unlock_path().exists() {
        return UnlockSecret::from_file(&home.unlock_path()).map_err(could_not);
    }
    let no_terminal = format!(
        "no secret to open {} with: there is no {}, palisade.toml names no unlock_file, there is \
         no systemd credential {CREDENTIAL}, and no terminal to ask for a passphrase at",
        home.keys_path().display(),
        home.unlock_path().display(),
    );
    let passphrase = prompt("Passphrase of this home: ", &no_terminal)?;
    UnlockSecret::from_passphrase(passphrase).map_err(could_not)
}

/// A new passphrase, typed twice.
pub(crate) fn new_passphrase() -> Result<UnlockSecret, Failure> {
    let no_terminal = "--passphrase asks at the terminal, and there is none; --unlock-file reads \
                       a file";
    let first = prompt("New passphrase: ", no_terminal)?;
    let second = prompt("The same again: ", no_terminal)?;
    if !bool::from(first.ct_eq(&second)) {
        return Err(Failure::Usage("the two passphrases differ; nothing was made".to_owned()));
    }
    UnlockSecret::from_passphrase(first).map_err(|error| Failure::Usage(error.to_string()))
}

/// Asks at the terminal, without echo; `no_terminal` says what to do when there is none. The
/// process's own terminal is asked, so that standard input can be a pipe.
pub(crate) fn prompt(question: &str, no_terminal: &str) -> Result<Password, Failure> {
    File::open("/dev/tty").map_err(|_| Failure::Usage(no_terminal.to_owned()))?;
    rpassword::prompt_password(question)
        .map(|text| Password::new(Zeroizing::new(text)))
        .map_err(|error| Failure::CouldNot(format!("the terminal gave no passphrase: {error}")))
}
