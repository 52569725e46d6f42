//! The table and the JSON lines.
//!
//! Invariant: a row says what its limit was measured to be; notes are context and have no JSON
//! line.

/// Everything that was measured, in order.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
    notes: Vec<(String, String)>,
}

/// One measure; smaller is better.
pub(crate) struct Row {
    /// Stable, for machines.
    pub(crate) name: &'static str,
    /// In the unit of `target`.
    pub(crate) value: f64,
    /// What `value` must not exceed, if anything is promised.
    pub(crate) target: Option<f64>,
    /// What the value was divided by or compared with, in the unit that `limit_is` names.
    pub(crate) limit: f64,
    /// The limit in words, with its unit and how it was taken.
    pub(crate) limit_is: String,
}

impl Report {
    /// A measure beside its limit.
    pub(crate) fn row(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Context without a limit.
    pub(crate) fn note(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.notes.push((name.into(), value.into()));
    }

    /// Prints all of it.
    pub(crate) fn print(&self) {
        eprintln!("\n{:<46} {:>8} {:>8}        limit of this run", "measure", "value", "target");
        for row in &self.rows {
            let (target, verdict) = match row.target {
                Some(target) if row.value <= target => (format!("{target:.3}"), "pass"),
                Some(target) => (format!("{target:.3}"), "MISS"),
                None => ("-".to_owned(), "    "),
            };
            eprintln!(
                "{:<46} {:>8.3} {target:>8}  {verdict}  {:.1} {}",
                row.name, row.value, row.limit, row.limit_is
            );
        }
        eprintln!();
        for (name, value) in &self.notes {
            eprintln!("{name:<46} {value}");
        }
        for row in &self.rows {
            let line = serde_json::json!({
                "name": row.name,
                "value": rounded(row.value),
                "target": row.target,
                "limit": rounded(row.limit),
            });
            println!("{line}");
        }
    }
}

fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}
