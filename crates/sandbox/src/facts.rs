//! What is known of the machine and of this process, as plain values.

use std::collections::BTreeMap;

use crate::Measure;

/// What a probe found of one measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It was tried, and held.
    Works,
    /// It holds in another way than the best one; says which.
    WorksAs(String),
    /// It cannot be had; says why.
    Fails(String),
}

/// What [`crate::judge`] decides from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The effective user's id; 0 is root.
    pub user: u32,
    /// Who owns the home; `None` when there is no home yet.
    pub home_owner: Option<u32>,
    /// systemd itself started this process, so that a user could have been named there.
    pub is_service: bool,
    /// The guard opens connections to nodes: only Landlock bounds where they lead.
    pub dials: bool,
    /// The probes' findings. A measure that is not here counts as not tried, which is a failure.
    pub findings: BTreeMap<Measure, Finding>,
}

impl Facts {
    /// What the probe of a measure found.
    #[must_use]
    pub fn finding(&self, measure: Measure) -> Finding {
        let untried = || Finding::Fails("it could not be tried".to_owned());
        self.findings.get(&measure).cloned().unwrap_or_else(untried)
    }
}
