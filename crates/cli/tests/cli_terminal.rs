//! Passphrases and passwords that are typed: the real command on a pseudo-terminal of script(1).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod sandbox;

use std::io::{Read, Write};
use std::process::Stdio;

use sandbox::Sandbox;

/// Runs a line of shell on a terminal. Types each answer once its question stands there; returns
/// what the terminal showed, and the exit status.
fn on_a_terminal(sandbox: &Sandbox, line: &str, answers: &[(&str, &str)]) -> (String, i32) {
    let tools = sandbox::repository().join("crates/cli/tests/cli/tools.sh");
    let script =
        format!("script --quiet --return --command '. {}; {line}' /dev/null", tools.display());
    let mut child =
        sandbox.shell(&script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut keyboard = child.stdin.take().unwrap();
    let mut screen = child.stdout.take().unwrap();
    let mut shown = String::new();
    for (question, answer) in answers {
        let mut byte = [0];
        while !shown.ends_with(question) {
            assert_eq!(screen.read(&mut byte).unwrap(), 1, "no {question:?} in {shown:?}");
            shown.push(char::from(byte[0]));
        }
        keyboard.write_all(format!("{answer}\n").as_bytes()).unwrap();
    }
    screen.read_to_string(&mut shown).unwrap();
    (shown, child.wait().unwrap().code().unwrap())
}

fn home_with_passphrase() -> Sandbox {
    let sandbox = Sandbox::new();
    let (shown, status) = on_a_terminal(
        &sandbox,
        "palisade --home guard init --network minimal --passphrase",
        &[("New passphrase: ", "correct horse"), ("The same again: ", "correct horse")],
    );
    assert_eq!(status, 0, "{shown}");
    assert!(!sandbox.path().join("guard/unlock.secret").exists());
    sandbox
}

#[test]
fn a_home_opens_with_its_passphrase_and_with_no_other() {
    let sandbox = home_with_passphrase();
    let status = "palisade --home guard status";
    let asked = "Passphrase of this home: ";
    let (shown, code) = on_a_terminal(&sandbox, status, &[(asked, "correct horse")]);
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("network   minimal"), "{shown}");
    let (shown, code) = on_a_terminal(&sandbox, status, &[(asked, "wrong horse")]);
    assert_eq!(code, 3, "{shown}");
    assert!(shown.contains("sealed for a passphrase, but for another one"), "{shown}");
}

#[test]
fn two_passphrases_that_differ_make_nothing() {
    let sandbox = Sandbox::new();
    let (shown, code) = on_a_terminal(
        &sandbox,
        "palisade --home guard init --network minimal --passphrase",
        &[("New passphrase: ", "correct horse"), ("The same again: ", "battery staple")],
    );
    assert_eq!(code, 2, "{shown}");
    assert!(shown.contains("the two passphrases differ; nothing was made"), "{shown}");
    assert!(!sandbox.path().join("guard").exists());
}

#[test]
fn the_passphrase_is_asked_at_the_terminal_while_secrets_come_through_a_pipe() {
    let sandbox = home_with_passphrase();
    let (shown, code) = on_a_terminal(
        &sandbox,
        "secret 0 | palisade --home guard keys import-raw --chain ethereum --type bls --fresh -",
        &[("Passphrase of this home: ", "correct horse")],
    );
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("Imported 1 key."), "{shown}");
}

#[test]
fn a_removal_asks_for_the_passphrase_once() {
    let sandbox = home_with_passphrase();
    let import =
        "secret 0 | palisade --home guard keys import-raw --chain ethereum --type bls --fresh -";
    let asked = "Passphrase of this home: ";
    on_a_terminal(&sandbox, import, &[(asked, "correct horse")]);
    let remove = "palisade --home guard keys remove $key0";
    let (shown, code) = on_a_terminal(&sandbox, remove, &[(asked, "correct horse")]);
    assert_eq!(code, 0, "{shown}");
    assert_eq!(shown.matches(asked).count(), 1, "{shown}");
}

#[test]
fn the_password_of_keystores_can_be_typed() {
    let sandbox = Sandbox::new();
    sandbox.must("palisade --home guard init --network minimal");
    let import = "palisade --home guard keys import --fresh \
                  $REPOSITORY/crates/keys/tests/data/eip2335-pbkdf2.json";
    let asked = "Password of the keystores: ";
    let (shown, code) = on_a_terminal(&sandbox, import, &[(asked, "wrong")]);
    assert_eq!(code, 2, "{shown}");
    let (shown, code) = on_a_terminal(&sandbox, import, &[(asked, "𝔱𝔢𝔰𝔱𝔭𝔞𝔰𝔰𝔴𝔬𝔯𝔡🔑")]);
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("Imported 1 key."), "{shown}");
}
