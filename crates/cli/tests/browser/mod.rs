//! Headless Chromium over its DevTools pipe: one page, JSON messages that end in a zero byte.
//!
//! Invariants: a profile directory of its own; nothing is fetched but what the test opens; the
//! browser ends with the test.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// How the window is.
pub(crate) struct Look {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// `light` or `dark`.
    pub(crate) scheme: &'static str,
}

/// A running browser with one page.
pub(crate) struct Browser {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    session: Option<String>,
    next_id: u64,
    events: VecDeque<Value>,
    complaints: Vec<String>,
    _profile: TempDir,
}

const PROGRAMS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

const OPTIONS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
];

impl Browser {
    /// Starts one, or says loudly that there is none.
    pub(crate) fn start() -> Option<Self> {
        let Some(program) = PROGRAMS.into_iter().find(|program| is_installed(program)) else {
            let skip = std::env::var("CONSOLE_ALLOW_SKIP").is_ok_and(|value| value == "0");
            assert!(!skip, "no Chromium, and CONSOLE_ALLOW_SKIP=0");
            eprintln!("!! SKIPPED: no Chromium; the console was not looked at in a browser");
            eprintln!("!! (apt-get install chromium)");
            return None;
        };
        let profile = tempfile::tempdir().unwrap();
        // Chromium reads from file descriptor 3 and writes to 4.
        let mut process = Command::new("sh")
            .args(["-c", "exec \"$@\" 3<&0 4>&1 0</dev/null 1>/dev/null 2>&1", "sh", program])
            .args(OPTIONS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            // What it makes beside its profile goes with it.
            .env("TMPDIR", profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let to = process.stdin.take().unwrap();
        let from = BufReader::new(process.stdout.take().unwrap());
        let mut browser = Self {
            process,
            to,
            from,
            session: None,
            next_id: 0,
            events: VecDeque::new(),
            complaints: Vec::new(),
            _profile: profile,
        };
        browser.attach();
        Some(browser)
    }

    fn attach(&mut self) {
        let target = self.call("Target.createTarget", json!({ "url": "about:blank" }));
        let target = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = self.call("Target.attachToTarget", target);
        self.session = Some(attached["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page", "Log", "Runtime", "DOM"] {
            self.call(&format!("{domain}.enable"), json!({}));
        }
    }

    /// One command and its answer; what happens meanwhile is kept.
    pub(crate) fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.next_id += 1;
        let id = self.next_id;
        let mut message = json!({ "id": id, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = serde_json::to_vec(&message).unwrap();
        bytes.push(0);
        self.to.write_all(&bytes).unwrap();
        loop {
            let message = self.receive();
            if message["id"] == id {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
            self.events.push_back(message);
        }
    }

    fn receive(&mut self) -> Value {
        let mut bytes = Vec::new();
        self.from.read_until(0, &mut bytes).unwrap();
        assert_eq!(bytes.pop(), Some(0), "the browser ended");
        let message: Value = serde_json::from_slice(&bytes).unwrap();
        let complaint = match message["method"].as_str() {
            Some("Log.entryAdded") => &message["params"]["entry"]["text"],
            Some("Runtime.exceptionThrown") => &message["params"]["exceptionDetails"]["text"],
            Some("Runtime.consoleAPICalled") => &message["params"]["args"],
            _ => return message,
        };
        self.complaints.push(complaint.to_string());
        message
    }

    /// Loads a page, and its style sheet, whole.
    pub(crate) fn open(&mut self, url: &str) {
        self.events.clear();
        let navigated = self.call("Page.navigate", json!({ "url": url }));
        assert!(navigated["errorText"].is_null(), "{navigated}");
        loop {
            let event = match self.events.pop_front() {
                Some(event) => event,
                None => self.receive(),
            };
            if event["method"] == "Page.loadEventFired" {
                return;
            }
        }
    }

    /// All text inside the one element that the selector finds, as the browser parsed it. Needs no
    /// script in the page.
    pub(crate) fn text(&mut self, selector: &str) -> String {
        let document = self.call("DOM.getDocument", json!({ "depth": -1 }));
        let root = document["root"]["nodeId"].clone();
        let query = json!({ "nodeId": root, "selector": selector });
        let node = self.call("DOM.querySelector", query)["nodeId"].clone();
        assert_ne!(node, 0, "nothing is {selector}");
        let described = self.call("DOM.describeNode", json!({ "nodeId": node, "depth": -1 }));
        let mut text = String::new();
        collect_text(&described["node"], &mut text);
        text
    }

    /// What the browser complained of: violations of the content security policy, missing files,
    /// exceptions, and whatever a script printed.
    pub(crate) fn complaints(&self) -> Vec<String> {
        self.complaints.clone()
    }

    /// Waits for something that the browser does by itself; the test runner's own limit ends it.
    pub(crate) fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        for _ in 0..1_000 {
            if holds(self) {
                return;
            }
            self.call("Runtime.evaluate", json!({ "expression": "0" }));
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        panic!("{what} never came");
    }

    pub(crate) fn look(&mut self, look: &Look) {
        let size = json!({
            "width": look.width, "height": look.height, "deviceScaleFactor": 1, "mobile": false,
        });
        self.call("Emulation.setDeviceMetricsOverride", size);
        let scheme = json!([{ "name": "prefers-color-scheme", "value": look.scheme }]);
        self.call("Emulation.setEmulatedMedia", json!({ "features": scheme }));
    }

    /// Writes a PNG, as the base64 text that it came as.
    pub(crate) fn screenshot(&mut self, file: &Path) {
        let shot = self.call("Page.captureScreenshot", json!({ "format": "png" }));
        std::fs::write(file, shot["data"].as_str().unwrap()).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The shell became the browser, which ends its own helpers.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn is_installed(program: &str) -> bool {
    let version = Command::new(program).arg("--version").stderr(Stdio::null()).output();
    version.is_ok_and(|output| output.status.success())
}

fn collect_text(node: &Value, text: &mut String) {
    if node["nodeName"] == "#text" {
        text.push_str(node["nodeValue"].as_str().unwrap());
    }
    for child in node["children"].as_array().into_iter().flatten() {
        collect_text(child, text);
    }
}
