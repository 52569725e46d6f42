//! Which program `palisade service install` lets systemd start: looked at in a mount namespace of
//! its own, where the program lies in places that nobody would give it.
#![allow(clippy::print_stderr, reason = "a test that cannot be done says so")]

use std::process::{Command, Output};

use crate::support::home::text;

/// Runs the program from `/opt/{place}`, after the shell did this there. Nothing is installed.
fn asked_from(place: &str, prepared: &str) -> Option<Output> {
    let script = format!(
        "set -e; mount -t tmpfs -o mode=755 none /opt; program='/opt/{place}'
         units=/usr/lib/systemd/system
         [ ! -e $units/palisade.service ] || mount -t tmpfs none $units
         mkdir -p \"$(dirname \"$program\")\"; cp '{}' \"$program\"; {prepared}
         trap 'echo prepared >&2' EXIT; \"$program\" service install",
        env!("CARGO_BIN_EXE_palisade")
    );
    let mut command = Command::new("unshare");
    let output = command.args(["-m", "sh", "-c", &script]).output().unwrap();
    let is_prepared = text(&output.stderr).contains("prepared");
    if !is_prepared {
        eprintln!("!! SKIPPED: a program in /opt: {}", text(&output.stderr));
    }
    is_prepared.then_some(output)
}

#[test]
fn a_program_that_only_root_may_exchange_is_put_into_the_unit() {
    let Some(output) = asked_from("tools-1.0/palisade", ":") else { return };
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}{}", text(&output.stderr));
    assert!(said.contains("ExecStart=/opt/tools-1.0/palisade --home /var/lib/palisade/home run"));
    assert!(said.contains("ExecPaths=/opt/tools-1.0/palisade /usr/bin/kill"), "{said}");
    assert!(said.contains("Nothing was changed."), "{said}");
}

#[test]
fn a_program_that_somebody_else_could_exchange_is_refused_and_the_place_is_named() {
    for (prepared, why) in [
        ("chmod 775 /opt/a/palisade", "/opt/a/palisade has mode 0775"),
        ("chmod 757 /opt/a/palisade", "/opt/a/palisade has mode 0757"),
        ("chown 65534 /opt/a/palisade", "/opt/a/palisade belongs to user 65534"),
        ("chmod 775 /opt/a", "/opt/a has mode 0775"),
        ("chmod 1777 /opt/a", "/opt/a has mode 1777"),
        ("chown 65534 /opt/a", "/opt/a belongs to user 65534"),
        ("chmod 777 /opt", "/opt has mode 0777"),
        // A link to the program is not what systemd is told.
        (
            "mkdir /opt/b; chmod 777 /opt/b; mv /opt/a/palisade /opt/b; \
          ln -s /opt/b/palisade /opt/a/palisade",
            "/opt/b has mode 0777",
        ),
    ] {
        let Some(output) = asked_from("a/palisade", prepared) else { return };
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{prepared}: {said}");
        assert!(said.contains(why), "{prepared}: {said}");
        assert!(said.contains("somebody else than root can put another program there"), "{said}");
        assert!(output.stdout.is_empty(), "{prepared}: {}", text(&output.stdout));
    }
}

#[test]
fn a_name_that_systemd_would_read_otherwise_is_refused() {
    for place in ["100%n/palisade", "$HOME/palisade", "a b/palisade", "a\"b/palisade", "pali;sade"]
    {
        let Some(output) = asked_from(place, ":") else { return };
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{place}: {said}");
        assert!(said.contains("systemd would read the name"), "{place}: {said}");
        assert!(said.contains("/usr/local/bin/palisade"), "{place}: {said}");
    }
}
