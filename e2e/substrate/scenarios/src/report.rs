//! What a scenario found: counts, and the requirements that did not hold.

use serde_json::{Map, Value, json};

/// Counts by name, and a sentence for each requirement that did not hold.
#[derive(Default)]
pub(crate) struct Report {
    counts: Map<String, Value>,
    broken: Vec<String>,
}

impl Report {
    /// Notes a count that nothing is required of.
    pub(crate) fn note(&mut self, name: &str, value: impl Into<Value>) {
        self.counts.insert(name.to_owned(), value.into());
    }

    /// Notes a count, and whether it is as required; `required` says how it should have been.
    pub(crate) fn require(
        &mut self,
        name: &str,
        value: impl Into<Value>,
        holds: bool,
        required: &str,
    ) {
        let value = value.into();
        if !holds {
            self.broken.push(format!("{name} is {value}, required: {required}"));
        }
        self.counts.insert(name.to_owned(), value);
    }

    /// Whether every requirement held.
    pub(crate) fn passed(&self) -> bool {
        self.broken.is_empty()
    }

    /// The same counts, of a control: it passes if the requirements did not hold.
    pub(crate) fn inverted(mut self) -> Self {
        self.counts.insert("broken_as_expected".to_owned(), self.broken.clone().into());
        self.broken = if self.broken.is_empty() {
            vec!["the check held where it must not: it shows nothing".to_owned()]
        } else {
            Vec::new()
        };
        self
    }

    /// One line of JSON.
    pub(crate) fn line(&self, scenario: &str, seconds: u64) -> Value {
        let mut line = Map::new();
        line.insert("scenario".to_owned(), scenario.into());
        line.insert("passed".to_owned(), self.passed().into());
        line.insert("seconds".to_owned(), seconds.into());
        line.extend(self.counts.clone());
        if !self.passed() {
            line.insert("broken".to_owned(), self.broken.clone().into());
        }
        Value::Object(line)
    }
}

/// The line of a scenario that could not be run to its end.
pub(crate) fn could_not(scenario: &str, seconds: u64, failure: &str) -> Value {
    json!({ "scenario": scenario, "passed": false, "seconds": seconds, "could_not": failure })
}

/// Prints a line on standard output.
#[expect(clippy::print_stdout, reason = "what the program is for")]
pub(crate) fn print(line: &Value) {
    println!("{line}");
}
