//! Whole runs of the real command as text: `tests/cli/*.txt`, each in an empty directory of its
//! own.
//!
//! A line that starts with `$ ` goes to a shell; below it stand standard output as it is, standard
//! error with `2> ` before each line, and `=> N` if the exit status is not 0. Lines that start with
//! `#: ` are remarks. `tests/cli/tools.sh` defines the few shell functions that the runs use. What
//! changes from run to run is replaced by a name in brackets. After a wanted change, write the
//! files anew with `OVERWRITE=1 cargo test -p palisade-cli --test cli_transcripts` and read the
//! difference.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod sandbox;

use std::collections::BTreeSet;
use std::path::PathBuf;

use sandbox::Sandbox;

macro_rules! transcripts {
    ($($name:ident),* $(,)?) => {
        const LISTED: &[&str] = &[$(stringify!($name)),*];
        $(#[test]
        fn $name() {
            check(stringify!($name));
        })*
    };
}

transcripts!(
    completions,
    help,
    history,
    homes,
    keystores,
    raw_keys,
    running,
    service,
    session_keys,
    stop_line,
    tls,
    unlock
);

#[test]
fn every_transcript_is_run() {
    let found: BTreeSet<String> = std::fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(found, LISTED.iter().map(|name| (*name).to_owned()).collect());
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cli")
}

fn check(name: &str) {
    let path = directory().join(format!("{name}.txt"));
    let wanted = std::fs::read_to_string(&path).unwrap();
    let sandbox = Sandbox::new();
    let mut found = String::new();
    for line in wanted.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            found.push_str(&format!("{line}\n{}", sandbox.run(command).transcript()));
        } else if line.starts_with("#: ") {
            found.push_str(&format!("{line}\n"));
        }
    }
    if std::env::var_os("OVERWRITE").is_some() {
        std::fs::write(&path, found).unwrap();
        return;
    }
    assert!(found == wanted, "{} differs:\n{}", path.display(), difference(&wanted, &found));
}

/// The lines from the first that differs on, a few of each.
fn difference(wanted: &str, found: &str) -> String {
    let same = wanted.lines().zip(found.lines()).take_while(|(left, right)| left == right).count();
    let excerpt = |sign: char, text: &str| -> String {
        text.lines().skip(same).take(12).map(|line| format!("{sign} {line}\n")).collect()
    };
    let before: String = wanted.lines().take(same).collect::<Vec<_>>().join("\n");
    let command = before.rsplit("\n$ ").next().and_then(|rest| rest.lines().next()).unwrap_or("");
    format!("after $ {command}\n{}{}", excerpt('-', wanted), excerpt('+', found))
}
