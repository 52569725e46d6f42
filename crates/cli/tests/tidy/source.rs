//! What no source file may hold, found in its tokens, so that comments and texts do not count.
//!
//! Decides: opening, length and width of files, length of functions, banned words with their
//! replacement, who may implement `Ledger`, purity of `protect`, and reasons for allowed lints.

use proc_macro2::{Delimiter, Group, LexError, TokenStream, TokenTree};

use super::Finding;
use super::manifest::UNSAFE_CRATE;

const WIDTH_COLUMNS: usize = 100;
const FUNCTION_LINES: usize = 70;
const FILE_LINES: usize = 400;

/// Files that may be longer than [`FILE_LINES`]: path, lines at most, why.
const LONG_FILES: &[(&str, usize, &str)] = &[];

/// Functions that may be longer than [`FUNCTION_LINES`]: path, name, lines at most, why.
const LONG_FUNCTIONS: &[(&str, &str, usize, &str)] = &[];

/// Macros that stand for unfinished work, and what to write.
const BANNED_MACROS: &[(&str, &str)] = &[
    ("todo", "do it, or return an error that says what is missing"),
    ("unimplemented", "do it, or return an error that says what is missing"),
    ("dbg", "use `tracing`, without secrets"),
];

/// Names of modules that say nothing, and what to write.
const BANNED_MODULES: &[&str] = &["utils", "util", "misc", "helpers"];

/// One file: its text, and its tokens without comments.
pub(super) struct Source<'a> {
    path: &'a str,
    text: &'a str,
    tokens: TokenStream,
}

impl<'a> Source<'a> {
    pub(super) fn parse(path: &'a str, text: &'a str) -> Result<Self, LexError> {
        Ok(Self { path, text, tokens: text.parse()? })
    }

    fn finding(&self, line: usize, message: impl Into<String>) -> Finding {
        Finding::new(self.path, line, message)
    }

    fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.contains("/benches/")
    }
}

pub(super) fn check(source: &Source<'_>) -> Vec<Finding> {
    let mut findings = check_opening(source);
    findings.extend(check_lines(source));
    findings.extend(check_module_name(source));
    walk(&source.tokens, &mut |window| {
        findings.extend(check_function(source, window));
        findings.extend(check_words(source, window));
        findings.extend(check_ledger(source, window));
        findings.extend(check_purity(source, window));
        findings.extend(check_reasons(source, window));
    });
    findings
}

/// Exceptions that are no longer needed, or of files that are gone.
pub(super) fn stale_exceptions(files: &[(String, String)]) -> Vec<Finding> {
    let lines = |path: &str| files.iter().find(|(name, _)| name == path).map(|(_, text)| text);
    let mut findings = Vec::new();
    for (path, limit, _) in LONG_FILES {
        let length = lines(path).map_or(0, |text| text.lines().count());
        if length <= FILE_LINES || length < *limit {
            findings.push(Finding::new(path, 0, format!("{length} lines: lower its exception")));
        }
    }
    for (path, name, _, _) in LONG_FUNCTIONS {
        if !lines(path).is_some_and(|text| text.contains(&format!("fn {name}"))) {
            findings.push(Finding::new(path, 0, format!("`{name}` is gone: drop its exception")));
        }
    }
    findings
}

/// Shows every suffix of every group of tokens, from the outside in.
fn walk(tokens: &TokenStream, see: &mut impl FnMut(&[TokenTree])) {
    let trees: Vec<TokenTree> = tokens.clone().into_iter().collect();
    for start in 0..trees.len() {
        see(&trees[start..]);
        if let TokenTree::Group(group) = &trees[start] {
            walk(&group.stream(), see);
        }
    }
}

fn line(tree: &TokenTree) -> usize {
    tree.span().start().line
}

fn is_ident(tree: &TokenTree, name: &str) -> bool {
    matches!(tree, TokenTree::Ident(ident) if *ident == name)
}

fn is_punct(tree: &TokenTree, mark: char) -> bool {
    matches!(tree, TokenTree::Punct(punct) if punct.as_char() == mark)
}

fn check_opening(source: &Source<'_>) -> Vec<Finding> {
    if source.text.starts_with("//! ") {
        return Vec::new();
    }
    vec![source.finding(1, "open with `//!`: what the file decides, and its invariants")]
}

fn check_lines(source: &Source<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, text) in (1..).zip(source.text.lines()) {
        let width = text.chars().count();
        if WIDTH_COLUMNS < width {
            findings.push(source.finding(number, format!("{width} columns, limit 100")));
        }
        if [concat!("TO", "DO"), concat!("FIX", "ME")].iter().any(|mark| text.contains(mark)) {
            findings.push(source.finding(number, "do it, or open an issue"));
        }
    }
    let exception = LONG_FILES.iter().find(|(path, _, _)| *path == source.path);
    let limit = exception.map_or(FILE_LINES, |(_, limit, _)| *limit);
    let length = source.text.lines().count();
    if limit < length {
        findings.push(source.finding(0, format!("{length} lines, limit {limit}: split it")));
    }
    findings
}

fn check_module_name(source: &Source<'_>) -> Vec<Finding> {
    let parts = source.path.trim_end_matches(".rs").split('/');
    let banned = parts.filter(|part| BANNED_MODULES.contains(part));
    banned.map(|part| source.finding(0, format!("`{part}`: name what it is about"))).collect()
}

/// From `fn` to the closing brace.
fn check_function(source: &Source<'_>, window: &[TokenTree]) -> Option<Finding> {
    let [keyword, TokenTree::Ident(name), rest @ ..] = window else { return None };
    if !is_ident(keyword, "fn") {
        return None;
    }
    let ends = rest.iter().take_while(|tree| !is_punct(tree, ';'));
    let body = ends.filter_map(brace_group).next()?;
    let length = body.span_close().end().line - line(keyword) + 1;
    let exception = LONG_FUNCTIONS
        .iter()
        .find(|(path, function, _, _)| *path == source.path && name == function);
    let limit = exception.map_or(FUNCTION_LINES, |(_, _, limit, _)| *limit);
    let message = format!("`{name}` has {length} lines, limit {limit}: split it");
    (limit < length).then(|| source.finding(line(keyword), message))
}

fn brace_group(tree: &TokenTree) -> Option<&Group> {
    match tree {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some(group),
        _ => None,
    }
}

fn check_words(source: &Source<'_>, window: &[TokenTree]) -> Option<Finding> {
    let message = match window {
        [word, ..] if is_ident(word, "unsafe") => {
            let allowed = source.path.starts_with(&format!("crates/{UNSAFE_CRATE}/"));
            (!allowed).then(|| "no `unsafe` here: use a safe library".to_owned())?
        }
        [word, TokenTree::Ident(name), ..] if is_ident(word, "fn") => {
            let name = name.to_string();
            format!("`{name}`: call it `{}`", name.strip_prefix("get_")?)
        }
        [word, TokenTree::Ident(name), ..] if is_ident(word, "mod") => {
            let banned = BANNED_MODULES.iter().any(|banned| name == banned);
            banned.then(|| format!("`{name}`: name what it is about"))?
        }
        [TokenTree::Ident(name), mark, ..] if is_punct(mark, '!') => {
            let (banned, instead) = BANNED_MACROS.iter().find(|(banned, _)| name == banned)?;
            format!("`{banned}!`: {instead}")
        }
        _ => return None,
    };
    Some(source.finding(line(window.first()?), message))
}

/// A ledger that lies breaks every promise, so there is one, in `store`; tests have doubles.
fn check_ledger(source: &Source<'_>, window: &[TokenTree]) -> Option<Finding> {
    let [name, next, ..] = window else { return None };
    let hides = is_ident(next, "for") || is_ident(next, "as");
    let allowed = source.path.starts_with("crates/store/") || source.is_test();
    let found = is_ident(name, "Ledger") && hides && !allowed;
    found.then(|| source.finding(line(name), "only `store` implements `Ledger`"))
}

fn check_purity(source: &Source<'_>, window: &[TokenTree]) -> Option<Finding> {
    let pure = source.path.starts_with("crates/protect/src/");
    let found = pure && is_ident(window.first()?, "std");
    found.then(|| source.finding(line(&window[0]), "`protect` is no_std: use `core` or `alloc`"))
}

/// `#[allow(lint)]` and its relatives say why.
fn check_reasons(source: &Source<'_>, window: &[TokenTree]) -> Option<Finding> {
    let [mark, TokenTree::Group(attribute), ..] = window else { return None };
    let opens = is_punct(mark, '#') || is_punct(mark, '!');
    if !opens || attribute.delimiter() != Delimiter::Bracket {
        return None;
    }
    let mut unexplained = false;
    walk(&attribute.stream(), &mut |inner| {
        if let [word, TokenTree::Group(lints), ..] = inner {
            let lowers = is_ident(word, "allow") || is_ident(word, "expect");
            let explained = lints.stream().into_iter().any(|tree| is_ident(&tree, "reason"));
            unexplained |= lowers && !explained;
        }
    });
    unexplained.then(|| source.finding(line(mark), "say why: `reason = \"...\"`"))
}

#[cfg(test)]
mod tests {
    //! Each check finds what it is for, and nothing in a text or a comment.

    use super::*;

    fn messages_at(path: &str, text: &str) -> Vec<String> {
        let text = format!("//! A sample.\n{text}");
        let found = check(&Source::parse(path, &text).unwrap());
        found.into_iter().map(|finding| format!("{} {}", finding.line, finding.message)).collect()
    }

    fn first_word(text: &str) -> String {
        let found = messages_at("crates/keys/src/sample.rs", text);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        found[0].clone()
    }

    #[test]
    fn a_tidy_file_passes() {
        let text = "/// Not unsafe, no get_ and no todo!.\nfn size() -> &'static str {\n\
                    // unsafe { dbg!(std::mem::size_of::<u8>()) }\n\"fn get_it() { todo!() }\"\n}";
        assert!(messages_at("crates/protect/src/sample.rs", text).is_empty());
    }

    #[test]
    fn a_file_without_opening_is_found() {
        for text in ["", "use std::fs;\n", "// A comment.\n", "\n//! Too late.\n"] {
            let found = check(&Source::parse("crates/cli/src/x.rs", text).unwrap());
            assert!(found[0].message.starts_with("open with"), "{text:?}");
        }
    }

    #[test]
    fn a_wide_line_and_a_long_file_are_found() {
        let wide = format!("// {}", "x".repeat(98));
        assert_eq!(first_word(&wide), "2 101 columns, limit 100");
        assert!(messages_at("crates/cli/src/x.rs", &wide[1..]).is_empty());
        let long = "// line\n".repeat(400);
        assert_eq!(first_word(&long), "0 401 lines, limit 400: split it");
        assert_eq!(first_word(concat!("// TO", "DO: later")), "2 do it, or open an issue");
    }

    #[test]
    fn a_long_function_is_found_wherever_it_stands() {
        let lines = |count: usize| "    work();\n".repeat(count);
        let plain = format!("fn long() {{\n{}}}\n", lines(69));
        assert_eq!(first_word(&plain), "2 `long` has 71 lines, limit 70: split it");
        let method = format!(
            "impl A {{\nasync fn long<T>(self) -> [u8; 2] where T: B {{\n{}}}\n}}",
            lines(80)
        );
        assert_eq!(first_word(&method), "3 `long` has 82 lines, limit 70: split it");
        let short = format!("fn short() {{\n{}}}\n", lines(68));
        assert!(messages_at("crates/cli/src/x.rs", &short).is_empty());
        let declared = format!("trait A {{ fn short(&self); }}\nmod big {{\n{}}}", lines(90));
        assert!(messages_at("crates/cli/src/x.rs", &declared).is_empty());
    }

    #[test]
    fn banned_words_are_found_with_their_replacement() {
        let cases = [
            ("fn get_key() {}", "2 `get_key`: call it `key`"),
            ("mod utils;", "2 `utils`: name what it is about"),
            (
                "fn a() { todo!() }",
                "2 `todo!`: do it, or return an error that says what is missing",
            ),
            ("fn a() { dbg!(1); }", "2 `dbg!`: use `tracing`, without secrets"),
            ("fn a() { unsafe { b() } }", "2 no `unsafe` here: use a safe library"),
        ];
        for (text, expected) in cases {
            assert_eq!(first_word(text), expected);
        }
        let named = messages_at("crates/cli/src/misc.rs", "");
        assert_eq!(named, ["0 `misc`: name what it is about"]);
    }

    #[test]
    fn a_second_ledger_is_found() {
        let hidden = "use palisade_protect::Ledger as Other;";
        for text in ["impl Ledger for Mine {}", "impl<T> protect::Ledger for T {}", hidden] {
            assert_eq!(first_word(text), "2 only `store` implements `Ledger`");
            assert!(messages_at("crates/store/src/sample.rs", text).is_empty());
            assert!(messages_at("crates/server/tests/sample.rs", text).is_empty());
        }
    }

    #[test]
    fn std_in_the_pure_crate_is_found() {
        for text in ["use std::fs;", "extern crate std;", "fn a() { std::process::abort() }"] {
            let found = messages_at("crates/protect/src/sample.rs", text);
            assert_eq!(found, ["2 `protect` is no_std: use `core` or `alloc`"]);
            assert!(messages_at("crates/protect/tests/sample.rs", text).is_empty());
        }
    }

    #[test]
    fn a_lowered_lint_without_reason_is_found() {
        let bare = [
            "#[allow(dead_code)]\nfn a() {}",
            "#[cfg_attr(test, allow(dead_code))]\nfn a() {}",
            "#![allow(dead_code)]",
            "#[expect(dead_code)]\nfn a() {}",
        ];
        for text in bare {
            assert_eq!(first_word(text), "2 say why: `reason = \"...\"`");
        }
        let explained = "#[allow(dead_code, reason = \"read by serde\")]\nfn a() {}";
        assert!(messages_at("crates/cli/src/x.rs", explained).is_empty());
    }
}
