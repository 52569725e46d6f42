//! The Debian package of the program under test, made by the very scripts that make the one that
//! ships, and its bill of materials.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    missing_docs,
    reason = "tests fail by panicking"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const PACKAGE: &str = concat!("palisade_", env!("CARGO_PKG_VERSION"));

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

fn script(name: &str) -> Command {
    let mut command = Command::new(repository().join("scripts").join(name));
    command.env("SOURCE_DATE_EPOCH", "1700000000").env("COMPRESSION", "gzip");
    command
}

fn is_installed(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        eprintln!("SKIPPED: there is no {program}");
    }
    found
}

/// What `scripts/deb` starts from, without the megabytes of debugging.
fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("palisade");
    run(Command::new("strip").arg("-o").arg(&program).arg(env!("CARGO_BIN_EXE_palisade")));
    run(script("sbom").arg(directory.path().join("palisade.cdx.json")));
    directory
}

/// The only package there.
fn package_in(directory: &Path) -> PathBuf {
    let packages: Vec<PathBuf> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .collect();
    let [package] = packages.as_slice() else { panic!("{packages:?}") };
    package.clone()
}

#[test]
fn the_package_holds_what_a_system_needs_and_is_the_same_twice() {
    if !["dpkg-deb", "strip", "objdump"].into_iter().all(is_installed) {
        return;
    }
    let directory = directory();
    let sums = || std::fs::read_to_string(directory.path().join("SHA256SUMS")).unwrap();
    run(script("deb").arg(directory.path()));
    let first = sums();
    assert!(first.contains(PACKAGE), "{first}");
    run(script("deb").arg(directory.path()));
    assert_eq!(sums(), first, "the same files give the same package");
    let said = run(script("check-deb").arg(package_in(directory.path())));
    assert!(said.contains("in order"), "{said}");
}

/// Under systemd as the first process of a system of its own, installed from the package.
#[test]
fn the_service_keeps_what_its_document_promises() {
    if !["dpkg-deb", "strip", "objdump"].into_iter().all(is_installed) {
        return;
    }
    let directory = directory();
    run(script("deb").arg(directory.path()));
    let mut command = Command::new(repository().join("e2e/service/run"));
    let output = command.arg(package_in(directory.path())).output().unwrap();
    let said = format!("{output:?}").replace("\\n", "\n");
    if output.status.code() == Some(77) {
        eprintln!("{said}");
        return;
    }
    assert!(output.status.success() && said.contains("keeps what it promises"), "{said}");
}

#[test]
fn a_package_that_starts_a_signer_or_opens_a_file_to_others_is_refused() {
    if !is_installed("dpkg-deb") {
        return;
    }
    let directory = directory();
    run(script("deb").arg(directory.path()));
    let tree = directory.path().join("tree");
    let package = directory.path().join("changed.deb");
    let good = package_in(directory.path());
    let mark = std::str::from_utf8(palisade_sandbox::acts::MARK).unwrap();
    let with_acts = format!("printf '{mark}' >> usr/bin/palisade");
    for (change, said) in [
        (with_acts.as_str(), "the program holds what only tests may hold"),
        ("echo '    systemctl enable --now palisade' >> DEBIAN/postinst", "postinst does too much"),
        ("echo '    rm -rf /var/lib/palisade' >> DEBIAN/postrm", "postrm does too much"),
        ("chmod 666 usr/lib/systemd/system/palisade.service", "others may write"),
        ("mkdir -p var/lib/palisade", "the service would be on, or have a home"),
        ("rm usr/lib/sysusers.d/palisade.conf", "there is no usr/lib/sysusers.d/palisade.conf"),
    ] {
        let shell = format!(
            "rm -rf {tree} && dpkg-deb --raw-extract {good} {tree} && cd {tree} && {change} && \
             dpkg-deb --root-owner-group -Znone --build {tree} {package}",
            tree = tree.display(),
            good = good.display(),
            package = package.display(),
        );
        run(Command::new("sh").args(["-c", &shell]));
        let output = script("check-deb").arg(&package).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{change}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains(said), "{change}: {stderr}");
    }
}

#[test]
fn the_bill_of_materials_names_every_crate_that_is_locked_with_its_checksum() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("palisade.cdx.json");
    run(script("sbom").arg(&file));
    let text = std::fs::read_to_string(&file).unwrap();
    let bill: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(bill["bomFormat"], "CycloneDX");
    assert_eq!(bill["metadata"]["component"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(bill["metadata"]["timestamp"], "2023-11-14T22:13:20Z");
    let lock: toml::Table =
        std::fs::read_to_string(repository().join("Cargo.lock")).unwrap().parse().unwrap();
    let field = |one: &toml::Value, name: &str| -> String {
        one.get(name).and_then(toml::Value::as_str).unwrap_or_default().to_owned()
    };
    let locked: BTreeSet<(String, String, String)> = lock["package"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (field(one, "name"), field(one, "version"), field(one, "checksum")))
        .collect();
    let parts = bill["components"].as_array().unwrap();
    assert!(parts.len() > 200, "{}", parts.len());
    for part in parts {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let checksum = text(&part["hashes"][0]["content"]);
        let found = (text(&part["name"]), text(&part["version"]), checksum);
        assert!(locked.contains(&found), "{found:?} is not in Cargo.lock");
    }
    // Every crate of ours below the program is in it; the tools of the tests are not.
    let names: BTreeSet<&str> = parts.iter().filter_map(|part| part["name"].as_str()).collect();
    for name in ["protect", "ethereum", "substrate", "store", "keys", "server"] {
        assert!(names.contains(format!("palisade-{name}").as_str()), "{name}");
    }
    assert!(!names.contains("proptest"));
    run(script("sbom").arg(&file));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text, "the same twice");
}
