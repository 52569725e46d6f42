//! The console in a real browser: headless Chromium, driven over its DevTools pipe, so that the
//! page can be read with scripts switched off.
//!
//! Without Chromium the browser's part says SKIPPED loudly (`CONSOLE_ALLOW_SKIP=0` makes that a
//! failure). `CONSOLE_SCREENSHOTS=DIR` keeps what it looked like.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod browser;
mod sandbox;

use std::path::PathBuf;

use browser::{Browser, Look};
use sandbox::Sandbox;
use serde_json::json;

const HOSTILE_NAME: &str =
    r#"<script>document.title="owned"</script><img src=x onerror=alert(1)>&""#;

/// A guard that signed a block, refused its twin, and holds two keys.
fn busy_guard() -> (Sandbox, String) {
    let sandbox = Sandbox::new();
    sandbox.must("palisade --home guard init --network minimal --genesis-validators-root learn");
    sandbox.must(
        "{ secret 0; secret 1; } | \
         palisade --home guard keys import-raw --chain ethereum --type bls --fresh -",
    );
    let configuration = sandbox.path().join("guard/palisade.toml");
    let text = std::fs::read_to_string(&configuration).unwrap();
    let name = format!("name = '{HOSTILE_NAME}'");
    std::fs::write(&configuration, text.replacen("name = \"local\"", &name, 1)).unwrap();
    sandbox.must("start_guard guard");
    assert!(sandbox.must("ask_for_block guard $key0 7 2").ends_with("200\n"));
    assert!(sandbox.must("ask_for_block guard $key0 7 3").ends_with("412\n"));
    let address = sandbox.must("metrics guard").trim().to_owned();
    (sandbox, format!("http://{address}/"))
}

#[test]
fn the_page_allows_nothing_but_its_own_style_sheet() {
    let (sandbox, url) = busy_guard();
    let head = sandbox.must(&format!("curl --silent --dump-header - --output page.html {url}"));
    let policy = head
        .lines()
        .find_map(|line| line.strip_prefix("content-security-policy: "))
        .expect("a content security policy");
    let directives: Vec<&str> = policy.split("; ").collect();
    assert_eq!(
        directives,
        [
            "default-src 'none'",
            "style-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'"
        ]
    );
    for header in ["cache-control: no-store", "x-content-type-options: nosniff"] {
        assert!(head.lines().any(|line| line == header), "{header} in\n{head}");
    }
    let page = std::fs::read_to_string(sandbox.path().join("page.html")).unwrap();
    assert!(!page.contains("<script") && !page.contains("<img"), "{page}");
    assert!(page.contains("&lt;script&gt;document.title=&quot;owned&quot;&lt;/script&gt;"));
    for inline in [" style=", " onload=", " onclick=", "javascript:"] {
        assert!(!page.contains(inline), "{inline}");
    }
}

#[test]
fn a_browser_without_scripts_shows_readiness_refusal_duty_and_keys() {
    let Some(mut browser) = Browser::start() else { return };
    let (_sandbox, url) = busy_guard();
    browser.call("Emulation.setScriptExecutionDisabled", json!({ "value": true }));
    browser.open(&url);
    shows_everything(&mut browser);
}

#[test]
fn a_browser_with_scripts_runs_none_and_reports_no_violation() {
    let Some(mut browser) = Browser::start() else { return };
    let (_sandbox, url) = busy_guard();
    browser.open(&url);
    shows_everything(&mut browser);
    let title = browser.call("Runtime.evaluate", json!({ "expression": "document.title" }));
    assert_eq!(title["result"]["value"], "Palisade guard");
    let scripts = json!({ "expression": "document.scripts.length + document.images.length" });
    assert_eq!(browser.call("Runtime.evaluate", scripts)["result"]["value"], 0);
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

/// Proves that the test before this one would hear of a violation.
#[test]
fn the_browser_reports_what_the_policy_forbids() {
    let Some(mut browser) = Browser::start() else { return };
    let (_sandbox, url) = busy_guard();
    browser.open(&url);
    let inject = "const image = document.createElement('img'); image.src = '/logo.png'; \
                  document.body.append(image)";
    browser.call("Runtime.evaluate", json!({ "expression": inject }));
    browser.until("a complaint", |browser| {
        browser.complaints().iter().any(|text| text.contains("Content Security Policy"))
    });
}

#[test]
fn the_page_fits_a_wide_screen_a_phone_and_the_dark() {
    let Some(mut browser) = Browser::start() else { return };
    let (_sandbox, url) = busy_guard();
    for (name, look) in [
        ("wide", Look { width: 1280, height: 1000, scheme: "light" }),
        ("dark", Look { width: 1280, height: 1000, scheme: "dark" }),
        ("phone", Look { width: 390, height: 1400, scheme: "light" }),
    ] {
        browser.look(&look);
        browser.open(&url);
        let content = browser.call("Page.getLayoutMetrics", json!({}))["cssContentSize"].clone();
        let width = content["width"].as_f64().unwrap();
        assert!(width <= f64::from(look.width), "{name}: {width} of {} pixels", look.width);
        // Nothing hides behind a scroll bar inside the page either.
        let hidden = "[...document.querySelectorAll('body *')]\
                      .filter(e => e.clientWidth > 0 && e.scrollWidth > e.clientWidth + 1).length";
        let hidden = browser.call("Runtime.evaluate", json!({ "expression": hidden }));
        assert_eq!(hidden["result"]["value"], 0, "{name}: something is cut off");
        if let Some(directory) = std::env::var_os("CONSOLE_SCREENSHOTS") {
            browser
                .screenshot(&PathBuf::from(directory).join(format!("console-{name}.png.base64")));
        }
    }
}

fn shows_everything(browser: &mut Browser) {
    let readiness = browser.text("#readiness");
    assert_eq!(readiness, "Ready");
    assert_eq!(browser.text("#key-count"), "2");
    let refusals = browser.text("#refusals");
    for wanted in [
        "BLOCK_V2 slot 7",
        "double-proposal",
        "last_proposal",
        "signing_root",
        HOSTILE_NAME,
        "0xa99a76ed77",
    ] {
        assert!(refusals.contains(wanted), "{wanted:?} in {refusals:?}");
    }
    let duties = browser.text("#duties");
    assert!(duties.contains("BLOCK_V2 slot 7") && duties.contains("0xa99a76ed77"), "{duties:?}");
    let keys = browser.text("#keys");
    assert!(
        keys.contains("0xb89bebc699769726a318c8e9971bd3171297c61aea4a6578a7a4f94b"),
        "{keys:?}"
    );
}
