//! The arrows between crates, read from their manifests.
//!
//! Invariants: arrows only point down, siblings do not use each other, nothing depends on the
//! edges; a new crate or a new arrow is a change of the design and fails here first.

use toml::{Table, Value};

use super::Finding;

/// Every crate and the crates of ours that it may use, in tests too.
const ARROWS: &[(&str, &[&str])] = &[
    ("protect", &[]),
    ("ethereum", &["protect"]),
    ("substrate", &["protect"]),
    ("store", &["protect"]),
    ("keys", &["protect", "sandbox"]),
    ("server", &["protect", "ethereum", "substrate", "store", "keys"]),
    // Knows nothing of ours, so that the only `unsafe` can be read alone.
    ("sandbox", &[]),
    ("cli", &["protect", "ethereum", "substrate", "store", "keys", "server", "sandbox"]),
    // In the workspace of `e2e/substrate`: for builders of nodes, it links no other crate of ours.
    ("node-keystore", &[]),
    // A workspace of its own: it feeds foreign bytes to every parser.
    ("fuzz", &["protect", "ethereum", "substrate", "store", "keys", "server"]),
];

/// The crate that may hold `unsafe`, with lints of its own.
pub(super) const UNSAFE_CRATE: &str = "sandbox";

const PREFIX: &str = "palisade-";
const TEST_KIND: &str = "dev-dependencies";
const KINDS: [&str; 3] = ["dependencies", TEST_KIND, "build-dependencies"];

/// One crate as its manifest describes it.
pub(super) struct Manifest {
    path: String,
    table: Table,
}

impl Manifest {
    pub(super) fn parse(path: &str, text: &str) -> Result<Self, toml::de::Error> {
        Ok(Self { path: path.to_owned(), table: text.parse()? })
    }

    /// The folder's name.
    fn folder(&self) -> &str {
        self.path.rsplit('/').nth(1).unwrap_or_default()
    }

    /// Every dependency, for every platform, by the name of its package; with those of `tests` or
    /// without.
    fn dependencies(&self, tests: bool) -> Vec<(String, &Value)> {
        let platforms = self.table.get("target").and_then(Value::as_table);
        let mut tables = vec![&self.table];
        tables.extend(platforms.into_iter().flat_map(Table::values).filter_map(Value::as_table));
        let kinds = KINDS.into_iter().filter(move |kind| tests || *kind != TEST_KIND);
        let sections =
            tables.into_iter().flat_map(|table| kinds.clone().map(|kind| table.get(kind)));
        let entries = sections.flatten().filter_map(Value::as_table).flatten();
        entries.map(|(name, value)| (package_name(name, value), value)).collect()
    }

    /// Whether a block of `unsafe` that does not say why it is sound is an error.
    fn explains_unsafe(&self) -> bool {
        let clippy = self.text("lints", "clippy").and_then(Value::as_table);
        let level = clippy.and_then(|lints| lints.get("undocumented_unsafe_blocks"));
        level.and_then(Value::as_str) == Some("deny")
    }

    fn text(&self, section: &str, field: &str) -> Option<&Value> {
        self.table.get(section)?.get(field)
    }
}

/// A dependency may be renamed; what counts is the package.
fn package_name(name: &str, value: &Value) -> String {
    value.get("package").and_then(Value::as_str).unwrap_or(name).to_owned()
}

pub(super) fn check(manifest: &Manifest) -> Vec<Finding> {
    let checks = [check_arrows, check_name, check_lints, check_danger];
    checks.iter().flat_map(|check| check(manifest)).collect()
}

fn check_arrows(manifest: &Manifest) -> Vec<Finding> {
    let finding = |message| Finding::new(&manifest.path, 0, message);
    let folder = manifest.folder();
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == folder) else {
        return vec![finding(format!("new crate `{folder}`: give it a place in ARROWS"))];
    };
    let ours = manifest.dependencies(true).into_iter().filter_map(|(package, _)| {
        let name = package.strip_prefix(PREFIX)?;
        // A crate may ask for itself with its test doubles switched on.
        (name != folder && !allowed.contains(&name)).then(|| name.to_owned())
    });
    ours.map(|name| finding(format!("`{folder}` must not use `{name}`"))).collect()
}

fn check_name(manifest: &Manifest) -> Vec<Finding> {
    let expected = format!("{PREFIX}{}", manifest.folder());
    let name = manifest.text("package", "name").and_then(Value::as_str).unwrap_or_default();
    if name == expected {
        return Vec::new();
    }
    vec![Finding::new(&manifest.path, 0, format!("`{name}` should be `{expected}`"))]
}

fn check_lints(manifest: &Manifest) -> Vec<Finding> {
    if manifest.folder() == UNSAFE_CRATE && manifest.explains_unsafe() {
        return Vec::new();
    }
    if manifest.text("lints", "workspace") == Some(&Value::Boolean(true)) {
        return Vec::new();
    }
    // A workspace of its own has a table of its own.
    if manifest.table.contains_key("workspace") && manifest.table.contains_key("lints") {
        return Vec::new();
    }
    vec![Finding::new(&manifest.path, 0, "add `[lints] workspace = true`")]
}

/// A feature that weakens safety is switched on by hand or not at all, and what an intruder would
/// try is in tests alone.
fn check_danger(manifest: &Manifest) -> Vec<Finding> {
    let named = |tables: Vec<&Value>, word: &'static str| -> Vec<String> {
        let names = tables.into_iter().filter_map(Value::as_array).flatten();
        let names = names.filter_map(Value::as_str).filter(move |name| name.contains(word));
        names.map(ToOwned::to_owned).collect()
    };
    let asked = |tests: bool| {
        let mut asked: Vec<&Value> = manifest.text("features", "default").into_iter().collect();
        let dependencies = manifest.dependencies(tests).into_iter();
        asked.extend(dependencies.filter_map(|(_, value)| value.get("features")));
        asked
    };
    let mut found = named(asked(true), "danger");
    found.extend(named(asked(false), "forbidden"));
    // A feature that passes it on would bring it into a program as well.
    let features = manifest.table.get("features").and_then(Value::as_table);
    found.extend(named(features.into_iter().flat_map(Table::values).collect(), "forbidden"));
    found
        .iter()
        .map(|name| Finding::new(&manifest.path, 0, format!("`{name}` must not be on by default")))
        .collect()
}

#[cfg(test)]
mod tests {
    //! Each check finds what it is for.

    use super::*;

    fn messages(folder: &str, text: &str) -> Vec<String> {
        let text =
            format!("[package]\nname = \"palisade-{folder}\"\n[lints]\nworkspace = true\n{text}");
        let manifest = Manifest::parse(&format!("crates/{folder}/Cargo.toml"), &text).unwrap();
        check(&manifest).into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn an_allowed_arrow_passes() {
        let text = "[dependencies]\npalisade-protect = { workspace = true }\nserde = \"1\"";
        assert!(messages("store", text).is_empty());
    }

    #[test]
    fn a_new_arrow_is_found_in_every_kind_and_under_any_name() {
        let spellings = [
            "[dependencies]\npalisade-store = { workspace = true }",
            "[dev-dependencies]\npalisade-store.workspace = true",
            "[build-dependencies]\npalisade-store = \"0.1\"",
            "[target.'cfg(unix)'.dependencies]\npalisade-store = { workspace = true }",
            "[dependencies]\nledger = { package = \"palisade-store\", path = \"../store\" }",
        ];
        for text in spellings {
            assert_eq!(messages("keys", text), ["`keys` must not use `store`"], "{text}");
        }
        let upwards = "[dependencies]\npalisade-server = { workspace = true }";
        assert_eq!(messages("protect", upwards), ["`protect` must not use `server`"]);
    }

    #[test]
    fn a_new_crate_is_found() {
        assert_eq!(messages("extra", ""), ["new crate `extra`: give it a place in ARROWS"]);
    }

    #[test]
    fn a_wrong_name_and_missing_lints_are_found() {
        let text = "[package]\nname = \"palisade-vault\"";
        let manifest = Manifest::parse("crates/keys/Cargo.toml", text).unwrap();
        let found = check(&manifest);
        assert_eq!(found[0].message, "`palisade-vault` should be `palisade-keys`");
        assert_eq!(found[1].message, "add `[lints] workspace = true`");
    }

    #[test]
    fn danger_by_default_is_found() {
        let found = ["`danger-no-protection` must not be on by default"];
        let default = "[features]\ndanger-no-protection = []\ndefault = [\"danger-no-protection\"]";
        assert_eq!(messages("protect", default), found);
        let asked = "[dependencies.palisade-protect]\nworkspace = true\n\
                     features = [\"danger-no-protection\"]";
        assert_eq!(messages("store", asked), found);
        let forwarded = "[features]\ndanger-no-protection = [\"palisade-protect/danger\"]";
        assert!(messages("cli", forwarded).is_empty());
    }

    #[test]
    fn forbidden_acts_outside_of_tests_are_found() {
        let found = ["`forbidden-acts` must not be on by default"];
        let asked = |kind| {
            format!("[{kind}.palisade-sandbox]\nworkspace = true\nfeatures = [\"forbidden-acts\"]")
        };
        assert_eq!(messages("cli", &asked("dependencies")), found);
        assert_eq!(messages("cli", &asked("build-dependencies")), found);
        assert!(messages("cli", &asked("dev-dependencies")).is_empty());
        let forwarded = "[features]\nextra = [\"palisade-sandbox/forbidden-acts\"]";
        let found = ["`palisade-sandbox/forbidden-acts` must not be on by default"];
        assert_eq!(messages("cli", forwarded), found);
        assert!(messages("sandbox", "[features]\nforbidden-acts = []").is_empty());
    }
}
