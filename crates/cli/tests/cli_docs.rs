//! What `docs/` and the README say, against what the program does: every field, code, metric,
//! command and option is there, and nothing is there that is not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod sandbox;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use palisade_protect::RefusalKind;
use palisade_server::config::{Config, Limits, template};
use sandbox::{Sandbox, repository};

fn document(name: &str) -> String {
    let path = repository().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn documents() -> BTreeMap<String, String> {
    let mut names = vec!["README.md".to_owned()];
    for entry in std::fs::read_dir(repository().join("docs")).unwrap() {
        names.push(format!("docs/{}", entry.unwrap().file_name().to_str().unwrap()));
    }
    names.into_iter().map(|name| (name.clone(), document(&name))).collect()
}

/// The first cell of each table row, where it is a word in backquotes.
fn first_cells(text: &str) -> BTreeMap<String, Vec<String>> {
    text.lines()
        .filter_map(|line| {
            let line = line.replace("\\|", "¦");
            let cells: Vec<String> =
                line.strip_prefix("| ")?.split('|').map(|cell| cell.trim().to_owned()).collect();
            let name = cells[0].strip_prefix('`')?.strip_suffix('`')?.to_owned();
            Some((name, cells))
        })
        .collect()
}

fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let start = text.find(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no {heading}"));
    let body = &text[start + 4..];
    body.find("\n## ").map_or(body, |end| &body[..end])
}

/// The fields that the parser itself names when it meets an unknown one.
fn fields_after(toml: &str) -> BTreeSet<String> {
    let error = Config::parse(toml).unwrap_err().to_string();
    let expected = error.rsplit_once("expected ").unwrap_or_else(|| panic!("{error}")).1;
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_field_of_the_configuration_is_documented_and_no_other() {
    let text = document("docs/configuration.md");
    for (heading, toml) in [
        ("Top level", "unknown-field = 1"),
        ("`[listen]`", "network = 'x'\n[listen]\nunknown-field = 1"),
        ("`[listen.tls]`", "network = 'x'\n[listen.tls]\nunknown-field = 1"),
        ("`[metrics]`", "network = 'x'\n[metrics]\nunknown-field = 1"),
        ("`[limits]`", "network = 'x'\n[limits]\nunknown-field = 1"),
        (
            "`[chain.authority_discovery]`",
            "network = 'x'\n[[chain]]\n[chain.authority_discovery]\nunknown-field = 1",
        ),
        ("`[[client]]`", "network = 'x'\n[[client]]\nunknown-field = 1"),
        ("`[[node]]`", "network = 'x'\n[[node]]\nunknown-field = 1"),
        ("`[node.tls]`", "network = 'x'\n[[node]]\n[node.tls]\nunknown-field = 1"),
    ] {
        let wanted = fields_after(toml);
        let mut found: BTreeSet<String> =
            first_cells(section(&text, heading)).into_keys().collect();
        if heading == "`[[client]]`" {
            let operations = "network = 'x'\n[[client]]\nname = 'x'\nallow = ['unknown']";
            for operation in fields_after(operations) {
                assert!(found.remove(&operation), "operation {operation} is not documented");
            }
        }
        assert_eq!(found, wanted, "{heading}");
    }
}

#[test]
fn every_limit_is_documented_with_its_default_and_its_range() {
    let text = document("docs/configuration.md");
    let rows = first_cells(section(&text, "`[limits]`"));
    let limits = Limits::default();
    for (name, default) in [
        ("max_body_bytes", limits.max_body_bytes as u64),
        ("body_timeout_ms", limits.body_timeout_ms),
        ("idle_timeout_ms", limits.idle_timeout_ms),
        ("max_connections", limits.max_connections as u64),
        ("max_queued_requests", limits.max_queued_requests as u64),
        ("drain_timeout_ms", limits.drain_timeout_ms),
    ] {
        let row = &rows[name];
        assert_eq!(row[1], format!("`{default}`"), "{name}");
        let parses = |value: u64| Config::parse(&format!("network='x'\n[limits]\n{name}={value}"));
        let (low, high): (u64, u64) = (row[2].parse().unwrap(), row[3].parse().unwrap());
        assert!(parses(low).is_ok() && parses(high).is_ok(), "{name}: {low} to {high}");
        assert!(parses(high + 1).is_err(), "{name}: above {high}");
        assert!(low == 0 || parses(low - 1).is_err(), "{name}: below {low}");
    }
}

#[test]
fn every_example_of_a_configuration_can_be_used() {
    let home = tempfile::tempdir().unwrap();
    let text = document("docs/configuration.md");
    let mut examples: Vec<&str> =
        text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(examples.len() >= 5, "{}", examples.len());
    let made_by_init = template("mainnet");
    std::fs::write(home.path().join("api-token.txt"), "0123456789abcdef0123456789abcdef").unwrap();
    examples.push(&made_by_init);
    for example in examples {
        let config = Config::parse(example).unwrap_or_else(|error| panic!("{error}\n{example}"));
        config.policy(home.path()).unwrap_or_else(|error| panic!("{error}\n{example}"));
    }
}

/// Words in the sources of the HTTP and admin surface that look like codes and are none.
const NOT_CODES: &[&str] = &[
    "client-authority",
    "default-check",
    "error-count",
    "kebab-case",
    "key-count",
    "keys-check",
    "keys-loaded",
    "no-referrer",
    "no-store",
    "node-client",
    "palisade-session-history",
    "slashing-protection-db-health-check",
];

#[test]
fn every_code_of_an_answer_is_documented_and_no_other() {
    let mut wanted: BTreeSet<String> =
        RefusalKind::ALL.iter().map(|kind| kind.code().to_owned()).collect();
    for file in [
        "crates/ethereum/src/error.rs",
        "crates/ethereum/src/interchange/error.rs",
        "crates/store/src/error.rs",
        "crates/server/src/engine/outcome.rs",
        "crates/server/src/engine/session.rs",
        "crates/substrate/src/error.rs",
    ] {
        let source = document(file);
        let body = source.split("fn code(").nth(1).unwrap_or_else(|| panic!("no code() in {file}"));
        let body = body.split("\n    }\n").next().unwrap();
        let codes: Vec<String> = literals(body).collect();
        assert!(!codes.is_empty(), "{file}");
        wanted.extend(codes);
    }
    for directory in
        ["http", "core", "link", "admin"].map(|name| format!("crates/server/src/{name}"))
    {
        for entry in std::fs::read_dir(repository().join(directory)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                let source = std::fs::read_to_string(path).unwrap();
                let source = source.split("#[cfg(test)]").next().unwrap();
                wanted.extend(literals(source).filter(|word| is_kebab(word)));
            }
        }
    }
    wanted.retain(|code| !NOT_CODES.contains(&code.as_str()));
    let text = document("docs/http.md");
    let codes = section(&text, "Codes").replace("| 4", "|4");
    let mut found: BTreeSet<String> = first_cells(&codes).into_keys().collect();
    // The table of the other 4xx has the status first.
    found.extend(codes.lines().filter_map(|line| {
        let cell = line.strip_prefix("|4")?.split('|').nth(1)?.trim();
        Some(cell.trim_matches('`').to_owned())
    }));
    assert_eq!(found, wanted);
}

fn literals(source: &str) -> impl Iterator<Item = String> {
    source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| line.split('"').skip(1).step_by(2))
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect::<Vec<_>>()
        .into_iter()
}

fn is_kebab(word: &str) -> bool {
    word.contains('-')
        && word.split('-').all(|part| {
            !part.is_empty() && part.chars().all(|letter| letter.is_ascii_lowercase())
        })
        // HTTP header names and media types stand in the same sources.
        && !word.starts_with("content-")
        && !word.starts_with("x-")
}

#[test]
fn every_metric_is_documented_with_its_type_and_labels_and_no_other() {
    let sandbox = Sandbox::new();
    sandbox.must("palisade --home guard init --network minimal --genesis-validators-root learn");
    sandbox.must(
        "secret 0 | palisade --home guard keys import-raw --chain ethereum --type bls --fresh -",
    );
    // Some are there only where TLS is.
    sandbox.must("palisade --home guard tls init --write");
    sandbox.must("palisade --home guard tls client curl --out curl --write");
    // Some where a node is dialled.
    sandbox.must("palisade --home guard tls node node --url wss://127.0.0.1:9 --write");
    sandbox.must(
        "start_guard guard; export CURL_HOME=$PWD; \
         printf 'cacert=curl/ca.pem\\ncert=curl/curl.pem\\nkey=curl/curl.key\\n' > .curlrc; \
         SCHEME=https ask_for_block guard $key0 7 2",
    );
    let served = sandbox.must("curl --silent http://$(metrics guard)/metrics");
    let wanted: BTreeMap<String, String> = served
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        .collect();
    let text = document("docs/metrics.md");
    let rows = first_cells(text.split("\n## ").next().unwrap());
    let found: BTreeMap<String, String> =
        rows.iter().map(|(name, cells)| (name.clone(), cells[1].clone())).collect();
    assert_eq!(found, wanted);
    for (name, cells) in &rows {
        let documented: BTreeSet<&str> = cells[2].split('`').skip(1).step_by(2).collect();
        let served: BTreeSet<&str> = served
            .lines()
            .filter(|line| line.starts_with(name.as_str()) && !line.contains("_bucket"))
            .filter_map(|line| line.split_once('{')?.1.split_once('}'))
            .flat_map(|(labels, _)| labels.split(',').filter_map(|label| label.split('=').next()))
            .collect();
        assert_eq!(documented, served, "labels of {name}");
    }
}

const COMMANDS: [&str; 26] = [
    "init",
    "run",
    "secure check",
    "keys import",
    "keys import-raw",
    "keys list",
    "keys generate",
    "keys prove",
    "keys floor",
    "keys remove",
    "chain add",
    "chain list",
    "history export",
    "history import",
    "stop-line",
    "journal verify",
    "status",
    "tls init",
    "tls client",
    "tls node",
    "tls renew",
    "tls show",
    "service install",
    "service status",
    "service uninstall",
    "completions",
];

#[test]
fn every_command_and_option_is_documented() {
    let sandbox = Sandbox::new();
    let text = document("docs/command-line.md");
    for command in COMMANDS {
        assert!(text.contains(&format!("\n## `palisade {command}")), "{command}");
        let help = sandbox.must(&format!("palisade {command} --help"));
        let options = help.split("Options:").nth(1).unwrap();
        for option in options.split_whitespace().filter(|word| word.starts_with("--")) {
            let option = option.trim_end_matches([',', '.']);
            let documented = text.contains(&format!("`{option}")) || option == "--help";
            assert!(documented, "{command}: {option}");
        }
    }
}

/// Appending `--help` lets the real parser judge the words without doing anything.
#[test]
fn every_command_line_of_the_documents_is_one() {
    let sandbox = Sandbox::new();
    let mut seen = 0;
    for (name, text) in documents() {
        for line in text.lines().filter_map(|line| line.trim().strip_prefix("$ ")) {
            let Some(arguments) = line.strip_prefix("palisade ") else { continue };
            let arguments = arguments.split(['|', '>', '<', ';']).next().unwrap();
            let status = sandbox.run(&format!("palisade {arguments} --help")).status;
            assert_eq!(status, 0, "{name}: {line}");
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn every_link_of_the_documents_leads_somewhere() {
    let mut seen = 0;
    for (name, text) in documents() {
        let directory = repository().join(&name).parent().unwrap().to_owned();
        for target in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if target.starts_with("http") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path =
                if file.is_empty() { repository().join(&name) } else { directory.join(file) };
            assert!(path.exists(), "{name}: {target}");
            assert!(anchor.is_empty() || anchors(&path).contains(anchor), "{name}: {target}");
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}

/// Headings as the anchors that GitHub makes of them.
fn anchors(path: &Path) -> BTreeSet<String> {
    let path: PathBuf = path.to_owned();
    let anchor = |heading: &str| -> String {
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.collect::<String>().replace(' ', "-")
    };
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().filter(|line| line.starts_with('#')).map(anchor).collect()
}

/// The kinds that the metrics have for session keys, as the engine's own source names them.
#[test]
fn every_kind_of_a_session_duty_is_documented() {
    let source = include_str!("../../server/src/engine/session.rs");
    let kinds = source.split("fn kind(&self)").nth(1).unwrap().split("\n    }\n").next().unwrap();
    let kinds: Vec<&str> =
        kinds.split("=> \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(5 < kinds.len(), "{kinds:?}");
    let text = document("docs/metrics.md");
    for kind in kinds.into_iter().chain(["announcement"]) {
        assert!(text.contains(&format!("`{kind}`")), "{kind} is not in docs/metrics.md");
    }
}
