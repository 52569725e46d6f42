//! The style of the house as a test: what a reviewer would otherwise have to look for.
//!
//! Decides: which crate may use which, and what no source file may hold. Each check stands beside
//! the samples that make it fail. Limits may only fall: whoever shortens a file or function on a
//! list below takes it off.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod manifest;
mod source;

use std::fs;
use std::path::{Path, PathBuf};

use manifest::Manifest;
use source::Source;

/// One place that breaks a rule of the house.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    /// Path from the root of the repository.
    path: String,
    /// Counted from 1; 0 for the file as a whole.
    line: usize,
    /// What is wrong and what to do instead.
    message: String,
}

impl Finding {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Every file below `folder` whose name ends in `ending`, without build output.
fn files_below(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            files_below(&path, ending, found);
        } else if path.is_file() && name.ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
}

/// Path from the root with forward slashes, and content, of all such files of ours.
fn our_files(ending: &str) -> Vec<(String, String)> {
    let root = root();
    let mut paths = Vec::new();
    for folder in ["crates", "fuzz"] {
        files_below(&root.join(folder), ending, &mut paths);
    }
    let read = |path: PathBuf| {
        let name = path.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
        (name, fs::read_to_string(&path).unwrap())
    };
    paths.into_iter().map(read).collect()
}

fn assert_tidy(findings: &[Finding], looked_at: usize) {
    assert!(looked_at > 5, "only {looked_at} files found: the test looks in the wrong place");
    let lines = findings
        .iter()
        .map(|finding| format!("\n  {}:{}: {}", finding.path, finding.line, finding.message));
    assert!(findings.is_empty(), "{} places:{}", findings.len(), lines.collect::<String>());
}

#[test]
fn crates_use_only_what_the_design_allows() {
    let manifests: Vec<Manifest> = our_files("Cargo.toml")
        .into_iter()
        .map(|(path, text)| Manifest::parse(&path, &text).unwrap())
        .collect();
    let findings: Vec<Finding> = manifests.iter().flat_map(manifest::check).collect();
    assert_tidy(&findings, manifests.len());
}

#[test]
fn sources_are_in_the_style_of_the_house() {
    let files = our_files(".rs");
    let findings: Vec<Finding> = files
        .iter()
        .flat_map(|(path, text)| source::check(&Source::parse(path, text).unwrap()))
        .collect();
    assert_tidy(&findings, files.len());
}

#[test]
fn no_exception_outlives_its_cause() {
    let files = our_files(".rs");
    let findings = source::stale_exceptions(&files);
    assert_tidy(&findings, files.len());
}
